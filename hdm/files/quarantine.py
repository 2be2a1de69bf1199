"""Writes and reads files of rows that were set aside, each with its rule, reason, chunk and number.

They are Parquet, one for each attempt at a chunk, and lie in the store of a file sink. Sources that read that
store pass over them by their names.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from hdm.errors import CorruptFile
from hdm.files.atomic_file import NewFile, disk_error
from hdm.files.stores.base import Store
from hdm.model import Chunk, StagedFile, Table

FACTS = pa.schema(
    [("chunk", pa.string()), ("row_no", pa.int64()), ("rule", pa.string()), ("reason", pa.string())]
)
"""The columns beside ``row``, a struct of the row's own columns."""
_FORMAT = "parquet"


def key_of(chunk: Chunk, attempt: int) -> str:
    """Return the key of the file of one attempt; its name begins with a mark that sources pass over."""
    return f"{chunk.job_key[:12]}/_hdm_quarantine_{chunk.chunk_id}_{attempt:06d}.parquet"


def schema_of(table: Table) -> pa.Schema:
    """Return the schema of a quarantine file of the table's rows."""
    return FACTS.append(pa.field("row", pa.struct(list(table.schema))))


@dataclass
class QuarantineFile:
    """Collects the rows of one attempt at a chunk in a scratch file, and puts it into the store.

    Nothing is written before the first row. Only the owner can read the scratch file.
    """

    store: Store
    table: Table
    chunk: Chunk
    attempt: int
    rows: int = 0
    _raw: NewFile | None = None
    _writer: Any = None

    @property
    def key(self) -> str:
        """The file's key in the store."""
        return key_of(self.chunk, self.attempt)

    def put(self, batch: pa.RecordBatch, numbers: pa.Array, rules: pa.Array, reasons: pa.Array) -> None:
        """Add rows: their numbers within the chunk, the rules that they break, and why, as texts."""
        if not batch.num_rows:
            return
        schema = schema_of(self.table)
        row = pa.StructArray.from_arrays(batch.columns, fields=list(self.table.schema))
        chunks = pa.repeat(pa.scalar(self.chunk.chunk_id), batch.num_rows)
        arrays = [chunks, numbers.cast(pa.int64()), rules, reasons, row]
        try:
            if self._writer is None:
                self._open(schema)
            self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
        except OSError as error:
            raise disk_error(error, self.store.uri(self.key)) from error
        self.rows += batch.num_rows

    def _open(self, schema: pa.Schema) -> None:
        path = self.store.scratch(self.key)
        path.unlink(missing_ok=True)  # of a pass of this attempt that was broken off
        self._raw = NewFile(path)
        self._writer = parquet.ParquetWriter(pa.PythonFile(self._raw, mode="w"), schema, compression="zstd")

    def finish(self, check: Callable[[], None] = lambda: None) -> StagedFile | None:
        """Put the file into the store, durably, and return its description; None if no row was added."""
        if self._writer is None or self._raw is None:
            return None
        writer, raw, key = self._writer, self._raw, self.key
        self._writer = self._raw = None
        try:
            writer.close()
            raw.seal()
            raw.close()
            if (
                self.store.stat(key) is not None
            ):  # of an earlier pass of this attempt, which committed nothing
                self.store.delete(key)
            made = self.store.put_new(key, raw.path, sha256=raw.sha256, check=check)
        except OSError as error:
            raise disk_error(error, self.store.uri(key)) from error
        return StagedFile(self.store.uri(key), _FORMAT, raw.size, self.rows, raw.sha256, made.etag)

    def drop(self) -> None:
        """Remove the scratch file of rows that were not finished; nothing if there is none."""
        raw, self._raw, self._writer = self._raw, None, None
        if raw is not None:
            raw.close()
            raw.path.unlink(missing_ok=True)


def read(store: Store, file: StagedFile, rows: int = 32_768) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a quarantine file with the columns of ``schema_of``.

    Raises ``CorruptFile`` if the file is gone, or another one than was recorded.
    """
    with tempfile.TemporaryFile() as local:  # a stream of a store may be unable to seek
        digest = hashlib.sha256()
        try:
            with store.open(store.key(file.uri)) as raw:
                while block := raw.read(1024 * 1024):
                    digest.update(block)
                    local.write(block)
        except FileNotFoundError:
            raise CorruptFile(
                f"{file.uri} is gone", hint="restore it from a backup, or waive its rows"
            ) from None
        if digest.hexdigest() != file.sha256:
            raise CorruptFile(
                f"{file.uri} has another checksum than was recorded", hint="restore it from a backup"
            )
        local.seek(0)
        yield from parquet.ParquetFile(local).iter_batches(rows)


def rows_of(batch: pa.RecordBatch, table: Table) -> pa.RecordBatch:
    """Return the rows themselves of a batch of a quarantine file, with the table's columns and types.

    Raises ``CorruptFile`` if the table has other columns than when the rows were set aside.
    """
    held = batch.column(batch.schema.get_field_index("row"))
    names = [field.name for field in held.type]
    wanted = {column.name: column.type for column in table.columns}
    if sorted(names) != sorted(wanted) or any(held.type.field(name).type != wanted[name] for name in names):
        raise CorruptFile(
            f"the rows that were set aside have other columns than {table.dataset.name} has now",
            hint="read the table anew, or waive the rows",
        )
    arrays = [held.field(name) for name in wanted]
    return pa.RecordBatch.from_arrays(arrays, schema=table.schema)
