"""Every component that hdm brings: kind -> class name -> module, imported on first use."""

from __future__ import annotations

from typing import Final

_SOURCES = {
    "sqlite": ("SQLiteSource",),
    "postgres": ("PostgresSource",),
    "mysql": ("MySQLSource", "MariaDBSource"),
    "duckdb": ("DuckDBSource",),
    "local": ("FSSource", "FSChunkSource"),
    "dummy": ("DummySource",),
    "netezza": ("NetezzaSource", "NetezzaExternalTableSource"),
    "oracle": ("OracleSource", "ExadataSource"),
    "sqlserver": ("SQLServerSource", "AzureSQLServerSource"),
    "odbc": ("ODBCSource",),
    "snowflake": ("SnowflakeSource",),
    "s3": ("S3Source", "S3ChunkSource"),
    "azure": ("AzureBlobSource", "AzureBlobChunkSource"),
}
_SINKS = {
    "sqlite": ("SQLiteSink",),
    "postgres": ("PostgresSink",),
    "mysql": ("MySQLSink", "MariaDBSink"),
    "duckdb": ("DuckDBSink",),
    "local": ("FSSink",),
    "dummy": ("DummySink",),
    "netezza": ("NetezzaSink",),
    "oracle": ("OracleSink",),
    "sqlserver": ("SQLServerSink", "AzureSQLServerSink"),
    "odbc": ("ODBCSink",),
    "s3": ("S3Sink",),
    "azure": ("AzureBlobSink",),
    "snowflake": (
        "SnowflakeInternalStageSink",
        "SnowflakeCopySink",
        "SnowflakeS3CopySink",
        "SnowflakeAzureCopySink",
    ),
}
_CATALOGS = {
    "sqlite": ("SQLiteCatalog",),
    "postgres": ("PostgresCatalog",),
    "mysql": ("MySQLCatalog", "MariaDBCatalog"),
    "duckdb": ("DuckDBCatalog",),
    "netezza": ("NetezzaCatalog",),
    "oracle": ("OracleCatalog",),
    "sqlserver": ("SQLServerCatalog",),
    "odbc": ("ODBCCatalog",),
    "snowflake": ("SnowflakeCatalog",),
}


def _in(package: str, modules: dict[str, tuple[str, ...]]) -> dict[str, str]:
    return {name: f"{package}.{module}" for module, names in modules.items() for name in names}


BUILTIN: Final[dict[str, dict[str, str]]] = {
    "source": _in("hdm.connectors", _SOURCES),
    "sink": _in("hdm.connectors", _SINKS),
    "catalog": _in("hdm.connectors", _CATALOGS),
    "orchestrator": {
        "DeclaredOrchestrator": "hdm.orchestrators.declared",
        "BatchOrchestrator": "hdm.orchestrators.batch",
        "AutoBatchOrchestrator": "hdm.orchestrators.auto_batch",
    },
    "state_manager": dict.fromkeys(
        (
            "SQLiteStateManager",
            "MySQLStateManager",
            "PostgresStateManager",
            "SQLServerStateManager",
            "AzureSQLServerStateManager",
        ),
        "hdm.state.backends",
    ),
    "data_link": {"DataLink": "hdm.runtime.link"},
    "check": dict.fromkeys(("NotNull", "Range", "Unique", "RowCount"), "hdm.components.check"),
}

ALIASES: Final[dict[str, dict[str, str]]] = {
    "source": {"PostgreSQLSource": "PostgresSource"},
    "sink": {"PostgreSQLSink": "PostgresSink"},
    "orchestrator": {"AutoOrchestrator": "AutoBatchOrchestrator"},
    "state_manager": {
        "PostgreSQLStateManager": "PostgresStateManager",
        "MariaDBStateManager": "MySQLStateManager",
    },
}
