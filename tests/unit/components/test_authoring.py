"""What a source written by hand is given: tables in words, held batches, ranges of a cursor."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest

from hdm.components import authoring
from hdm.components.authoring import cursor_value, declare, payload, ranges, values
from hdm.errors import SchemaDrift, UnrepresentableValue, UsageError
from hdm.model import Kind

DAYS = declare("file://plant", "orders", {"day": "date not null", "item": "text(40)"}, cursor="day")
NUMBERS = declare("file://plant", "orders", {"n": "int32 not null"}, key=("n",), cursor="n")


def test_a_table_in_words():
    made = declare(
        "ns",
        "t",
        {"a": "INT64 not null", "b": "decimal(12, 2)", "c": "text(40)", "d": "timestamp(3)", "e": "bit(4)"},
        key=("a",),
    )
    a, b, c, d, e = made.columns
    assert (a.kind, a.nullable, a.type) == (Kind.INT64, False, pa.int64())
    assert (b.precision, b.scale, b.type) == (12, 2, pa.decimal128(12, 2))
    assert (c.length, c.precision, d.precision, d.length, e.length) == (40, None, 3, None, 4)
    assert (made.dataset.namespace, made.path, made.key, made.cursor) == ("ns", ("t",), ("a",), None)


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_can_be_written(kind):
    assert declare("n", "t", {"a": kind.value}).columns[0].kind is kind


@pytest.mark.parametrize(
    "words", ["varchar", "int64 null", "decimal(12,2", "", "text(x)", "int64 not null x"]
)
def test_words_that_are_no_type_are_refused_with_those_that_are(words):
    with pytest.raises(UsageError, match="column a:") as wrong:
        declare("n", "t", {"a": words})
    assert "write one of" in wrong.value.hint


@pytest.mark.parametrize("options", [{"key": ("b",)}, {"cursor": "b"}])
def test_a_key_or_cursor_that_is_no_column_is_refused(options):
    with pytest.raises(UsageError, match="no column 'b'"):
        declare("n", "t", {"a": "int8"}, **options)


def test_batches_are_held_to_the_table():
    loose = pa.RecordBatch.from_pydict({"item": ["x"], "day": pa.array([date(2020, 1, 1)])})
    (held,) = payload(DAYS, [loose]).batches()
    assert held.schema == DAYS.schema
    assert held.to_pylist() == [{"day": date(2020, 1, 1), "item": "x"}]


def test_what_does_not_fit_is_refused_by_column_and_without_the_value():
    wrong = pa.RecordBatch.from_pydict({"n": pa.array([2**40])})
    with pytest.raises(UnrepresentableValue, match="column n") as error:
        list(payload(NUMBERS, [wrong]).batches())
    assert str(2**40) not in str(error.value)
    with pytest.raises(SchemaDrift, match=r"missing \['n'\]"):
        list(payload(NUMBERS, [pa.RecordBatch.from_pydict({"m": [1]})]).batches())
    with pytest.raises(SchemaDrift, match="NOT NULL"):
        list(payload(NUMBERS, [pa.RecordBatch.from_pydict({"n": pa.array([None], pa.int32())})]).batches())


@pytest.mark.parametrize(
    ("low", "high", "step", "sizes"),
    [(1, 10, 3, [3, 3, 3, 1]), (5, 5, 10, [1]), (-3, 2, 4, [4, 2]), (0, 5, 3, [3, 3])],
)
def test_ranges_hold_every_value_once(low, high, step, sizes):
    chunks = list(ranges(NUMBERS, low, high, step, "job"))
    found = [values(NUMBERS, chunk) for chunk in chunks]
    assert [len(one) for one in found] == sizes
    assert [n for one in found for n in one] == list(range(low, high + 1))
    assert [int(chunk.upto) for chunk in chunks] == [one[-1] for one in found]
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))
    assert len({chunk.chunk_id for chunk in chunks}) == len(chunks)


def test_days_are_ranges_too():
    chunks = list(ranges(DAYS, date(2024, 2, 27), date(2024, 3, 2), 2, "job"))
    days = [day for chunk in chunks for day in values(DAYS, chunk)]
    assert (days[0], days[-1]) == (date(2024, 2, 27), date(2024, 3, 2))
    assert len(days) == 5
    assert chunks[-1].upto == "2024-03-02"
    assert cursor_value(DAYS, chunks[-1].upto) == date(2024, 3, 2)
    assert cursor_value(NUMBERS, "7") == 7


def test_more_chunks_than_a_plan_bears_are_refused_with_the_cure(monkeypatch):
    monkeypatch.setattr(authoring, "MAX_CHUNKS", 1000)
    assert len(list(ranges(NUMBERS, 1, 1000, 1, "job"))) == 1000
    with pytest.raises(UsageError, match="more than 1,000 chunks") as wrong:
        next(ranges(NUMBERS, 0, 1000, 1, "job"))
    assert "values_per_chunk" in wrong.value.hint


def test_ranges_need_a_cursor():
    bare = declare("n", "t", {"a": "int8"})
    with pytest.raises(UsageError, match="has no cursor"):
        next(ranges(bare, 1, 2, 1, "job"))
