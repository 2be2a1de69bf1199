"""Makes columns from MySQL's and MariaDB's information_schema and from the metadata of results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from hdm.dialects.base import Dialect
from hdm.dialects.types import carrier
from hdm.model import Column, Kind

NAMES = (
    "SELECT TABLE_NAME, TABLE_TYPE, TABLE_ROWS, DATA_LENGTH FROM information_schema.TABLES "
    "WHERE TABLE_SCHEMA = %s AND LOWER(TABLE_NAME) = LOWER(%s)"
)
COLUMNS = (
    "SELECT COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, "
    "NUMERIC_SCALE, COLUMN_DEFAULT, EXTRA, GENERATION_EXPRESSION, COLUMN_COMMENT "
    "FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION"
)
KEY = (
    "SELECT COLUMN_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s "
    "AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX"
)
CHECKS = (
    "SELECT CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS "
    "WHERE CONSTRAINT_SCHEMA = %s AND TABLE_NAME = %s AND CHECK_CLAUSE LIKE 'json_valid(%%'"
)
"""Query for JSON columns of MariaDB, each a LONGTEXT with this check.

https://mariadb.com/kb/en/json-data-type/.
"""

OUTGOING = (
    "SELECT CONSTRAINT_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME, COLUMN_NAME, "
    "REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = %s "
    "AND TABLE_NAME = %s AND REFERENCED_TABLE_NAME IS NOT NULL ORDER BY CONSTRAINT_NAME, ORDINAL_POSITION"
)
BARE = (
    "SELECT t.TABLE_TYPE, e.TRANSACTIONS, t.TABLE_COMMENT, t.AUTO_INCREMENT, "
    "(SELECT COUNT(*) FROM information_schema.KEY_COLUMN_USAGE k WHERE k.REFERENCED_TABLE_NAME IS NOT NULL "
    "AND ((k.TABLE_SCHEMA, k.TABLE_NAME) = (%s, %s) "
    "OR (k.REFERENCED_TABLE_SCHEMA, k.REFERENCED_TABLE_NAME) = (%s, %s))), "
    "(SELECT COUNT(*) FROM information_schema.TRIGGERS g "
    "WHERE (g.EVENT_OBJECT_SCHEMA, g.EVENT_OBJECT_TABLE) = (%s, %s)) "
    "FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE "
    "WHERE (t.TABLE_SCHEMA, t.TABLE_NAME) = (%s, %s)"
)
"""Query for properties of a table that CREATE TABLE LIKE would not copy to another table."""
CREATED = (
    "SELECT PARTITION_NAME, CAST(CREATE_TIME AS CHAR), CREATE_TIME >= NOW() - INTERVAL 1 SECOND "
    "FROM information_schema.PARTITIONS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s "
    "AND CREATE_TIME IS NOT NULL ORDER BY PARTITION_ORDINAL_POSITION, SUBPARTITION_ORDINAL_POSITION"
)
TABLE_IDS = (
    "SELECT NAME, TABLE_ID FROM information_schema.{} "
    "WHERE NAME = %s OR LOWER(NAME) LIKE LOWER(%s) ORDER BY NAME"
)
"""Query for the InnoDB ids of a table and its partitions, named ``schema/table[#P#partition]``."""

OLDEST_WRITER = (
    "SELECT CAST(LEAST("
    "COALESCE((SELECT MIN(CONVERT_TZ(trx_started, 'SYSTEM', '+00:00')) FROM information_schema.INNODB_TRX "
    "WHERE trx_mysql_thread_id <> CONNECTION_ID() AND (trx_rows_modified > 0 OR trx_state = 'LOCK WAIT')), "
    "'9999-12-31'), "
    "COALESCE((SELECT MIN(UTC_TIMESTAMP() - INTERVAL TIME SECOND) FROM information_schema.PROCESSLIST "
    "WHERE ID <> CONNECTION_ID() AND COMMAND IN ('Query', 'Execute') AND INFO NOT LIKE 'SELECT%%'), "
    "'9999-12-31')) - INTERVAL 1 SECOND AS CHAR)"
)
"""Query for a moment (UTC, minus one second) before which no open transaction can have stamped a row."""

_TYPES = {
    0: "decimal", 1: "tinyint", 2: "smallint", 3: "int", 4: "float", 5: "double", 7: "timestamp",
    8: "bigint", 9: "mediumint", 10: "date", 11: "time", 12: "datetime", 13: "year", 14: "date",
    15: "varchar", 16: "bit", 245: "json", 246: "decimal", 247: "enum", 248: "set", 253: "varchar",
    254: "char", 255: "geometry",
}  # fmt: skip
_BLOBS = (249, 250, 251, 252)
_NOT_NULL, _UNSIGNED, _ENUM, _SET = 1, 32, 256, 2048
_BINARY_CHARSET = 63
_WIDEST_CHARACTER = 4


def columns(
    dialect: Dialect, rows: Iterable[Sequence[Any]], checks: Iterable[str] = ()
) -> tuple[Column, ...]:
    """Return columns made of rows of information_schema's ``COLUMNS``.

    ``checks`` are clauses of check constraints: a LONGTEXT column that must be valid JSON by one of them is a
    JSON column.
    """
    json = {clause[len("json_valid(") : -1].strip("`") for clause in checks}
    made = []
    for name, native, nullable, length, precision, scale, default, extra, expression, comment in rows:
        is_json = name in json and str(native).lower() == "longtext"
        made.append(
            dialect.column_from_catalog(
                name,
                "json" if is_json else str(native),
                nullable=nullable == "YES",
                length=length,
                precision=precision,
                scale=scale,
                default=None if default in (None, "NULL") else str(default),
                identity="auto_increment" in str(extra).lower(),
                generated=(expression or None) if "GENERATED" in str(extra).upper() or expression else None,
                comment=comment or None,
            )
        )
    return tuple(made)


def field_column(dialect: Dialect, field: Any) -> Column:
    """Return a column made of a result's metadata (a PyMySQL ``FieldDescriptorPacket``)."""
    column = dialect.column_from_catalog(field.name, _native(field), nullable=not field.flags & _NOT_NULL)
    if column.kind is Kind.TEXT and column.native == "longtext":
        return replace(column, length=None)
    return column


def _native(field: Any) -> str:
    code, length = field.type_code, field.length
    is_bytes = field.charsetnr == _BINARY_CHARSET
    if field.flags & (_ENUM | _SET):
        return "enum" if field.flags & _ENUM else "set"
    if code in _BLOBS:
        return "longblob" if is_bytes else "longtext"
    name = _TYPES.get(code, "longtext")
    if name in ("varchar", "char"):
        if is_bytes:
            return f"varbinary({max(length, 1)})"
        return f"varchar({max(length // _WIDEST_CHARACTER, 1)})"
    if name == "decimal":
        unsigned = bool(field.flags & _UNSIGNED)
        precision = length - (0 if unsigned else 1) - (1 if field.scale else 0)
        return f"decimal({precision},{field.scale})"
    if name in ("datetime", "timestamp", "time"):
        return f"{name}({field.scale})" if 0 < field.scale <= 6 else name
    if name == "bit":
        return f"bit({length})"
    return name + (" unsigned" if field.flags & _UNSIGNED and name != "year" else "")


def as_text(columns: Sequence[Column], kinds: frozenset[Kind]) -> tuple[Column, ...]:
    """Return the columns, with text as Arrow type for those of the given kinds.

    The kind itself stays, so that a target of the same system stores such a column as before.
    """
    return tuple(replace(c, type=carrier(Kind.TEXT)) if c.kind in kinds else c for c in columns)
