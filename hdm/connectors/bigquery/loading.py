"""Brings a chunk's rows by load jobs into a table of its own; the transaction only moves them.

Load jobs run in no transaction, and none of DDL does
(https://cloud.google.com/bigquery/docs/transactions#limitations). So a chunk's rows go into a staging table
that expires, and an INSERT ... SELECT beside the ledger's row moves them. No staging table is used twice.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

import pyarrow as pa

from hdm import failpoints
from hdm.arrow import rows as row_codec
from hdm.arrow import temporal
from hdm.arrow.batches import rebatch
from hdm.connectors.bigquery import jobs
from hdm.connectors.bigquery.schema import loaded_type, moved, native_of
from hdm.connectors.bigquery.session import Session
from hdm.errors import RejectedRows, TransientError
from hdm.files.formats import format_named
from hdm.model import Column, Dataset, Table
from hdm.sql import Database

LOADED: Final = "_hdm_rows_"
"""Beginning of the names of staging tables; the chunk, the attempt and a number follow."""
STAGED: Final = "_hdm_stage_"
"""Beginning of the names of the tables from which rows are merged."""
FILE_BYTES: Final = 128 * 1024 * 1024
_BLOCK: Final = 1024 * 1024
_EXPIRES: Final = timedelta(days=2)
"""How long a staging table is there at most, if the process that dropped it would have died."""


class Stage:
    """A chunk's own staging table, and the load jobs that fill it."""

    def __init__(
        self, database: Database, session: Session, home: Sequence[str], fields: Sequence[Any]
    ) -> None:
        self.database, self.session = database, session
        self.fields = list(fields)
        self.owner = uuid.uuid4().hex
        self.rows = self.parts = 0
        self.path = self._made(tuple(home))

    def _made(self, home: tuple[str, ...]) -> tuple[str, ...]:
        """Create the table under a name that none has, and return its path."""
        from google.api_core.exceptions import Conflict
        from google.cloud.bigquery import Table as Wanted

        work = self.session
        for number in range(1000):
            path = (*home, f"{LOADED}{work.chunk}_{work.attempt}_{number}")
            wanted = Wanted(".".join(path), schema=self.fields)
            wanted.expires = datetime.now(UTC) + _EXPIRES
            wanted.description = "Rows on their way: hdm drops this table."
            try:
                jobs.repeated(partial(work.client.create_table, wanted, retry=None))
            except Conflict:
                continue
            work.left.append(".".join(path))
            return path
        raise TransientError("a thousand staging tables of one chunk are there")

    def load(self, send: Callable[[Any, str], Any], rows: int, **how: Any) -> None:
        """Run one load job of ``rows`` rows; ``send`` sends it with a configuration and an id.

        The id is made of chunk, epoch, generation, attempt and part. A job of that id that another attempt
        sent is left alone, and the next id is taken. Raises ``RejectedRows`` if the job loaded other rows.
        """
        from google.cloud.bigquery import LoadJobConfig

        config = LoadJobConfig(
            source_format="PARQUET", schema=self.fields, write_disposition="WRITE_APPEND",
            create_disposition="CREATE_NEVER", max_bad_records=0, ignore_unknown_values=False,
            decimal_target_types=["NUMERIC", "BIGNUMERIC"],
            labels={"hdm": self.session.label, jobs.OWNER: self.owner}, **how,
        )  # fmt: skip
        for number in range(1000):
            job_id = f"hdm_load_{self.session.work}_{self.parts}_{number}"
            failpoints.point("U2")
            job = jobs.sent(self.session.client, job_id, partial(send, config, job_id), self.owner)
            if job is not None:
                break
        else:
            raise TransientError("a thousand load jobs of one part are there")
        jobs.succeeded(job)
        failpoints.point("U3")
        if job.output_rows != rows:
            raise RejectedRows(
                f"{self.path[-1]}: the load job {job.job_id} wrote {job.output_rows} of {rows} rows",
                hint="nothing was committed; look at the job",
            )
        self.parts += 1
        self.rows += rows

    def upload(self, path: Path, rows: int) -> None:
        """Load a local Parquet file."""

        def send(config: Any, job_id: str) -> Any:
            with path.open("rb") as stream:
                return self.session.client.load_table_from_file(
                    stream, ".".join(self.path), job_id=job_id, job_config=config, num_retries=0
                )

        self.load(send, rows)

    def take(self, uris: Sequence[str], rows: int) -> None:
        """Load Parquet files of Cloud Storage; BigQuery fetches them."""
        self.load(
            lambda config, job_id: self.session.client.load_table_from_uri(
                list(uris), ".".join(self.path), job_id=job_id, job_config=config, retry=None
            ),
            rows,
        )


class LoadsByJobs(Database):
    """A database of BigQuery that loads rows by load jobs."""

    def load(
        self,
        connection: Any,
        path: Sequence[str],
        columns: Sequence[Column],
        batches: Iterator[pa.RecordBatch],
    ) -> int:
        """Bring batches into a staging table and insert them at once; return the number of rows."""
        return self.bring(connection, path, columns, batches)()

    def bring(
        self,
        connection: Session,
        path: Sequence[str],
        columns: Sequence[Column],
        batches: Iterator[pa.RecordBatch],
    ) -> Callable[[], int]:
        """Load batches into a staging table as Parquet; return the function that moves its rows.

        Raises ``UnrepresentableValue`` for a date or time outside of the years 1 to 9999.
        """
        self.sweep(connection, path)
        natives = self.natives(connection, path)
        kept = [_kept(column, natives[self.dialect.folded(column.name)]) for column in columns]
        stage = self.stage(connection, path, kept)
        table = Table(Dataset("", ""), ("",), tuple(kept))
        with tempfile.TemporaryDirectory(prefix="hdm-bigquery-") as folder:
            file, stream, writer = Path(folder) / "rows.parquet", None, None
            for batch in rebatch(_converted(batches, kept, table.schema)):
                if writer is None:
                    stream = file.open("wb")
                    writer = format_named("parquet").writer(stream, table, "zstd", 48 * _BLOCK)
                try:
                    writer.write(batch)
                except BaseException:
                    assert stream is not None
                    stream.close()
                    raise
                if writer.estimate() >= FILE_BYTES:
                    self._sent(stage, file, stream, writer)
                    writer = None
            if writer is not None:
                self._sent(stage, file, stream, writer)
        return self.mover(connection, path, [(c.name, c.name) for c in columns], stage, natives)

    def _sent(self, stage: Stage, file: Path, stream: BinaryIO | None, writer: Any) -> None:
        assert stream is not None
        with stream:
            writer.close()
        with self.calling(stage.session):
            stage.upload(file, writer.rows)

    def sweep(self, connection: Session, path: Sequence[str]) -> None:
        """Drop the staging tables that dead attempts at the session's chunk have left."""
        for start in (LOADED, STAGED) if connection.attempt > 1 else ():
            for left in self.tables_like(connection, path, f"{start}{connection.chunk}_"):
                number = left[-1].removeprefix(f"{start}{connection.chunk}_").partition("_")[0]
                if number.isdigit() and int(number) < connection.attempt:
                    self.drop(connection, left)

    def drop(self, connection: Session, path: Sequence[str]) -> None:
        """Drop a table if it exists."""
        with self.calling(connection):
            connection.client.delete_table(".".join(path), not_found_ok=True, retry=None)

    def natives(self, connection: Session, path: Sequence[str]) -> dict[str, str]:
        """Return the types of a table's columns by their folded names."""
        with self.calling(connection):
            found = jobs.repeated(lambda: connection.client.get_table(".".join(path), retry=None))
        return {self.dialect.folded(field.name): native_of(field) for field in found.schema}

    def stage(self, connection: Session, path: Sequence[str], columns: Sequence[Column]) -> Stage:
        """Create a staging table beside ``path`` for Parquet columns of these Arrow types."""
        from google.cloud.bigquery import SchemaField

        with self.calling(connection):
            fields = [SchemaField(column.name, loaded_type(column.type)) for column in columns]
            return Stage(self, connection, path[:-1], fields)

    def mover(
        self,
        connection: Session,
        path: Sequence[str],
        names: Sequence[tuple[str, str]],
        stage: Stage,
        natives: dict[str, str],
    ) -> Callable[[], int]:
        """Return the function that inserts a staging table's rows into ``path``, and counts them.

        ``names`` pairs the staging table's columns with those of ``path``.
        """
        quote, fold = self.dialect.quote, self.dialect.folded
        loaded = {field.name: field.field_type for field in stage.fields}
        into = self.dialect.names(name for _, name in names)
        shown = ", ".join(moved(quote(of), loaded[of], natives[fold(name)]) for of, name in names)
        insert = (
            f"INSERT INTO {self.dialect.qualify(path)} ({into}) "
            f"SELECT {shown} FROM {self.dialect.qualify(stage.path)}"
        )

        def move() -> int:
            rows = self.change(connection, insert) if stage.rows else 0
            if rows != stage.rows:
                raise RejectedRows(
                    f"{path[-1]} took {rows} of {stage.rows} rows", hint="nothing was committed; run again"
                )
            return rows

        return move


def _kept(column: Column, native: str) -> Column:
    """Return the column with the Arrow type in which Parquet carries it to a column of type ``native``."""
    kind = column.type
    if native.upper().startswith("STRING") and (pa.types.is_temporal(kind) or pa.types.is_decimal(kind)):
        return replace(column, type=pa.string())
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return replace(column, type=pa.timestamp("us", kind.tz))
    if pa.types.is_time(kind) and kind.unit == "ns":
        return replace(column, type=pa.time64("us"))
    return column


def _converted(
    batches: Iterator[pa.RecordBatch], columns: Sequence[Column], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        arrays = []
        for array, column in zip(batch.columns, columns, strict=True):
            kind = array.type
            if (pa.types.is_date32(kind) or pa.types.is_timestamp(kind)) and not temporal.is_plain(array):
                raise row_codec.unrepresentable(column.name, "BigQuery's years are 1 to 9999")
            if pa.types.is_string(column.type) and not pa.types.is_string(kind):
                arrays.append(pa.array(row_codec.cells(array), pa.string()))
            else:  # nanoseconds are cut, which the types declare as a loss
                arrays.append(array.cast(column.type, safe=not pa.types.is_temporal(kind)))
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
