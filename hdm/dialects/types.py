"""Converts kinds to Arrow types, says how well a target stores them, and compares columns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa

from hdm.model import Column, Kind

_PADDED = ("binary(", "byte(")
"""Native types that pad shorter bytes to their length, and so alter them."""
INTEGERS: dict[Kind, int] = {Kind.INT8: 8, Kind.INT16: 16, Kind.INT32: 32, Kind.INT64: 64}
TEXTS = frozenset(
    {Kind.TEXT, Kind.UUID, Kind.JSON, Kind.ARRAY, Kind.BIT, Kind.ENUM, Kind.OTHER, Kind.INTERVAL, Kind.TIMETZ}
)
"""Kinds that travel as the source's own text."""

ORDERED = frozenset(
    {*INTEGERS, Kind.FLOAT32, Kind.FLOAT64, Kind.DECIMAL, Kind.TEXT, Kind.DATE, Kind.TIME}
    | {Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.UUID}
)
"""Kinds whose values a source can sort and compare, so that ranges over them make sense."""

SECONDS = frozenset({Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
"""Kinds with fractions of a second, of which ``precision`` is the number of digits."""


class Fidelity(StrEnum):
    """How well a target's type keeps a column's values."""

    EXACT = "exact"
    APPROXIMATED = "approximated"
    """Every value stays as it is; a declaration (a length, an enum's labels) gets weaker."""
    LOSSY = "lossy"
    """Values may change; refused unless the manifest allows it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The type in which a target stores a column, and how well the type keeps the values.

    ``why`` says for people what differs from the source; it may be empty.
    """

    native: str
    fidelity: Fidelity = Fidelity.EXACT
    why: str = ""


_FIXED: dict[Kind, pa.DataType] = {
    Kind.BOOLEAN: pa.bool_(),
    Kind.INT8: pa.int8(),
    Kind.INT16: pa.int16(),
    Kind.INT32: pa.int32(),
    Kind.INT64: pa.int64(),
    Kind.FLOAT32: pa.float32(),
    Kind.FLOAT64: pa.float64(),
    Kind.BINARY: pa.binary(),
    Kind.DATE: pa.date32(),
    Kind.TIME: pa.time64("us"),
    Kind.TIMESTAMP: pa.timestamp("us"),
    Kind.TIMESTAMPTZ: pa.timestamp("us", "UTC"),
}


def carrier(kind: Kind, precision: int | None = None, scale: int | None = None) -> pa.DataType:
    """Return the Arrow type that carries the values of a kind.

    Decimals: decimal128 up to 38 digits, decimal256 up to 76, ``string`` beyond or without a bound. Dates and
    timestamps represent infinity as DuckDB does: by the largest integer and its negative. Temporals finer
    than a microsecond travel in nanoseconds.
    """
    if kind is Kind.DECIMAL:
        return decimal_carrier(precision, scale)
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ) and precision is not None and precision > 6:
        return pa.timestamp("ns", "UTC" if kind is Kind.TIMESTAMPTZ else None)
    if kind is Kind.TIME and precision is not None and precision > 6:
        return pa.time64("ns")
    return _FIXED.get(kind, pa.string())


def decimal_carrier(precision: int | None, scale: int | None) -> pa.DataType:
    """Return the Arrow type for ``numeric(precision, scale)``: decimal128, decimal256 or string.

    A scale may be negative or greater than the precision.
    """
    if precision is None:
        return pa.string()
    whole, fraction = precision - (scale or 0), max(scale or 0, 0)
    digits = max(whole, 0) + fraction
    if digits > 76:
        return pa.string()
    return pa.decimal128(digits, fraction) if digits <= 38 else pa.decimal256(digits, fraction)


def misfit(held: Column, wanted: Column) -> str | None:
    """Return why values of column ``wanted`` could change or fail in the existing column ``held``.

    None if nothing is wrong. Only declarations are compared. A column of text fits all but bytes. Text, or
    bytes of varying length, that could be too long is not reported: the database refuses such a value with an
    error.
    """
    if held.kind in (Kind.TEXT, Kind.OTHER) and wanted.kind is not Kind.BINARY:
        return None  # the database refuses a text that is too long with an error
    if wanted.kind in INTEGERS and held.kind in INTEGERS:
        narrow = INTEGERS[held.kind] < INTEGERS[wanted.kind]
        return f"{held.kind} holds fewer values than {wanted.kind}" if narrow else None
    if held.kind is Kind.DECIMAL and wanted.kind in INTEGERS:
        digits = len(str(2 ** (INTEGERS[wanted.kind] - 1)))
        return _fewer_digits(held, digits, 0)
    if held.kind is Kind.FLOAT64 and wanted.kind is Kind.FLOAT32:
        return None
    if held.kind is Kind.DECIMAL and wanted.kind is Kind.DECIMAL:
        if wanted.precision is None:
            bound = held.precision is not None and held.native != wanted.native
            return "it has fewer digits than a decimal without bound" if bound else None
        return _fewer_digits(held, wanted.precision, wanted.scale or 0)
    if held.kind is not wanted.kind:
        return f"it is {held.kind}, the source has {wanted.kind}"
    if held.kind in (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.TIMETZ, Kind.INTERVAL):
        return _coarser(held, wanted)
    if held.kind is Kind.BINARY and held.native.lower().startswith(_PADDED):
        return _shorter(held, wanted)
    return None  # the database refuses bytes of varying length that are too many with an error


def _shorter(held: Column, wanted: Column) -> str | None:
    if held.length is None or (wanted.length is not None and wanted.length <= held.length):
        return None
    return f"its length is {held.length}, the source's {wanted.length or 'without bound'}"


def _fewer_digits(held: Column, precision: int, scale: int) -> str | None:
    if held.precision is None:
        return None
    if held.precision - (held.scale or 0) < precision - scale or (held.scale or 0) < scale:
        return f"decimal({held.precision},{held.scale or 0}) holds fewer digits than ({precision},{scale})"
    return None


def _coarser(held: Column, wanted: Column) -> str | None:
    mine = 6 if held.precision is None else held.precision
    theirs = 6 if wanted.precision is None else wanted.precision
    return f"it keeps {mine} fractional digits of seconds, the source {theirs}" if mine < theirs else None
