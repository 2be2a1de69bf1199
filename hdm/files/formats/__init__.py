"""File formats: how record batches become bytes, and the same batches again."""

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
    """Record borders of one uncompressed file as far as it was read, to start from later."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._offsets: list[int] = []

    def add(self, row: int, offset: int) -> None:
        """Row ``row`` starts at byte ``offset``."""
        place = bisect_right(self._rows, row)
        if not place or self._rows[place - 1] != row:
            self._rows.insert(place, row)
            self._offsets.insert(place, offset)

    def before(self, row: int, start: int) -> tuple[int, int]:
        """The last known ``(row, offset)`` at or before ``row``; row 0 is at ``start``."""
        place = bisect_right(self._rows, row)
        return (self._rows[place - 1], self._offsets[place - 1]) if place else (0, start)


class BatchWriter(Protocol):
    """Writes one file. ``estimate`` is its size in bytes so far, buffers included."""

    rows: int

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the batch."""

    def estimate(self) -> int:
        """The size of the file if it were closed now, roughly."""

    def close(self) -> None:
        """Write the rest; the underlying stream stays open."""


class Format(ABC):
    """One file format. Streams to read from are seekable."""

    name: ClassVar[str]
    suffix: ClassVar[str]

    def extension(self, compression: str) -> str:
        """The end of a file's name, which also tells the compression."""
        return self.suffix + COMPRESSIONS[compression]

    @abstractmethod
    def writer(self, stream: BinaryIO, table: Table, compression: str, group_bytes: int) -> BatchWriter:
        """A writer of ``table``'s batches; ``group_bytes`` bounds what it holds in memory."""

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
        """``count`` rows from row ``first`` on, as batches of ``table``'s schema.

        ``marks`` of the same file spare reading it from its start each time.
        """

    @abstractmethod
    def rows(self, stream: BinaryIO, compression: str) -> int:
        """How many rows the file holds."""

    def misfit(self, stream: BinaryIO, compression: str, table: Table) -> str | None:
        """Why the file is not one of ``table``'s, as far as its head or foot says; None if it may be."""
        return None

    @abstractmethod
    def describe(self, stream: BinaryIO, compression: str, dataset: Dataset, path: tuple[str, ...]) -> Table:
        """The table as far as the file itself says; text where it says nothing."""


def format_named(name: str, delimiter: str | None = None) -> Format:
    """The format of that name; ``UsageError`` for one that hdm does not know.

    ``delimiter`` is what separates the fields of CSV; None: a comma, if the header does not look as if
    it were something else.
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
    """``(format, compression)`` by the end of a file's name or URI; None if it is no data file."""
    stem, compression = name.lower(), "none"
    for key, suffix in COMPRESSIONS.items():
        if suffix and stem.endswith(suffix):
            stem, compression = stem.removesuffix(suffix), key
    for suffix, found in _SUFFIXES.items():
        if stem.endswith(suffix):
            return found, compression
    return None


def carries(table: Table) -> None:
    """Raises ``UsageError`` unless every format can hold the table: columns, each named once."""
    names = [column.name for column in table.columns]
    if not names:
        raise UsageError(f"{table.dataset.name} has no columns", hint="name at least one column")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"{table.dataset.name} has columns of the same name: {twice}", hint="rename one")
