"""Collects, for the level ``columns``, what can be said of each column without any order of the rows."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hdm.arrow.temporal import stamp_to_text
from hdm.proof.forms import Form, Pair, framed, spelled
from hdm.proof.result import ColumnDifference, ColumnFacts
from hdm.proof.sums import hashes

EXACT_DISTINCT = 1_024
"""Up to so many distinct values are counted one by one; beyond, estimated by as many of the least hashes."""


class ColumnTally:
    """Adds up the facts of one column of one side, batch by batch, in bounded memory."""

    def __init__(self, pair: Pair, *, first: bool) -> None:
        self.pair, self.first = pair, first
        self.nulls = 0
        self.present = 0
        self.least: Any = None
        self.greatest: Any = None
        self.total: Any = None
        self._least_hashes: set[int] = set()
        self._bound = 2**64

    def add(self, array: pa.Array) -> None:
        """Add the values of one batch."""
        self.nulls += array.null_count
        values = spelled(array, self.pair, first=self.first)
        self._distinct(values)
        present = pc.drop_null(values)
        self.present += len(present)
        if len(present):
            self._extremes(array, present)

    def _extremes(self, array: pa.Array, present: pa.Array) -> None:
        form = self.pair.form
        if form in (Form.TEXT, Form.BYTES):
            self._widen(pc.min(present).as_py(), pc.max(present).as_py())
            self._sum(pc.sum(pc.binary_length(present)).as_py())
        elif form is Form.FLOAT:
            values = pc.drop_null(array).cast(pa.float64())
            values = values.filter(pc.invert(pc.is_nan(values)))
            if len(values):
                found = pc.min_max(pc.add(values, 0.0))
                self._widen(found["min"].as_py(), found["max"].as_py())
        elif pa.types.is_integer(array.type) or pa.types.is_decimal(array.type):
            found = pc.min_max(array)
            self._widen(found["min"].as_py(), found["max"].as_py())
            wide = array.cast(pa.decimal128(38, 0)) if pa.types.is_integer(array.type) else array
            self._sum(Fraction(pc.sum(wide).as_py()))
        else:
            numbers = [Decimal(one.decode()) for one in present.to_pylist()]
            finite = [one for one in numbers if one.is_finite()]
            if finite:
                self._widen(min(finite), max(finite))
            if form is Form.NUMBER:
                self._sum(sum((Fraction(one) for one in finite), Fraction(0)))

    def _widen(self, least: Any, greatest: Any) -> None:
        self.least = least if self.least is None else min(self.least, least)
        self.greatest = greatest if self.greatest is None else max(self.greatest, greatest)

    def _sum(self, amount: Any) -> None:
        self.total = amount if self.total is None else self.total + amount

    def _distinct(self, values: pa.Array) -> None:
        unique = framed(pc.drop_null(pc.unique(values)), self.pair.form).to_pylist()
        fresh = {one for one in hashes(unique).to_pylist() if one < self._bound}
        self._least_hashes |= fresh
        if len(self._least_hashes) > EXACT_DISTINCT:
            self._least_hashes = set(heapq.nsmallest(EXACT_DISTINCT, self._least_hashes))
            self._bound = max(self._least_hashes)

    @property
    def sketch(self) -> frozenset[int]:
        """The least hashes of the values; equal for the same set of values."""
        return frozenset(self._least_hashes)

    def facts(self) -> ColumnFacts:
        """Return what is known after the last batch."""
        count = len(self._least_hashes)
        if count >= EXACT_DISTINCT and self._bound < 2**64:
            count = round((EXACT_DISTINCT - 1) * 2**64 / self._bound)
        return ColumnFacts(
            self.nulls,
            _plain(self.least, self.pair.form),
            _plain(self.greatest, self.pair.form),
            _plain(self.total),
            distinct=count,
        )


def _plain(value: Any, form: Form = Form.NUMBER) -> Any:
    if value is not None and form in (Form.MOMENT, Form.CLOCK):
        shown = stamp_to_text(int(value))
        return shown.partition(" ")[2] if form is Form.CLOCK else shown
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Fraction):
        return value.numerator if value.denominator == 1 else _decimal(value)
    return str(value) if isinstance(value, Decimal) else value


def _decimal(value: Fraction) -> str:
    """Return a sum of decimals with all its digits; it is a whole number of some power of ten."""
    places = 1
    while 10**places % value.denominator:
        places += 1
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def differences(a: Sequence[ColumnTally], b: Sequence[ColumnTally]) -> list[ColumnDifference]:
    """Return the columns whose facts differ between two sides.

    Of a column with a tolerance, the least and the greatest value may differ by it, and the sum by it for
    each value; how many values are distinct says nothing then.
    """
    found = []
    for one, other in zip(a, b, strict=True):
        pairs = {
            "nulls": (one.nulls, other.nulls),
            "least": (one.least, other.least),
            "greatest": (one.greatest, other.greatest),
            "total": (one.total, other.total),
            "distinct": (one.sketch, other.sketch),
        }
        facts = tuple(name for name, (left, right) in pairs.items() if left != right)
        if one.pair.accepted.tolerance is not None:
            facts = tuple(name for name in facts if not _is_within(name, *pairs[name], one))
        if facts:
            found.append(ColumnDifference(one.pair.a.name, facts, one.facts(), other.facts()))
    return found


def _is_within(fact: str, a: Any, b: Any, tally: ColumnTally) -> bool:
    """Whether a fact differs no more than the rows' accepted differences explain."""
    if fact in ("nulls", "distinct") or a is None or b is None:
        return fact == "distinct"
    if not all(math.isfinite(one) for one in (a, b)):
        return False
    allowed = Fraction(tally.pair.accepted.tolerance or 0) * (tally.present if fact == "total" else 1)
    return abs(Fraction(str(a)) - Fraction(str(b))) <= allowed
