"""Define file formats: how record batches become bytes and are read back unchanged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator
from typing import BinaryIO, ClassVar, Protocol

import pyarrow as pa

from hdm.errors import UsageError
from hdm.model import Dataset, Table

COMPRESSIONS = {"none": "", "gzip": ".gz", "zstd": ".zst"}


class RowOffsets:
    """The byte offsets of some rows of one uncompressed file, so that a later read can start there."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._offsets: list[int] = []

    def add(self, row: int, offset: int) -> None:
        """Record that row ``row`` starts at byte ``offset``."""
        place = bisect_right(self._rows, row)
        if not place or self._rows[place - 1] != row:
            self._rows.insert(place, row)
            self._offsets.insert(place, offset)

    def before(self, row: int, start: int) -> tuple[int, int]:
        """Return the last known ``(row, offset)`` at or before ``row``; row 0 is at ``start``."""
        place = bisect_right(self._rows, row)
        return (self._rows[place - 1], self._offsets[place - 1]) if place else (0, start)


class BatchWriter(Protocol):
    """Writes one file; ``rows`` is how many rows it has written."""

    rows: int

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the batch."""

    def estimate(self) -> int:
        """Return roughly the size in bytes that the file would have if it were closed now."""

    def close(self) -> None:
        """Write what is still buffered; the underlying stream stays open."""


class Format(ABC):
    """One file format; the streams that it reads from must be able to seek."""

    name: ClassVar[str]
    suffix: ClassVar[str]

    def extension(self, compression: str) -> str:
        """Return the ending of a file's name, which also tells the compression."""
        return self.suffix + COMPRESSIONS[compression]

    @abstractmethod
    def writer(self, stream: BinaryIO, table: Table, compression: str, group_bytes: int) -> BatchWriter:
        """Return a writer of ``table``'s batches; ``group_bytes`` bounds what it buffers in memory."""

    @abstractmethod
    def read(
        self,
        stream: BinaryIO,
        table: Table,
        compression: str,
        first: int = 0,
        count: int | None = None,
        marks: RowOffsets | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield ``count`` rows (None: all) from row ``first`` on, as batches of ``table``'s schema.

        ``marks`` collects byte offsets of the file's rows; with them, a later call need not read the file
        from
        its start.
        """

    @abstractmethod
    def rows(self, stream: BinaryIO, compression: str) -> int:
        """Return how many rows the file holds."""

    def misfit(self, stream: BinaryIO, compression: str, table: Table) -> str | None:
        """Return why the file's header or footer does not fit ``table``; None if it may fit."""
        return None

    @abstractmethod
    def describe(self, stream: BinaryIO, compression: str, dataset: Dataset, path: tuple[str, ...]) -> Table:
        """Return the table as the file describes it; columns without a known type are text."""


def format_named(name: str, delimiter: str | None = None) -> Format:
    """Return the format of that name; ``UsageError`` if hdm knows none.

    ``delimiter`` separates the fields of CSV. None is a comma, but a header that looks as if it had another
    delimiter is then refused.
    """
    if name == "parquet":
        from hdm.files.formats.parquet import Parquet

        return Parquet()
    if name == "csv":
        from hdm.files.formats.csv import Csv

        return Csv(delimiter)
    if name == "jsonl":
        from hdm.files.formats.jsonl import JsonLines

        return JsonLines()
    raise UsageError(f"no file format is called {name!r}", hint="choose parquet, csv or jsonl")


_SUFFIXES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}


def format_of(name: str) -> tuple[str, str] | None:
    """Return ``(format, compression)`` by the ending of a file's name or URI; None if it is no data file."""
    stem, compression = name.lower(), "none"
    for key, suffix in COMPRESSIONS.items():
        if suffix and stem.endswith(suffix):
            stem, compression = stem.removesuffix(suffix), key
    for suffix, found in _SUFFIXES.items():
        if stem.endswith(suffix):
            return found, compression
    return None


def carries(table: Table) -> None:
    """Raise ``UsageError`` unless every format can hold the table: it has columns, and no name twice."""
    names = [column.name for column in table.columns]
    if not names:
        raise UsageError(f"{table.dataset.name} has no columns", hint="name at least one column")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"{table.dataset.name} has columns of the same name: {twice}", hint="rename one")
