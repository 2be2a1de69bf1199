"""What all SQL systems share: ``SqlSource`` and ``SqlSink`` over a ``Database``, and what these use."""

from hdm.sql.catalog import SqlCatalog
from hdm.sql.component_classes import components
from hdm.sql.database import Database
from hdm.sql.dbapi import DbApiDatabase
from hdm.sql.ledger import Ledger
from hdm.sql.profile import SqlProfile
from hdm.sql.sink import SqlSink
from hdm.sql.source import SqlSource
from hdm.sql.source_config import SqlSourceConfig
from hdm.sql.table_name import TableName, name_parts
from hdm.sql.target import SqlSinkConfig

__all__ = [
    "Database",
    "DbApiDatabase",
    "Ledger",
    "SqlCatalog",
    "SqlProfile",
    "SqlSink",
    "SqlSinkConfig",
    "SqlSource",
    "SqlSourceConfig",
    "TableName",
    "components",
    "name_parts",
]
