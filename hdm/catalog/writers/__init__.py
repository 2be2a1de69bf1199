"""DDL of every target, from a schema that is in its words already."""

from __future__ import annotations

import importlib

from hdm.catalog.model import Schema
from hdm.catalog.writers.base import AFTER_LOAD, BEFORE_LOAD, PHASES, Statement, Writer
from hdm.errors import UsageError

_HOMES = {
    "postgres": "PostgresWriter",
    "mysql": "MySQLWriter",
    "sqlite": "SQLiteWriter",
    "duckdb": "DuckDBWriter",
    "snowflake": "SnowflakeWriter",
    "sqlserver": "SQLServerWriter",
    "redshift": "RedshiftWriter",
    "bigquery": "BigQueryWriter",
    "synapse": "SynapseWriter",
}


def writer_for(schema: Schema) -> Writer:
    """The writer of the schema's system; ``UsageError`` if there is none."""
    home = _HOMES.get(schema.system)
    if home is None:
        raise UsageError(f"no DDL writer for {schema.system!r}", hint="targets: " + ", ".join(sorted(_HOMES)))
    module = importlib.import_module(f"hdm.catalog.writers.{schema.system}")
    made: Writer = getattr(module, home)(schema)
    return made


__all__ = ["AFTER_LOAD", "BEFORE_LOAD", "PHASES", "Statement", "Writer", "writer_for"]
