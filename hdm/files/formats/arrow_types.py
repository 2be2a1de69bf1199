"""Finds columns for Arrow schemas of other systems, and compares a file's columns with a table's."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from hdm.errors import UnsupportedType
from hdm.model import Column, Kind, Table

_KINDS: dict[str, Kind] = {
    "bool": Kind.BOOLEAN,
    "int8": Kind.INT8,
    "int16": Kind.INT16,
    "int32": Kind.INT32,
    "int64": Kind.INT64,
    "uint8": Kind.INT16,
    "uint16": Kind.INT32,
    "uint32": Kind.INT64,
    "float": Kind.FLOAT32,
    "double": Kind.FLOAT64,
    "string": Kind.TEXT,
    "large_string": Kind.TEXT,
    "binary": Kind.BINARY,
    "large_binary": Kind.BINARY,
    "date32[day]": Kind.DATE,
    "time64[us]": Kind.TIME,
    "time64[ns]": Kind.TIME,
    "time32[ms]": Kind.TIME,
    "time32[s]": Kind.TIME,
}
_CARRIERS = {
    "uint8": pa.int16(),
    "uint16": pa.int32(),
    "uint32": pa.int64(),
    "uint64": pa.decimal128(20, 0),
    "time32[ms]": pa.time64("us"),
    "time32[s]": pa.time64("us"),
}
_FRACTION = {"s": 0, "ms": 3, "us": 6, "ns": 9}


def column_of_field(field: pa.Field) -> Column:
    """Return the column for a field of an Arrow schema; raise ``UnsupportedType`` if hdm does not carry its
    type.

    Unsigned integers and dictionaries become types that hold all of their values.
    """
    carrier = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    text = str(carrier)
    if text == "uint64":
        return Column(field.name, Kind.DECIMAL, _CARRIERS[text], field.nullable, precision=20, scale=0)
    if pa.types.is_decimal(carrier):
        return Column(
            field.name, Kind.DECIMAL, carrier, field.nullable,
            precision=carrier.precision, scale=carrier.scale,
        )  # fmt: skip
    if pa.types.is_timestamp(carrier):
        kind = Kind.TIMESTAMPTZ if carrier.tz else Kind.TIMESTAMP
        kept = pa.timestamp(carrier.unit, "UTC") if carrier.tz else carrier
        return Column(field.name, kind, kept, field.nullable, precision=_FRACTION[carrier.unit])
    if text in _KINDS:
        return Column(field.name, _KINDS[text], _CARRIERS.get(text, carrier), field.nullable)
    raise UnsupportedType(
        f"column {field.name} has type {text}, which hdm does not carry",
        hint="name the columns to read, or convert the file",
    )


_ALIKE: tuple[frozenset[Kind], ...] = (
    frozenset({Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64, Kind.FLOAT32, Kind.FLOAT64, Kind.DECIMAL}),
    frozenset({Kind.DATE, Kind.TIMESTAMP}),
    *(frozenset({kind}) for kind in (Kind.BOOLEAN, Kind.BINARY, Kind.TIME, Kind.TIMESTAMPTZ)),
)
"""Kinds whose values a cast may carry into one another, if none changes. All other kinds travel as text."""


def misfit(columns: Sequence[Column], table: Table) -> str | None:
    """Return how a file's columns differ from a table's; None if they have the same names and kindred types.

    Their order and width may differ. A whole number is no timestamp; a moment without a zone, none with one.
    """
    found = {column.name: column for column in columns}
    wanted = {column.name: column for column in table.columns}
    missing, more = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    said = [f"it lacks {missing}"] * bool(missing) + [f"it also has {more}"] * bool(more)
    said += [
        f"its column {name} is {one.type}, not {wanted[name].type}"
        for name, one in found.items()
        if name in wanted and _family(one) != _family(wanted[name])
    ]
    return " and ".join(said) or None


def _family(column: Column) -> frozenset[Kind]:
    return next((kinds for kinds in _ALIKE if column.kind in kinds), frozenset())
