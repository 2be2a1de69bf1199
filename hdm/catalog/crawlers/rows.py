"""The base class of crawlers that read a catalogue by one query for each kind of object.

A subclass gives the queries. Each returns (schema, table, ...) in the order that ``Queries`` says;
``{schemas}`` becomes a list of literals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from hdm.catalog.crawlers.base import Crawler, Row, grouped, number
from hdm.catalog.model import (
    Check,
    Distribution,
    ForeignKey,
    Identity,
    Index,
    IndexPart,
    Key,
    Path,
    Relation,
    Schema,
    Sequence,
    View,
)
from hdm.catalog.patterns import Selection
from hdm.catalog.sql_text import unwrapped
from hdm.catalog.views import Names, mentioned
from hdm.errors import ConnectionLost, Deadlock, HdmError, Throttled
from hdm.model import Column, Table


@dataclass(frozen=True, slots=True)
class Queries:
    """The queries that read one system's catalogue; an empty one is not run.

    Each returns schema and table, and then: ``schemas``: name. ``tables``: rows, bytes, comment.
    ``columns``: name, native, nullable, length, precision, scale, default, identity start, identity step,
    generated, virtual, comment. ``keys``: constraint, P or U, column. ``foreign``: name, column, schema,
    table and column that it refers to, ON DELETE, ON UPDATE. ``checks``: name, predicate. ``indexes``:
    name, unique, column, descending, expression, method. ``views``: query, comment. ``sequences`` (table is
    its name): start, step, minimum, maximum, cycle. ``placing``: HASH or SORT, column.

    ``schemas`` returns only the name; ``unread`` returns kind, schema, name.
    """

    schemas: str
    tables: str
    columns: str
    keys: str = ""
    foreign: str = ""
    checks: str = ""
    indexes: str = ""
    views: str = ""
    sequences: str = ""
    placing: str = ""
    unread: str = ""


class RowsCrawler(Crawler):
    """Reads a system's catalogue by its ``Queries``; paths are (schema, name)."""

    queries: ClassVar[Queries]
    optional: ClassVar[frozenset[str]] = frozenset()
    """Queries that a user may lack the rights for; their objects are then listed as not read."""

    def schemas(self) -> list[str]:
        """Return the names of the users' schemas, as the query ``schemas`` gives them."""
        return [str(row[0]) for row in self.query(self.queries.schemas)]

    def read(self, schemas: list[str], selection: Selection) -> Schema:
        """Return the selected objects in the given schemas; runs one query for each kind of object."""
        self._schemas = schemas
        self._in = self.listed(schemas)
        self._missing: list[str] = []
        self._hidden: list[tuple[str, str]] = []
        self._found = {
            name: grouped(self.ask(name))
            for name in ("columns", "keys", "foreign", "checks", "indexes", "placing")
        }
        tables = [row for row in self.ask("tables") if selection.has((row[0], row[1]))]
        relations = tuple(self._relation(row) for row in tables)
        views = self._views(selection, relations)
        unread = [(str(kind), f"{schema}.{name}") for kind, schema, name in self.ask("unread")] + self._hidden
        kept = [one for one in unread if selection.has(tuple(one[1].split(".", 1)))]
        return Schema(
            self.system,
            "",
            relations=relations,
            views=views,
            sequences=tuple(
                self._sequence(row) for row in self.ask("sequences") if selection.has((row[0], row[1]))
            ),
            unread=tuple(kept + [(f"all {name}", "the catalogue") for name in self._missing]),
        )

    def ask(self, name: str) -> list[Row]:
        """Return the rows of the query ``name``.

        Empty if the system has no such query, or if it is an optional one that the system refuses: its
        objects are then listed as not read.
        """
        sql = getattr(self.queries, name)
        if not sql:
            return []
        try:
            return self.query(sql.replace("{schemas}", self._in))
        except HdmError as error:
            if name not in self.optional or isinstance(error, ConnectionLost | Throttled | Deadlock):
                raise
            self._missing.append(name)
            return []

    # -- hooks ---------------------------------------------------------------------

    def default(self, text: str | None) -> str | None:
        """Return a column's default as SQL; None if there is none."""
        text = (text or "").strip()
        return text or None

    def view(self, sql: str) -> str:
        """Return a view's query from the catalogue's text; by default the text without a last semicolon."""
        return sql.strip().rstrip(";").strip()

    def wanted(self, check: str) -> bool:
        """Return True if a check constraint with the condition ``check`` is kept; False if that is empty."""
        return bool(check)

    # -- objects -------------------------------------------------------------------

    def _of(self, name: str, path: Path) -> list[Row]:
        return self._found[name].get(path, [])

    def _relation(self, row: Row) -> Relation:
        schema, name, rows, size, comment = row
        path = (str(schema), str(name))
        columns = self._of("columns", path)
        keys = list(self._keys(path))
        primary = next((key for kind, key in keys if kind == "P"), None)
        counted = [
            Identity(str(c[0]), int(c[7]), int(c[8] or 1), style="identity")
            for c in columns
            if c[7] is not None
        ]
        table = Table(
            self.dataset(path),
            path,
            tuple(self._column(one) for one in columns),
            primary.columns if primary else (),
            rows=number(rows),
            bytes=number(size),
        )
        return Relation(
            table,
            primary,
            tuple(key for kind, key in keys if kind == "U"),
            tuple(self._foreign(path)),
            tuple(
                Check(str(n), unwrapped(text)) for n, text in self._of("checks", path) if self.wanted(text)
            ),
            tuple(self._indexes(path)),
            tuple(counted),
            tuple(str(c[0]) for c in columns if c[9] and _yes(c[10])),
            comment or None,
            distribution=self._placing(path),
        )

    def _column(self, row: Row) -> Column:
        name, native, nullable, length, precision, scale, default, start, _, generated, _, comment = row
        return self.dialect.column_from_catalog(
            str(name),
            str(native),
            nullable=_yes(nullable),
            length=number(length),
            precision=number(precision),
            scale=number(scale),
            default=None if generated or start is not None else self.default(default),
            identity=start is not None,
            generated=unwrapped(str(generated)) if generated else None,
            comment=comment or None,
        )

    def _keys(self, path: Path) -> Iterator[tuple[str, Key]]:
        named: dict[tuple[str, str], list[str]] = {}
        for name, kind, column in self._of("keys", path):
            named.setdefault((str(name), str(kind)[0].upper()), []).append(str(column))
        for (name, kind), columns in named.items():
            yield kind, Key(name, tuple(columns))

    def _foreign(self, path: Path) -> Iterator[ForeignKey]:
        named: dict[str, list[Row]] = {}
        for name, *rest in self._of("foreign", path):
            named.setdefault(str(name), []).append(tuple(rest))
        for name, rows in named.items():
            first = rows[0]
            yield ForeignKey(
                name,
                tuple(str(row[0]) for row in rows),
                (str(first[1]), str(first[2])),
                tuple(str(row[3]) for row in rows),
                _action(first[4]),
                _action(first[5]),
            )

    def _indexes(self, path: Path) -> Iterator[Index]:
        named: dict[str, list[Row]] = {}
        for name, *rest in self._of("indexes", path):
            named.setdefault(str(name), []).append(tuple(rest))
        for name, rows in named.items():
            parts = tuple(
                IndexPart(expression=unwrapped(str(text)), descending=_yes(down))
                if text
                else IndexPart(str(column), descending=_yes(down))
                for _, column, down, text, _ in rows
            )
            yield Index(name, parts, _yes(rows[0][0]), str(rows[0][4] or "").lower())

    def _placing(self, path: Path) -> Distribution | None:
        rows = self._of("placing", path)
        hashed = tuple(str(column) for kind, column in rows if kind == "HASH" and column)
        sort = tuple(str(column) for kind, column in rows if kind == "SORT" and column)
        style = "HASH" if hashed else next((str(kind) for kind, _ in rows if kind != "SORT"), "")
        return Distribution(style, hashed, sort) if rows else None

    @staticmethod
    def _sequence(row: Row) -> Sequence:
        schema, name, start, step, low, high, cycle = row
        low, high = number(low), number(high)
        return Sequence(
            (str(schema), str(name)),
            int(start),
            int(step),
            None if low in (None, 1, -(2**63)) else low,
            None if high is None or high >= 2**63 - 1 else high,
            _yes(cycle),
        )

    def _views(self, selection: Selection, relations: tuple[Relation, ...]) -> tuple[View, ...]:
        views = []
        for schema, name, sql, comment in self.ask("views"):
            path = (str(schema), str(name))
            if not sql:  # a secure or encrypted view shows its text to its owner only
                self._hidden.append(("view whose text this user is not shown", f"{schema}.{name}"))
            elif selection.has(path):
                shown = tuple(str(row[0]) for row in self._of("columns", path))
                views.append(View(path, self.view(str(sql)), shown, comment=comment or None))
        names = Names(Schema(self.system, relations=relations, views=tuple(views)))
        return tuple(replace(v, uses=mentioned(v.sql, self.system, v.path, names)) for v in views)


def _yes(value: object) -> bool:
    return str(value).strip().upper() in ("1", "Y", "YES", "T", "TRUE", "DESC")


def _action(rule: object) -> str:
    text = str(rule or "NO ACTION").replace("_", " ").strip().upper()
    return {"A": "NO ACTION", "C": "CASCADE", "N": "SET NULL", "D": "SET DEFAULT", "R": "RESTRICT"}.get(
        text, text
    )
