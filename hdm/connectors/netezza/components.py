"""Defines NetezzaSource, NetezzaSink and NetezzaCatalog, by nzpy, or by the driver in the profile.

For bulk, unloading and loading through external tables is faster than the sink.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel

from hdm.connectors.netezza.database import NetezzaDatabase
from hdm.connectors.netezza.profile import NetezzaProfile
from hdm.model import Mode, Table
from hdm.sql import Database, SqlSink, SqlSinkConfig, SqlSource
from hdm.sql.catalog import SqlCatalog


class NetezzaSource(SqlSource):
    """Reads a table or query of Netezza, chunk after chunk."""

    Profile: ClassVar[type[BaseModel] | None] = NetezzaProfile
    Database: ClassVar[type[Database]] = NetezzaDatabase


class NetezzaSinkConfig(SqlSinkConfig):
    """Configuration of a Netezza sink: where rows go, and whether the table is tidied up after them."""

    upkeep: bool = False
    """Runs GROOM TABLE and GENERATE STATISTICS once all chunks of an epoch are loaded, which needs the rights
    GROOM and GENSTATS on the table; left out, that is the owner's to plan."""


class NetezzaSink(SqlSink):
    """Writes a table of Netezza."""

    Config: ClassVar[type[BaseModel]] = NetezzaSinkConfig
    Profile: ClassVar[type[BaseModel] | None] = NetezzaProfile
    Database: ClassVar[type[Database]] = NetezzaDatabase

    def finish(self, table: Table, job_key: str, epoch: int, mode: Mode) -> None:
        """Complete an epoch; with ``upkeep``, reclaim the space of replaced rows and refresh statistics.

        GROOM TABLE runs in no transaction
        (https://www.ibm.com/docs/en/netezza?topic=npsscr-groom-table).
        """
        super().finish(table, job_key, epoch, mode)
        if not self.config.upkeep:
            return
        path = self.dialect.qualify(self.target(table).path)
        connection = self.database.connect("hdm:upkeep", write=True)
        try:
            self.database.run(connection, f"GROOM TABLE {path} RECORDS ALL")
            self.database.run(connection, f"GENERATE STATISTICS ON {path}")
        finally:
            connection.close()


class NetezzaCatalog(SqlCatalog):
    """Finds and makes tables of Netezza."""

    Profile: ClassVar[type[BaseModel] | None] = NetezzaProfile
    Database: ClassVar[type[Database]] = NetezzaDatabase
