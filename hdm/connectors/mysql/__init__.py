"""MySQL and MariaDB through PyMySQL: rows in bulk out, LOAD DATA LOCAL in.

A snapshot cannot be shared between sessions, so each chunk is read in a consistent snapshot of
its own: rows that move between chunks while they are read need a watermark with lag, or merge.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel

from hdm.connectors.mysql.reading import MySQLProfile
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
    """One table or query of MySQL, and how it reads dates and times that do not exist."""

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
    """Writes a MySQL table. Database sessions are strict: a value that does not fit is refused, never
    truncated."""

    Profile: ClassVar[type[BaseModel] | None] = MySQLProfile
    Database: ClassVar[type[Database]] = MySQLDatabase


class MySQLCatalog(SqlCatalog):
    """Finds and makes tables, keys, indexes and views."""

    Profile: ClassVar[type[BaseModel] | None] = MySQLProfile
    Database: ClassVar[type[Database]] = MySQLDatabase


class MariaDBCatalog(MySQLCatalog):
    """Finds and makes tables, keys, indexes and views of MariaDB."""


class MariaDBSource(MySQLSource):
    """Reads a MariaDB table or query."""


class MariaDBSink(MySQLSink):
    """Writes a MariaDB table."""
