"""The sums of a bucket give the key of its only wrong row, whatever is wrong with it."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from hdm.proof.sums import Sums, Unequal, hashes, unequal

WIDTH = 2**31 - 1


def sums(rows: list[tuple[int, int]]) -> Sums:
    made = Sums()
    made.add(
        pa.array([0] * len(rows), pa.int64()),
        pa.array([place for place, _ in rows], pa.uint64()),
        pa.array([one for _, one in rows], pa.uint64()),
    )
    return made


def only(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> Unequal:
    (found,) = unequal(sums(a), sums(b))
    return found


@pytest.mark.parametrize("seed", range(20))
def test_the_only_wrong_row_is_named(seed: int) -> None:
    draw = random.Random(seed)
    rows = [(draw.randrange(WIDTH), draw.randrange(2**64)) for _ in range(200)]
    place, row_hash = rows[17]
    changed = [*rows[:17], (place, draw.randrange(2**64)), *rows[18:]]
    assert only(rows, changed).single(WIDTH) == place
    assert only(changed, rows).single(WIDTH) == place
    assert only(rows, [*rows[:17], *rows[18:]]).single(WIDTH) == place
    assert only(rows, [*rows, (place, row_hash)]).single(WIDTH) == place
    assert unequal(sums(rows), sums(rows[::-1])) == []


def test_two_wrong_rows_are_not_one() -> None:
    rows = [(n, n * 977 + 13) for n in range(100)]
    assert only(rows, rows[2:]).single(100) is None
    lost_and_extra = [*rows[1:], (5, 12345)]
    assert only(rows, lost_and_extra).single(100) is None


def test_a_hash_is_the_first_half_of_the_md5_as_one_number() -> None:
    """A database computes the same: ('x' || substr(md5(row), 1, 16))::bit(64)::bigint in PostgreSQL."""
    assert hashes([b"abc"]).to_pylist() == [0x900150983CD24FB0]
    assert hashes([]).to_pylist() == []
