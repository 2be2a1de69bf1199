"""Define SQL and types of every database, one file per database; no driver is imported here."""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING, Any

from hdm.errors import UnknownComponent

if TYPE_CHECKING:
    from hdm.dialects.base import Dialect

_HOMES = {
    "bigquery": ("bigquery", "BigQueryDialect"),
    "duckdb": ("duckdb", "DuckDBDialect"),
    "mariadb": ("mariadb", "MariaDBDialect"),
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
    """Return the dialect of that name, in any case; ``UnknownComponent`` if there is none."""
    home = _HOMES.get(name.lower())
    if home is None:
        raise UnknownComponent(
            f"no dialect is called {name!r}", hint="known: " + ", ".join(sorted(set(_HOMES)))
        )
    module = importlib.import_module(f"hdm.dialects.{home[0]}")
    made: Dialect = getattr(module, home[1])()
    return made


def find(name: str) -> Dialect | None:
    """Return the dialect whose own name this is, not the name of a fork; None if there is none."""
    known = dialect(name) if name in _HOMES else None
    return known if known is not None and known.name == name else None


def canonical(name: str) -> str:
    """Return the main spelling of a dialect's name; a fork such as ``mariadb`` keeps its own name."""
    known = dialect(name)
    return known.flavour or known.name


def names_with(fact: str) -> list[str]:
    """Return the sorted names of the dialects whose attribute ``fact`` is not None."""
    return [name for name in sorted(_HOMES) if (known := find(name)) and getattr(known, fact) is not None]


def load(home: str) -> Any:
    """Import what a fact of the form ``module:name`` refers to."""
    module, _, name = home.partition(":")
    return getattr(importlib.import_module(module), name)
