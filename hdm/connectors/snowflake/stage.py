"""Defines SnowflakeInternalStageSink, which puts files on a named internal stage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, Field

from hdm.config.deprecated import FILE_FORMAT
from hdm.connectors.snowflake.database import SnowflakeDatabase
from hdm.connectors.snowflake.session import SnowflakeProfile, folded
from hdm.connectors.snowflake.stage_records import LedgerRecords
from hdm.connectors.snowflake.stage_store import StageStore
from hdm.connectors.snowflake.staging import FILE_BYTES
from hdm.errors import HdmError
from hdm.files.layout import Split, stem
from hdm.files.sink import FileSink, FileSinkConfig
from hdm.files.writer import WriteOptions
from hdm.model import Attempt, Chunk, Dataset, Mode, Payload, Receipt, StagedFile, Table
from hdm.sql import name_parts
from hdm.sql.table_name import TableNameLike


class InternalStageConfig(FileSinkConfig):
    """Configuration of an internal stage sink: the stage, and the folder and the size of the files."""

    stage_name: TableNameLike = "HDM_STAGE"
    """Names the internal stage, ``database.schema.stage``; it is made if it is not there."""
    stage_directory: str = "hdm"
    """Folder on the stage under which the files are put."""
    file_format: str | None = Field(None, deprecated=FILE_FORMAT)  # type: ignore[assignment]
    """Has no effect, and is taken so that older manifests still work: rows are put as Parquet, upstream files
    as they are."""
    split: Split | None = None
    """How large one file may be, ``{rows, bytes}``; left out, about 128 MiB."""
    keep: Literal["verified"] | Annotated[float, Field(ge=0)] | None = None
    """When ``hdm gc --staged`` may delete a file: ``verified``, once all chunks made of it are verified, or a
    number of days that must also have passed. Left out, never. Only a plugin's source reads a stage."""


class SnowflakeInternalStageSink(FileSink):
    """Puts each chunk's files on an internal stage; a ledger in the stage's schema publishes them.

    The row in the ledger is committed before ``write`` returns, so ``publish`` has nothing left to do.
    """

    Config: ClassVar[type[BaseModel]] = InternalStageConfig
    Profile: ClassVar[type[BaseModel] | None] = SnowflakeProfile
    modes: ClassVar[frozenset[Mode]] = frozenset({Mode.APPEND})
    accepts_files: ClassVar[frozenset[str]] = frozenset({"parquet", "csv"})
    writes: ClassVar[str] = "parquet"

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        super().__init__(config, profile, name=name)
        self.database = SnowflakeDatabase(profile)

    @property
    def stage(self) -> tuple[str, ...]:
        """The stage's full name, in the case in which Snowflake keeps it."""
        *around, name = name_parts(self.config.stage_name)
        return self.database.default_path((*around, folded(name)))

    @cached_property
    def store(self) -> StageStore:
        """The folder on the stage."""
        return StageStore(self.database, self.stage, self.config.stage_directory)

    @cached_property
    def records(self) -> LedgerRecords:
        """The ledger in the stage's schema."""
        return LedgerRecords(self.store)

    @property
    def namespace(self) -> str:
        """The OpenLineage namespace of the datasets: ``snowflake://account``."""
        return self.database.dataset(self.stage).namespace

    def dataset(self, table: Table) -> Dataset:
        """Return the dataset of a table's files, named by stage, folder and table."""
        return self.database.dataset((*self.stage, self.config.stage_directory, table.path[-1]))

    @property
    def place(self) -> str:
        """The full name of the stage's schema, whose existence ``ready`` tests."""
        return ".".join(self.stage[:-1])

    def prepare(self, table: Table, job_key: str, epoch: int, mode: Mode) -> None:
        """Create the ledger and the stage if they do not exist."""
        with self.store.session("hdm:prepare", write=True):
            super().prepare(table, job_key, epoch, mode)

    def committed(self, table: Table, chunk: Chunk, mode: Mode) -> Receipt | None:
        """Return the chunk's receipt from the ledger, read in a new session; None if there is none.

        Raises ``CorruptFile`` as every file sink does.
        """
        with self.store.session("hdm:committed"):
            return super().committed(table, chunk, mode)

    def present(self, table: Table, job_key: str) -> Iterator[tuple[Chunk, Receipt]]:
        """Yield the chunks in the ledger whose files are on the stage, as every file sink does."""
        with self.store.session("hdm:present"):
            return iter(list(super().present(table, job_key)))

    def write(self, table: Table, chunk: Chunk, attempt: Attempt, payload: Payload, mode: Mode) -> Receipt:
        """PUT the chunk's files on the stage, record them in the ledger, and return the receipt."""
        mark = f"hdm:{chunk.chunk_id[:12]}:"
        with self.store.session(f"{mark}{attempt.number}", write=True) as connection:
            self.database.tag(connection, attempt.run_id, chunk, attempt.number)
            self.database.evict(connection, mark, attempt.number)
            receipt = super().write(table, chunk, attempt, payload, mode)
            if receipt.adopted:
                return receipt
            folder = self._chunk_folder(table, chunk, mode)
            return self._record(folder, table, chunk, payload.tally.complete(receipt), attempt)

    def publish(self, table: Table, chunk: Chunk, receipt: Receipt) -> Receipt:
        """Return the receipt: ``write`` has published the files."""
        return receipt

    def discard(self, table: Table, chunk: Chunk, attempt: int) -> None:
        """Remove the files that an attempt put on the stage, unless the ledger names them."""
        with self.store.session("hdm:discard", write=True):
            super().discard(table, chunk, attempt)

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

    def _options(self) -> WriteOptions:
        return replace(super()._options(), split=self.config.split or Split(bytes=FILE_BYTES))

    def _starts(self, folder: str, chunk: Chunk, attempt: int) -> tuple[str, ...]:
        # hdm 0.1.0 gave each attempt a folder of its own
        return (*super()._starts(folder, chunk, attempt), f"{stem(chunk)}.{attempt}/")

    def _takes_format(self, file: StagedFile) -> bool:
        return file.format in self.accepts_files
