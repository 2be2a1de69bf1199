"""Every kind of damage is found, and named by row, column and likely cause; clean tables are equal."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
import pytest

from hdm.errors import UsageError
from hdm.model import Column, Kind
from hdm.proof.compare import compare
from hdm.proof.forms import Accepted
from hdm.proof.pairing import Wishes
from hdm.proof.result import Comparison, Level
from hdm.proof.side import Side
from tests.unit.proof.damage import BASE, CHANGED, EVERY, MICRO, ROWS, WHOLE
from tests.unit.proof.kit import COLUMNS, Rows, changed, plain_rows, random_table, seeking, side, with_type


def found(one: Comparison) -> list[tuple[str, object, dict[str, str]]]:
    return [(each.kind, each.key.get("id"), dict(each.columns)) for each in one.shown]


WAYS = pytest.mark.parametrize("way", [side, seeking])
"""As streams, whose rows go by the hash of their key, and where ranges of keys can be read."""


@WAYS
@pytest.mark.parametrize("name", CHANGED)
def test_a_changed_row_is_named_with_column_and_cause(name: str, way: Callable[[Rows], Side]) -> None:
    damage, column, why = CHANGED[name]
    one = compare(way(BASE), way(damage(BASE)))
    assert (one.equal, one.exit_code, one.missing, one.extra) == (False, 1, 0, 0)
    assert one.changed == (2 if name == "rows swapped" else 1)
    (kind, _, causes) = found(one)[0]
    assert kind == "changed" and why in causes[column], causes
    assert len(causes) == (2 if "swapped with" in why else 1)


@WAYS
@pytest.mark.parametrize("name", WHOLE)
def test_a_missing_or_extra_row_is_named(name: str, way: Callable[[Rows], Side]) -> None:
    damage, kind, key = WHOLE[name]
    one = compare(way(BASE), way(damage(BASE)))
    assert (kind, key, {}) in found(one) and one.changed == 0
    assert one.missing + one.extra == (2 if name.startswith("key") else 1)


@pytest.mark.parametrize("name", EVERY)
def test_damage_is_found_without_a_key(name: str) -> None:
    one = compare(side(BASE, ()), side(EVERY[name](BASE), ()))
    assert not one.equal and one.key == () and one.missing + one.extra > 0


@pytest.mark.slow
@WAYS
def test_all_damage_at_once_is_named_row_by_row(way: Callable[[Rows], Side]) -> None:
    """Buckets with several wrong rows are read again; each row is named."""
    many = plain_rows(3_000)
    rows = many
    for number in range(0, 3_000, 10):
        rows = changed(rows, number, name=f"{rows[number][1]} ")
    rows = [row for row in rows if row[0] % 10 != 3]
    rows += [(row[0] + 10_000, *row[1:]) for row in many[:50]]
    random.Random(4).shuffle(rows)
    one = compare(way(many), way(rows), Wishes(show=1_000))
    assert (one.missing, one.extra, one.changed) == (300, 50, 300)
    named = {kind: {key for k, key, _ in found(one) if k == kind} for kind in ("missing", "extra", "changed")}
    assert named["missing"] == set(range(3, 3_000, 10))
    assert named["changed"] == set(range(0, 3_000, 10))
    assert named["extra"] == {10_000 + n for n in range(50)}
    assert one.causes == {("name", "blanks at the end"): 300}


def test_one_more_of_a_row_that_is_there_twice() -> None:
    rows = [*ROWS, ROWS[5]]
    for key in (("id",), ()):
        one = compare(side(rows, key), side([*rows, ROWS[5]], key))
        assert (one.missing, one.extra, one.changed) == (0, 1, 0)
        assert [each.times for each in one.shown] == [(2, 3)]


def test_rows_with_a_null_key_are_compared_not_left_out() -> None:
    nulls = [(None, *row[1:]) for row in ROWS[:5]]
    assert compare(side([*ROWS, *nulls]), side([*nulls, *ROWS])).equal
    one = compare(side([*ROWS, *nulls]), side([*ROWS, *nulls[1:]]))
    assert (one.missing, one.extra) == (1, 0)


def check_clean(seed: int) -> None:
    rows, key, columns = random_table(seed)
    other = list(rows)
    random.Random(seed + 1).shuffle(other)
    for level in (Level.ROWS, Level.COLUMNS, Level.COUNTS):
        one = compare(side(rows, key, columns), side(other, key, columns), Wishes(level=level))
        assert one.equal, (seed, level, one)
    if rows:
        for less in (other[1:], [*other, other[0]]):
            assert not compare(side(rows, key, columns), side(less, key, columns)).equal


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_no_false_alarm_on_clean_tables(seed: int) -> None:
    check_clean(seed)


@pytest.mark.long
@pytest.mark.parametrize("first", range(100, 1_100, 50))
def test_no_false_alarm_on_many_clean_tables(first: int) -> None:
    for seed in range(first, first + 50):
        check_clean(seed)


def test_equal_values_of_other_types_are_equal() -> None:
    """A type is a declaration; the note says that it differs."""
    wider = with_type("price", Kind.DECIMAL, pa.decimal128(30, 8))
    as_text = with_type("price", Kind.DECIMAL, pa.string())
    for columns in (wider, as_text):
        rows = changed(ROWS, 0, price=str(ROWS[0][3]) + "000") if columns is as_text else ROWS
        rows = [(*row[:3], str(row[3]) if columns is as_text else row[3], *row[4:]) for row in rows]
        assert compare(side(ROWS), side(rows, columns=columns)).equal
    dates = with_type("born", Kind.TIMESTAMP, pa.timestamp("ns"))
    midnight = [(*row[:5], dt.datetime.combine(row[5], dt.time()), *row[6:]) for row in ROWS]
    one = compare(side(ROWS), side(midnight, columns=dates))
    assert one.equal and one.notes == (
        "born: date in the first, timestamp in the second, compared as moment",
    )


ACCEPTED = {
    "blanks": ({"name": Accepted(trailing_blanks=True)}, {"name": ROWS[12][1] + "  "}),
    "zero": ({"ratio": Accepted(zero_sign=True)}, {"ratio": -0.0}),
    "seconds": ({"seen": Accepted(seconds=3)}, {"seen": MICRO.replace(microsecond=123_000)}),
    "tolerance": ({"price": Accepted(tolerance=Decimal("0.01"))}, {"price": ROWS[12][3] + Decimal("0.01")}),
    "values": ({"name": Accepted(values={ROWS[12][1]: "1"})}, {"name": "1"}),
}


@pytest.mark.parametrize("rule", ACCEPTED)
def test_what_is_accepted_is_no_difference_and_is_said(rule: str) -> None:
    accept, values = ACCEPTED[rule]
    base = changed(ROWS, 12, ratio=0.0) if rule == "zero" else ROWS
    other = changed(base, 12, **values)
    one = compare(side(base), side(other), Wishes(accept=accept))
    assert one.equal and any("accepted" in note for note in one.notes)
    assert not compare(side(base), side(other)).equal
    worse = changed(other, 20, price=Decimal(99), name="another", seen=MICRO, ratio=5.0)
    assert compare(side(base), side(worse), Wishes(accept=accept)).changed == 1


def test_an_empty_text_may_stand_for_null() -> None:
    other = [(*row[:2], row[2] or None, *row[3:]) for row in ROWS]
    wishes = Wishes(accept={"note": Accepted(empty_is_null=True)})
    assert compare(side(ROWS), side(other), wishes).equal
    assert compare(side(ROWS), side(other)).changed == 8


def test_columns_of_one_side_only_and_other_names() -> None:
    renamed = tuple(replace(c, name="NAME2" if c.name == "name" else c.name.upper()) for c in COLUMNS)
    other = side(ROWS, ("ID",), renamed)
    assert compare(side(ROWS), other).schema == (
        "only the first has the column name",
        "only the second has the column NAME2",
    )
    assert compare(side(ROWS), other, Wishes(columns={"name": "NAME2"})).equal
    less = compare(side(ROWS), other, Wishes(exclude=("name", "NAME2")))
    assert less.equal and less.notes[:2] == ("not compared: name", "not compared: NAME2")
    with pytest.raises(UsageError, match="exclude: there is no column 'nix'"):
        compare(side(ROWS), other, Wishes(exclude=("nix",)))
    with pytest.raises(UsageError, match="compared as number: trailing_blanks"):
        compare(side(ROWS), side(ROWS), Wishes(accept={"price": Accepted(trailing_blanks=True)}))


def test_the_level_columns_names_the_facts_that_differ() -> None:
    less = [(*row[:3], row[3] + 1 if row[0] == 12 else row[3], *row[4:]) for row in ROWS]
    one = compare(side(ROWS), side(less), Wishes(level=Level.COLUMNS))
    assert [(each.column, each.facts) for each in one.columns] == [("price", ("total", "distinct"))] or [
        (each.column, each.facts) for each in one.columns
    ] == [("price", ("total",))]
    one = compare(side(ROWS), side(changed(ROWS, 12, name=None)), Wishes(level=Level.COLUMNS))
    assert one.columns[0].facts == ("nulls", "total", "distinct") and not one.equal


def test_values_stand_in_no_repr() -> None:
    one = compare(side(ROWS), side(changed(ROWS, 12, name="secret words")))
    assert one.shown and "secret words" not in repr(one) and "n\u00e4me 12" not in repr(one)
    facts = compare(side(ROWS), side(changed(ROWS, 12, name="zzz")), Wishes(level=Level.COLUMNS))
    assert facts.columns and "zzz" not in repr(facts)


def test_a_type_without_a_form_is_refused() -> None:
    nested = (*COLUMNS[:1], Column("list", Kind.OTHER, pa.list_(pa.int64())))
    with pytest.raises(UsageError, match="cannot be compared"):
        compare(side([(1, [1])], columns=nested), side([(1, [1])], columns=nested))
