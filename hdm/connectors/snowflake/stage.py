"""Defines SnowflakeInternalStageSink, which puts files on a named internal stage."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from hdm import failpoints
from hdm.arrow.batches import rebatch
from hdm.components.settings import Settings
from hdm.components.sink import Sink
from hdm.config.deprecated import FILE_FORMAT
from hdm.connectors.snowflake.database import SnowflakeDatabase
from hdm.connectors.snowflake.session import SnowflakeProfile, folded
from hdm.connectors.snowflake.staging import FILE_BYTES, Put, Staging
from hdm.errors import BrokenContract, HdmError
from hdm.files.formats import format_named
from hdm.model import Attempt, Chunk, Dataset, Mode, Payload, Receipt, StagedFile, Table
from hdm.sql import Ledger, name_parts
from hdm.sql.table_name import TableNameLike

_BLOCK = 1024 * 1024


class InternalStageConfig(Settings):
    """Configuration of an internal stage sink: the stage, and the folder for the files."""

    env: str | None = None
    """Names the connection in the profile; ``connection`` is another spelling. Ignored by a component that
    needs no connection.
    """
    stage_name: TableNameLike = "HDM_STAGE"
    """Names the internal stage, ``database.schema.stage``; it is made if it is not there."""
    stage_directory: str = "hdm"
    """Folder on the stage under which the files are put."""
    file_format: str | None = Field(None, deprecated=FILE_FORMAT)
    """Has no effect, and is taken so that older manifests still work: rows are put as Parquet, upstream files
    as they are."""


class SnowflakeInternalStageSink(Sink):
    """Puts each chunk's files on an internal stage; a ledger in the stage's schema publishes them.

    Each attempt at a chunk gives its files new names.
    """

    Config: ClassVar[type[BaseModel]] = InternalStageConfig
    Profile: ClassVar[type[BaseModel] | None] = SnowflakeProfile
    publishes_files: ClassVar[bool] = True
    accepts_files: ClassVar[frozenset[str]] = frozenset({"parquet", "csv"})

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        super().__init__(config, profile, name=name)
        self.database = SnowflakeDatabase(profile)

    @property
    def stage(self) -> tuple[str, ...]:
        """The stage's full name, in the case in which Snowflake keeps it."""
        *around, name = name_parts(self.config.stage_name)
        return self.database.default_path((*around, folded(name)))

    def dataset(self, table: Table) -> Dataset:
        """Return the dataset of a table's files, named by stage, folder and table."""
        made = self.database.dataset((*self.stage, self.config.stage_directory, table.path[-1]))
        return Dataset(made.namespace, made.name)

    def target(self, table: Table) -> Table:
        """Return the source's table, renamed to the dataset that this sink writes; its columns stay."""
        return replace(table, dataset=self.dataset(table))

    @property
    def place(self) -> str:
        """The full name of the stage's schema, whose existence ``ready`` tests."""
        return ".".join(self.stage[:-1])

    def ready(self) -> None:
        """Raise ``UsageError`` if the stage's schema does not exist; only the stage is created later."""
        self.database.must_be_there(self.stage[:-1])

    def prepare(self, table: Table, job_key: str, epoch: int, mode: Mode) -> None:
        """Create the ledger and the stage if they do not exist."""
        connection = self.database.connect("hdm:prepare", write=True)
        try:
            self._ledger.create(connection)
            name = self.database.dialect.qualify(self.stage)
            self.database.change(connection, f"CREATE STAGE IF NOT EXISTS {name}")
        finally:
            connection.close()

    def ledger(self, table: Table, job_key: str) -> Iterator[tuple[Chunk, Receipt]]:
        """Yield every chunk of the job that the ledger records, with its receipt."""
        connection = self.database.connect("hdm:ledger")
        try:
            if self._ledger.exists(connection):
                yield from self._ledger.entries(connection, job_key)
        finally:
            connection.close()

    def committed(self, table: Table, chunk: Chunk, mode: Mode) -> Receipt | None:
        """Return the chunk's receipt from the ledger, read in a new session; None if there is none."""
        connection = self.database.connect("hdm:committed")
        try:
            return self._ledger.find(connection, chunk.chunk_id)
        finally:
            connection.close()

    @property
    def _ledger(self) -> Ledger:
        return Ledger(self.database, self.stage[:-1])

    def write(self, table: Table, chunk: Chunk, attempt: Attempt, payload: Payload, mode: Mode) -> Receipt:
        """PUT the chunk's files on the stage, record them in the ledger, and return the receipt."""
        mark = f"hdm:{chunk.chunk_id[:12]}:"
        connection = self.database.connect(f"{mark}{attempt.number}", write=True)
        try:
            self.database.tag(connection, attempt.run_id, chunk, attempt.number)
            self.database.evict(connection, mark, attempt.number)
            location = "@" + self.database.dialect.qualify(self.stage)
            with Staging(self.database, connection, location) as staging:
                staging.prefix = f"{self.config.stage_directory}/{chunk.chunk_id[:24]}.{attempt.number}"
                staged = list(self._staged(staging, payload, attempt))
            receipt = payload.tally.complete(self._receipt(chunk, attempt, staged))
            self.database.begin(connection, write=True)
            failpoints.point("L1")
            if not self._ledger.claim(connection, chunk, attempt):
                self.database.rollback(connection)
                return self._adopted(connection, chunk, attempt)
            failpoints.point("L2")
            self._ledger.fill(connection, receipt)
            attempt.check()
            self.database.commit(connection)
            return receipt
        finally:
            connection.close()

    def _adopted(self, connection: Any, chunk: Chunk, attempt: Attempt) -> Receipt:
        held = self._ledger.find(connection, chunk.chunk_id)
        if held is None:
            raise BrokenContract("the ledger refused a chunk that it does not hold", hint="run again")
        return replace(held, attempt=attempt.number, adopted=True)

    def _receipt(self, chunk: Chunk, attempt: Attempt, files: Sequence[StagedFile]) -> Receipt:
        return Receipt(
            chunk.chunk_id,
            attempt.number,
            sum(file.rows for file in files),
            bytes=sum(file.bytes for file in files),
            sha256=hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest(),
            files=tuple(files),
            location=self._uri(""),
        )

    def _uri(self, name: str) -> str:
        return f"snowflake://{self.profile.account}/{'.'.join(self.stage)}/{name}"

    def _staged(self, staging: Staging, payload: Payload, attempt: Attempt) -> Iterator[StagedFile]:
        if payload.files and payload.open and all(f.format in self.accepts_files for f in payload.files):
            for file in payload.files:
                attempt.will_write(self._uri(f"{staging.prefix}/{file.uri.rpartition('/')[2]}"), file.format)
                with payload.open(file) as content:
                    put = staging.receive(file, content)
                yield replace(file, uri=self._uri(put.name), etag=None)
            return
        number = 0
        stream: Any = None
        writer: Any = None
        path = Path(staging.folder.name) / "0.parquet"
        for batch in rebatch(payload.batches()):
            if writer is None:
                path = Path(staging.folder.name) / f"{number}.parquet"
                attempt.will_write(self._uri(f"{staging.prefix}/{path.name}"), "parquet")
                stream = path.open("wb")
                writer = format_named("parquet").writer(stream, payload.table, "zstd", 48 * _BLOCK)
            writer.write(batch)
            attempt.check()
            if writer.estimate() >= FILE_BYTES:
                yield self._put(staging, path, stream, writer)
                number, writer = number + 1, None
        if writer is not None:
            yield self._put(staging, path, stream, writer)

    def _put(self, staging: Staging, path: Path, stream: Any, writer: Any) -> StagedFile:
        writer.close()
        stream.close()
        with path.open("rb") as written:
            sha256 = hashlib.file_digest(written, "sha256").hexdigest()
        size = path.stat().st_size
        put: Put = staging.put(path, writer.rows, "parquet")
        return StagedFile(self._uri(put.name), "parquet", size, put.rows, sha256)

    def discard(self, table: Table, chunk: Chunk, attempt: int) -> None:
        """Remove the files that an attempt put on the stage, unless the ledger names them."""
        held = self.committed(table, chunk, Mode.APPEND)
        if held is None or held.attempt != attempt:
            self._remove(f"{self.config.stage_directory}/{chunk.chunk_id[:24]}.{attempt}/")

    def remove(self, uri: str) -> bool:
        """Remove one file from the stage; return True if it existed, else False."""
        root = self._uri("")
        return uri.startswith(root) and self._remove(uri[len(root) :])

    def _remove(self, name: str) -> bool:
        connection = self.database.connect("hdm:remove", write=True)
        try:
            dialect = self.database.dialect
            place = dialect.string(f"@{dialect.qualify(self.stage)}/{name}")
            return bool(self.database.run(connection, f"REMOVE {place}"))
        finally:
            connection.close()

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return results for ``hdm doctor``: the account, and whether the stage's schema exists."""
        found = self.database.probe()
        if not found[0][1]:
            return found
        try:
            self.ready()
        except HdmError as error:
            return [*found, ("schema", False, error.message)]
        return [*found, ("schema", True, self.place)]
