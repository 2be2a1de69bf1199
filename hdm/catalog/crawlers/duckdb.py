"""Reads DuckDB's catalogue: https://duckdb.org/docs/sql/meta/duckdb_table_functions.

Paths are (schema, name).
"""

from __future__ import annotations

import re
from dataclasses import replace

from hdm.catalog.crawlers.base import Crawler, Row, grouped, number
from hdm.catalog.model import (
    Check,
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
from hdm.model import Column, Table

_HERE = "database_name = current_database() AND NOT internal"
_NEXTVAL = re.compile(r"nextval\('(?P<name>(?:[^']|'')*)'\)\Z", re.IGNORECASE)
_VIEW = re.compile(
    r"\s*CREATE\s+VIEW\b.*?\bAS\s+(?P<sql>(?:SELECT|WITH|FROM|\().*)\Z", re.IGNORECASE | re.DOTALL
)
_CHECK = re.compile(r"CHECK\s*\((?P<sql>.*)\)\Z", re.IGNORECASE | re.DOTALL)


class DuckDBCrawler(Crawler):
    """Reads the catalogue of DuckDB's current database."""

    system = "duckdb"

    def schemas(self) -> list[str]:
        """Return the names of the users' schemas and ``main``, sorted."""
        sql = (
            "SELECT schema_name FROM duckdb_schemas() WHERE database_name = current_database() "
            "AND (NOT internal OR schema_name = 'main') ORDER BY 1"
        )
        return [str(row[0]) for row in self.query(sql)]

    def read(self, schemas: list[str], selection: Selection) -> Schema:
        """Return the selected objects; runs seven queries, whatever the number of tables."""
        where = f"{_HERE} AND schema_name IN ({self.listed(schemas)})"
        here = where.replace(" AND NOT internal", "")
        columns = grouped(
            self.query(
                "SELECT schema_name, table_name, column_name, data_type, column_default, is_nullable, "
                f"comment FROM duckdb_columns() WHERE {where} ORDER BY schema_name, table_name, column_index"
            )
        )
        self._constraints = grouped(
            self.query(
                "SELECT schema_name, table_name, constraint_type, constraint_text, expression, "
                "constraint_column_names, referenced_table, referenced_column_names "
                f"FROM duckdb_constraints() WHERE {here} ORDER BY schema_name, table_name, constraint_index"
            )
        )
        self._indexes = grouped(
            self.query(
                "SELECT schema_name, table_name, index_name, is_unique, expressions, sql "
                f"FROM duckdb_indexes() WHERE {here} ORDER BY index_name"
            )
        )
        self._sequences = {one.path: one for one in self._all_sequences(here)}
        tables = self.query(
            "SELECT schema_name, table_name, estimated_size, comment, sql FROM duckdb_tables() "
            f"WHERE {where} ORDER BY schema_name, table_name"
        )
        relations = tuple(self._relation(row, columns) for row in tables if selection.has((row[0], row[1])))
        counters = {path for one in relations for path in self._counters(one)}
        sequences = tuple(
            one for path, one in self._sequences.items() if path not in counters and selection.has(path)
        )
        database = str(self.query("SELECT current_database()")[0][0])
        views = self._views(where, columns, relations, selection)
        return Schema(self.system, database, "", relations, views, sequences)

    def _relation(self, row: Row, columns: dict[Row, list[Row]]) -> Relation:
        schema, name, size, comment, sql = row
        path = (str(schema), str(name))
        generated = _generated_of(str(sql))
        made, identities = [], []
        for column in columns.get(path, []):
            one = self._column(column, generated)
            drawn = _NEXTVAL.match((one.default or "").strip())
            counter = drawn and self._sequences.get(_path_of(drawn["name"], path))
            if counter and counter.path[-1] == f"{name}_{one.name}_seq":
                identities.append(Identity(one.name, counter.start, counter.increment))
                one = replace(one, identity=True, default=None)
            made.append(one)
        primary, uniques, foreign, checks = self._keys(path)
        table = Table(
            self.dataset(path), path, tuple(made), primary.columns if primary else (), rows=number(size)
        )
        indexes = tuple(self._index(one) for one in self._indexes.get(path, []))
        virtual = tuple(one.name for one in made if one.generated is not None)
        return Relation(
            table, primary, uniques, foreign, checks, indexes, tuple(identities), virtual, comment
        )

    def _column(self, row: Row, generated: dict[str, str]) -> Column:
        name, native, default, nullable, comment = row
        text = generated.get(name)
        return self.dialect.column_from_catalog(
            name,
            native,
            nullable=bool(nullable),
            default=None if text is not None else default,
            generated=text,
            comment=comment,
        )

    def _keys(
        self, path: Path
    ) -> tuple[Key | None, tuple[Key, ...], tuple[ForeignKey, ...], tuple[Check, ...]]:
        primary, uniques, foreign, checks = None, [], [], []
        for kind, text, expression, columns, other, target in self._constraints.get(path, []):
            if kind == "PRIMARY KEY":
                primary = Key("", tuple(columns))
            elif kind == "UNIQUE":
                uniques.append(Key("", tuple(columns)))
            elif kind == "FOREIGN KEY":
                foreign.append(
                    ForeignKey("", tuple(columns), (_schema_of(text, path[0]), other), tuple(target))
                )
            elif kind == "CHECK":
                found = _CHECK.match(text)
                checks.append(Check("", unwrapped(found["sql"]) if found else str(expression)))
        return primary, tuple(uniques), tuple(foreign), tuple(checks)

    @staticmethod
    def _index(row: Row) -> Index:
        name, unique, expressions, _ = row
        parts = []
        for part in _list(str(expressions)):
            plain = re.fullmatch(r"\w+|\"(?:[^\"]|\"\")+\"", part)
            if plain:
                parts.append(IndexPart(_unquoted(part)))
            else:
                parts.append(IndexPart(expression=unwrapped(part)))
        return Index(name, tuple(parts), bool(unique))

    def _all_sequences(self, where: str) -> list[Sequence]:
        rows = self.query(
            "SELECT schema_name, sequence_name, start_value, increment_by, min_value, max_value, cycle "
            f"FROM duckdb_sequences() WHERE {where} ORDER BY schema_name, sequence_name"
        )
        made = []
        for schema, name, start, step, low, high, cycle in rows:
            bounds = (None if low == 1 else low, None if high == 2**63 - 1 else high)
            made.append(Sequence((schema, name), start, step, *bounds, bool(cycle)))
        return made

    @staticmethod
    def _counters(relation: Relation) -> list[Path]:
        path = relation.path
        return [(*path[:-1], f"{path[-1]}_{one.column}_seq") for one in relation.identities]

    def _views(
        self, where: str, columns: dict[Row, list[Row]], relations: tuple[Relation, ...], selection: Selection
    ) -> tuple[View, ...]:
        rows = self.query(
            f"SELECT schema_name, view_name, sql, comment FROM duckdb_views() WHERE {where} "
            "ORDER BY schema_name, view_name"
        )
        views = []
        for schema, name, sql, comment in rows:
            if selection.has((schema, name)):
                found = _VIEW.match(sql)
                shown = tuple(row[0] for row in columns.get((schema, name), []))
                text = (found["sql"] if found else sql).strip().rstrip(";")
                views.append(View((schema, name), text, shown, comment=comment))
        names = Names(Schema(self.system, relations=relations, views=tuple(views)))
        return tuple(replace(v, uses=mentioned(v.sql, "duckdb", v.path, names)) for v in views)


def _path_of(text: str, table: Path) -> Path:
    parts = tuple(_unquoted(part) for part in re.findall(r'"(?:[^"]|"")+"|[^".]+', text.replace("''", "'")))
    return parts[-2:] if len(parts) > 1 else (table[0], *parts)


def _schema_of(text: str, default: str) -> str:
    found = re.search(r"REFERENCES\s+((?:\"(?:[^\"]|\"\")+\"|[^\"\s.(]+)\.)?", text, re.IGNORECASE)
    return _unquoted(found[1][:-1]) if found and found[1] else default


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name[:1] == '"' else name


def _list(text: str) -> list[str]:
    """Return the parts of ``[a, "b c", (x + 1)]``; the list's own quotes are removed."""
    parts, depth, quote, start = [], 0, "", 1
    for place, mark in enumerate(text[1:-1], 1):
        if quote:
            quote = "" if mark == quote else quote
        elif mark in "'\"":
            quote = mark
        elif mark == "," and depth == 0:
            parts.append(text[start:place])
            start = place + 1
        else:
            depth += {"(": 1, ")": -1}.get(mark, 0)
    parts.append(text[start:-1])
    cleaned = [part.strip() for part in parts]
    return [p[1:-1].replace("''", "'") if p[:1] == "'" and p[-1:] == "'" else p for p in cleaned]


def _generated_of(sql: str) -> dict[str, str]:
    """Return column -> expression from CREATE TABLE; the catalogue shows these expressions like defaults."""
    found = {}
    for match in re.finditer(r"GENERATED ALWAYS AS\s*\(", sql, re.IGNORECASE):
        depth, place = 1, match.end()
        while depth and place < len(sql):
            depth += {"(": 1, ")": -1}.get(sql[place], 0)
            place += 1
        name = re.search(r'("(?:[^"]|"")+"|\w+)\s+[\w(), ]+\Z', _last_part(sql[: match.start()]))
        if name:
            found[_unquoted(name[1])] = unwrapped(sql[match.end() : place - 1].strip())
    return found


def _last_part(text: str) -> str:
    """Return what follows the last comma (or the opening bracket) at the table's own level."""
    depth, quote, start = 0, "", 0
    for place, mark in enumerate(text):
        if quote:
            quote = "" if mark == quote else quote
        elif mark in "'\"":
            quote = mark
        elif mark == "(":
            depth += 1
            start = place + 1 if depth == 1 else start
        elif mark == ")":
            depth -= 1
        elif mark == "," and depth == 1:
            start = place + 1
    return text[start:].strip() + " "
