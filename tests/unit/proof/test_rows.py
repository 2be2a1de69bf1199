"""What is read again, and how often: nothing if tables are equal, one row for one wrong row."""

from __future__ import annotations

import pytest

from hdm.proof import rows as engine
from hdm.proof.compare import compare
from hdm.proof.result import Comparison
from hdm.proof.sums import Unequal
from tests.unit.proof.kit import Rows, SeekingSide, changed, plain_rows, seeking, side

pytestmark = pytest.mark.slow
MANY = plain_rows(3_000)


def compared(a: Rows, b: Rows) -> tuple[Comparison, SeekingSide, SeekingSide]:
    one, other = seeking(a), seeking(b)
    return compare(one, other), one, other


def test_equal_tables_are_read_once() -> None:
    one, a, b = compared(MANY, MANY[::-1])
    assert one.equal and [reader.read_rows for side in (a, b) for reader in side.readers] == [3_000, 3_000]


@pytest.mark.parametrize(
    "other",
    [
        changed(MANY, 1_500, name="x"),
        [*MANY[:1_500], *MANY[1_501:]],
        [*MANY, MANY[1_500]],
    ],
    ids=["changed", "lost", "doubled"],
)
def test_a_single_wrong_row_is_named_by_the_sums_and_only_that_row_is_read(other: Rows) -> None:
    one, a, b = compared(MANY, other)
    assert one.missing + one.extra + one.changed == 1
    (first,), (second,) = a.readers, b.readers
    assert first.asked[1:] == second.asked[1:] and len(first.asked) == 3
    assert all(asked[0].op == "in" and asked[0].value == "1500" for asked in first.asked[1:])
    assert first.read_rows <= 3_000 + 2 and second.read_rows <= 3_001 + 4


def test_two_wrong_rows_of_a_bucket_are_read_by_the_range_of_keys() -> None:
    other = changed(changed(MANY, 1_500, name="x"), 1_502, name="y")
    one, a, _ = compared(MANY, other)
    assert one.changed == 2 and {row.key["id"] for row in one.shown} == {1_500, 1_502}
    assert any([one.op for one in asked] == [">=", "<="] for asked in a.readers[0].asked)
    assert a.readers[0].read_rows < 3_000 + 1_100


def test_sums_that_point_at_a_wrong_row_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sums name a row that has not changed: it is read, explains nothing, and is cleared."""
    monkeypatch.setattr(Unequal, "single", lambda self, width: 5)
    for places in ((1_500,), (1_500, 1_502), (5,)):
        other = MANY
        for place in places:
            other = changed(other, place, name="x")
        one, _, _ = compared(MANY, other)
        assert one.changed == len(places) and {row.key["id"] for row in one.shown} == set(places)


def test_rows_that_do_not_fit_into_memory_wait_in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    other = [(*row[:1], f"{row[1]} ", *row[2:]) for row in MANY[5:]]
    whole = compare(side(MANY), side(other))
    assert (whole.missing, whole.changed) == (5, 2_995)
    monkeypatch.setattr(engine, "ROWS_AT_ONCE", 1_000)
    for way in (side, seeking):
        pieces = compare(way(MANY), way(other))
        assert (pieces.missing, pieces.extra, pieces.changed) == (5, 0, 2_995)


def test_keys_from_end_to_end_of_64_bits() -> None:
    low, high = -(2**63), 2**63 - 1
    rows = [(low, *MANY[0][1:]), (high, *MANY[1][1:]), (None, *MANY[2][1:]), *MANY[3:10]]
    one, _, _ = compared(rows, changed(rows, 1, name="x"))
    assert one.changed == 1 and one.shown[0].key == {"id": high}
