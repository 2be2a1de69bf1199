"""Guesses why two values differ, for the reader of a result; nothing is decided by it."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from hdm.model import Kind
from hdm.proof.forms import Form, Pair

OTHER = "another value"
_QUARTER = 15 * 60 * 1_000_000
_WIDEST_ZONE = 14 * 3600 * 1_000_000
_DAY = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT = 2**53
"""Up to here a float of 64 bits has every whole number."""
_FLOAT32_DIGITS = 1e-6


def cause(pair: Pair, a: bytes | None, b: bytes | None) -> str:
    """Return in a few words why the spelled values ``a`` and ``b`` of one column probably differ."""
    if a is None or b is None:
        present = b if a is None else a
        if present == b"":
            return "'' for NULL" if a is None else "NULL for ''"
        return "a value for NULL" if a is None else "NULL for a value"
    if pair.form is Form.TEXT:
        return _texts(a.decode("utf-8", "replace"), b.decode("utf-8", "replace"))
    if pair.form is Form.BYTES:
        return _cut(a, b) or ("zero bytes at the end" if a.rstrip(b"\0") == b.rstrip(b"\0") else OTHER)
    if pair.form in (Form.MOMENT, Form.CLOCK):
        return _moments(a.decode(), b.decode())
    if pair.form is Form.FLOAT:
        return _floats(int(a), int(b))
    if Kind.BOOLEAN in (pair.a.kind, pair.b.kind) and {a, b} == {b"0", b"1"}:
        return "inverted"
    return _numbers(a.decode(), b.decode())


def _cut(a: bytes | str, b: bytes | str) -> str | None:
    if b and a[: len(b)] == b:
        return "the end is missing"
    return "more at the end" if a and b[: len(a)] == a else None


def _texts(a: str, b: str) -> str:
    if a.rstrip(" ") == b.rstrip(" "):
        return "blanks at the end"
    if a.strip() == b.strip():
        return "white space at an end"
    if a.replace("\r\n", "\n") == b.replace("\r\n", "\n"):
        return "line ends"
    if a.casefold() == b.casefold():
        return "case"
    if unicodedata.normalize("NFC", a) == unicodedata.normalize("NFC", b):
        return "unicode form"
    if unicodedata.normalize("NFKC", a) == unicodedata.normalize("NFKC", b):
        return "unicode compatibility form"
    if _misread(a, b):
        return "encoding"
    number = _number(a), _number(b)
    if None not in number and number[0] == number[1]:
        return "spelling of a number"
    if _same_json(a, b):
        return "spelling of JSON"
    return _cut(a, b) or OTHER


def _misread(a: str, b: str) -> bool:
    """Whether one text is the other one, read in a wrong encoding or with characters replaced."""
    if len(a) == len(b) and any(ord(one) > 127 for one in a):
        pairs = [(one, other) for one, other in zip(a, b, strict=True) if one != other]
        if all(other in "?\ufffd\u00bf" for _, other in pairs):
            return True
    for one, other in ((a, b), (b, a)):
        for encoding in ("latin-1", "cp1252"):
            try:
                if one.encode().decode(encoding) == other:
                    return True
            except UnicodeError:
                continue
    return False


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _same_json(a: str, b: str) -> bool:
    if a[:1] not in ("{", "[") or b[:1] not in ("{", "["):
        return False
    try:
        return bool(json.loads(a) == json.loads(b))
    except (ValueError, RecursionError):
        return False


def _moments(a: str, b: str) -> str:
    one, other = Decimal(a), Decimal(b)
    apart = abs(one - other)
    if apart and apart <= _WIDEST_ZONE and apart % _QUARTER == 0:
        hours = Decimal(apart) / 3_600_000_000
        return (
            "one hour apart: time zone or summer time"
            if hours == 1
            else f"time zone: {hours.normalize():f} h apart"
        )
    if apart == _DAY:
        return "one day apart"
    if _turned(one, other):
        return "day and month swapped"
    for digits in range(6, -1, -1):
        step = Decimal(10) ** (6 - digits)
        if other % step == 0 and apart < step:
            return f"precision: seconds with {digits} digits"
    return OTHER


def _turned(one: Decimal, other: Decimal) -> bool:
    """Whether two moments are the same but for day and month, which are swapped."""
    try:
        first, second = (_EPOCH + timedelta(microseconds=int(each)) for each in (one, other))
        return second == first.replace(month=first.day, day=first.month)
    except (ValueError, OverflowError):
        return False


def _numbers(a: str, b: str) -> str:
    one, other = _number(a), _number(b)
    if one is None or other is None or not one.is_finite() or not other.is_finite():
        return "not a number" if "NaN" in (a, b) else OTHER
    if one == -other:
        return "sign"
    if one == one.to_integral_value() and abs(one) > _EXACT and float(one) == float(other):
        return "precision of a float"
    exponent = other.as_tuple().exponent
    digits = -min(int(exponent), 0)
    if abs(one - other) < Decimal(1).scaleb(-digits) and digits < -int(one.as_tuple().exponent):
        return f"precision: {digits} digits after the point"
    if digits and abs(one - other) <= 10 * Decimal(1).scaleb(-digits):
        return "last digit"
    return OTHER


def _floats(a: int, b: int) -> str:
    import math
    import struct

    one, other = (struct.unpack("<d", struct.pack("<q", bits))[0] for bits in (a, b))
    if one == other:
        return "sign of zero"
    if math.isnan(one) or math.isnan(other):
        return "not a number"
    if math.isinf(one) or math.isinf(other):
        return "infinity"
    if one == -other:
        return "sign"
    if math.isclose(one, other, rel_tol=_FLOAT32_DIGITS):
        return "precision of a float"
    return OTHER
