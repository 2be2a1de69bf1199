"""The middle level of every SQL system: ``SqlSource`` and ``SqlSink`` over a ``Database``."""

from hdm.sql_database import Database, SqlProfile
from hdm.sql_ledger import Ledger
from hdm.sql_sink import SqlSink
from hdm.sql_source import SqlSource, SqlSourceConfig, TableName, name_parts
from hdm.sql_target import SqlSinkConfig

__all__ = [
    "Database",
    "Ledger",
    "SqlProfile",
    "SqlSink",
    "SqlSinkConfig",
    "SqlSource",
    "SqlSourceConfig",
    "TableName",
    "name_parts",
]
