"""Converts PostgreSQL's COPY in CSV format to Arrow and back, exactly.

NULL is an empty unquoted field, an empty text a quoted one; texts are quoted only when needed. A block holds
whole rows. https://www.postgresql.org/docs/current/sql-copy.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from hdm.arrow import temporal
from hdm.arrow.rows import nul_in_text, unrepresentable
from hdm.connectors.postgres.copy_stream import BLOCK_BYTES
from hdm.errors import UnrepresentableValue
from hdm.model import Column

_BOM = b"\xef\xbb\xbf"
_NUL = re.compile(b"\0")
_QUOTE = re.compile(b'"')


class CsvDecoder:
    """Decodes blocks of CSV rows as batches.

    A block that Arrow's parser refuses (infinity, BC, NaN in a decimal) is read again as text and converted
    column by column.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._schema = pa.schema([pa.field(c.name, c.type, c.nullable) for c in columns])
        self._names = [f"c{number}" for number in range(len(columns))]
        self._typed = self._converter(columns)
        self._as_text = self._converter(None)
        self._quoted = pcsv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
        self._bare = pcsv.ParseOptions(newlines_in_values=False, ignore_empty_lines=False)

    def _converter(self, columns: Sequence[Column] | None) -> pcsv.ConvertOptions:
        kinds = [pa.string()] * len(self._names)
        if columns is not None:
            kinds = [pa.string() if _beyond_csv(c.type) else c.type for c in columns]
        return pcsv.ConvertOptions(
            column_types=dict(zip(self._names, kinds, strict=True)),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        )

    def decode(self, block: bytes | memoryview) -> pa.RecordBatch:
        """Return a block's rows as one batch.

        Raises ``UnrepresentableValue``, which names the column, for a value that does not fit.
        """
        raw = block
        if block[:3] == _BOM:  # Arrow drops a leading BOM: add another one for it to drop
            raw = _BOM + bytes(block)
        parse = self._quoted if _QUOTE.search(raw) else self._bare  # a newline in a value is quoted
        try:
            arrays = self._read(raw, parse, self._typed)
        except pa.ArrowInvalid:
            arrays = self._read(raw, parse, self._as_text)
        ready = [self._finished(*pair) for pair in zip(self._columns, arrays, strict=True)]
        return pa.RecordBatch.from_arrays(ready, schema=self._schema)

    def _read(
        self, raw: bytes | memoryview, parse: pcsv.ParseOptions, convert: pcsv.ConvertOptions
    ) -> list[pa.Array]:
        read = pcsv.ReadOptions(column_names=self._names, use_threads=False, block_size=len(raw) + 1)
        table = pcsv.read_csv(
            pa.BufferReader(pa.py_buffer(raw)),
            read_options=read,
            parse_options=parse,
            convert_options=convert,
        )
        return [column.combine_chunks() for column in table.columns]

    @staticmethod
    def _finished(column: Column, array: pa.Array) -> pa.Array:
        if array.type == column.type:
            return array
        try:
            return _from_text(array, column.type)
        except (ValueError, OverflowError, pa.ArrowException):
            why = f"a value of {column.native} does not fit {column.type}"
            raise unrepresentable(column.name, why) from None


def _beyond_csv(kind: pa.DataType) -> bool:
    """Whether Arrow's CSV reader does not know the type, or does not read it as PostgreSQL writes it."""
    return bool(pa.types.is_binary(kind) or pa.types.is_decimal256(kind))


def _from_text(text: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_binary(kind):
        return _unhex(text)
    if pa.types.is_boolean(kind):
        return pa.array([None if t is None else t == "t" for t in text.to_pylist()], kind)
    if pa.types.is_temporal(kind):
        return temporal.from_texts(text, kind)
    if pa.types.is_floating(kind):
        return pa.array([None if t is None else float(t) for t in text.to_pylist()], pa.float64()).cast(
            kind, safe=False
        )
    return text.cast(kind)


def _unhex(texts: pa.Array) -> pa.Array:
    """Convert texts such as ``\\x6869`` to bytes."""
    return pa.array([None if t is None else bytes.fromhex(t[2:]) for t in texts.to_pylist()], pa.binary())


class CsvEncoder:
    """Encodes batches as blocks of CSV rows that PostgreSQL reads back exactly."""

    form, head, tail = "csv", b"", b""
    _options = pcsv.WriteOptions(include_header=False, quoting_style="needed")

    def encode(self, batch: pa.RecordBatch) -> Iterator[memoryview]:
        """Yield the encoded rows in blocks of about ``BLOCK_BYTES``; a larger row is a block of its own.

        Raises ``UnrepresentableValue`` for a text with a NUL.
        """
        width = max(batch.nbytes // max(batch.num_rows, 1), 1)
        step = max(min(BLOCK_BYTES // width, 65_536), 1)
        arrays = [_to_text(array) for array in batch.columns]
        names = [f"c{number}" for number in range(len(arrays))]
        ready = pa.RecordBatch.from_arrays(arrays, names=names)
        for start in range(0, ready.num_rows, step):
            out = pa.BufferOutputStream()
            pcsv.write_csv(ready.slice(start, step), out, self._options)
            block = memoryview(out.getvalue())
            del out
            if _NUL.search(block):
                raise _with_nul(batch)
            yield block
            del block


def _with_nul(batch: pa.RecordBatch) -> UnrepresentableValue:
    texts = [field.name for field in batch.schema if pa.types.is_string(field.type)]
    return nul_in_text(
        [name for name in texts if pc.any(pc.match_substring(batch.column(name), "\0")).as_py()]
    )


def _to_text(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.array(
            [None if v is None else "\\x" + v.hex() for v in array.to_pylist()], pa.large_string()
        )
    if pa.types.is_time(kind):
        return temporal.to_texts(array)
    if pa.types.is_date32(kind) or pa.types.is_timestamp(kind):
        return array if temporal.is_plain(array) else temporal.to_texts(array)
    return array
