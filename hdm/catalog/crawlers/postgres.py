"""Reads PostgreSQL's catalogue: https://www.postgresql.org/docs/current/catalogs.html.

Paths are (schema, name).
"""

from __future__ import annotations

import re
from dataclasses import replace

from hdm.catalog.crawlers import postgres_sql as sql
from hdm.catalog.crawlers.base import Crawler, Row, grouped, number
from hdm.catalog.model import (
    Check,
    EnumType,
    ForeignKey,
    Identity,
    Index,
    IndexPart,
    Key,
    Partitioning,
    Path,
    Relation,
    Schema,
    Sequence,
    View,
)
from hdm.catalog.patterns import Selection
from hdm.catalog.sql_text import unwrapped
from hdm.model import Column, Kind, Table

_ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_PARTED = {"r": "RANGE", "l": "LIST", "h": "HASH"}
_TEXT = r"'(?:[^']|'')*'::character varying"
_ARRAY = re.compile(rf"\(ARRAY\[((?:{_TEXT}(?:, )?)+)\]\)::text\[\]")
_CHECK = re.compile(r"CHECK \((?P<sql>.*)\)(?: NO INHERIT)?(?: NOT VALID)?\Z", re.DOTALL)


class PostgresCrawler(Crawler):
    """Reads the catalogue of one PostgreSQL database, without the objects of extensions."""

    system = "postgres"

    def schemas(self) -> list[str]:
        """Return the names of the schemas, sorted, without pg_* and information_schema."""
        return [row[0] for row in self.query(sql.SCHEMAS)]

    def read(self, schemas: list[str], selection: Selection) -> Schema:
        """Return the selected objects; runs ten queries, whatever the number of tables."""
        self._in = self.listed(schemas)
        self._columns = grouped(self._ask(sql.COLUMNS))
        self._constraints = grouped(self._ask(sql.CONSTRAINTS))
        self._indexes = grouped(self._ask(sql.INDEXES))
        sequences = [self._sequence(row) for row in self._ask(sql.SEQUENCES)]
        self._counters = {one.owner: one for one in sequences if one.owner}
        tables = [row for row in self._ask(sql.TABLES) if selection.has((row[0], row[1]))]
        relations = tuple(self._relation(row) for row in tables)
        kept = {one.path for one in relations}
        unread = [(kind, f"{schema}.{name}") for kind, schema, name in self._ask(sql.UNREAD)]
        return Schema(
            self.system,
            str(self.query("SELECT current_database()")[0][0]),
            relations=relations,
            views=self._views(selection),
            sequences=tuple(one for one in sequences if self._wanted(one, kept, selection)),
            unread=tuple((kind, name) for kind, name in unread if selection.has(tuple(name.split(".")[:2]))),
            enums=tuple(EnumType((row[0], row[1]), tuple(row[2])) for row in self._ask(sql.ENUMS)),
        )

    def _ask(self, template: str) -> list[Row]:
        return self.query(template.replace("{schemas}", self._in))

    def _wanted(self, one: Sequence, kept: set[Path], selection: Selection) -> bool:
        """Whether a sequence is kept: a free one by its name, an owned one with its table.

        A sequence of an identity column is not kept.
        """
        if one.owner is None:
            return selection.has(one.path)
        return one.owner[:-1] in kept and one.owner not in self._identities

    # -- tables --------------------------------------------------------------------

    def _relation(self, row: Row) -> Relation:
        schema, name, rows, size, comment, partkey, strategy, parent_schema, parent, bound, above = row
        path = (str(schema), str(name))
        columns = self._columns.get(path, [])
        primary, uniques, foreign, checks = self._keys(path)
        table = Table(
            self.dataset(path),
            path,
            tuple(self._column(one) for one in columns),
            primary.columns if primary else (),
            rows=number(rows),
            bytes=number(size),
        )
        parted = None
        if partkey:
            parted = Partitioning(_PARTED.get(str(strategy), "RANGE"), (), partkey)
        return Relation(
            table,
            primary,
            uniques,
            foreign,
            checks,
            tuple(self._index(one) for one in self._indexes.get(path, [])),
            tuple(self._identity(path, one) for one in columns if one[5]),
            (),
            comment,
            parted,
            (str(parent_schema), str(parent)) if parent else None,
            bound,
            inherits=tuple((str(one[0]), str(one[1])) for one in above),
        )

    def _column(self, row: Row) -> Column:
        name, native, nullable, category, default, identity, generated, comment = row
        column = self.dialect.column_from_catalog(
            name,
            native,
            nullable=nullable,
            default=default,
            identity=bool(identity),
            generated=generated,
            comment=comment,
        )
        return replace(column, kind=Kind.ENUM) if category == "e" else column

    @property
    def _identities(self) -> set[Path]:
        return {(*path, str(row[0])) for path, rows in self._columns.items() for row in rows if row[5]}

    def _identity(self, path: Path, row: Row) -> Identity:
        counter = self._counters.get((*path, row[0]))
        start, step = (counter.start, counter.increment) if counter else (1, 1)
        return Identity(row[0], start, step, always=row[5] == "a")

    def _keys(
        self, path: Path
    ) -> tuple[Key | None, tuple[Key, ...], tuple[ForeignKey, ...], tuple[Check, ...]]:
        primary, uniques, foreign, checks = None, [], [], []
        for (
            name,
            kind,
            columns,
            text,
            other,
            target,
            on_delete,
            on_update,
            deferred,
            distinct,
        ) in self._constraints.get(path, []):
            if kind == "p":
                primary = Key(name, tuple(columns))
            elif kind == "u":
                uniques.append(Key(name, tuple(columns), distinct))
            elif kind == "f":
                actions = (_ACTIONS[on_delete], _ACTIONS[on_update])
                foreign.append(
                    ForeignKey(name, tuple(columns), tuple(other), tuple(target), *actions, deferred)
                )
            elif found := _CHECK.match(text):
                checks.append(Check(name, _settled(unwrapped(found["sql"]))))
        return primary, tuple(uniques), tuple(foreign), tuple(checks)

    @staticmethod
    def _index(row: Row) -> Index:
        name, unique, method, where, keys, parts, orders, names = row
        made = []
        for text, order, column in zip(parts[:keys], orders[:keys], names[:keys], strict=True):
            descending = bool(order & 1)
            if column is not None:
                made.append(IndexPart(column, descending=descending))
            else:
                made.append(IndexPart(expression=unwrapped(text), descending=descending))
        included = tuple(column for column in names[keys:] if column)
        where = _settled(where) if where else None
        return Index(name, tuple(made), unique, "" if method == "btree" else method, where, included)

    # -- the rest --------------------------------------------------------------------

    @staticmethod
    def _sequence(row: Row) -> Sequence:
        schema, name, start, step, low, high, cycle, kind, owner_schema, owner, column, comment = row
        top = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}.get(kind, 2**63) - 1
        usual = (1, top) if step > 0 else (-top - 1, -1)
        return Sequence(
            (schema, name),
            start,
            step,
            None if low == usual[0] else low,
            None if high == usual[1] else high,
            cycle,
            kind,
            (owner_schema, owner, column) if column else None,
            comment,
        )

    def _views(self, selection: Selection) -> tuple[View, ...]:
        uses = grouped(self._ask(sql.VIEW_USES))
        made = []
        for schema, name, kind, text, columns, comment in self._ask(sql.VIEWS):
            path = (schema, name)
            if selection.has(path):
                read = tuple((row[0], row[1]) for row in uses.get(path, []) if (row[0], row[1]) != path)
                made.append(View(path, text.strip().rstrip(";"), tuple(columns), kind == "m", comment, read))
        return tuple(made)


def _settled(sql: str) -> str:
    """Return SQL with the cast of a text array in one spelling, since PostgreSQL prints it in two ways."""

    def each(found: re.Match[str]) -> str:
        return "ARRAY[" + ", ".join(f"({text})::text" for text in re.findall(_TEXT, found[1])) + "]"

    return _ARRAY.sub(each, sql)
