"""Defines BigQuerySource: rows by queries as of one moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from pydantic import BaseModel

from hdm.connectors.bigquery.database import BigQueryDatabase
from hdm.connectors.bigquery.profile import BigQueryProfile
from hdm.connectors.bigquery.session import Session
from hdm.model import Chunk, Table
from hdm.sql import Database, SqlSource, SqlSourceConfig


class BigQuerySourceConfig(SqlSourceConfig):
    """Configuration of a BigQuery source: one table or query."""

    time_travel: bool = True
    """Reads all chunks of a table as of one moment, which the table's time travel window must hold;
    ``false`` reads each chunk as of its own moment."""


class _Travelling(BigQueryDatabase):
    """Reads tables FOR SYSTEM_TIME AS OF the moment in a snapshot's token, which any session may use."""

    snapshots = True
    moment: str | None = None

    @contextmanager
    def snapshot(self, path: Sequence[str] | None) -> Iterator[str | None]:
        """Give the ``with`` block the server's time as the snapshot's token; None for a query or view."""
        if path is None:
            yield None
            return
        connection = self.connect("hdm:snapshot")
        try:
            token = None
            if self.relation(connection, "", path) is not None:
                token = str(self.run(connection, self.dialect.clock)[0][0])
        finally:
            connection.close()
        yield token

    def is_steady(self, connection: Session, path: Sequence[str]) -> bool:
        """Whether the name is a table: as of one moment, every session reads the same rows of it."""
        return self.relation(connection, "", path) is not None

    def join(self, connection: Session, token: str, table: Table, chunk: Chunk | None) -> bool:
        """Make this connection's queries read as of the moment in ``token``."""
        self.moment = token
        return True


class BigQuerySource(SqlSource):
    """Reads a table or query of BigQuery, chunk after chunk."""

    Config: ClassVar[type[BaseModel]] = BigQuerySourceConfig
    Profile: ClassVar[type[BaseModel] | None] = BigQueryProfile
    Database: ClassVar[type[Database]] = _Travelling

    def snapshot(self) -> Any:
        """Give the ``with`` block the present moment as the snapshot's token.

        None for a query or view, and with ``time_travel: false``.
        """
        return self.database.snapshot(self.path if self.config.time_travel else None)

    def select(self, table: Table, chunk: Chunk) -> str:
        """Return the SELECT that reads a chunk, as of the moment in the chunk's snapshot."""
        assert isinstance(self.database, _Travelling)
        self.database.moment = chunk.snapshot
        return super().select(table, chunk)

    def _origin(self, table: Table) -> str:
        assert isinstance(self.database, _Travelling)
        plain, moment = super()._origin(table), self.database.moment
        if self.path is None or moment is None:
            return plain
        return f"{plain} FOR SYSTEM_TIME AS OF TIMESTAMP({self.dialect.string(moment)}, 'UTC')"
