"""Reads and writes JSON Lines, one object per line, without loss.

Decimals, times and integers beyond 2^53 are strings, bytes are base64, NaN and the infinities are the strings
``NaN``, ``Infinity``, ``-Infinity``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as arrow_json

from hdm.arrow.batches import conform, silent
from hdm.errors import SchemaDrift, UnrepresentableValue
from hdm.files.formats import BatchWriter, Format, RowOffsets, carries, json_values, text
from hdm.files.formats.declared import Declared
from hdm.model import Column, Dataset, Kind, Table

_SAFE = 2**53
_NAMED = {0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0C: "\\f", 0x0D: "\\r"}


class _Writer:
    def __init__(self, stream: BinaryIO, table: Table, compression: str) -> None:
        carries(table)
        self.rows = 0
        self._stream = stream
        self._file = text.writing(stream, compression)
        opens = ["{", *[","] * (len(table.columns) - 1)]
        self._keys = [
            f"{opening}{json.dumps(column.name, ensure_ascii=False)}:"
            for opening, column in zip(opens, table.columns, strict=True)
        ]

    def write(self, batch: pa.RecordBatch) -> None:
        wide = pa.large_string() if batch.nbytes > 2**27 else pa.string()
        parts: list[Any] = []
        for key, column in zip(self._keys, batch.columns, strict=True):
            parts += [pa.scalar(key, wide), _encode(column).cast(wide)]
        parts += [pa.scalar("}\n", wide), pa.scalar("", wide)]
        lines = pc.binary_join_element_wise(*parts)
        size = pc.sum(pc.binary_length(lines)).as_py() or 0
        if size:
            self._file.write(lines.buffers()[2].slice(0, size))
        self.rows += batch.num_rows

    def estimate(self) -> int:
        return self._stream.tell()

    def close(self) -> None:
        self._file.close()


def _encode(array: pa.Array) -> pa.Array:
    """Return each value as JSON text; NULL as ``null``."""
    kind = array.type
    if pa.types.is_integer(kind):
        found = array.cast(pa.string())
        if kind.bit_width == 64:
            low = pc.greater(array, pa.scalar(_SAFE, kind))
            if pa.types.is_signed_integer(kind):
                low = pc.or_(low, pc.less(array, pa.scalar(-_SAFE, kind)))
            if pc.any(low, min_count=0).as_py():
                found = pc.if_else(low, _quoted(found), found)
    elif pa.types.is_boolean(kind):
        found = array.cast(pa.string())
    elif pa.types.is_floating(kind):
        found = _float_text(array)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        found = _quoted(_escaped(array))
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        values = (None if v is None else base64.b64encode(v).decode() for v in array.to_pylist())
        found = _quoted(pa.array(values, pa.string()))
    elif text.is_temporal(kind):
        found = _quoted(text.temporal_text(array))
    else:
        found = _quoted(array.cast(pa.string()))
    return pc.fill_null(found, pa.scalar("null", found.type))


def _quoted(array: pa.Array) -> pa.Array:
    quote, nothing = pa.scalar('"', array.type), pa.scalar("", array.type)
    return pc.binary_join_element_wise(quote, array, quote, nothing)


def _float_text(array: pa.Array) -> pa.Array:
    found = array.cast(pa.string())
    odd = pc.invert(pc.is_finite(array))
    if not pc.any(odd, min_count=0).as_py():
        return found
    names = {"nan": '"NaN"', "-nan": '"NaN"', "inf": '"Infinity"', "-inf": '"-Infinity"'}
    for raw, name in names.items():
        found = pc.if_else(pc.equal(found, raw), name, found)
    return found


def _escaped(array: pa.Array) -> pa.Array:
    if not pc.any(pc.match_substring_regex(array, r'[\x00-\x1f"\\]'), min_count=0).as_py():
        return array
    array = pc.replace_substring(array, "\\", "\\\\")
    array = pc.replace_substring(array, '"', '\\"')
    if pc.any(pc.match_substring_regex(array, r"[\x00-\x1f]"), min_count=0).as_py():
        for code in range(0x20):
            array = pc.replace_substring(array, chr(code), _NAMED.get(code, f"\\u{code:04x}"))
    return array


class JsonLines(Format):
    """The format JSON Lines in UTF-8, one object per line; arrays of objects are read, not written."""

    name = "jsonl"
    suffix = ".jsonl"
    grows_by_lines = True

    def declared(self, how: Declared) -> Format:
        """Return a format that reads the declared columns; itself if the conf declares none."""
        if how.columns is None:
            return self
        from hdm.files.formats.json_declared import DeclaredJson

        return DeclaredJson(how.columns)

    def writer(self, stream: BinaryIO, table: Table, compression: str, group_bytes: int) -> BatchWriter:
        """Return an object that writes each batch at once; only the compressor buffers bytes."""
        return _Writer(stream, table, compression)

    def read(
        self,
        stream: BinaryIO,
        table: Table,
        compression: str,
        first: int = 0,
        count: int | None = None,
        marks: RowOffsets | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows from ``first`` on, as batches; raise ``SchemaDrift`` if the file's columns differ.

        At most ``count`` rows, all if it is None. The text is parsed in blocks that grow as far as the
        longest record requires.
        """
        for rows in text.cut(_parsed(stream, compression, table, first, marks), first, count):
            for batch in rows.to_batches():
                yield conform(batch, table.schema)

    def rows(self, stream: BinaryIO, compression: str) -> int:
        """Return how many records the file has.

        In JSON Lines these are the lines that are not blank; they are not parsed. In another layout (an
        array, or objects over several lines) they are the JSON objects. Raises ``CorruptFile`` for UTF-16 and
        UTF-32, and in another layout for anything but objects.
        """
        total = 0
        for _, block in located(stream, compression, 0, None):
            total += sum(1 for line in block.split(b"\n") if line.strip())
        return total

    def describe(self, stream: BinaryIO, compression: str, dataset: Dataset, path: tuple[str, ...]) -> Table:
        """Return a table with a text column for each key that any record has; JSON has too few types."""
        names: dict[str, None] = {}
        line = 1
        for _, block in located(stream, compression, 0, None):
            for record in json_values.records_of(block, line):
                names.update(dict.fromkeys(record))
            line += block.count(b"\n")
        table = Table(dataset, path, tuple(Column(name, Kind.TEXT, pa.string()) for name in names))
        carries(table)
        return table


def _border(buffer: bytearray, known: int) -> int:
    return buffer.rfind(b"\n", known) + 1


def _parsed(
    stream: BinaryIO, compression: str, table: Table, first: int, marks: RowOffsets | None
) -> Iterator[tuple[int, pa.Table]]:
    fast = pa.schema([(column.name, _parsed_as(column.type)) for column in table.columns])
    for place, block in located(stream, compression, first, marks):
        yield place.start, place.counted(_parse(block, table, fast))


def located(
    stream: BinaryIO, compression: str, first: int, marks: RowOffsets | None
) -> Iterator[tuple[text.Place, bytes]]:
    """Yield blocks of whole lines, each with its place.

    Other JSON (arrays, objects over several lines) is converted to lines.
    """
    stream.seek(0)
    if json_values.is_lines(text.reading(stream, compression)):
        return text.located(stream, compression, _border, 0, first, marks)
    stream.seek(0)
    lines = json_values.as_lines(text.reading(stream, compression))
    return text.located_in(lines, _border)


def _parsed_as(kind: pa.DataType) -> pa.DataType:
    direct = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return kind if direct else pa.string()


def _parse(block: bytes, table: Table, fast: pa.Schema) -> pa.Table:
    if not block.strip():
        return pa.table([[] for _ in table.columns], schema=table.schema)
    try:
        found = arrow_json.read_json(
            pa.BufferReader(block),
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(block) + 1),
            parse_options=arrow_json.ParseOptions(explicit_schema=fast, unexpected_field_behavior="error"),
        ).combine_chunks()
        columns = [_column(found, column.name) for column in table.columns]
        values = [_decode(a, c.type) for a, c in zip(columns, table.columns, strict=True)]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        # A column's values differ in their JSON type: large integers, NaN, foreign files.
        values = _slowly(block, table)
    return pa.table(values, names=[column.name for column in table.columns])


def _column(found: pa.Table, name: str) -> pa.Array:
    column = found.column(name)
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)


def _slowly(block: bytes, table: Table) -> list[pa.Array]:
    names = {column.name for column in table.columns}
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for record in json_values.records_of(block):
        if not names.issuperset(record):
            more = ", ".join(sorted(set(record) - names))
            raise SchemaDrift(
                f"a JSON record has keys that were not planned: {more}",
                hint="plan again; or give files with other keys a folder of their own",
            )
        for name, values in columns.items():
            values.append(record.get(name))
    return [_from_python(columns[column.name], column) for column in table.columns]


def _from_python(values: list[Any], column: Column) -> pa.Array:
    kind = column.type
    try:
        if pa.types.is_boolean(kind):
            return pa.array(values, kind)
        if pa.types.is_floating(kind):
            return pa.array([None if v is None else float(v) for v in values], pa.float64()).cast(kind)
        return _decode(pa.array([_spelled(v) for v in values], pa.string()), kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError, TypeError) as error:
        raise UnrepresentableValue(
            f"column {column.name}: a JSON value does not fit {kind}", hint="mend the file or its schema"
        ) from silent(error)


def _spelled(value: Any) -> str | None:
    """Return a JSON value as text: strings without quotes, numbers as written, all else as JSON."""
    return value if value is None or isinstance(value, str) else json_values.spelled(value)


def _decode(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if array.type == kind:
        return array
    if text.is_temporal(kind):
        return text.temporal_value(array, kind)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        values = array.to_pylist()
        return pa.array([None if v is None else base64.b64decode(v, validate=True) for v in values], kind)
    return array.cast(kind)
