"""Encodes one column of Arrow values as PostgreSQL's binary fields, without a loop over its rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from hdm.arrow.rows import nul_in_text, unrepresentable
from hdm.arrow.temporal import INT32_MAX, INT64_MAX
from hdm.model import Column

Numbers = np.ndarray[Any, Any]
_EPOCH_DAYS = 10_957
"""Days from 1970-01-01 to 2000-01-01, which is PostgreSQL's day 0."""
_EPOCH_MICROS = _EPOCH_DAYS * 86_400_000_000
_MOST_BYTES = 2**30 - 1
_NUL = re.compile(b"\0")
_NARROW = 256
"""Bytes up to which texts of equal length are copied into records; longer ones are joined."""
_TEXTS = frozenset({"text", "varchar", "bpchar", "json", "enum"})


@dataclass(frozen=True, slots=True)
class Fixed:
    """An encoded column whose values all have one width, and none of which is NULL.

    ``numbers`` are the values, one for each row. ``stored`` is the numpy type in which they are sent:
    big-endian numbers, or bytes that are encoded already (``V``).
    """

    numbers: Numbers
    stored: np.dtype[Any]

    @property
    def width(self) -> int:
        """The number of bytes per value."""
        return int(self.stored.itemsize)


@dataclass(frozen=True, slots=True)
class Ragged:
    """An encoded column whose values vary in width.

    It has ``lengths`` (-1: NULL) and the bytes of all values, one after the other.
    """

    lengths: Numbers
    data: Any


Encode = Callable[[pa.Array], Fixed | Ragged]


def encoder(column: Column, held: str) -> Encode | None:
    """Return the function that encodes ``column`` for a PostgreSQL column of type ``held``.

    ``held`` is a ``pg_type.typname``, or ``enum``. None if the text format has to be used, since the binary
    form is not known or the server must convert.
    """
    kind = column.type
    if pa.types.is_string(kind) and held in _TEXTS:
        return lambda array: _texts(array, column.name)
    if pa.types.is_binary(kind) and held == "bytea":
        return lambda array: _bytes(array, column.name)
    if pa.types.is_decimal(kind) and kind.bit_width >= 128 and kind.scale >= 0 and held == "numeric":
        return _decimals
    fixed = _NUMBERS.get((str(kind), held))
    if fixed is None:
        return None
    read, stored = fixed
    return lambda array: _fixed(array, read, np.dtype(stored))


def _fixed(array: pa.Array, read: Callable[[pa.Array], Numbers], stored: np.dtype[Any]) -> Fixed | Ragged:
    """Encode numbers of one width; NULLs get no bytes."""
    valid = _valid(array)
    numbers = read(array)
    if valid is None:
        return Fixed(numbers, stored)
    return _with_nulls(valid, numbers[valid].astype(stored))


def _with_nulls(valid: Numbers, present: Numbers) -> Ragged:
    return Ragged(np.where(valid, present.dtype.itemsize, -1), present.view(np.uint8))


def _valid(array: pa.Array) -> Numbers | None:
    """Return which rows have a value; None if all have."""
    if not array.null_count:
        return None
    return _bits(array.buffers()[0], array)


def _bits(buffer: pa.Buffer, array: pa.Array) -> Numbers:
    packed = np.frombuffer(buffer, np.uint8)
    first, offset = divmod(array.offset, 8)
    bits = np.unpackbits(packed[first:], count=offset + len(array), bitorder="little")
    return bits[offset:].view(np.bool_)


def _plain(array: pa.Array, stored: str) -> Numbers:
    """Return the values as they lie in Arrow's buffer; those of NULLs are arbitrary."""
    size = np.dtype(stored).itemsize
    return np.frombuffer(array.buffers()[1], stored, len(array), array.offset * size)


def _booleans(array: pa.Array) -> Numbers:
    return _bits(array.buffers()[1], array)


def _floats(array: pa.Array) -> Numbers:
    """Return floats with one form of NaN, as text has. Servers may hash its other forms differently."""
    numbers = _plain(array, "<f4" if array.type.bit_width == 32 else "<f8")
    odd = np.isnan(numbers)
    return np.where(odd, numbers.dtype.type("nan"), numbers) if odd.any() else numbers


def _days(array: pa.Array) -> Numbers:
    """Return days since 2000-01-01; infinity stays infinity.

    A day that would overflow becomes one that the server refuses.
    """
    days = _plain(array, "<i4").astype(np.int64)
    shifted = np.maximum(days - _EPOCH_DAYS, 1 - INT32_MAX)
    return _endless(days, shifted, INT32_MAX)


def _micros(array: pa.Array) -> Numbers:
    ticks = _plain(array, "<i8")
    shifted = np.maximum(ticks, _EPOCH_MICROS - INT64_MAX + 1) - _EPOCH_MICROS
    return _endless(ticks, shifted, INT64_MAX)


def _endless(given: Numbers, shifted: Numbers, most: int) -> Numbers:
    shifted[given == most] = most
    shifted[given == -most] = -most - 1
    return shifted


_STAMPS = {"timestamp[us]": "timestamp", "timestamp[us, tz=UTC]": "timestamptz"}
_WIDTHS = {"int8": 1, "int16": 2, "int32": 4, "int64": 8}
_NUMBERS: dict[tuple[str, str], tuple[Callable[[pa.Array], Numbers], str]] = {
    ("bool", "bool"): (_booleans, ">u1"),
    ("float", "float4"): (_floats, ">f4"),
    ("double", "float8"): (_floats, ">f8"),
    ("date32[day]", "date"): (_days, ">i4"),
    ("time64[us]", "time"): (partial(_plain, stored="<i8"), ">i8"),
    **dict.fromkeys(_STAMPS.items(), (_micros, ">i8")),
    **{
        (kind, f"int{wide}"): (partial(_plain, stored=f"<i{size}"), f">i{wide}")
        for kind, size in _WIDTHS.items()
        for wide in (2, 4, 8)
        if wide >= size
    },
}


# -- bytes of varying length -----------------------------------------------------


def _texts(array: pa.Array, name: str) -> Fixed | Ragged:
    """Encode UTF-8 text as it is.

    The server checks it, but its error for NUL does not name the column, so NUL is refused here.
    """
    found = _bytes(array, name)
    data: Any = found.numbers.view(np.uint8) if isinstance(found, Fixed) else found.data
    if _NUL.search(data):
        raise nul_in_text([name])
    return found


def _bytes(array: pa.Array, name: str) -> Fixed | Ragged:
    valid = _valid(array)
    lengths = np.diff(_offsets(array))
    if valid is not None:
        if lengths[~valid].any():  # Arrow allows bytes behind a NULL
            array = array.drop_null()
        lengths = np.where(valid, lengths, -1)
    if lengths.max() > _MOST_BYTES:
        raise unrepresentable(name, "a value is larger than the 1 GB that PostgreSQL can hold")
    offsets = _offsets(array)
    whole = memoryview(array.buffers()[2] or b"")[int(offsets[0]) : int(offsets[-1])]
    width = int(lengths[0])
    if valid is None and 0 < width <= _NARROW and (lengths == width).all():
        alike = np.dtype(f"V{width}")
        return Fixed(np.frombuffer(whole, alike), alike)
    return Ragged(lengths, whole)


def _offsets(array: pa.Array) -> Numbers:
    return np.frombuffer(array.buffers()[1], "<i4", len(array) + 1, array.offset * 4)


# -- numeric ---------------------------------------------------------------------


def _decimals(array: pa.Array) -> Fixed | Ragged:
    """Encode decimals as digits to the base of 10,000, equally many for all rows.

    The server drops leading and trailing zeros (``make_result`` in numeric.c).
    """
    valid, scale = _valid(array), array.type.scale
    words = _plain_words(array)
    if valid is not None:
        words = words[valid]
    negative, magnitude = _magnitudes(words)
    fraction = -(-scale // 4)
    digits: list[Numbers] = []  # the least significant first
    if fraction and scale % 4:
        magnitude, rest = _divided(magnitude, 10 ** (scale % 4))
        digits.append(rest * 10 ** (4 - scale % 4))
    while len(digits) < fraction or any(part.any() for part in magnitude):
        magnitude, rest = _divided(magnitude, 10_000)
        digits.append(rest)
    shape = np.dtype([("head", ">u2", 4), *((str(n), ">u2") for n in reversed(range(len(digits))))])
    records = np.empty(len(words), shape)
    records["head"] = (len(digits), (len(digits) - fraction - 1) % 2**16, 0, scale)
    records["head"][:, 2] = np.where(negative, 0x4000, 0)
    for number, digit in enumerate(digits):
        records[str(number)] = digit
    raw = np.dtype(f"V{shape.itemsize}")
    present = records.view(raw)
    return Fixed(present, raw) if valid is None else _with_nulls(valid, present)


def _plain_words(array: pa.Array) -> Numbers:
    """Return two's complement numbers as rows of 64-bit words, the lowest first."""
    words = array.type.bit_width // 64
    flat = np.frombuffer(array.buffers()[1], "<i8", words * len(array), array.offset * words * 8)
    return flat.reshape(len(array), words)


def _magnitudes(words: Numbers) -> tuple[Numbers, list[Numbers]]:
    """Return which numbers are negative, and the absolute values.

    These are one 64-bit column if they fit, else 32-bit limbs, the lowest first.
    """
    low, negative = words[:, 0], words[:, -1] < 0
    if all((words[:, n] == low >> 63).all() for n in range(1, words.shape[1])):
        return negative, [np.abs(low).view(np.uint64)]
    limbs = np.ascontiguousarray(words).view("<u4").astype(np.uint64)
    flipped = np.where(negative[:, None], limbs ^ 0xFFFFFFFF, limbs)
    carry, parts = negative.astype(np.uint64), []
    for n in range(flipped.shape[1]):
        total = flipped[:, n] + carry
        parts.append(total & 0xFFFFFFFF)
        carry = total >> np.uint64(32)
    return negative, parts


def _divided(limbs: list[Numbers], by: int) -> tuple[list[Numbers], Numbers]:
    """Divide by ``by`` and return quotients and remainders.

    A single limb may have 64 bits, several have 32 each.
    """
    quotients, divisor = [], np.uint64(by)
    rest: Numbers | None = None
    for limb in reversed(limbs):
        part = limb if rest is None else (rest << np.uint64(32)) | limb
        quotient = part // divisor
        rest = part - quotient * divisor
        quotients.append(quotient)
    while len(quotients) > 1 and not quotients[0].any():
        quotients.pop(0)
    assert rest is not None
    return quotients[::-1], rest
