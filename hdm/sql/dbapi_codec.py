"""Converts the values that DB-API drivers return to Arrow arrays, exactly or not at all.

PEP 249 (https://peps.python.org/pep-0249/) says little about the types of values: one driver returns
``datetime``, another its text. Both are read. A value that would have to be rounded, truncated or guessed
raises ``ValueError`` or ``TypeError``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from hdm.arrow import rows as row_codec
from hdm.arrow import temporal
from hdm.dialects.types import INTEGERS
from hdm.model import Column, Kind

_TRUE, _FALSE = ("t", "true", "1"), ("f", "false", "0")


def decoder(column: Column) -> row_codec.Decoder:
    """Return the function that converts the driver's values of a column to an Arrow array of its type."""
    kind, carried = column.kind, column.type
    if kind is Kind.TEXT:
        return _each(_text)
    if kind is Kind.BINARY:
        return _each(_bytes)
    if kind in INTEGERS:
        return _each(_whole)
    if kind is Kind.BOOLEAN:
        return _each(_flag)
    if kind is Kind.FLOAT32:
        return _each(_short)
    if kind is Kind.FLOAT64:
        return _each(_float)
    if kind is Kind.DECIMAL:
        return _each(_digits if pa.types.is_string(carried) else _decimal)
    if pa.types.is_temporal(carried):
        return _temporals
    return _each(_as_text)


def _each(convert: Callable[[Any], Any]) -> row_codec.Decoder:
    def decode(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
        return pa.array([None if value is None else convert(value) for value in values], kind)

    return decode


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _as_text(value: Any) -> str:
    """Return the text of a value whose kind is carried as text, whatever Python type the driver uses."""
    if isinstance(value, bytes | bytearray | memoryview):
        raise TypeError("bytes have no text")
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return value if isinstance(value, str) else str(value)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError("no bytes")
    return bytes(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise TypeError("no whole number")
    number = int(value)
    if isinstance(value, Decimal) and number != value:
        raise ValueError("not whole")
    return number


def _flag(value: Any) -> bool:
    word = str(value).lower()
    if word not in (*_TRUE, *_FALSE):
        raise ValueError("no boolean")
    return word in _TRUE


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, float | int | str):
        raise TypeError("no float")
    number = float(value)
    if isinstance(value, int) and int(number) != value:
        raise ValueError("an integer that no float holds")
    return number


def _short(value: Any) -> float:
    """Return a 32-bit float, from its exact value or from the double nearest to its shortest text."""
    number = _float(value)
    if math.isnan(number) or math.isinf(number):
        return number
    short: float = struct.unpack("f", struct.pack("f", number))[0]
    if number != short and not any(float(f"{short:.{digits}g}") == number for digits in range(6, 10)):
        raise ValueError("more digits than 32 bits hold")
    return short


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise TypeError("a float is no decimal")
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ValueError("no number") from None


def _digits(value: Any) -> str:
    """Return a decimal of unbounded precision as text without an exponent."""
    number = _decimal(value)
    return f"{number:f}" if number.is_finite() else str(number)


def _temporals(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    first = next((value for value in values if value is not None), None)
    if isinstance(first, str):
        return temporal.from_texts(pa.array(values, pa.string()), kind)
    made = [None if value is None else _moment(value, kind) for value in values]
    if pa.types.is_date(kind):
        return pa.array(made, kind)
    exact = pa.time64("us") if pa.types.is_time(kind) else pa.timestamp("us", kind.tz)
    return pa.array(made, exact).cast(kind)


def _moment(value: Any, kind: pa.DataType) -> Any:
    """Return the value if its Python type fits the kind; else raise ``TypeError``.

    pyarrow alone would silently drop a time of day or a zone.
    """
    if pa.types.is_time(kind):
        fits = isinstance(value, time) and value.tzinfo is None
    elif pa.types.is_date(kind):
        fits = isinstance(value, date) and not isinstance(value, datetime)
    else:
        fits = isinstance(value, datetime) and (value.tzinfo is None) == (kind.tz is None)
    if not fits:
        raise TypeError("another kind of date or time")
    return value
