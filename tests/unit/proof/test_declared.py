"""What is declared to be no difference, at each level, and tables that change while they are read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from hdm.errors import UsageError
from hdm.model import Column, Kind
from hdm.proof.compare import compare
from hdm.proof.forms import Accepted
from hdm.proof.pairing import Wishes
from hdm.proof.result import Comparison, Level
from tests.unit.proof.kit import Rows, changed, plain_rows, seeking, side

ID = Column("id", Kind.INT64, pa.int64())
FLOAT = Column("v", Kind.FLOAT64, pa.float64())
NUMBER = Column("v", Kind.DECIMAL, pa.string())
TEXT = Column("v", Kind.TEXT, pa.string())
DAY = Column("v", Kind.DATE, pa.date32())
BYTES = Column("v", Kind.BINARY, pa.binary())


def compared(
    column: Column, a: list[Any], b: list[Any], rule: Accepted, level: Level = Level.ROWS
) -> Comparison:
    sides = [side(list(enumerate(values)), columns=(ID, column)) for values in (a, b)]
    return compare(*sides, Wishes(accept={"v": rule}, level=level))


@pytest.mark.parametrize(
    ("column", "a", "b", "values"),
    [
        (FLOAT, 1.5, 2.5, {"1.5": "2.5"}),
        (FLOAT, 1.0, 2.0, {"1": "2"}),
        (NUMBER, "1.0", "2", {"1": "2.00"}),
        (TEXT, "ACTIVE", "1", {"ACTIVE": "1"}),
    ],
)
def test_values_that_stand_for_each_other(column: Column, a: Any, b: Any, values: dict[str, str]) -> None:
    rule = Accepted(values=values)
    assert compared(column, [a, None, b], [b, None, b], rule).equal
    assert compared(column, [b, None], [a, None], rule).changed == 1  # not the other way round


@pytest.mark.parametrize(
    ("column", "value", "values"),
    [(FLOAT, 1.5, {"x": "2.5"}), (DAY, dt.date(2024, 1, 1), {"2024-01-01": "x"}), (BYTES, b"a", {"a": "b"})],
)
def test_values_that_fit_no_column_are_refused(column: Column, value: Any, values: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"column v is compared as .*: values"):
        compared(column, [value], [value], Accepted(values=values))


@pytest.mark.parametrize(("column", "of"), [(FLOAT, float), (NUMBER, str)])
def test_a_tolerance_counts_at_the_level_of_columns(column: Column, of: Any) -> None:
    rule = Accepted(tolerance=Decimal("0.25"))

    def facts(*values: float | None) -> set[str]:
        first = [of(one) for one in (1.0, 2.0, 3.0)]
        second = [None if one is None else of(one) for one in values]
        found = compared(column, first, second, rule, Level.COLUMNS)
        return {fact for each in found.columns for fact in each.facts}

    assert facts(1.25, 2.25, 3.25) == set()
    assert facts(1.5, 2.0, 3.25) == {"least"}
    assert facts(1.0, 2.0, 4.0) == {"greatest"} | ({"total"} if column is NUMBER else set())
    assert "nulls" in facts(1.0, None, 3.0)
    assert facts(1.0, 3.0, 3.0) == ({"total"} if column is NUMBER else set())


def test_an_infinity_is_within_no_tolerance_of_a_number() -> None:
    rule = Accepted(tolerance=Decimal(10**9))
    for level in (Level.COLUMNS, Level.ROWS):
        assert not compared(FLOAT, [float("inf")], [1.0], rule, level).equal


@pytest.mark.parametrize(("make", "readings"), [(side, 1), (seeking, 3)])
def test_a_table_that_changes_while_it_is_read_is_not_called_equal(make: Any, readings: int) -> None:
    """The second table's row 5 is corrected after the sums are made: extent, count and sums see it wrong."""
    rows = plain_rows(3_000)
    late: Rows = changed(rows, 5, name="as it was")
    before, after = make(late), make(rows)
    left = [before.read] * readings

    def read() -> Iterator[pa.RecordBatch]:
        return (left.pop() if left else after.read)()

    found = compare(make(rows), replace(before, read=read))
    assert (found.changed, found.equal, found.exit_code, found.unsteady) == (0, False, 1, True)
    assert compare(make(rows), make(rows)).unsteady is False
    assert compare(make(rows), make(late)).unsteady is False


def test_a_key_below_all_others_that_comes_meanwhile_breaks_nothing() -> None:
    """Rows with keys below the least one are inserted after the ranges of keys are chosen."""
    rows = plain_rows(3_000)
    for key in (-1, -5_000_000):
        grown: Rows = [*rows, (key, *rows[0][1:])]
        before, after = seeking(rows), seeking(grown)
        left = [before.read] * 2

        def read(left: list[Any] = left, after: Any = after) -> Iterator[pa.RecordBatch]:
            return (left.pop() if left else after.read)()

        found = compare(seeking(rows), replace(before, read=read))
        assert (found.rows_a, found.rows_b, found.equal) == (3_000, 3_001, False)
