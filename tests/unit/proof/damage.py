"""Kinds of damage to a table: what is done to its rows, and how the result must name it."""

from __future__ import annotations

import datetime as dt
import struct
import unicodedata
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.unit.proof.kit import Rows, changed, plain_rows

ROWS = plain_rows(40)
MICRO = ROWS[12][6]
HOUR = dt.timedelta(hours=1)
FLOAT32 = struct.unpack("f", struct.pack("f", ROWS[12][4]))[0]
NAME, NOTE, PRICE = ROWS[12][1:4]
BASE = changed(ROWS, 3, name="Ab\r\nc", ratio=0.0)
BASE = changed(BASE, 9, name='{"a": 1}', raw=b"\x01\x02")
BASE = changed(BASE, 14, name="L" * 50_000 + "tail")

Damage = Callable[[Rows], Rows]


def put(number: int, **values: Any) -> Damage:
    return lambda rows: changed(rows, number, **values)


def two(first: Damage, second: Damage) -> Damage:
    return lambda rows: second(first(rows))


CHANGED: dict[str, tuple[Damage, str, str]] = {
    "blank at the end": (put(12, name=NAME + " "), "name", "blanks at the end"),
    "blank in front": (put(12, name=" " + NAME), "name", "white space"),
    "case": (put(12, name=NAME.upper()), "name", "case"),
    "unicode form": (put(12, name=unicodedata.normalize("NFD", NAME)), "name", "unicode form"),
    "replaced letter": (put(12, name=NAME.replace("\u00e4", "?")), "name", "encoding"),
    "wrong encoding": (put(12, name=NAME.encode().decode("latin-1")), "name", "encoding"),
    "line ends": (put(3, name="Ab\nc"), "name", "line ends"),
    "spelling of JSON": (put(9, name='{"a":1}'), "name", "spelling of JSON"),
    "tail of a long text": (put(14, name="L" * 50_000), "name", "the end is missing"),
    "'' for NULL": (put(10, note=""), "note", "'' for NULL"),
    "NULL for ''": (put(11, note=None), "note", "NULL for ''"),
    "NULL for a value": (put(12, price=None), "price", "NULL for a value"),
    "a value for NULL": (put(10, note="x"), "note", "a value for NULL"),
    "last decimal": (put(12, price=PRICE + Decimal("0.0001")), "price", "last digit"),
    "digits cut": (put(12, price=Decimal(3)), "price", "precision: 0 digits"),
    "sign": (put(12, price=-PRICE), "price", "sign"),
    "float of 32 bits": (put(12, ratio=FLOAT32), "ratio", "precision of a float"),
    "NaN": (put(12, ratio=float("nan")), "ratio", "not a number"),
    "infinity": (put(12, ratio=float("inf")), "ratio", "infinity"),
    "sign of zero": (put(3, ratio=-0.0), "ratio", "sign of zero"),
    "microseconds cut": (put(12, seen=MICRO.replace(microsecond=123_000)), "seen", "precision"),
    "summer time": (put(12, seen=MICRO + HOUR), "seen", "summer time"),
    "time zone": (put(12, seen=MICRO - 5.5 * HOUR), "seen", "time zone: 5.5 h"),
    "another day": (put(12, born=ROWS[12][5] + 30 * 24 * HOUR), "born", "another value"),
    "flag turned": (put(12, flag=not ROWS[12][7]), "flag", "inverted"),
    "bytes cut": (put(9, raw=b"\x01"), "raw", "the end is missing"),
    "bytes padded": (put(9, raw=b"\x01\x02\0\0"), "raw", "more at the end"),
    "columns swapped": (put(12, name=NOTE, note=NAME), "name", "swapped with note"),
    "rows swapped": (two(put(12, price=ROWS[13][3]), put(13, price=PRICE)), "price", ""),
}
"""Name -> damage, the column that changes, and the likely cause."""

WHOLE: dict[str, tuple[Damage, str, int]] = {
    "lost": (lambda rows: [*rows[:12], *rows[13:]], "missing", 12),
    "doubled": (lambda rows: [*rows, rows[12]], "extra", 12),
    "one too many": (lambda rows: [*rows, (1_000, *rows[12][1:])], "extra", 1_000),
    "key changed": (put(12, id=4_711), "missing", 12),
    "key lost": (put(12, id=None), "missing", 12),
}
"""Name -> damage, how the row differs, and its key."""
EVERY: dict[str, Damage] = {
    **{name: each[0] for name, each in CHANGED.items()},
    **{name: each[0] for name, each in WHOLE.items()},
}
