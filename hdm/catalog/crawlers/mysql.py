"""Reads the catalogue of MySQL and MariaDB: https://mariadb.com/kb/en/information-schema/.

Paths are (database, name).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from hdm.catalog.crawlers.base import Crawler, Row, grouped, number
from hdm.catalog.model import (
    Check,
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
from hdm.catalog.views import Names, mentioned
from hdm.model import Column, Table

_SYSTEM = "('information_schema', 'mysql', 'performance_schema', 'sys')"
_COLUMNS = """
SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA,
  GENERATION_EXPRESSION, COLUMN_COMMENT
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA IN ({schemas})
ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION
"""
_TABLES = """
SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, TABLE_ROWS, DATA_LENGTH + INDEX_LENGTH, AUTO_INCREMENT,
  TABLE_COMMENT, ENGINE, TABLE_COLLATION, ROW_FORMAT, CREATE_OPTIONS
FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ({schemas}) ORDER BY TABLE_SCHEMA, TABLE_NAME
"""
_INDEXES = """
SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, NON_UNIQUE, COLUMN_NAME, COLLATION, SUB_PART,
  INDEX_TYPE{expression}
FROM information_schema.STATISTICS WHERE TABLE_SCHEMA IN ({schemas})
ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX
"""
_FOREIGN = """
SELECT k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, k.COLUMN_NAME, k.REFERENCED_TABLE_SCHEMA,
  k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME, r.DELETE_RULE, r.UPDATE_RULE
FROM information_schema.KEY_COLUMN_USAGE k JOIN information_schema.REFERENTIAL_CONSTRAINTS r
  ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME
  AND r.TABLE_NAME = k.TABLE_NAME
WHERE k.REFERENCED_TABLE_NAME IS NOT NULL AND k.TABLE_SCHEMA IN ({schemas})
ORDER BY k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION
"""
_CHECKS_MARIADB = """
SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, CHECK_CLAUSE, LEVEL
FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA IN ({schemas})
ORDER BY CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME
"""
_CHECKS_MYSQL = """
SELECT t.TABLE_SCHEMA, t.TABLE_NAME, t.CONSTRAINT_NAME, c.CHECK_CLAUSE, 'Table'
FROM information_schema.TABLE_CONSTRAINTS t JOIN information_schema.CHECK_CONSTRAINTS c
  ON c.CONSTRAINT_SCHEMA = t.CONSTRAINT_SCHEMA AND c.CONSTRAINT_NAME = t.CONSTRAINT_NAME
WHERE t.CONSTRAINT_TYPE = 'CHECK' AND t.TABLE_SCHEMA IN ({schemas})
ORDER BY t.TABLE_SCHEMA, t.TABLE_NAME, t.CONSTRAINT_NAME
"""
_VIEWS = """
SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS
WHERE TABLE_SCHEMA IN ({schemas}) ORDER BY TABLE_SCHEMA, TABLE_NAME
"""
_UNREAD = """
SELECT 'trigger', TRIGGER_SCHEMA, TRIGGER_NAME FROM information_schema.TRIGGERS
  WHERE TRIGGER_SCHEMA IN ({schemas})
UNION ALL SELECT 'routine', ROUTINE_SCHEMA, ROUTINE_NAME FROM information_schema.ROUTINES
  WHERE ROUTINE_SCHEMA IN ({schemas})
UNION ALL SELECT 'event', EVENT_SCHEMA, EVENT_NAME FROM information_schema.EVENTS
  WHERE EVENT_SCHEMA IN ({schemas})
ORDER BY 1, 2, 3
"""
_ON_UPDATE = re.compile(r"on update \S+", re.IGNORECASE)
_PARTED = re.compile(r"\bPARTITION BY\b.*\Z", re.IGNORECASE | re.DOTALL)


class MySQLCrawler(Crawler):
    """Reads the catalogue of all databases that the user can see, except the server's own."""

    system = "mysql"

    def schemas(self) -> list[str]:
        """Return the names of the databases, sorted, without the server's own."""
        known = "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA"
        sql = f"{known} WHERE SCHEMA_NAME NOT IN {_SYSTEM} ORDER BY 1"
        return [str(row[0]) for row in self.query(sql)]

    def read(self, schemas: list[str], selection: Selection) -> Schema:
        """Return the selected objects; runs eight queries, and one per partitioned table and sequence."""
        self._in = self.listed(schemas)
        self._mariadb = "mariadb" in str(self.query("SELECT VERSION()")[0][0]).lower()
        self._columns = grouped(self._ask(_COLUMNS))
        expression = "" if self._mariadb else ", EXPRESSION"
        self._indexes = grouped(self._ask(_INDEXES.replace("{expression}", expression)))
        self._foreign = grouped(self._ask(_FOREIGN))
        self._checks = grouped(self._ask(_CHECKS_MARIADB if self._mariadb else _CHECKS_MYSQL))
        tables = [row for row in self._ask(_TABLES) if selection.has((row[0], row[1]))]
        relations = tuple(
            self._relation(row) for row in tables if row[2] in ("BASE TABLE", "SYSTEM VERSIONED")
        )
        sequences = tuple(self._sequence((row[0], row[1])) for row in tables if row[2] == "SEQUENCE")
        unread = [(kind, f"{schema}.{name}") for kind, schema, name in self._ask(_UNREAD)]
        return Schema(
            self.system,
            "",
            "mariadb" if self._mariadb else "mysql",
            relations,
            self._views(selection, relations),
            sequences,
            tuple((kind, name) for kind, name in unread if selection.has(tuple(name.split(".")[:2]))),
        )

    def _ask(self, template: str) -> list[Row]:
        rows = self.query(template.replace("{schemas}", self._in))
        return [tuple(_text(value) for value in row) for row in rows]

    # -- tables --------------------------------------------------------------------

    def _relation(self, row: Row) -> Relation:
        schema, name, _, rows, size, counted, comment, engine, collation, row_format, options = row
        path = (schema, name)
        described = self._columns.get(path, [])
        checks = self._checks.get(path, [])
        columns = tuple(self._column(one, checks) for one in described)
        primary, uniques, indexes = self._keys(path)
        table = Table(
            self.dataset(path),
            path,
            columns,
            primary.columns if primary else (),
            rows=number(rows),
            bytes=number(size),
        )
        settings = f"ENGINE={engine} DEFAULT CHARSET={str(collation).split('_')[0]} COLLATE={collation}"
        if row_format:
            settings = settings.replace(" DEFAULT", f" ROW_FORMAT={row_format.upper()} DEFAULT", 1)
        return Relation(
            table,
            primary,
            uniques,
            self._foreign_keys(path),
            tuple(
                Check(one[0] if one[2] == "Table" else "", _check(one[1]))
                for one in checks
                if not self._implied(one, columns)
            ),
            indexes,
            tuple(
                Identity(one[0], int(counted or 1)) for one in described if "auto_increment" in one[4].lower()
            ),
            tuple(one[0] for one in described if "virtual" in one[4].lower()),
            comment or None,
            self._partitioning(path) if "partitioned" in str(options).lower() else None,
            options=settings,
        )

    def _column(self, row: Row, checks: list[Row]) -> Column:
        name, native, nullable, default, extra, generation, comment = row
        generated = generation or None
        if any(check[2] == "Column" and check[0] == name and _is_json(check[1], name) for check in checks):
            native = "json"
        column = self.dialect.column_from_catalog(
            name,
            native,
            nullable=nullable == "YES",
            default=None if generated else self._default(native, default, extra),
            identity="auto_increment" in extra.lower(),
            generated=generated,
            comment=comment or None,
        )
        return replace(column, native=native)

    def _default(self, native: str, default: str | None, extra: str) -> str | None:
        """Return a default as SQL.

        MariaDB's catalogue has an expression, MySQL's the bare value unless EXTRA says DEFAULT_GENERATED.
        """
        if default is None or default == "NULL":
            return None
        bare = not self._mariadb and "default_generated" not in extra.lower()
        is_moment = default.upper().startswith("CURRENT_TIMESTAMP")
        is_bits = re.match(r"b'[01]*'\Z", default)
        text = self.dialect.string(default) if bare and not is_moment and not is_bits else default
        update = _ON_UPDATE.search(extra)
        del native
        return f"{text} {update[0]}" if update else text

    def _implied(self, check: Row, columns: tuple[Column, ...]) -> bool:
        """Whether the check is the one that MariaDB adds to its JSON type, which is a text."""
        return any(c.name == check[0] and c.native == "json" and _is_json(check[1], c.name) for c in columns)

    def _keys(self, path: Path) -> tuple[Key | None, tuple[Key, ...], tuple[Index, ...]]:
        named: dict[str, list[Row]] = {}
        for row in self._indexes.get(path, []):
            named.setdefault(row[0], []).append(row)
        primary, uniques, indexes = None, [], []
        for name, rows in named.items():
            columns = tuple(row[2] for row in rows)
            whole = all(row[4] is None and row[2] is not None for row in rows) and rows[0][5] in (
                "BTREE",
                "HASH",
            )
            if name == "PRIMARY":
                primary = Key("", columns)
            elif not int(rows[0][1]) and whole:
                uniques.append(Key(name, columns))
            else:
                parts = tuple(_part(row) for row in rows)
                method = "" if rows[0][5] in ("BTREE", "HASH") else str(rows[0][5])
                indexes.append(Index(name, parts, not int(rows[0][1]), method))
        return primary, tuple(uniques), tuple(indexes)

    def _foreign_keys(self, path: Path) -> tuple[ForeignKey, ...]:
        named: dict[str, list[Row]] = {}
        for row in self._foreign.get(path, []):
            named.setdefault(row[0], []).append(row[1:])
        return tuple(
            ForeignKey(
                name,
                tuple(row[0] for row in rows),
                (rows[0][1], rows[0][2]),
                tuple(row[3] for row in rows),
                _action(rows[0][4]),
                _action(rows[0][5]),
            )
            for name, rows in named.items()
        )

    def _partitioning(self, path: Path) -> Partitioning:
        text = str(self._show("TABLE", path)[1])
        found = _PARTED.search(text)
        clause = " ".join(found[0].split()) if found else ""
        return Partitioning(clause.split()[2].split("(")[0].upper() if clause else "", (), clause)

    def _show(self, kind: str, path: Path) -> Row:
        return self.query(f"SHOW CREATE {kind} {self.dialect.qualify(path)}")[0]

    # -- the rest --------------------------------------------------------------------

    def _sequence(self, path: Path) -> Sequence:
        sql = (
            "SELECT start_value, increment, minimum_value, maximum_value, cycle_option "
            f"FROM {self.dialect.qualify(path)}"
        )
        start, step, low, high, cycle = self.query(sql)[0]
        return Sequence(
            path,
            int(start),
            int(step),
            None if int(low) == 1 else int(low),
            None if int(high) >= 2**63 - 2 else int(high),
            bool(cycle),
        )

    def _views(self, selection: Selection, relations: tuple[Relation, ...]) -> tuple[View, ...]:
        found = [row for row in self._ask(_VIEWS) if selection.has((row[0], row[1]))]
        views = [
            View((schema, name), text, tuple(row[0] for row in self._columns.get((schema, name), [])))
            for schema, name, text in found
        ]
        names = Names(Schema(self.system, relations=relations, views=tuple(views)))
        return tuple(replace(v, uses=mentioned(v.sql, "mysql", v.path, names)) for v in views)


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes | bytearray) else value


def _part(row: Row) -> IndexPart:
    _, _, column, collation, length, _, *expression = row
    descending = collation == "D"
    if column is None:
        return IndexPart(expression=unwrapped(str(expression[0])), descending=descending)
    return IndexPart(column, descending=descending, length=number(length))


def _action(rule: str) -> str:
    """Return a foreign key's action; InnoDB treats RESTRICT and NO ACTION alike and shows either."""
    return "NO ACTION" if rule == "RESTRICT" else rule


def _check(text: str) -> str:
    return unwrapped(text.replace("_utf8mb4\\'", "'").replace("\\'", "'") if "_utf8mb4\\'" in text else text)


def _is_json(text: str, column: str) -> bool:
    return text.replace("`", "").lower() == f"json_valid({column.lower()})"
