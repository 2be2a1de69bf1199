"""All SQL and type knowledge, one file per database; no driver is imported here."""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING

from hdm.errors import UnknownComponent

if TYPE_CHECKING:
    from hdm.dialects.base import Dialect

_HOMES = {
    "bigquery": ("bigquery", "BigQueryDialect"),
    "duckdb": ("duckdb", "DuckDBDialect"),
    "mariadb": ("mysql", "MySQLDialect"),
    "mssql": ("sqlserver", "SQLServerDialect"),
    "mysql": ("mysql", "MySQLDialect"),
    "netezza": ("netezza", "NetezzaDialect"),
    "oracle": ("oracle", "OracleDialect"),
    "postgres": ("postgres", "PostgresDialect"),
    "postgresql": ("postgres", "PostgresDialect"),
    "redshift": ("redshift", "RedshiftDialect"),
    "snowflake": ("snowflake", "SnowflakeDialect"),
    "sqlite": ("sqlite", "SQLiteDialect"),
    "sqlserver": ("sqlserver", "SQLServerDialect"),
    "synapse": ("synapse", "SynapseDialect"),
}


@cache
def dialect(name: str) -> Dialect:
    """The one dialect of that name, in any case; ``UnknownComponent`` if there is none."""
    home = _HOMES.get(name.lower())
    if home is None:
        raise UnknownComponent(
            f"no dialect is called {name!r}", hint="known: " + ", ".join(sorted(set(_HOMES)))
        )
    module = importlib.import_module(f"hdm.dialects.{home[0]}")
    made: Dialect = getattr(module, home[1])()
    return made
