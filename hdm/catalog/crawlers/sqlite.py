"""Reads SQLite's catalogue: PRAGMAs, and CREATE statements where they say more.

https://sqlite.org/pragma.html
"""

from __future__ import annotations

import re
from dataclasses import replace

from hdm.catalog.crawlers.base import Crawler, Row
from hdm.catalog.crawlers.sqlite_text import TableText
from hdm.catalog.model import ForeignKey, Identity, Index, IndexPart, Key, Relation, Schema, View
from hdm.catalog.patterns import Selection
from hdm.catalog.views import Names, mentioned
from hdm.errors import PermanentError
from hdm.model import Column, Table

_VIEW = re.compile(
    r"\s*CREATE\s+(?:TEMP\w*\s+)?VIEW\b.*?\bAS\b\s*(?P<sql>(?:SELECT|WITH|VALUES)\b.*)\Z", re.I | re.S
)


class SQLiteCrawler(Crawler):
    """Reads the tables, keys, indexes and views of a SQLite file.

    Its only schema is ``main``, so the path of a table is its name alone.
    """

    system = "sqlite"

    def schemas(self) -> list[str]:
        """Return ``main``, the only schema."""
        return ["main"]

    def read(self, schemas: list[str], selection: Selection) -> Schema:
        """Return the selected tables and views; triggers and virtual tables are listed as not read.

        So are views that read something which is missing. The rows of each selected table are counted.
        """
        del schemas
        rows = self.query("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name")
        shadow = self._shadows(rows)
        relations, unread = [], []
        for kind, name, _, sql in rows:
            if name.startswith("sqlite_") or name in shadow or not selection.has(("main", name)):
                continue
            if kind == "table" and re.match(r"\s*CREATE\s+VIRTUAL", sql or "", re.I):
                unread.append(("virtual table", name))
            elif kind == "table":
                relations.append(self._relation(name, sql or ""))
            elif kind == "trigger":
                unread.append(("trigger", name))
        by_name = {one.path[-1].casefold(): one for one in relations}
        relations = [self._resolved(one, by_name) for one in relations]
        views = []
        for kind, name, _, sql in rows:
            if kind == "view" and selection.has(("main", name)):
                try:
                    views.append(self._view(name, sql))
                except PermanentError:  # it reads a table or calls a function that is missing here
                    unread.append(("view", name))
        names = Names(Schema(self.system, relations=tuple(relations), views=tuple(views)))
        seen = [View(v.path, v.sql, v.columns, uses=mentioned(v.sql, "sqlite", v.path, names)) for v in views]
        return Schema(self.system, "main", "", tuple(relations), tuple(seen), (), tuple(unread))

    def _shadows(self, rows: list[Row]) -> set[str]:
        """Return the tables in which virtual tables keep their rows.

        SQLite lists them since 3.37; in older versions they are the tables named after a virtual table.
        """
        version = str(self.query("SELECT sqlite_version()")[0][0]).split(".")
        if tuple(map(int, version[:2])) >= (3, 37):
            listed = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'"
            return {row[0] for row in self.query(listed)}
        virtual = [
            r[1] for r in rows if r[0] == "table" and re.match(r"\s*CREATE\s+VIRTUAL", r[3] or "", re.I)
        ]
        return {r[1] for r in rows if any(r[1].startswith(name + "_") for name in virtual)}

    def _relation(self, name: str, sql: str) -> Relation:
        text = TableText(sql)
        quoted = self.dialect.string(name)
        info = self.query(
            f'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo({quoted})'
        )
        keyed = sorted((row[4], row[0]) for row in info if row[4])
        key = tuple(column for _, column in keyed)
        columns = tuple(self._column(row, text) for row in info if row[5] != 1)
        identity = self._identity(key, columns, text)
        if identity:
            columns = tuple(_as_identity(c) if c.name == identity.column else c for c in columns)
        path = (name,)
        counted = self.query(f"SELECT COUNT(*) FROM {self.dialect.quote(name)}")[0][0]
        table = Table(self.dataset(path), path, columns, key, rows=counted)
        uniques, indexes = self._indexes(quoted)
        names = {tuple(columns): made for made, columns in text.unique_names}
        return Relation(
            table,
            Key(text.primary_name, key) if key else None,
            tuple(Key(names.get(tuple(columns), ""), columns) for columns in uniques),
            self._foreign(quoted, text),
            text.checks,
            indexes,
            (identity,) if identity else (),
            tuple(row[0] for row in info if row[5] == 2),
            options=text.options,
        )

    def _column(self, row: Row, text: TableText) -> Column:
        name, native, not_null, default, _, hidden = row
        return self.dialect.column_from_catalog(
            name,
            _without_generated(native or ""),
            nullable=not not_null,
            default=default,
            generated=text.generated.get(name.casefold(), "") if hidden in (2, 3) else None,
        )

    @staticmethod
    def _identity(key: tuple[str, ...], columns: tuple[Column, ...], text: TableText) -> Identity | None:
        """Return the identity of an ``INTEGER PRIMARY KEY``, which is the row's number.

        See https://sqlite.org/lang_createtable.html#rowid. None if the table has no such key.
        """
        if len(key) != 1 or "WITHOUT ROWID" in text.options.upper():
            return None
        column = next(c for c in columns if c.name == key[0])
        if column.native.upper() != "INTEGER" or text.descending_key:
            return None
        return Identity(key[0], style="autoincrement" if text.autoincrement else "rowid")

    def _indexes(self, quoted: str) -> tuple[list[tuple[str, ...]], tuple[Index, ...]]:
        uniques, indexes = [], []
        listed = self.query(
            f'SELECT name, "unique", origin, partial FROM pragma_index_list({quoted}) ORDER BY seq DESC'
        )
        for name, unique, origin, _ in listed:
            mine = self.dialect.string(name)
            rows = self.query(
                f'SELECT name, "desc", cid FROM pragma_index_xinfo({mine}) WHERE key ORDER BY seqno'
            )
            if origin == "u":
                uniques.append(tuple(row[0] for row in rows))
            elif origin == "c":
                found = self.query(f"SELECT sql FROM sqlite_master WHERE type = 'index' AND name = {mine}")
                parts, where = TableText.index(found[0][0] or "")
                indexes.append(
                    Index(
                        name,
                        tuple(_part(row, parts, n) for n, row in enumerate(rows)),
                        bool(unique),
                        where=where,
                    )
                )
        return uniques, tuple(sorted(indexes, key=lambda one: one.name))

    def _foreign(self, quoted: str, text: TableText) -> tuple[ForeignKey, ...]:
        rows = self.query(
            'SELECT id, "table", "from", "to", on_update, on_delete '
            f"FROM pragma_foreign_key_list({quoted}) ORDER BY id DESC, seq"
        )
        by_id: dict[int, list[Row]] = {}
        for row in rows:
            by_id.setdefault(row[0], []).append(row[1:])
        keys = []
        for group in by_id.values():
            columns = tuple(row[1] for row in group)
            name, deferrable = text.foreign.get(tuple(c.casefold() for c in columns), ("", False))
            target = tuple(row[2] for row in group if row[2] is not None)
            keys.append(
                ForeignKey(name, columns, (group[0][0],), target, group[0][4], group[0][3], deferrable)
            )
        return tuple(keys)

    @staticmethod
    def _resolved(relation: Relation, by_name: dict[str, Relation]) -> Relation:
        """Return the table with its foreign keys completed from the parents.

        The parent's name gets its own spelling, and its primary key is filled in if no column is named.
        """
        keys = []
        for key in relation.foreign_keys:
            parent = by_name.get(key.target[-1].casefold())
            target, columns = key.target, key.target_columns
            if parent is not None:
                spelled = {c.name.casefold(): c.name for c in parent.table.columns}
                target = parent.path
                columns = tuple(spelled.get(c.casefold(), c) for c in columns) or parent.table.key
            own = {c.name.casefold(): c.name for c in relation.table.columns}
            mine = tuple(own.get(c.casefold(), c) for c in key.columns)
            keys.append(
                ForeignKey(key.name, mine, target, columns, key.on_delete, key.on_update, key.deferrable)
            )
        return replace(relation, foreign_keys=tuple(keys))

    def _view(self, name: str, sql: str) -> View:
        found = _VIEW.match(sql)
        rows = self.query(f"SELECT name FROM pragma_table_xinfo({self.dialect.string(name)})")
        return View(
            (name,), (found["sql"] if found else sql).strip().rstrip(";"), tuple(row[0] for row in rows)
        )


def _part(row: Row, parts: list[str], place: int) -> IndexPart:
    name, descending, cid = row
    if cid == -2:
        return IndexPart(expression=parts[place], descending=bool(descending))
    return IndexPart("rowid" if name is None else name, descending=bool(descending))


def _as_identity(column: Column) -> Column:
    return replace(column, identity=True, default=None)


def _without_generated(native: str) -> str:
    return re.sub(r"\s+GENERATED\s+ALWAYS\s*\Z", "", native, flags=re.I)
