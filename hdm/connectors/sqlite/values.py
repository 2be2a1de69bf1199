"""Converts SQLite's values to Arrow and back exactly; refuses values of other types than their column's.

SQLite stores any value in any column: https://sqlite.org/datatype3.html.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from hdm.arrow import rows as row_codec
from hdm.arrow import temporal
from hdm.dialects.types import INTEGERS
from hdm.model import Column, Kind

_TEMPORAL = (Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)


def cells(array: pa.Array) -> list[Any]:
    """Return a column's values as they are bound.

    NaN is bound as the text ``NaN``, since SQLite would turn it into NULL.
    """
    if pa.types.is_floating(array.type):
        return ["NaN" if v is not None and v != v else v for v in array.to_pylist()]  # noqa: PLR0124
    return row_codec.cells(array)


def decoder(column: Column) -> row_codec.Decoder:
    """Return the function that converts a column's values to an Arrow array of its type.

    The function raises ``TypeError`` or ``ValueError`` for a value of another storage class, or one that the
    type cannot hold exactly.
    """
    kind = column.kind
    if kind in INTEGERS:
        return _each(int)
    if kind is Kind.BOOLEAN:
        return _each(int, _boolean)
    if kind in (Kind.FLOAT32, Kind.FLOAT64):
        return _floats
    if kind is Kind.DECIMAL:
        return _decimals
    if kind in _TEMPORAL:
        return _temporals
    if kind is Kind.BINARY:
        return _each(bytes)
    if kind is Kind.TEXT:
        return _each(str)
    return _texts


def _each(wanted: type, convert: Callable[[Any], Any] | None = None) -> row_codec.Decoder:
    """Return a decoder that requires one Python type of all values but NULL, then applies ``convert``."""

    def decode(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
        if any(v is not None and type(v) is not wanted for v in values):
            raise TypeError("another storage class")
        return pa.array([None if v is None else convert(v) for v in values] if convert else values, kind)

    return decode


def _boolean(value: int) -> bool:
    if value not in (0, 1):
        raise ValueError("neither 0 nor 1")
    return value == 1


def _floats(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    read = [float("nan") if v == "NaN" else v for v in values]
    if any(v is not None and type(v) not in (float, int) for v in read):
        raise TypeError("another storage class")
    if any(type(v) is int and int(float(v)) != v for v in read):
        raise ValueError("an integer that no float holds")
    array = pa.array([None if v is None else float(v) for v in read], pa.float64())
    if not pa.types.is_float32(kind):
        return array
    short = array.cast(kind)
    exact = all(a == b or a != a for a, b in zip(array.to_pylist(), short.to_pylist(), strict=True))  # noqa: PLR0124
    if not exact:
        raise ValueError("more digits than float32 has")
    return short


def _decimals(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if any(isinstance(v, bytes) for v in values):
        raise TypeError("a blob")
    texts = [None if v is None else _digits(v) for v in values]
    try:
        numbers = [None if text is None else Decimal(text) for text in texts]
    except InvalidOperation:
        raise ValueError("no number") from None
    return pa.array(texts if pa.types.is_string(kind) else numbers, kind)


def _digits(value: Any) -> str:
    """Return a number as text in plain notation; a float by its shortest exact form."""
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    return str(value)


def _temporals(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if any(v is not None and type(v) is not str for v in values):
        raise TypeError("no ISO text")
    return temporal.from_texts(pa.array(values, pa.string()), kind)


def _texts(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return numbers and texts as text; ``TypeError`` for a blob, which has no text."""
    if any(isinstance(v, bytes) for v in values):
        raise TypeError("a blob")
    return pa.array([None if v is None else v if isinstance(v, str) else repr(v) for v in values], kind)
