"""Refuses targets that are no standard tables, which COPY fills in another way or not at all.

https://docs.snowflake.com/en/sql-reference/sql/show-tables and ``copy-into-table``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hdm.errors import UsageError

if TYPE_CHECKING:
    from hdm.connectors.snowflake.database import SnowflakeDatabase

_STANDARD = "write to a standard table"
_WRONG = {
    "is_dynamic": ("is a dynamic table, which only its own query fills", _STANDARD),
    "is_external": ("is an external table, which nobody can write to", _STANDARD),
    "is_event": ("is an event table, which only the account writes to", _STANDARD),
    "is_iceberg": ("is an Iceberg table, whose types are others", _STANDARD),
    "is_hybrid": (
        "is a hybrid table, which INSERT OVERWRITE cannot replace and COPY fills row by row",
        _STANDARD,
    ),
    "enable_schema_evolution": (
        "has ENABLE_SCHEMA_EVOLUTION on, under which COPY adds columns and takes NOT NULL away",
        "ALTER TABLE ... SET ENABLE_SCHEMA_EVOLUTION = FALSE",
    ),
}
"""Column of SHOW TABLES that is Y -> what is wrong, and what to do. Older accounts lack some columns."""


def must_be_standard(database: SnowflakeDatabase, connection: Any, path: Sequence[str]) -> None:
    """Raise ``UsageError`` unless the table is missing or a standard one."""
    home = database.dialect.qualify(path[:-1])
    like = f"SHOW TABLES LIKE {database.dialect.string(path[-1])}"
    for row in database.rows(connection, like + (f" IN SCHEMA {home}" if home else "")):
        if str(row["name"]) != path[-1]:  # LIKE ignores case, and _ is any character
            continue
        for fact, (why, hint) in _WRONG.items():
            if str(row.get(fact) or "N").upper() in ("Y", "TRUE"):
                raise UsageError(f"{'.'.join(path)} {why}", hint=hint)
