"""The sink that loads Amazon Redshift by COPY from S3, in one transaction with the ledger row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel

from hdm.connectors.redshift.arriving import Arriving
from hdm.connectors.redshift.database import RedshiftDatabase, RedshiftProfile
from hdm.connectors.redshift.staging import Put, Staging
from hdm.errors import RejectedRows
from hdm.model import Chunk, Mode, Payload, Table
from hdm.sql import Database, SqlSink, SqlSinkConfig


class RedshiftCopyConfig(SqlSinkConfig):
    """Configuration of a Redshift sink: where rows go. The way through S3 stands in the profile."""


class RedshiftCopySink(SqlSink):
    """Loads Redshift by COPY from S3, by a manifest that names every file as mandatory.

    Parquet files that an upstream ``S3Sink`` staged are copied as they lie there; other rows are written to
    the profile's ``staging`` folder first.
    """

    Config: ClassVar[type[BaseModel]] = RedshiftCopyConfig
    Profile: ClassVar[type[BaseModel] | None] = RedshiftProfile
    Database: ClassVar[type[Database]] = RedshiftDatabase
    modes = frozenset(Mode)
    accepts_files = frozenset({"parquet"})
    loads_from = "s3"

    @property
    def cluster(self) -> RedshiftDatabase:
        """The sink's database, typed as ``RedshiftDatabase``."""
        assert isinstance(self.database, RedshiftDatabase)
        return self.database

    def ready(self) -> None:
        """Open a session and look into the staging folder; raise an error if either cannot be done."""
        super().ready()
        self.cluster.store.look()

    def _bring(
        self, connection: Any, into: Sequence[str], target: Table, chunk: Chunk, payload: Payload
    ) -> Callable[[], int]:
        arriving = self._of_files(chunk, payload)
        if arriving is None or payload.confirm is None:
            return super()._bring(connection, into, target, chunk, payload)
        for file in payload.files:
            payload.confirm(file)
        files = [Put(file.uri, file.bytes, file.rows) for file in payload.files]
        rows = payload.tally.extracted = sum(file.rows for file in files)
        payload.tally.bytes = sum(file.bytes for file in files)
        with Staging(self.cluster, connection.label) as staging:
            natives = self.cluster.natives(connection, into)
            insert = self.cluster.arrive(connection, into, staging, arriving, files, natives)

        def put_in() -> int:
            taken = insert()
            if taken != rows:
                raise RejectedRows(
                    f"{target.dataset.name} took {taken} of {rows} rows",
                    hint="nothing was committed; run again",
                )
            return rows

        return put_in

    def _of_files(self, chunk: Chunk, payload: Payload) -> Arriving | None:
        """Return the table for the payload's files if COPY can read them as they lie; else None.

        It can if hdm itself staged them in S3, so that their columns are those of the payload's table, in
        order; a CSV file does not tell NULL from an empty text to Redshift, and is written anew.
        """
        if not payload.files or not chunk.upstream or self.config.row_lineage:
            return None
        if any(file.format != "parquet" or not file.uri.startswith("s3://") for file in payload.files):
            return None
        columns = payload.table.columns
        return Arriving.of_files(columns, [self.mapping.cased(column.name) for column in columns])
