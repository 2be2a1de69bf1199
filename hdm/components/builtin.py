"""Table of all components that hdm contains: kind -> class name -> module, imported on first use."""

from __future__ import annotations

import importlib.util
from typing import Final

from hdm.dialects import HOMES
from hdm.errors import MissingDriver

_SOURCES = {
    "sqlite": ("SQLiteSource",),
    "postgres": ("PostgresSource",),
    "mysql": ("MySQLSource", "MariaDBSource"),
    "duckdb": ("DuckDBSource",),
    "local": ("FSSource", "FSChunkSource"),
    "store": ("StoreSource", "StoreChunkSource"),
    "dummy": ("DummySource",),
    "netezza": ("NetezzaSource", "NetezzaExternalTableSource"),
    "oracle": ("OracleSource", "ExadataSource"),
    "sqlserver": ("SQLServerSource", "AzureSQLServerSource"),
    "odbc": ("ODBCSource",),
    "jdbc": ("JDBCSource",),
    "snowflake": ("SnowflakeSource",),
    "bigquery": ("BigQuerySource",),
    "teradata": ("TeradataSource",),
    "hana": ("HANASource",),
    "redshift": ("RedshiftSource",),
    "s3": ("S3Source", "S3ChunkSource"),
    "azure": ("AzureBlobSource", "AzureBlobChunkSource"),
    "gcs": ("GCSSource", "GCSChunkSource"),
    "sftp": ("SFTPSource", "SFTPChunkSource"),
}
_SINKS = {
    "sqlite": ("SQLiteSink",),
    "postgres": ("PostgresSink",),
    "mysql": ("MySQLSink", "MariaDBSink"),
    "duckdb": ("DuckDBSink",),
    "local": ("FSSink",),
    "store": ("StoreSink",),
    "dummy": ("DummySink",),
    "netezza": ("NetezzaSink",),
    "oracle": ("OracleSink",),
    "sqlserver": ("SQLServerSink", "AzureSQLServerSink"),
    "odbc": ("ODBCSink",),
    "jdbc": ("JDBCSink",),
    "s3": ("S3Sink",),
    "azure": ("AzureBlobSink",),
    "gcs": ("GCSSink",),
    "sftp": ("SFTPSink",),
    "bigquery": ("BigQuerySink",),
    "snowflake": (
        "SnowflakeInternalStageSink",
        "SnowflakeCopySink",
        "SnowflakeS3CopySink",
        "SnowflakeAzureCopySink",
    ),
    "redshift": ("RedshiftCopySink",),
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
    "teradata": ("TeradataCatalog",),
    "redshift": ("RedshiftCatalog",),
}
_FORMATS = {
    "parquet": "Parquet",
    "csv": "Csv",
    "jsonl": "JsonLines",
    "arrow": "ArrowIpc",
    "avro": "Avro",
    "excel": "Excel",
    "fixed": "FixedWidth",
}
_STORES = {
    "file": ("LocalStore", "base"),
    "s3": ("S3Store", "s3"),
    "azure": ("AzureStore", "azure"),
    "gs": ("GCSStore", "gcs"),
    "sftp": ("SFTPStore", "sftp"),
}
_CRAWLERS = {
    "duckdb": "DuckDBCrawler",
    "mysql": "MySQLCrawler",
    "netezza": "NetezzaCrawler",
    "oracle": "OracleCrawler",
    "postgres": "PostgresCrawler",
    "redshift": "RedshiftCrawler",
    "snowflake": "SnowflakeCrawler",
    "sqlite": "SQLiteCrawler",
    "sqlserver": "SQLServerCrawler",
    "teradata": "TeradataCrawler",
}
_WRITERS = {
    "bigquery": "BigQueryWriter",
    "duckdb": "DuckDBWriter",
    "mysql": "MySQLWriter",
    "postgres": "PostgresWriter",
    "redshift": "RedshiftWriter",
    "snowflake": "SnowflakeWriter",
    "sqlite": "SQLiteWriter",
    "sqlserver": "SQLServerWriter",
    "synapse": "SynapseWriter",
}

NEEDS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "hdm.connectors.postgres": ("postgres", ("psycopg", "numpy")),
    "hdm.connectors.mysql": ("mysql", ("pymysql",)),
    "hdm.connectors.duckdb": ("duckdb", ("duckdb",)),
    "hdm.connectors.netezza": ("netezza", ("nzpy",)),
    "hdm.connectors.oracle": ("oracle", ("oracledb",)),
    "hdm.connectors.sqlserver": ("sqlserver", ("pyodbc", "arrow_odbc")),
    "hdm.connectors.odbc": ("odbc", ("pyodbc", "arrow_odbc")),
    "hdm.connectors.jdbc": ("jdbc", ("jpype",)),
    "hdm.connectors.snowflake": ("snowflake", ("snowflake.connector",)),
    "hdm.connectors.bigquery": ("bigquery", ("google.cloud.bigquery",)),
    "hdm.connectors.teradata": ("teradata", ("teradatasql",)),
    "hdm.connectors.hana": ("hana", ("hdbcli",)),
    "hdm.connectors.redshift": ("redshift", ("redshift_connector", "boto3")),
    "hdm.connectors.s3": ("s3", ("boto3",)),
    "hdm.connectors.azure": ("azure", ("azure.storage.blob",)),
    "hdm.connectors.gcs": ("gcs", ("google.cloud.storage",)),
    "hdm.connectors.sftp": ("sftp", ("paramiko",)),
    "hdm.files.formats.avro": ("avro", ("fastavro",)),
    "hdm.files.formats.excel": ("excel", ("python_calamine",)),
}
"""Module of a connector or format -> its extra, and the modules that all its paths together import."""


def missing_driver(cls: type[object]) -> MissingDriver | None:
    """Return the error that names the driver to install; None if all drivers of the component are installed.

    The drivers that its base classes need are checked, too.
    """
    for base in cls.__mro__:
        for module, (extra, needed) in NEEDS.items():
            if base.__module__ == module or base.__module__.startswith(f"{module}."):
                gone = [name for name in needed if not _is_installed(name)]
                if gone:
                    are = "are" if len(gone) > 1 else "is"
                    return MissingDriver(
                        f"{cls.__name__} needs {' and '.join(gone)}, which {are} not installed",
                        hint=f"pip install 'hdm[{extra}]'",
                    )
    return None


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


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
    "check": {
        **dict.fromkeys(
            ("NotNull", "Range", "Length", "Pattern", "AcceptedValues", "InFile"), "hdm.components.row_checks"
        ),
        **dict.fromkeys(("Unique", "RowCount", "Freshness", "InTable"), "hdm.sql.table_checks"),
        "Expression": "hdm.runtime.expression",
    },
    "dialect": {name: f"hdm.dialects.{module}" for module, name in HOMES.values()},
    "format": {name: f"hdm.files.formats.{module}" for module, name in _FORMATS.items()},
    "store": {name: f"hdm.files.stores.{module}" for name, module in _STORES.values()},
    "crawler": {name: f"hdm.catalog.crawlers.{module}" for module, name in _CRAWLERS.items()},
    "ddl_writer": {name: f"hdm.catalog.writers.{module}" for module, name in _WRITERS.items()},
}

ALIASES: Final[dict[str, dict[str, str]]] = {
    "source": {"PostgreSQLSource": "PostgresSource", "GoogleSource": "GCSSource"},
    "sink": {"PostgreSQLSink": "PostgresSink", "GoogleSink": "GCSSink"},
    "orchestrator": {"AutoOrchestrator": "AutoBatchOrchestrator"},
    "state_manager": {
        "PostgreSQLStateManager": "PostgresStateManager",
        "MariaDBStateManager": "MySQLStateManager",
    },
    "dialect": {word: name for word, (_, name) in HOMES.items()},
    "format": _FORMATS,
    "store": {word: name for word, (name, _) in _STORES.items()},
    "crawler": _CRAWLERS,
    "ddl_writer": _WRITERS,
}
"""Kind -> other name -> class name: older spellings, and short names such as ``postgres`` or ``csv``."""
