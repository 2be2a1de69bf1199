"""The middle level of all sources that read files: verified bytes, chunks that never cut a record."""

from __future__ import annotations

import hashlib
import tempfile
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Annotated, Any, BinaryIO, ClassVar, Literal, cast

import pyarrow as pa
from pydantic import BaseModel, Field

from hdm.arrow.batches import rebatch
from hdm.components.settings import Settings
from hdm.components.source import Source
from hdm.errors import CorruptFile, UsageError
from hdm.files import discovery
from hdm.files.formats import Marks, format_named, format_of
from hdm.files.layout import Split
from hdm.files.stores.base import Stat, Store
from hdm.files.stores.copies import COPIES
from hdm.model import Chunk, Dataset, Payload, Receipt, StagedFile, Table, Window

_BLOCK = 1024 * 1024


class FileSourceConfig(Settings):
    """What every file source can be told. ``table_name`` picks one dataset of a directory;
    ``pattern`` is a glob over relative names of files that hdm did not stage."""

    env: str | None = None
    file_format: Literal["parquet", "csv", "jsonl"] | None = None
    table_name: str | None = None
    pattern: str | None = None


class FileSource(Source):
    """Reads staged files: those of an upstream sink, or, with a name of its own, whatever is
    published under its root. Subclasses give the ``store`` and the dataset ``namespace``."""

    Config: ClassVar[type[BaseModel]] = FileSourceConfig
    chunks_from_files: ClassVar[bool] = True
    chunks_are_content: ClassVar[bool] = True

    _verified: ClassVar[dict[tuple[str, str], Stat]] = {}
    _marks: ClassVar[dict[str, Marks]] = {}

    @property
    @abstractmethod
    def store(self) -> Store:
        """Where the files are."""

    @property
    @abstractmethod
    def namespace(self) -> str:
        """The OpenLineage namespace of datasets that hdm did not stage."""

    def piece(self, file: StagedFile) -> int | None:
        """How many rows of ``file`` one chunk holds; None: all of them."""
        return None

    def describe(self) -> Table:
        """The one dataset under the root; ``UsageError`` if there is none, or several."""
        found = list(self.tables())
        if len(found) == 1:
            return found[0]
        names = ", ".join(sorted(".".join(table.path) for table in found)) or "none"
        raise UsageError(
            f"{self.name} reads one table, but finds {names}",
            hint="set `table_name:`" if found else "check `directory:`, or stage the table first",
        )

    def tables(self) -> Iterator[Table]:
        """Every dataset under the root that the configuration does not leave out."""
        for dataset in self._datasets():
            yield dataset.table

    def replaced(self) -> frozenset[Dataset]:
        """What was staged in mode ``replace``."""
        return frozenset(one.table.dataset for one in self._datasets() if one.replaced)

    def split(self, table: Table, window: Window, job_key: str, snapshot: str | None) -> Iterator[Chunk]:
        """A chunk or several per published file, identified by the file's checksum."""
        number = 0
        for dataset in self._datasets():
            if dataset.table.dataset != table.dataset:
                continue
            for file in dataset.files(self.store):
                for chunk in self._pieces(file, table, job_key):
                    yield chunk.at(number=number)
                    number += 1

    def follow(self, table: Table, receipt: Receipt, job_key: str) -> Iterator[Chunk]:
        """The upstream's files, each whole or in pieces."""
        number = 0
        for file in receipt.files:
            for chunk in self._pieces(file, table, job_key):
                yield chunk.at(number=number, upstream=receipt.chunk_id)
                number += 1

    def read(self, table: Table, chunk: Chunk) -> Payload:
        """Whole files may travel as bytes; ``CorruptFile`` if they are not what was staged."""
        whole = chunk.first_row is None
        return Payload(
            table,
            lambda: self._batches(table, chunk),
            files=chunk.files if whole else (),
            open=self._open if whole else None,
            confirm=self._confirm if whole else None,
        )

    # -- inside ----------------------------------------------------------------

    def _datasets(self) -> list[discovery.Found]:
        config = self.config
        return discovery.find(
            self.store, self.namespace, config.file_format, config.table_name, config.pattern
        )

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
            found = format_of(file.uri)
            compression = found[1] if found else "none"
            with self._checked(file, whole=chunk.first_row is None) as stream:
                form = format_named(file.format)
                marks = None if chunk.first_row is None else self._marks_of(file)
                batches = form.read(stream, table, compression, chunk.first_row or 0, chunk.row_count, marks)
                for batch in rebatch(batches):
                    seen += batch.num_rows
                    yield batch
            if seen != expected:
                raise CorruptFile(f"{file.uri} gave {seen} of {expected} rows", hint="stage its chunk again")

    def _marks_of(self, file: StagedFile) -> Marks:
        if len(self._marks) > 256:
            self._marks.clear()
        return self._marks.setdefault(file.sha256, Marks())

    def _checked(self, file: StagedFile, *, whole: bool) -> BinaryIO:
        """The file as a seekable stream whose bytes have the staged checksum.

        Pieces of one unchanged file are hashed once per process.
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


class FileChunkConfig(FileSourceConfig):
    """``chunk`` is the most rows, or ``{rows, bytes}``, that one chunk holds."""

    chunk: Annotated[int, Field(gt=0)] | Split = 1_000_000


class FileChunks(FileSource):
    """Cuts files into chunks of some rows or bytes, at record borders only."""

    Config: ClassVar[type[BaseModel]] = FileChunkConfig

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        super().__init__(config, profile, name=name)
        bound = Split(rows=config.chunk) if isinstance(config.chunk, int) else config.chunk
        self.bound: Split = bound

    def piece(self, file: StagedFile) -> int | None:
        """By the smaller of both bounds; bytes are those of the file, evenly spread over rows."""
        sizes = [self.bound.rows] if self.bound.rows else []
        if self.bound.bytes and file.bytes:
            sizes.append(max(1, file.rows * self.bound.bytes // file.bytes))
        return min(sizes) if sizes else None
