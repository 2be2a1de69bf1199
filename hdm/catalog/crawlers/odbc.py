"""Reads the catalogue of any system through the catalogue functions of its ODBC driver.

These are SQLTables, SQLColumns, SQLPrimaryKeys, SQLForeignKeys and SQLStatistics
(https://learn.microsoft.com/en-us/sql/odbc/reference/develop-app/catalog-functions-in-odbc). They tell
nothing of checks, identities, generated columns and the SQL of views; views are listed as not read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hdm.catalog.crawlers.base import Row
from hdm.catalog.model import ForeignKey, Index, IndexPart, Key, Path, Relation, Schema
from hdm.catalog.patterns import Selection
from hdm.model import Table

_ACTIONS = {0: "CASCADE", 1: "RESTRICT", 2: "SET NULL", 3: "NO ACTION", 4: "SET DEFAULT"}
_SYSTEM = frozenset({"information_schema", "pg_catalog", "pg_toast", "sys", "mysql", "performance_schema"})


class ODBCCrawler:
    """Reads a catalogue through pyodbc; ``cursor()`` gives a cursor, ``find`` describes one table."""

    def __init__(
        self,
        system: str,
        cursor: Callable[[], Any],
        find: Callable[[Sequence[str]], Table | None],
        default_schema: str | None = None,
    ) -> None:
        self.system, self.cursor, self.find = system, cursor, find
        self.default_schema = default_schema

    def crawl(self, selection: Selection) -> Schema:
        """Return the selected tables with keys, foreign keys and indexes; views only by name."""
        relations, unread = [], []
        for catalogue, schema, name, kind in self._rows("tables"):
            place = schema or catalogue or self.default_schema
            path = (str(place), str(name)) if place else (str(name),)
            if str(place or "").lower() in _SYSTEM or not selection.has(path):
                continue
            if kind == "TABLE":
                relation = self._relation(path, catalogue, schema)
                if relation is not None:
                    relations.append(relation)
            elif kind == "VIEW":
                unread.append(("view", ".".join(path)))
        kept = tuple(sorted(relations, key=lambda one: one.path))
        return Schema(self.system, relations=kept, unread=tuple(sorted(unread)))

    def _rows(self, function: str, *arguments: Any, **named: Any) -> list[Row]:
        cursor = self.cursor()
        try:
            rows = [tuple(row) for row in getattr(cursor, function)(*arguments, **named).fetchall()]
        finally:
            cursor.close()
        return [row[:4] for row in rows] if function == "tables" else rows

    def _relation(self, path: Path, catalogue: str | None, schema: str | None) -> Relation | None:
        table = self.find(path)
        if table is None:
            return None
        place = {"catalog": catalogue, "schema": schema}
        primary = self._primary(path[-1], place, table)
        return Relation(
            table,
            primary,
            foreign_keys=self._foreign(path, catalogue, schema),
            indexes=self._indexes(path[-1], place, primary),
        )

    def _primary(self, name: str, place: dict[str, Any], table: Table) -> Key | None:
        rows = sorted(self._rows("primaryKeys", name, **place), key=lambda row: int(row[4]))
        columns = tuple(str(row[3]) for row in rows) or table.key
        return Key(str(rows[0][5] or "") if rows else "", columns) if columns else None

    def _foreign(self, path: Path, catalogue: str | None, schema: str | None) -> tuple[ForeignKey, ...]:
        rows = self._rows(
            "foreignKeys", foreignTable=path[-1], foreignCatalog=catalogue, foreignSchema=schema
        )
        named: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            named.setdefault((str(row[11] or ""), str(row[2])), []).append(row)
        keys = []
        for (name, parent), group in sorted(named.items()):
            ordered = sorted(group, key=lambda row: int(row[8]))
            where = ordered[0][1] or ordered[0][0] or (path[0] if len(path) > 1 else None)
            keys.append(
                ForeignKey(
                    name,
                    tuple(str(row[7]) for row in ordered),
                    (str(where), parent) if where else (parent,),
                    tuple(str(row[3]) for row in ordered),
                    _ACTIONS.get(int(ordered[0][10] if ordered[0][10] is not None else 3), "NO ACTION"),
                    _ACTIONS.get(int(ordered[0][9] if ordered[0][9] is not None else 3), "NO ACTION"),
                )
            )
        return tuple(keys)

    def _indexes(self, name: str, place: dict[str, Any], primary: Key | None) -> tuple[Index, ...]:
        rows = [row for row in self._rows("statistics", name, **place) if int(row[6]) != 0 and row[5]]
        named: dict[str, list[Row]] = {}
        for row in rows:
            named.setdefault(str(row[5]), []).append(row)
        made = []
        for index, group in sorted(named.items()):
            ordered = sorted(group, key=lambda row: int(row[7]))
            columns = tuple(str(row[8]) for row in ordered)
            if any(row[8] is None for row in ordered) or (primary and columns == primary.columns):
                continue
            parts = tuple(IndexPart(str(row[8]), descending=row[9] == "D") for row in ordered)
            made.append(Index(index, parts, not int(ordered[0][3])))
        return tuple(made)
