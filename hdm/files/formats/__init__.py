"""Defines file formats, which turn record batches into bytes and read them back unchanged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, BinaryIO, ClassVar, Protocol

import pyarrow as pa
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from hdm import locator
from hdm.components import registry
from hdm.components.builtin import missing_driver
from hdm.components.settings import Names
from hdm.errors import UsageError
from hdm.files.formats.declared import Declared
from hdm.model import Dataset, Table

COMPRESSIONS = {"none": "", "gzip": ".gz", "zstd": ".zst"}


class RowOffsets:
    """Byte offsets of some rows of one uncompressed file.

    A later read can start at one of them, instead of at the file's beginning.
    """

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._offsets: list[int] = []

    def add(self, row: int, offset: int) -> None:
        """Record that row number ``row`` starts at byte ``offset``; do nothing if that row is recorded."""
        place = bisect_right(self._rows, row)
        if not place or self._rows[place - 1] != row:
            self._rows.insert(place, row)
            self._offsets.insert(place, offset)

    def before(self, row: int, start: int) -> tuple[int, int]:
        """Return the last known ``(row, offset)`` at or before ``row``.

        Without one, row 0 at byte ``start``.
        """
        place = bisect_right(self._rows, row)
        return (self._rows[place - 1], self._offsets[place - 1]) if place else (0, start)


class BatchWriter(Protocol):
    """Interface of an object that writes one file; ``rows`` is how many rows it has written."""

    rows: int

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch's rows to the file."""

    def estimate(self) -> int:
        """Return roughly the size in bytes that the file would have if it were closed now."""

    def close(self) -> None:
        """Write what is still buffered; the underlying stream stays open."""


class Format(ABC):
    """Reads and writes one file format.

    The streams from which it reads must be seekable.
    """

    name: ClassVar[str]
    """The format's name in a manifest's ``file_format`` and in receipts."""
    suffix: ClassVar[str]
    """How names of files in this format end, with the dot; the suffix of a compression comes after it."""
    suffixes: ClassVar[tuple[str, ...]] = ()
    """Other ends of names of files that hdm did not write."""
    describes_itself: ClassVar[bool] = False
    """Whether a file says itself how many rows it has and how they are compressed: its name need not."""
    writes: ClassVar[bool] = True
    """Whether hdm writes files of this format; if not, no sink's ``file_format`` may name it."""
    grows_by_lines: ClassVar[bool] = False
    """Whether a file that gets lines at its end keeps the rows it had, so that only the new ones are read."""

    def __init__(self, delimiter: str | None = None) -> None:
        self.delimiter = delimiter
        """What separates fields, where the format has such a thing; None: its own default."""

    def declared(self, how: Declared) -> Format:
        """Return a format that reads files as the source's conf declares; itself if it declares nothing.

        Raises ``UsageError`` if the conf declares what this format does not take; the default takes no
        ``columns:``.
        """
        if how.columns is not None:
            raise UsageError(
                f"columns: has no meaning for {self.name} files, which say their columns themselves",
                hint="remove columns:; file_format: and pattern: say which files are meant",
            )
        return self

    def extension(self, compression: str) -> str:
        """Return the ending of a file's name, which also tells the compression, such as ``.csv.gz``."""
        return self.suffix + COMPRESSIONS[compression]

    @abstractmethod
    def writer(self, stream: BinaryIO, table: Table, compression: str, group_bytes: int) -> BatchWriter:
        """Return an object that writes the table's batches in this format to ``stream``.

        The object buffers at most about ``group_bytes`` bytes.
        """

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
        """Yield ``count`` rows (None: all) from row ``first`` on, as batches of the table's schema.

        ``marks`` collects byte offsets of the file's rows; with them, a later call need not read the file
        from its start.
        """

    @abstractmethod
    def rows(self, stream: BinaryIO, compression: str) -> int:
        """Return how many rows the file has; raise ``CorruptFile`` if it cannot be read."""

    def misfit(self, stream: BinaryIO, compression: str, table: Table) -> str | None:
        """Return why the columns in the file's header or footer do not fit the table.

        None if they fit, or if the format has no header. The default is None.
        """
        return None

    @abstractmethod
    def describe(self, stream: BinaryIO, compression: str, dataset: Dataset, path: tuple[str, ...]) -> Table:
        """Return a table with the columns that the file declares.

        A column whose type the file does not tell is text.
        """


def format_named(name: str, delimiter: str | None = None) -> Format:
    """Return the format of that name, hdm's or a plugin's.

    Raises ``UsageError`` if there is none. ``delimiter`` separates the fields of CSV; without it, a comma
    does, and ``describe`` raises an error if the header seems to have another one.
    """
    if registry.canonical("format", name) is None:
        raise UsageError(f"no file format is called {name!r}", hint=f"choose {' or '.join(format_names())}")
    made: Format = registry.build("format", name, {"delimiter": delimiter})
    if missing := missing_driver(type(made)):
        raise missing
    return made


def format_names() -> list[str]:
    """Return the name of each registered format."""
    return [*_ENDS, *(one.name for one in _brought(locator.changes()))]


def writable_names() -> list[str]:
    """Return the name of each registered format of which hdm writes files."""
    brought = (one.name for one in _brought(locator.changes()) if one.writes)
    return [*(name for name in _ENDS if name not in _ONLY_READ), *brought]


def _canonical(name: str) -> str:
    if registry.canonical("format", name) is None:
        known = {"expected": " or ".join(repr(one) for one in format_names())}
        raise PydanticCustomError("literal_error", "must be {expected}", known)
    found: type[Format] = registry.find("format", name)
    return found.name


def _writable(name: str) -> str:
    made = _canonical(name)
    if made not in writable_names():
        known = {"expected": " or ".join(repr(one) for one in writable_names())}
        raise PydanticCustomError("literal_error", "must be {expected}", known)
    return made


FormatName = Annotated[str, AfterValidator(_canonical), Names(format_names)]
"""A setting that names a file format, by its own name or by its class's."""
WritableFormat = Annotated[str, AfterValidator(_writable), Names(writable_names)]
"""A setting that names a file format of which hdm writes files."""

_ENDS = {
    "parquet": (".parquet", ".pq"),
    "csv": (".csv",),
    "jsonl": (".jsonl", ".ndjson", ".json"),
    "arrow": (".arrow", ".arrows", ".feather", ".ipc"),
    "avro": (".avro",),
    "excel": (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"),
    "fixed": (".fwf",),
}
"""The formats that hdm brings, with the ends of their files' names: none is imported to tell them apart."""

_ONLY_READ = ("avro", "excel", "fixed")


@lru_cache(maxsize=8)
def _brought(changes: int) -> tuple[type[Format], ...]:
    """The formats that plugins bring, as of that number of changes of the registry."""
    del changes
    names = [name for name in locator.names("format") if not registry.is_brought("format", name)]
    return tuple(registry.find("format", name) for name in names)


@lru_cache(maxsize=8)
def _suffixes(changes: int) -> tuple[tuple[str, str], ...]:
    """The end of a name, and the format that it tells; the longest comes first."""
    found = [(end, name) for name, ends in _ENDS.items() for end in ends]
    found += [(end.lower(), one.name) for one in _brought(changes) for end in (one.suffix, *one.suffixes)]
    return tuple(sorted(found, key=lambda pair: -len(pair[0])))


def compression_of(name: str) -> str:
    """Return the compression that the ending of a file's name tells; ``none`` if it tells none."""
    found = (key for key, suffix in COMPRESSIONS.items() if suffix and name.lower().endswith(suffix))
    return next(found, "none")


def format_of(name: str) -> tuple[str, str] | None:
    """Return ``(format, compression)`` by the ending of a file's name; None if no format has that ending."""
    compression = compression_of(name)
    stem = name.lower().removesuffix(COMPRESSIONS[compression])
    for suffix, found in _suffixes(locator.changes()):
        if stem.endswith(suffix):
            return found, compression
    return None


def carries(table: Table) -> None:
    """Raise ``UsageError`` if the table has no columns, or two of one name.

    No format can express either.
    """
    names = [column.name for column in table.columns]
    if not names:
        raise UsageError(f"{table.dataset.name} has no columns", hint="name at least one column")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"{table.dataset.name} has columns of the same name: {twice}", hint="rename one")
