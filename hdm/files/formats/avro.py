"""Reads Avro container files through fastavro, with logical types exactly.

https://avro.apache.org/docs/1.12.0/specification/ says how they are laid out. Such a file does not say how
many blocks it has: one that was cut off between two blocks is a whole file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO
from uuid import UUID

import pyarrow as pa

from hdm.arrow.batches import silent
from hdm.errors import CorruptFile, UnsupportedType, UsageError
from hdm.files.formats import RowOffsets
from hdm.files.formats.declared import column_of
from hdm.files.formats.records import Parsed, Records, as_table
from hdm.model import Column, Kind

_ROWS = 8_192
_PLAIN = {
    "boolean": "boolean", "int": "int32", "long": "int64", "float": "float32", "double": "float64",
    "bytes": "binary", "string": "text", "enum": "text", "fixed": "binary",
}  # fmt: skip
_LOGICAL = {
    "date": "date", "time-millis": "time(3)", "time-micros": "time(6)", "uuid": "uuid",
    "timestamp-millis": "timestamptz(3)", "timestamp-micros": "timestamptz(6)", "timestamp-nanos":
    "timestamptz(9)", "local-timestamp-millis": "timestamp(3)", "local-timestamp-micros": "timestamp(6)",
    "local-timestamp-nanos": "timestamp(9)",
}  # fmt: skip


class Avro(Records):
    """The format Avro; compression is inside of the file."""

    name = "avro"
    suffix = ".avro"
    writes = False
    describes_itself = True

    def columns(self, stream: BinaryIO, compression: str) -> tuple[Column, ...]:
        """Return the columns of the schema in the file; ``UnsupportedType`` for one that hdm does not
        carry."""
        schema = _open(stream).writer_schema
        if not isinstance(schema, Mapping) or schema.get("type") != "record":
            raise UnsupportedType("the file's records are no Avro records", hint="convert the file")
        named: dict[str, Any] = {}
        _collect(schema, named)
        return tuple(_column(field["name"], field["type"], named) for field in schema["fields"])

    def parsed(self, stream: BinaryIO, compression: str, first: int, marks: RowOffsets | None) -> Parsed:
        """Yield the file's records as Arrow tables with the schema's columns."""
        columns = self.columns(stream, compression)
        row = 0
        for records in _groups(_open(stream)):
            if row + len(records) > first:
                arrays = [_array(records, column, row) for column in columns]
                yield row, as_table(arrays, columns)
            row += len(records)


def _open(stream: BinaryIO) -> Any:
    import fastavro

    stream.seek(0)
    try:
        return fastavro.reader(stream)
    except Exception as error:  # noqa: BLE001 -- fastavro's errors share no base class
        raise _unreadable(error) from silent(error)


def _unreadable(error: Exception) -> CorruptFile | UsageError:
    if isinstance(error, ValueError) and "codec" in str(error):
        return UsageError(
            "an Avro file has a compression that is not installed", hint="pip install 'hdm[avro]'"
        )
    return CorruptFile("a file is not readable as Avro", hint="write the file again; it may be cut off")


def _groups(reader: Any) -> Iterator[list[dict[str, Any]]]:
    while True:
        group: list[dict[str, Any]] = []
        try:
            for record in reader:
                group.append(record)
                if len(group) == _ROWS:
                    break
        except Exception as error:  # noqa: BLE001 -- as above
            raise _unreadable(error) from silent(error)
        if not group:
            return
        yield group


def _collect(schema: Any, named: dict[str, Any]) -> None:
    """Put each named type of a schema into ``named``, under its name."""
    if isinstance(schema, list):
        for one in schema:
            _collect(one, named)
    elif isinstance(schema, Mapping):
        if "name" in schema:
            named[schema["name"]] = schema
        for part in (schema.get("items"), schema.get("values"), schema.get("type")):
            if isinstance(part, list | Mapping):
                _collect(part, named)
        for field in schema.get("fields", ()):
            _collect(field["type"], named)


def _column(name: str, schema: Any, named: Mapping[str, Any]) -> Column:
    parts = schema if isinstance(schema, list) else [schema]
    kept = [one for one in parts if one != "null"]
    nullable = len(kept) < len(parts)
    if len(kept) == 1:
        one = named.get(kept[0], kept[0]) if isinstance(kept[0], str) else kept[0]
        word, more = (one, {}) if isinstance(one, str) else (one["type"], one)
        logical = more.get("logicalType")
        if logical == "decimal":
            declared = f"decimal({more['precision']},{more.get('scale', 0)})"
            return column_of(name, declared, nullable=nullable)
        if logical in _LOGICAL and more.get("size", 16) == 16:
            return column_of(name, _LOGICAL[logical], nullable=nullable)
        if logical != "duration" and isinstance(word, str) and word in _PLAIN:
            return column_of(name, _PLAIN[word], nullable=nullable)
    raise UnsupportedType(
        f"column {name} has an Avro type that hdm does not carry: a union, a duration, or one of several "
        "values",
        hint="convert the file to one with a plain type for each column",
    )


def _array(records: list[dict[str, Any]], column: Column, row: int) -> pa.Array:
    values = [record[column.name] for record in records]
    if column.kind is Kind.UUID:
        values = [UUID(bytes=value) if isinstance(value, bytes) else value for value in values]
        values = [None if value is None else str(value) for value in values]
    try:
        return pa.array(values, column.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, ValueError) as error:
        raise CorruptFile(
            f"among records {row + 1:,} to {row + len(records):,}, column {column.name} has a value that its "
            "own type does not hold",
            hint="write the file again",
        ) from silent(error)
