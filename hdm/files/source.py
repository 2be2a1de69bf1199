"""Defines the base classes of all sources that read files: verified bytes, chunks of whole records."""

from __future__ import annotations

import hashlib
import tempfile
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, BinaryIO, ClassVar, cast

import pyarrow as pa
from pydantic import BaseModel

from hdm.arrow.batches import rebatch
from hdm.components.source import Source
from hdm.errors import CorruptFile, PermanentError, UsageError
from hdm.files import differing, grown_files, partition_folders
from hdm.files import discovery as found_files
from hdm.files import layout as files
from hdm.files.formats import RowOffsets, compression_of
from hdm.files.formats.declared import Declared
from hdm.files.layout import Split
from hdm.files.source_config import FileChunkConfig, FileSourceConfig
from hdm.files.stores.base import Stat, Store
from hdm.files.stores.copies import COPIES
from hdm.model import Chunk, Dataset, Mode, Payload, Receipt, StagedFile, Table, Window

_BLOCK = 1024 * 1024


class FileSource(Source):
    """Reads the files of an upstream sink, or all published files under its store's root.

    A source that has the name of an upstream sink reads that sink's files. Subclasses give the ``store`` and
    the dataset ``namespace``.
    """

    Config: ClassVar[type[BaseModel]] = FileSourceConfig
    chunks_from_files: ClassVar[bool] = True
    chunks_are_content: ClassVar[bool] = True

    _verified: ClassVar[dict[tuple[str, str], Stat]] = {}
    _marks: ClassVar[dict[str, RowOffsets]] = {}

    @property
    @abstractmethod
    def store(self) -> Store:
        """The store (local folder or bucket) from which the files are read."""

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
        """The OpenLineage namespace of files that no earlier link of the chain has published."""

    def piece(self, file: StagedFile) -> int | None:
        """Return how many rows of a file one chunk has; None, the default, if it is the whole file."""
        return None

    def describe(self) -> Table:
        """Return the only dataset under the store's root that the source's settings select.

        Raises ``UsageError`` if there is none, or several.
        """
        found = list(self.tables())
        if len(found) == 1:
            return found[0]
        names = ", ".join(sorted(".".join(table.path) for table in found)) or "none"
        raise UsageError(
            f"{self.name} reads one table, but finds {names}",
            hint="set `table_name:`" if found else "check `directory:`, or stage the table first",
        )

    def tables(self) -> Iterator[Table]:
        """Yield every dataset under the store's root that the source's settings select.

        Raises ``UsageError`` if there is none, unless ``allow_empty`` is set.
        """
        found = self._datasets()
        if not found and not self.config.allow_empty:
            seen = found_files.unread(self.store)
            raise UsageError(
                f"{self.name} finds nothing to read, "
                f"{'though there are files: ' + ', '.join(seen) if seen else 'as there are no files'}",
                hint=f"what is read is {found_files.READS}; correct directory:, pattern:, table_name: or "
                "file_format:, or write allow_empty: true",
            )
        for dataset in found:
            yield dataset.table

    def replaced(self) -> frozenset[Dataset]:
        """Return the datasets that hdm staged in mode ``replace``, as a whole on every run."""
        return frozenset(one.table.dataset for one in self._datasets() if one.replaced)

    def notes(self, table: Table, chunks: Sequence[Chunk]) -> list[str]:
        """Return which delimiter was found, if ``csv: {sniff: true}`` wants it found."""
        said = [column.comment for column in table.columns[:1] if column.comment]
        return [one for one in said if self.config.csv is not None and self.config.csv.sniff]

    def split(self, table: Table, window: Window, job_key: str, snapshot: str | None) -> Iterator[Chunk]:
        """Yield one chunk or several for each published file, identified by the file's checksum.

        The whole dataset is planned, whatever the window.
        """
        number = 0
        for dataset in self._datasets():
            if dataset.table.dataset != table.dataset:
                continue
            for file in dataset.files(self.store):
                for chunk in self._pieces(file, table, job_key):
                    yield chunk.at(number=number)
                    number += 1

    def rest_of(self, chunk: Chunk, before: Sequence[Chunk], mode: Mode) -> Iterator[Chunk]:
        """Yield chunks of the rows that were appended to a text file since that file was moved.

        ``before`` are the chunks of earlier plans. A new file is yielded as it is. Raises ``UsageError`` if a
        file has changed otherwise, except in mode merge, which yields the whole file.
        """
        yield from grown_files.rest_of(chunk, before, self._begins, mode)

    def _begins(self, file: StagedFile, old: StagedFile) -> bool:
        if file.bytes <= old.bytes:
            return False
        with self._open(file) as stream:
            return grown_files.begins_with(stream, old)

    def follow(self, table: Table, receipt: Receipt, job_key: str) -> Iterator[Chunk]:
        """Yield the chunks that a link reads from an upstream chunk's files.

        Each is a whole file or a piece of one.
        """
        number = 0
        for file in receipt.files:
            for chunk in self._pieces(file, table, job_key):
                yield chunk.at(number=number, upstream=receipt.chunk_id)
                number += 1

    def read(self, table: Table, chunk: Chunk) -> Payload:
        """Return the chunk's rows, and its files if they can be copied byte for byte.

        Reading raises ``CorruptFile`` if a file is not what was staged.
        """
        whole = chunk.first_row is None and not any(map(self._is_reshaped, chunk.files))
        return Payload(
            table,
            lambda: self._batches(table, chunk),
            files=chunk.files if whole else (),
            open=self._open if whole else None,
            confirm=self._confirm if whole else None,
        )

    # -- inside ----------------------------------------------------------------

    def _datasets(self) -> list[found_files.Found]:
        return found_files.find(self.store, self.namespace, self._wanted)

    @cached_property
    def _wanted(self) -> found_files.Wanted:
        config = self.config
        return found_files.Wanted(
            config.file_format,
            config.table_name,
            config.pattern,
            Declared(config.delimiter, config.columns, config.csv, config.fixed, config.excel),
            config.partitions == "columns",
            config.others_delete,
            config.schema_policy,
        )

    def _is_reshaped(self, file: StagedFile) -> bool:
        """Whether the file's bytes alone do not give the rows that are read.

        This may be so for files that hdm did not stage: columns in folder names, another delimiter or order
        of columns, JSON arrays, INT96 timestamps.
        """
        return not files.is_staged(self.store.key(file.uri))

    def _pieces(self, file: StagedFile, table: Table, job_key: str) -> Iterator[Chunk]:
        whole = Chunk(
            job_key, table.dataset, 0, files=(file,), schema_sha=table.schema_sha, estimate_rows=file.rows
        )
        size = self.piece(file)
        if size is None or file.rows <= size:
            yield whole
            return
        for first in range(0, file.rows, size):
            count = min(size, file.rows - first)
            yield whole.at(first_row=first, row_count=count, estimate_rows=count)

    def _open(self, file: StagedFile) -> BinaryIO:
        try:
            return self.store.open(self.store.key(file.uri))
        except FileNotFoundError as error:
            raise CorruptFile(f"{file.uri} is gone", hint="restore it, or stage its chunk again") from error

    def _confirm(self, file: StagedFile) -> None:
        found = self.store.stat(self.store.key(file.uri))
        if found is None:
            raise CorruptFile(f"{file.uri} is gone", hint="restore it, or stage its chunk again")
        if found.size != file.bytes or not file.etag or found.etag != file.etag:
            with self._open(file) as stream:
                _verify(file, stream, None)

    def _batches(self, table: Table, chunk: Chunk) -> Iterator[pa.RecordBatch]:
        for file in chunk.files:
            expected = file.rows if chunk.row_count is None else chunk.row_count
            seen = 0
            with _with_name(file), self._checked(file, whole=chunk.first_row is None) as stream:
                for batch in rebatch(self._decoded(stream, file, table, chunk)):
                    seen += batch.num_rows
                    yield batch
            if seen != expected:
                raise CorruptFile(f"{file.uri} gave {seen} of {expected} rows", hint="stage its chunk again")

    def _decoded(
        self, stream: BinaryIO, file: StagedFile, table: Table, chunk: Chunk
    ) -> Iterator[pa.RecordBatch]:
        key = self.store.key(file.uri)
        before = self.store.stat(key) if self.store.seekable else None
        values = self._wanted.values(key)
        inner = replace(table, columns=partition_folders.without_columns(table, values))
        marks = None if chunk.first_row is None else self._marks_of(file)
        first, count = chunk.first_row or 0, chunk.row_count
        form = self._wanted.format(file.format, key)
        how = (stream, inner, compression_of(file.uri), first, count, marks)
        for batch in form.read(*how) if self._wanted.alike(key) else differing.read(form, *how):
            yield partition_folders.completed(batch, table, values) if values else batch
        if self.store.seekable and self.store.stat(key) != before:
            raise CorruptFile("was changed while it was read", hint="run again once nobody writes to it")

    def _marks_of(self, file: StagedFile) -> RowOffsets:
        if len(self._marks) > 256:
            self._marks.clear()
        return self._marks.setdefault(file.sha256, RowOffsets())

    def _checked(self, file: StagedFile, *, whole: bool) -> BinaryIO:
        """Return the file as a seekable stream whose bytes have the recorded checksum.

        If several chunks read one unchanged file, it is hashed once per process.
        """
        if not self.store.seekable:
            return self._copy(file) if whole else COPIES.open(file, lambda copy: self._fetch(file, copy))
        key = (file.uri, file.sha256)
        now = self.store.stat(self.store.key(file.uri)) if not whole else None
        with ExitStack() as stack:
            stream = stack.enter_context(self._open(file))
            if now is None or self._verified.get(key) != now:
                _verify(file, stream, None)
            stream.seek(0)
            stack.pop_all()
        if now is not None:
            if len(self._verified) > 4096:
                self._verified.clear()
            self._verified[key] = now
        return stream

    def _copy(self, file: StagedFile) -> BinaryIO:
        copy = cast(BinaryIO, tempfile.TemporaryFile(prefix="hdm-"))  # noqa: SIM115 - handed to the caller
        try:
            self._fetch(file, copy)
        except BaseException:
            copy.close()
            raise
        copy.seek(0)
        return copy

    def _fetch(self, file: StagedFile, copy: BinaryIO) -> None:
        with self._open(file) as stream:
            _verify(file, stream, copy)


@contextmanager
def _with_name(file: StagedFile) -> Iterator[None]:
    """Put the file's name in front of the errors that are raised within."""
    try:
        yield
    except (PermanentError, UsageError) as error:
        if file.uri not in error.message:
            error.message = f"{file.uri}: {error.message}"
        raise


def _verify(file: StagedFile, stream: BinaryIO, copy: BinaryIO | None) -> None:
    total, size = hashlib.sha256(), 0
    while block := stream.read(_BLOCK):
        total.update(block)
        size += len(block)
        if copy is not None:
            copy.write(block)
    if size != file.bytes or total.hexdigest() != file.sha256:
        what = f"has {size} of {file.bytes} bytes" if size != file.bytes else "has another checksum"
        raise CorruptFile(
            f"{file.uri} {what} than when it was staged", hint="restore the file, or stage its chunk again"
        )


class FileChunks(FileSource):
    """Reads files, cut into chunks of some rows or bytes, between records only."""

    Config: ClassVar[type[BaseModel]] = FileChunkConfig

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        super().__init__(config, profile, name=name)
        bound = Split(rows=config.chunk) if isinstance(config.chunk, int) else config.chunk
        self.bound: Split = bound

    def piece(self, file: StagedFile) -> int | None:
        """Return how many rows of a file one chunk has: the smaller of the limits in rows and in bytes.

        None, for the whole file, if neither limit is set. The file's bytes count as evenly spread over its
        rows.
        """
        sizes = [self.bound.rows] if self.bound.rows else []
        if self.bound.bytes and file.bytes:
            sizes.append(max(1, file.rows * self.bound.bytes // file.bytes))
        return min(sizes) if sizes else None
