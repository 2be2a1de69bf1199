"""Reads and writes Parquet, the default staging format: small, typed, readable from any row group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hdm.arrow.batches import BATCH_BYTES, BATCH_ROWS, conform
from hdm.errors import CorruptFile, UnrepresentableValue
from hdm.files.formats import BatchWriter, Format, RowOffsets, carries
from hdm.files.formats.arrow_types import column_of_field, misfit
from hdm.model import Dataset, Table
from hdm.model.json import table_from_json, table_to_json

_TABLE = b"hdm.table"
_GROUP_ROWS = 512 * 1024
_SAMPLE = 8_192
_WIDE = 1024 * 1024
"""Bytes per row from which each batch becomes its own row group, because encoding copies it three times."""
_BULKY = 64 * 1024
"""Bytes per row from which memory is returned to the system after each row group.

Below it, the next group needs the memory at once, and allocating it anew costs a fifth of the writing.
"""


class _Writer:
    """Collects batches into row groups that are bounded by rows and bytes."""

    def __init__(self, stream: BinaryIO, table: Table, compression: str, group_bytes: int) -> None:
        carries(table)
        self.rows = 0
        self._stream = stream
        self._schema = table.schema.with_metadata({_TABLE: table_to_json(table).encode()})
        self._compression = compression
        self._group_bytes = group_bytes
        self._writer: Any = None
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = self._waiting_bytes = self._raw = 0

    def write(self, batch: pa.RecordBatch) -> None:
        size = batch.nbytes
        if self._waiting and self._waiting_bytes + size > self._group_bytes:
            self._flush()
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        self._waiting_bytes += size
        self.rows += batch.num_rows
        wide = self._waiting_bytes > self._waiting_rows * _WIDE
        if wide or self._waiting_rows >= _GROUP_ROWS or self._waiting_bytes >= self._group_bytes:
            self._flush()

    def estimate(self) -> int:
        written = self._stream.tell()
        ratio = written / self._raw if self._raw else 0.3
        return written + int(self._waiting_bytes * ratio)

    def close(self) -> None:
        if self._waiting or self._writer is None:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        rows = pa.Table.from_batches(
            [batch.replace_schema_metadata(None) for batch in self._waiting],
            self._schema.remove_metadata(),
        )
        if self._writer is None:
            self._writer = self._open(rows)
        self._writer.write_table(rows.replace_schema_metadata(self._schema.metadata), max(1, rows.num_rows))
        bulky = self._waiting_bytes > self._waiting_rows * _BULKY
        self._raw += self._waiting_bytes
        self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0
        del rows
        if bulky:
            pa.default_memory_pool().release_unused()

    def _open(self, rows: pa.Table) -> Any:
        return pq.ParquetWriter(
            pa.PythonFile(self._stream, mode="w"),
            self._schema,
            compression=self._compression,
            compression_level=1 if self._compression == "zstd" else None,
            use_dictionary=_repetitive(rows),
            store_decimal_as_integer=True,
            version="2.6",
        )


def _repetitive(rows: pa.Table) -> list[str]:
    """Return the columns with few distinct values in the first rows: only these gain by a dictionary."""
    sample = rows.slice(0, _SAMPLE)
    names = []
    for name, column in zip(sample.column_names, sample.columns, strict=True):
        if pa.types.is_boolean(column.type) or pa.types.is_null(column.type) or not sample.num_rows:
            continue
        if len(column.unique()) * 4 <= sample.num_rows:
            names.append(name)
    return names


class Parquet(Format):
    """The format Parquet, with compression inside the file, so that the name does not show it."""

    name = "parquet"
    suffix = ".parquet"
    describes_itself = True

    def extension(self, compression: str) -> str:
        """Return ``.parquet``, whatever the compression."""
        return self.suffix

    def writer(self, stream: BinaryIO, table: Table, compression: str, group_bytes: int) -> BatchWriter:
        """Return an object that writes row groups of about 512 k rows or ``group_bytes`` bytes at most."""
        return _Writer(stream, table, compression, group_bytes)

    def read(
        self,
        stream: BinaryIO,
        table: Table,
        compression: str,
        first: int = 0,
        count: int | None = None,
        marks: RowOffsets | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows from ``first`` on, as batches; decode only the row groups that contain some of them.

        At most ``count`` rows, all if it is None.
        """
        file = _open(stream)
        old_style = _int96(file)
        left = file.metadata.num_rows - first if count is None else count
        schema = table.schema
        for number in range(file.metadata.num_row_groups):
            group = file.metadata.row_group(number)
            if left <= 0:
                return
            if first >= group.num_rows:
                first -= group.num_rows
                continue
            width = max(1, group.total_byte_size // max(1, group.num_rows))
            size = max(1, min(BATCH_ROWS, BATCH_BYTES // width))
            for name in old_style:
                _same_instants(stream, file, number, name)
            for batch in _decoded(file, number, size):
                if first >= batch.num_rows:
                    first -= batch.num_rows
                    continue
                wanted = batch.slice(first, left)
                first = 0
                left -= wanted.num_rows
                yield conform(wanted.replace_schema_metadata(None), schema)
                if left <= 0:
                    return
            if width > _BULKY:
                pa.default_memory_pool().release_unused()

    def rows(self, stream: BinaryIO, compression: str) -> int:
        """Return the number of rows that the file's footer states."""
        return int(_open(stream).metadata.num_rows)

    def misfit(self, stream: BinaryIO, compression: str, table: Table) -> str | None:
        """Return which columns the file lacks, has in addition, or has with another kind of type; else None.

        Order and width of the columns may differ.
        """
        return misfit([column_of_field(field) for field in _open(stream).schema_arrow], table)

    def describe(self, stream: BinaryIO, compression: str, dataset: Dataset, path: tuple[str, ...]) -> Table:
        """Return the ``Table`` that was stored in the file, if hdm wrote it.

        For another file, return one whose columns are taken from the file's Arrow types. Raises
        ``UnsupportedType`` for a type that hdm does not carry.
        """
        file = _open(stream)
        schema = file.schema_arrow
        kept = (schema.metadata or {}).get(_TABLE)
        if kept is not None:
            return table_from_json(kept.decode())
        table = Table(dataset, path, tuple(column_of_field(field) for field in schema))
        carries(table)
        return table


def _open(stream: BinaryIO, int96: str = "us") -> Any:
    """Open a Parquet file; ``CorruptFile`` if it is not readable.

    ``int96`` is the unit in which INT96 timestamps are decoded; nanoseconds hold only the years 1677 to
    2262.
    """
    stream.seek(0)
    try:
        return pq.ParquetFile(pa.PythonFile(stream, mode="r"), coerce_int96_timestamp_unit=int96)
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptFile("a file is not readable as Parquet", hint="stage the chunk again") from error


def _int96(file: Any) -> list[str]:
    """Return the top-level columns whose timestamps have the deprecated physical type INT96."""
    leaves = file.metadata.schema
    found = [leaf.path for leaf in map(leaves.column, range(len(leaves))) if leaf.physical_type == "INT96"]
    return [name for name in found if name in file.schema_arrow.names]


def _same_instants(stream: BinaryIO, file: Any, group: int, name: str) -> None:
    """Raise ``UnrepresentableValue`` if microseconds cannot hold the INT96 timestamps of a row group.

    Both units are decoded to 64 bits, and nanoseconds wrap around, so that the difference is exact.
    """
    coarse = file.read_row_group(group, columns=[name], use_threads=False).column(0).cast(pa.int64())
    fine_file = _open(stream, "ns")
    fine = fine_file.read_row_group(group, columns=[name], use_threads=False).column(0).cast(pa.int64())
    rest = pc.subtract(fine, pc.multiply(coarse, pa.scalar(1000, pa.int64())))
    if pc.any(pc.not_equal(rest, 0), min_count=0).as_py():
        raise UnrepresentableValue(
            f"column {name} holds INT96 timestamps that are finer than a microsecond",
            hint="convert the column to TIMESTAMP(NANOS), which hdm reads",
        )


def _decoded(file: Any, group: int, size: int) -> Iterator[pa.RecordBatch]:
    try:
        yield from file.iter_batches(batch_size=size, row_groups=[group], use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptFile("a Parquet file's pages cannot be read", hint="stage the chunk again") from error
