"""Defines the base class of all sinks that write files: create-once names, checksums, chunk records."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, Field

from hdm.components.settings import Settings
from hdm.components.sink import Sink
from hdm.errors import BrokenContract, CorruptFile
from hdm.files import layout as files
from hdm.files.formats import WritableFormat, carries, format_named, format_of
from hdm.files.layout import Split
from hdm.files.records import Records, StoreRecords
from hdm.files.stores.base import Stat, Store
from hdm.files.writer import WriteOptions, Writing, disk, nth_file
from hdm.model import Attempt, Chunk, Dataset, FileNames, Mode, Payload, Receipt, StagedFile, Table


class FileSinkConfig(Settings):
    """Configuration keys that every file sink accepts."""

    env: str | None = None
    """Names the connection in the profile; ``connection`` is another spelling. Ignored by a component that
    needs no connection.
    """
    file_format: WritableFormat = "parquet"
    """Format in which rows are written: ``parquet``, ``csv``, ``jsonl``, ``arrow``, or the name of one that a
    plugin brings."""
    compression: Literal["none", "gzip", "zstd"] | None = None
    """How files are compressed; left out, Parquet by ``zstd`` and all else not at all."""
    split: Split | None = None
    """How large one file may be, ``{rows, bytes}``; left out, a chunk is one file."""
    min_free: int = Field(default=64 * 1024 * 1024, ge=0)
    """Bytes of the local disk that always stay free; a chunk that would use them fails, and is tried
    again."""
    keep: Literal["verified"] | Annotated[float, Field(ge=0)] | None = None
    """When ``hdm gc --staged`` may delete a file: ``verified``, once all chunks made of it are verified, or a
    number of days that must also have passed. Left out, never."""
    others_delete: bool = False
    """Says that others delete published files, so that files which are gone are not missed."""


class FileSink(Sink):
    """Writes each chunk as files under names that no other attempt uses.

    A chunk record, created once, publishes the files. Subclasses give the ``store`` and the dataset
    ``namespace``, and ``records`` if the store cannot create an object only once.
    """

    Config: ClassVar[type[BaseModel]] = FileSinkConfig
    modes: ClassVar[frozenset[Mode]] = frozenset({Mode.APPEND, Mode.REPLACE})
    publishes_files: ClassVar[bool] = True
    accepts_files: ClassVar[frozenset[str]] = frozenset({"parquet", "csv", "jsonl"})
    writes: ClassVar[str] = ""
    """The one format in which rows are written; left out, ``file_format`` in the configuration says which."""

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        super().__init__(config, profile, name=name)
        self.format = format_named(self.writes or config.file_format)
        default = "zstd" if self.format.describes_itself else "none"
        self.compression: str = config.compression or default

    @property
    @abstractmethod
    def store(self) -> Store:
        """The store (local folder or bucket) to which the files are written."""

    @property
    def records(self) -> Records:
        """The chunk records, by default objects beside the files."""
        return StoreRecords(self.store)

    @property
    def system(self) -> str:
        """The address of the system that has the files: the OpenLineage namespace of the datasets."""
        return self.namespace

    def reach(self) -> None:
        """Look for one object in the store; raise ``ConnectionLost`` if the store cannot be reached.

        Raises ``UsageError`` if the store refuses the request. A local folder is not looked at.
        """
        self.store.look()

    @property
    @abstractmethod
    def namespace(self) -> str:
        """The OpenLineage namespace of the datasets that this sink writes."""

    @property
    def place(self) -> str:
        """The bucket, container or folder that ``ready`` tests.

        That test is made once for all sinks with the same type, connection and place.
        """
        return self.namespace

    def dataset(self, table: Table) -> Dataset:
        """Return the dataset of a table's files; its name is their folder below the store's root."""
        return Dataset(self.namespace, files.table_folder(self.name, table))

    def target(self, table: Table) -> Table:
        """Return the source's table, renamed to the dataset that this sink writes; its columns stay.

        Every file format can express all of them. ``Table.path`` still names the table in the source.
        """
        return replace(table, dataset=self.dataset(table))

    def ready(self) -> None:
        """Raise an error if a read shows that the store cannot be used; a local folder is not looked at.

        Whether the store can create an object exactly once is left to ``prepare``, since that test may write.
        """
        self.store.look()

    def prepare(self, table: Table, job_key: str, epoch: int, mode: Mode) -> None:
        """Test the store, and create what the chunk records need, with the table's schema beside its files.

        Raises ``UsageError`` if the store cannot create an object exactly once, or no file can hold the
        table.
        """
        carries(table)
        self.store.ready()
        self.records.prepare(self._folder(table), self.target(table))

    def committed(self, table: Table, chunk: Chunk, mode: Mode) -> Receipt | None:
        """Return the receipt in the chunk's record; None if the chunk is not published.

        Raises ``CorruptFile`` if one of its files is missing or has another size, unless it was removed on
        purpose.
        """
        folder = self._chunk_folder(table, chunk, mode)
        held = self.records.find(folder, chunk)
        if held is not None:
            self._files_are_whole(held, folder, chunk)
        return held

    def ledger(self, table: Table, job_key: str) -> Iterator[tuple[Chunk, Receipt]]:
        """Yield every published chunk of the job, with its receipt."""
        return self.records.entries(self._folder(table), job_key)

    def present(self, table: Table, job_key: str) -> Iterator[tuple[Chunk, Receipt]]:
        """Yield the published chunks whose files are complete, or were removed by ``hdm gc``.

        Yields all published chunks if others delete files (``others_delete``).
        """
        folder, listed = f"{self._folder(table)}/", dict[str, dict[str, Stat]]()
        retired: frozenset[str] | None = None

        def below(start: str) -> dict[str, Stat]:
            if start not in listed:
                listed[start] = {found.key: found for found in self.store.list(start)}
            return listed[start]

        def is_whole(file: StagedFile) -> bool:
            key = self.store.key(file.uri)
            found = below(folder if key.startswith(folder) else "").get(key)
            return found is not None and self.store.holds(found, file.bytes)

        for chunk, receipt in self.ledger(table, job_key):
            if not self.config.others_delete and not all(map(is_whole, receipt.files)):
                if retired is None:
                    retired = self.records.retired(job_key, below(folder))
                if files.stem(chunk) not in retired:
                    continue
            yield chunk, receipt

    def newest_epoch(self, table: Table, job_key: str) -> int:
        """Return the greatest epoch (number of a plan) of the job that has a folder; 0 if there is none."""
        return self.records.newest_epoch(self._folder(table), job_key)

    def write(self, table: Table, chunk: Chunk, attempt: Attempt, payload: Payload, mode: Mode) -> Receipt:
        """Write the chunk's rows as complete, durable files; return their receipt; publish nothing yet.

        If the chunk is published already, nothing is written, and the published receipt is returned, marked
        ``adopted``. If writing fails, the attempt's files are deleted.
        """
        held = self.committed(table, chunk, mode)
        if held is not None:
            return replace(held, attempt=attempt.number, adopted=True)
        carries(table)
        writing = Writing(self._options(), self._base(table, chunk, attempt.number, mode), attempt)
        try:
            if self._takes(payload, table):
                for file in payload.files:
                    writing.copy(file, payload)
            else:
                writing.encode(self.target(table), payload)
        except BaseException:
            writing.give_up()
            raise
        staged = tuple(writing.staged)
        total = hashlib.sha256("".join(file.sha256 for file in staged).encode()).hexdigest()
        return Receipt(
            chunk.chunk_id,
            attempt.number,
            sum(file.rows for file in staged),
            bytes=sum(file.bytes for file in staged),
            sha256=staged[0].sha256 if len(staged) == 1 else total,
            files=staged,
            location=self.store.uri(self._chunk_folder(table, chunk, mode)),
        )

    def file_names(self, table: Table, job_key: str, mode: Mode) -> FileNames:
        """Return how the first file of each attempt is named.

        The names do not hold for chunks of files, since these may be copied and then keep their own endings.
        """
        start, rest = files.attempt_pattern(self._folder(table), job_key, mode)
        before = FileNames.literal(self.store.uri(f"{start}0").removesuffix("0"))
        first = nth_file(rest, 0, self.format.extension(self.compression))
        return FileNames(before + first, self.format.name, of_files=False)

    def publish(self, table: Table, chunk: Chunk, receipt: Receipt) -> Receipt:
        """Publish the files by creating the chunk record, and return the receipt in the record.

        If another attempt has created the record already, delete this attempt's files and return the other's
        receipt. Raises ``CorruptFile`` if a file is missing or has another size than its receipt says.
        """
        folder = self._published_folder(table, receipt)
        held = self.records.find(folder, chunk)
        if held is None:
            return self._record(folder, table, chunk, receipt, Attempt(receipt.attempt))
        return self._settled(folder, chunk, receipt, held)

    def _record(self, folder: str, table: Table, chunk: Chunk, receipt: Receipt, attempt: Attempt) -> Receipt:
        self._files_are_whole(receipt, folder, chunk)
        try:
            self.records.create(folder, chunk, receipt, table, attempt)
        except FileExistsError:
            return self._settled(folder, chunk, receipt, self.records.find(folder, chunk))
        return receipt

    def _settled(self, folder: str, chunk: Chunk, receipt: Receipt, held: Receipt | None) -> Receipt:
        """Return the receipt in the record; if that is another attempt's, delete this attempt's files."""
        if held is None or held.files == receipt.files:
            return receipt
        self._discard_beside(folder, chunk, receipt.attempt)
        return replace(held, attempt=receipt.attempt, adopted=True)

    def discard(self, table: Table, chunk: Chunk, attempt: int) -> None:
        """Delete the files that the attempt wrote, unless the chunk record names them."""
        for mode in self.modes:
            self._discard_beside(self._chunk_folder(table, chunk, mode), chunk, attempt)

    def finish(self, table: Table, job_key: str, epoch: int, mode: Mode) -> None:
        """In mode ``replace``, mark the epoch complete: from then on, sources read its files."""
        if mode.rules.swaps_at_end:
            folder = files.chunk_folder(self._folder(table), job_key, epoch, mode)
            self.records.complete(folder, table)

    def remove(self, uri: str) -> bool:
        """Delete an object, and abort unfinished uploads of it; return True if there was either."""
        key = self.store.key(uri)
        aborted = self.store.abort_uploads(key)
        return self.store.delete(key) or bool(aborted)

    def leftovers(self) -> list[str]:
        """Return the addresses of what killed processes left of records, schemas and marks of this sink."""
        with disk(f"the folder of {self.name}"):
            return [self.store.uri(key) for key in self.store.leftovers(files.slug(self.name))]

    def retire(self, chunk: Chunk, uri: str) -> bool:
        """Delete a staged file that is not needed any more; return True if it existed, else False.

        The chunk is marked first, so that ``committed`` still returns the chunk's receipt.
        """
        key = self.store.key(uri)
        with disk(f"the note that {uri} is removed"):
            self.records.retire(key.rpartition("/")[0], chunk)
        return self.store.delete(key)

    def _options(self) -> WriteOptions:
        split = self.config.split or Split()
        return WriteOptions(self.store, self.format, self.compression, split, self.config.min_free)

    # -- names ---------------------------------------------------------------

    def _folder(self, table: Table) -> str:
        return files.table_folder(self.name, table)

    def _chunk_folder(self, table: Table, chunk: Chunk, mode: Mode) -> str:
        return files.chunk_folder(self._folder(table), chunk.job_key, chunk.epoch, mode)

    def _base(self, table: Table, chunk: Chunk, attempt: int, mode: Mode) -> str:
        return f"{self._chunk_folder(table, chunk, mode)}/{files.stem(chunk)}.{attempt}"

    def _published_folder(self, table: Table, receipt: Receipt) -> str:
        """Return the folder of the receipt's files, for which no mode need be known."""
        folder = self.store.key(receipt.location)
        if not folder.startswith(self._folder(table)):
            raise BrokenContract(
                f"the receipt of {table.dataset.name} is not of this sink", hint="plan the job again"
            )
        return folder

    def _starts(self, folder: str, chunk: Chunk, attempt: int) -> tuple[str, ...]:
        """Return the beginnings of the keys of all files that an attempt at the chunk may have written."""
        return (f"{folder}/{files.stem(chunk)}.{attempt}.",)

    # -- checks of files -------------------------------------------------------

    def _takes(self, payload: Payload, table: Table) -> bool:
        """Whether the payload's files can be copied byte for byte."""
        if not payload.files or payload.open is None or payload.table.schema_sha != table.schema_sha:
            return False
        return all(self._takes_file(file) for file in payload.files)

    def _takes_file(self, file: StagedFile) -> bool:
        if not self._takes_format(file):
            return False
        split = self.config.split
        return not split or not (
            (split.rows and file.rows > split.rows) or (split.bytes and file.bytes > split.bytes)
        )

    def _takes_format(self, file: StagedFile) -> bool:
        if file.format != self.format.name:
            return False
        return self.format.describes_itself or format_of(file.uri) == (file.format, self.compression)

    def _files_are_whole(self, receipt: Receipt, folder: str, chunk: Chunk) -> None:
        for file in receipt.files:
            found = self.store.stat(self.store.key(file.uri))
            if found is None and self.records.is_retired(folder, chunk):
                return
            if found is None or not self.store.holds(found, file.bytes):
                size = "is gone" if found is None else f"has {found.size} of {file.bytes} bytes"
                raise CorruptFile(
                    f"{file.uri} {size}",
                    hint=f"restore the file, or {self.records.undo} and run again to stage the chunk anew",
                )

    def _discard_beside(self, folder: str, chunk: Chunk, attempt: int) -> None:
        held = self.records.find(folder, chunk)
        keep = {self.store.key(file.uri) for file in held.files} if held else set()
        starts = self._starts(folder, chunk, attempt)
        for start in starts:
            self.store.abort_uploads(start)
        self.records.abort(folder, chunk)
        for start in starts:
            for found in list(self.store.list(start)):
                if found.key not in keep:
                    self.store.delete(found.key)
