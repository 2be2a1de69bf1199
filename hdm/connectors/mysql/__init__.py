"""Reads and writes MySQL and MariaDB through PyMySQL: rows in bulk, LOAD DATA LOCAL.

A snapshot cannot be shared between sessions, so each chunk is read in a consistent snapshot of
its own: rows that move between chunks while they are read need a watermark with lag, or merge.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel

from hdm.connectors.mysql.connecting import MySQLProfile
from hdm.connectors.mysql.writing import MySQLDatabase
from hdm.sql import Database, SqlSink, SqlSource, SqlSourceConfig
from hdm.sql.catalog import SqlCatalog

__all__ = [
    "MariaDBCatalog",
    "MariaDBSink",
    "MariaDBSource",
    "MySQLCatalog",
    "MySQLDatabase",
    "MySQLProfile",
    "MySQLSink",
    "MySQLSource",
]


class MySQLSourceConfig(SqlSourceConfig):
    """Configuration of a MySQL source: a table or query, and what to do with impossible dates and times."""

    zero_dates: Literal["error", "null", "text"] = "error"
    """What becomes of 0000-00-00 and of days that no month has: ``error`` refuses them, ``null`` makes them
    NULL and counts them in the log, ``text`` moves dates as text."""
    times: Literal["clock", "text"] = "clock"
    """How TIME travels: ``clock`` as a time of day, which refuses longer or negative spans; ``text`` takes
    any span."""


class MySQLSource(SqlSource):
    """Reads a MySQL table or query, chunk after chunk, each in a snapshot of its own."""

    Config: ClassVar[type[BaseModel]] = MySQLSourceConfig
    Profile: ClassVar[type[BaseModel] | None] = MySQLProfile
    Database: ClassVar[type[Database]] = MySQLDatabase

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        super().__init__(config, profile, name=name)
        database = self.database
        if isinstance(database, MySQLDatabase):
            database.zero_dates, database.times = config.zero_dates, config.times


class MySQLSink(SqlSink):
    """Writes a MySQL table, in strict mode: a value that does not fit is refused, never truncated."""

    Profile: ClassVar[type[BaseModel] | None] = MySQLProfile
    Database: ClassVar[type[Database]] = MySQLDatabase


class MySQLCatalog(SqlCatalog):
    """Reads and creates tables, keys, indexes and views in MySQL."""

    Profile: ClassVar[type[BaseModel] | None] = MySQLProfile
    Database: ClassVar[type[Database]] = MySQLDatabase


class MariaDBCatalog(MySQLCatalog):
    """Reads and creates tables, keys, indexes and views in MariaDB."""


class MariaDBSource(MySQLSource):
    """Reads a MariaDB table or query."""


class MariaDBSink(MySQLSink):
    """Writes a MariaDB table."""
