"""Defines BigQuerySink: load jobs into a staging table, then one transaction with the ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, Literal

import pyarrow as pa
from pydantic import BaseModel, Field, model_validator

from hdm.components.settings import Settings
from hdm.connectors.bigquery.database import BigQueryDatabase
from hdm.connectors.bigquery.loading import LOADED, STAGED
from hdm.connectors.bigquery.profile import BigQueryProfile
from hdm.errors import UsageError
from hdm.model import Chunk, Mode, Payload, Table
from hdm.sql import Database, SqlSink, SqlSinkConfig
from hdm.sql.ledger import NAME as LEDGER
from hdm.sql.swap import swap_before

_TRUNCATE: Final = {"DATE": "DATE_TRUNC", "DATETIME": "DATETIME_TRUNC", "TIMESTAMP": "TIMESTAMP_TRUNC"}
_CLUSTERING: Final = frozenset(
    {"BIGNUMERIC", "BOOL", "DATE", "DATETIME", "GEOGRAPHY", "INT64", "NUMERIC", "STRING", "TIMESTAMP"}
)
"""Types that can cluster (https://cloud.google.com/bigquery/docs/clustered-tables)."""
_MOST_URIS: Final = 10_000


class Partition(Settings):
    """How a new table is partitioned: by a date or time, or by ranges of a whole number."""

    column: str
    """Names the target's column by which rows are partitioned."""
    unit: Literal["hour", "day", "month", "year"] = "day"
    """Unit of a date or time that is one partition; ``hour`` not of a date."""
    start: int | None = None
    """First whole number of the first range; with ``end`` and ``interval``, for a column of whole numbers."""
    end: int | None = None
    """Whole number after the last range."""
    interval: int | None = Field(None, gt=0)
    """How many whole numbers are one partition."""

    @model_validator(mode="after")
    def _whole(self) -> Partition:
        given = [one is not None for one in (self.start, self.end, self.interval)]
        if any(given) and not all(given):
            raise ValueError("give start, end and interval, or none of them")
        return self


class BigQuerySinkConfig(SqlSinkConfig):
    """Configuration of a BigQuery sink: where rows go, and how a new table is laid out."""

    partition: Partition | None = None
    """How a table that hdm creates is partitioned; left out, it is not."""
    cluster: list[str] = Field(default_factory=list, max_length=4)
    """Names up to four columns by which a table that hdm creates is clustered; left out, it is not."""


class BigQuerySink(SqlSink):
    """Loads a table of BigQuery by load jobs, from files in Cloud Storage or uploaded ones."""

    Config: ClassVar[type[BaseModel]] = BigQuerySinkConfig
    Profile: ClassVar[type[BaseModel] | None] = BigQueryProfile
    Database: ClassVar[type[Database]] = BigQueryDatabase
    modes = frozenset({Mode.APPEND, Mode.REPLACE, Mode.MERGE})
    accepts_files = frozenset({"parquet"})

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        super().__init__(config, profile, name=name)
        self.project.layout = self.layout

    @property
    def project(self) -> BigQueryDatabase:
        """The sink's database, typed as ``BigQueryDatabase``."""
        assert isinstance(self.database, BigQueryDatabase)
        return self.database

    def accepts(self, table: Table, mode: Mode) -> None:
        """Raise ``UsageError`` if the mode cannot work, or if the table cannot be laid out as configured."""
        self.layout(self.target(table))
        super().accepts(table, mode)

    def layout(self, table: Table) -> str:
        """Return the PARTITION BY and CLUSTER BY clauses for a table; '' if none are configured."""
        config: BigQuerySinkConfig = self.config
        made = ""
        if config.partition is not None:
            made += f"\nPARTITION BY {self._partition(table, config.partition)}"
        if config.cluster:
            wrong = [name for name in config.cluster if self._word(table, name) not in _CLUSTERING]
            if wrong:
                raise UsageError(
                    f"{table.dataset.name} cannot be clustered by {', '.join(wrong)}: of this type none can",
                    hint="name columns of text, whole or exact numbers, booleans, dates or times with a date",
                )
            made += f"\nCLUSTER BY {self.dialect.names(config.cluster)}"
        return made

    def _partition(self, table: Table, given: Partition) -> str:
        name, word = self.dialect.quote(given.column), self._word(table, given.column)
        if word == "INT64" and given.interval is not None:
            return f"RANGE_BUCKET({name}, GENERATE_ARRAY({given.start}, {given.end}, {given.interval}))"
        if word not in _TRUNCATE or given.interval is not None or (word == "DATE" and given.unit == "hour"):
            raise UsageError(
                f"{table.dataset.name} cannot be partitioned so by {given.column}, which is {word}",
                hint="name a date or time with a unit, or a whole number with start, end and interval",
            )
        if word == "DATE" and given.unit == "day":
            return name
        return f"{_TRUNCATE[word]}({name}, {given.unit.upper()})"

    def _word(self, table: Table, name: str) -> str:
        try:
            column = table.column(name)
        except KeyError:
            raise UsageError(
                f"{table.dataset.name} has no column {name!r} to lay it out by",
                hint="name one of: " + ", ".join(one.name for one in table.columns),
            ) from None
        return self.dialect.stored(column).native.partition("(")[0]

    def create_sql(self, target: Table) -> str:
        """Return the CREATE TABLE statement of a target, laid out as configured."""
        return self.project.create_sql(target)

    def finish(self, table: Table, job_key: str, epoch: int, mode: Mode) -> None:
        """In mode ``replace``, replace the target's rows by the new ones, in one transaction.

        If there is no target, the new table is renamed first. In each mode, drop the staging tables that
        processes which died after a commit have left.
        """
        self._tidy(self.target(table), job_key, epoch)
        if mode.rules.swaps_at_end:
            target = self.target(table)
            new = self._beside(target, job_key, epoch)
            swap_before(self.database, self._ledger(target), target, new, job_key, epoch)

    def _tidy(self, target: Table, job_key: str, epoch: int) -> None:
        database = self.project
        connection = database.connect("hdm:finish")
        try:
            left = database.tables_like(connection, target.path, LOADED)
            left += database.tables_like(connection, target.path, STAGED)
            if not left:
                return
            quote = self.dialect.quote
            done = database.run(
                connection,
                f"SELECT {quote('chunk_id')} FROM {self.dialect.qualify((*target.path[:-1], LEDGER))} "
                f"WHERE {quote('job_key')} = ? AND {quote('epoch')} = ?",
                (job_key, epoch),
            )
            known = {str(chunk_id)[:12] for (chunk_id,) in done}
            for path in left:
                if path[-1].removeprefix(LOADED).removeprefix(STAGED).partition("_")[0] in known:
                    database.drop(connection, path)
        finally:
            connection.close()

    # -- staged files ----------------------------------------------------------

    def _bring(
        self, connection: Any, into: Sequence[str], target: Table, chunk: Chunk, payload: Payload
    ) -> Callable[[], int]:
        if not self._takes(payload):
            return super()._bring(connection, into, target, chunk, payload)
        database = self.project
        for file in payload.files:
            if payload.confirm is not None:
                payload.confirm(file)
        rows = sum(file.rows for file in payload.files)
        database.sweep(connection, into)
        stage = database.stage(connection, into, payload.table.columns)
        if rows:
            with database.calling(connection):
                stage.take([file.uri for file in payload.files], rows)
        payload.tally.extracted = rows
        payload.tally.bytes = sum(file.bytes for file in payload.files)
        fold = self.dialect.folded
        there = {fold(column.name): column.name for column in target.columns}
        names = [(c.name, there[fold(self.mapping.cased(c.name))]) for c in payload.table.columns
                 if fold(self.mapping.cased(c.name)) in there]  # fmt: skip
        return database.mover(connection, into, names, stage, database.natives(connection, into))

    def _takes(self, payload: Payload) -> bool:
        """Whether BigQuery can fetch the payload's files: whole Parquet files in Cloud Storage, of types that
        need no conversion by hdm."""
        if not payload.files or payload.open is None or self.config.row_lineage:
            return False
        if len(payload.files) > _MOST_URIS:
            return False
        if any(file.format != "parquet" or not file.uri.startswith("gs://") for file in payload.files):
            return False
        return not any(_needs_hdm(column.type) for column in payload.table.columns)


def _needs_hdm(kind: pa.DataType) -> bool:
    """Whether values must be converted on the way: nanoseconds, which a load would not cut."""
    return bool((pa.types.is_timestamp(kind) or pa.types.is_time(kind)) and kind.unit == "ns")
