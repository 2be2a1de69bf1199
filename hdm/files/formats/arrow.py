"""Reads and writes Arrow's own files and streams (Feather V2): typed, uncompressed or compressed inside.

https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format says how both are laid out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa

from hdm.arrow.batches import silent
from hdm.errors import CorruptFile, UsageError
from hdm.files.formats import BatchWriter, RowOffsets, carries
from hdm.files.formats.arrow_types import column_of_field
from hdm.files.formats.records import Parsed, Records
from hdm.model import Column, Dataset, Table
from hdm.model.json import table_from_json, table_to_json

_TABLE = b"hdm.table"
_MAGIC = b"ARROW1"
_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"


class _Writer:
    def __init__(self, stream: BinaryIO, table: Table, compression: str) -> None:
        carries(table)
        self.rows = 0
        self._stream = stream
        self._schema = table.schema.with_metadata({_TABLE: table_to_json(table).encode()})
        options = pa.ipc.IpcWriteOptions(compression=None if compression == "none" else compression)
        self._writer = pa.ipc.new_file(pa.PythonFile(stream, mode="w"), self._schema, options=options)

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch.replace_schema_metadata(self._schema.metadata))
        self.rows += batch.num_rows

    def estimate(self) -> int:
        return self._stream.tell()

    def close(self) -> None:
        self._writer.close()


class ArrowIpc(Records):
    """The format Arrow IPC: files are read and written, streams are read."""

    name = "arrow"
    suffix = ".arrow"
    suffixes = (".arrows", ".feather", ".ipc")
    describes_itself = True

    def extension(self, compression: str) -> str:
        """Return ``.arrow``; raise ``UsageError`` for gzip, which Arrow files cannot have."""
        if compression == "gzip":
            raise UsageError(
                "Arrow files are not compressed by gzip", hint="write compression: zstd, or none"
            )
        return self.suffix

    def writer(self, stream: BinaryIO, table: Table, compression: str, group_bytes: int) -> BatchWriter:
        """Return an object that writes each batch at once as an Arrow record batch."""
        return _Writer(stream, table, compression)

    def columns(self, stream: BinaryIO, compression: str) -> tuple[Column, ...]:
        """Return the columns of the file's schema; raise ``UnsupportedType`` for one that hdm does not
        carry."""
        return tuple(map(column_of_field, _open(stream).schema))

    def describe(self, stream: BinaryIO, compression: str, dataset: Dataset, path: tuple[str, ...]) -> Table:
        """Return the table that was stored in the file, if hdm wrote it; else one with the schema's
        columns."""
        kept = (_open(stream).schema.metadata or {}).get(_TABLE)
        return (
            table_from_json(kept.decode()) if kept else super().describe(stream, compression, dataset, path)
        )

    def parsed(self, stream: BinaryIO, compression: str, first: int, marks: RowOffsets | None) -> Parsed:
        """Yield the file's record batches, each as an Arrow table."""
        row = 0
        for batch in _batches(_open(stream)):
            if row + batch.num_rows > first:
                yield row, pa.Table.from_batches([batch])
            row += batch.num_rows

    def rows(self, stream: BinaryIO, compression: str) -> int:
        """Return how many rows the file's record batches have."""
        return sum(batch.num_rows for batch in _batches(_open(stream)))


def _open(stream: BinaryIO) -> Any:
    """Open an Arrow file, or a stream if it does not begin like a file; ``CorruptFile`` if it is neither.

    A stream must have its end mark: one that was cut off between two batches looks whole without it.
    """
    stream.seek(0)
    is_file = stream.read(len(_MAGIC)) == _MAGIC
    if not is_file:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - len(_END_OF_STREAM)))
        if stream.read() != _END_OF_STREAM:
            raise CorruptFile(
                "an Arrow stream lacks its end mark", hint="write the file again; it may be cut off"
            )
    stream.seek(0)
    source = pa.PythonFile(stream, mode="r")
    try:
        return pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptFile("a file is not readable as Arrow", hint="write the file again") from silent(error)


def _batches(reader: Any) -> Iterator[pa.RecordBatch]:
    try:
        if isinstance(reader, pa.ipc.RecordBatchFileReader):
            yield from map(reader.get_batch, range(reader.num_record_batches))
        else:
            yield from reader
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptFile("an Arrow file's batches cannot be read", hint="write the file again") from silent(
            error
        )
