"""Compares two tables at one level and returns everything that differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

from hdm.proof.causes import OTHER, cause
from hdm.proof.cells import Row
from hdm.proof.columns import ColumnTally, differences
from hdm.proof.differing import Differing
from hdm.proof.forms import Pair
from hdm.proof.pairing import Paired, Wishes, paired
from hdm.proof.result import Comparison, Level, RowDifference
from hdm.proof.rows import Found, RowsCompared
from hdm.proof.side import Reader, Side

SWAPPED = "swapped with {}"
WITHIN_AT_MOST = 100_000
"""Most changed rows that are read to see whether they differ only within a tolerance."""


def compare(
    a: Side,
    b: Side,
    wishes: Wishes = Wishes(),  # noqa: B008 -- a frozen value
    keep: Differing | None = None,
) -> Comparison:
    """Compare two tables and return what differs; ``wishes`` say how closely, and what is accepted.

    ``keep`` collects, at the level ``rows``, the keys of all rows that differ. Each side is read in one
    transaction where it is a database. Raises ``UsageError`` for a wish that does not fit the tables, and
    what reading raises.
    """
    if wishes.level is Level.NONE:
        return Comparison(a.label, b.label, wishes.level)
    plan = paired(a.table, b.table, wishes)
    key = tuple(plan.pairs[number].a.name for number in plan.keys)
    empty = Comparison(a.label, b.label, wishes.level, key, schema=plan.schema, notes=plan.notes)
    with a.open() as one, b.open() as other:
        if wishes.level is Level.COUNTS:
            return replace(empty, rows_a=one.count(), rows_b=other.count())
        if wishes.level is Level.COLUMNS:
            return _columns(empty, one, other, plan.pairs)
        return _rows(empty, one, other, plan, wishes.show, keep)


def _columns(empty: Comparison, a: Reader, b: Reader, pairs: Sequence[Pair]) -> Comparison:
    (rows_a, first), (rows_b, second) = _tallied(a, pairs, first=True), _tallied(b, pairs, first=False)
    return replace(empty, rows_a=rows_a, rows_b=rows_b, columns=tuple(differences(first, second)))


def _tallied(reader: Reader, pairs: Sequence[Pair], *, first: bool) -> tuple[int, list[ColumnTally]]:
    tallies, rows = [ColumnTally(pair, first=first) for pair in pairs], 0
    for batch in reader.batches([pair.a if first else pair.b for pair in pairs]):
        rows += batch.num_rows
        for tally, array in zip(tallies, batch.columns, strict=True):
            tally.add(array)
    return rows, tallies


def _rows(
    empty: Comparison, a: Reader, b: Reader, plan: Paired, show: int, keep: Differing | None
) -> Comparison:
    tolerant = any(pair.accepted.tolerance is not None for pair in plan.pairs)
    made = RowsCompared(a, b, plan.pairs, plan.keys, max(show, WITHIN_AT_MOST) if tolerant else show, keep)
    found = made.find()
    shown: list[RowDifference] = []
    within = 0
    for one in _described(made, found, plan):
        if one is None:
            within += 1
        elif len(shown) < show:
            shown.append(one)
    causes = Counter((name, why) for one in shown for name, why in one.columns.items())
    return replace(
        empty, rows_a=found.rows_a, rows_b=found.rows_b, missing=found.missing, extra=found.extra,
        changed=found.changed - within, within=within, unsteady=found.unsteady, shown=tuple(shown),
        causes=dict(causes),
    )  # fmt: skip


def _described(made: RowsCompared, found: Found, plan: Paired) -> Iterator[RowDifference | None]:
    """Yield each named row with its values; None for one that differs only within a tolerance."""
    for key, (rows_a, rows_b) in made.values().items():
        if found.keys[key] == "changed" and len(rows_a) == len(rows_b) == 1:
            yield _changed(plan, rows_a[0], rows_b[0])
            continue
        for row in rows_a:
            yield _alone("missing", plan, row, found.named[key, row.hash])
        for row in rows_b:
            if found.named[key, row.hash][0]:  # both sides have it, one more often: said above
                continue
            yield _alone("extra", plan, row, found.named[key, row.hash])


def _alone(kind: str, plan: Paired, row: Row, times: tuple[int, int]) -> RowDifference:
    if times[0] and times[1]:  # both have the row, and one more often
        kind = "missing" if times[0] > times[1] else "extra"
    shown = _shown(plan, row, first=kind == "missing")
    a, b = (shown, None) if kind == "missing" else (None, shown)
    return RowDifference(kind, _key(plan, row), a, b, times=times)


def _changed(plan: Paired, a: Row, b: Row) -> RowDifference | None:
    wrong = [n for n in range(len(plan.pairs)) if a.spelled[n] != b.spelled[n]]
    left = [n for n in wrong if not _is_within(plan.pairs[n], a.shown[n], b.shown[n])]
    if wrong and not left:
        return None
    names = {plan.pairs[n].a.name: _why(plan, n, left, a, b) for n in left}
    return RowDifference(
        "changed", _key(plan, a), _shown(plan, a, first=True), _shown(plan, b, first=False), names
    )


def _why(plan: Paired, number: int, wrong: Sequence[int], a: Row, b: Row) -> str:
    for other in wrong:
        swapped = a.spelled[number] == b.spelled[other] and a.spelled[other] == b.spelled[number]
        if other != number and swapped:
            return SWAPPED.format(plan.pairs[other].a.name)
    return cause(plan.pairs[number], a.spelled[number], b.spelled[number]) or OTHER


def _is_within(pair: Pair, a: Any, b: Any) -> bool:
    tolerance = pair.accepted.tolerance
    if tolerance is None or a is None or b is None:
        return False
    try:
        return abs(Decimal(str(a)) - Decimal(str(b))) <= tolerance
    except InvalidOperation:
        return False


def _key(plan: Paired, row: Row) -> dict[str, Any]:
    return {plan.pairs[n].a.name: row.shown[n] for n in plan.keys}


def _shown(plan: Paired, row: Row, *, first: bool) -> dict[str, Any]:
    names = [pair.a.name if first else pair.b.name for pair in plan.pairs]
    return dict(zip(names, row.shown, strict=True))
