import hashlib
from collections import Counter
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hdm.arrow.batches import conform, rebatch, row_digests, subtract
from hdm.errors import SchemaDrift, UnrepresentableValue
from tests.unit import awkward


def texts(*values):
    return pa.record_batch({"t": pa.array(values, pa.string())})


@settings(deadline=None)
@given(
    st.lists(st.lists(st.text(max_size=30), max_size=40), max_size=8), st.integers(1, 9), st.integers(1, 300)
)
@pytest.mark.slow
def test_rebatch_keeps_rows_and_order_within_both_bounds(lists, rows, size):
    out = list(rebatch([texts(*values) for values in lists], rows, size))
    assert [v for batch in out for v in batch.column(0).to_pylist()] == [v for vs in lists for v in vs]
    for batch in out:
        assert 0 < batch.num_rows <= rows
        assert batch.num_rows == 1 or batch.nbytes <= size


def test_a_wide_row_travels_alone():
    batch = texts("a", "x" * 5000, "b", "c")
    assert [b.num_rows for b in rebatch([batch], 100, 1000)] == [1, 1, 2]


def test_only_small_batches_are_joined():
    small, large = texts(*"ab"), texts(*"abcdefghijklm")
    out = list(rebatch([small] * 6 + [large, small, large], 96, 10**6))
    assert [batch.num_rows for batch in out] == [12, 13, 2, 13]
    assert out[1].column(0).buffers()[2].address == large.column(0).buffers()[2].address


def test_digests_tell_apart_what_text_would_merge():
    digests = row_digests(texts("", None, "NULL", "null", " ", "\x00"))
    assert len(set(digests)) == 6
    pairs = pa.record_batch({"a": ["ab", "a"], "b": ["c", "bc"]})
    assert len(set(row_digests(pairs))) == 2
    assert row_digests(pa.record_batch({"a": [1]})) != row_digests(pa.record_batch({"a": ["1"]}))
    zero = pa.record_batch({"a": [0.0, -0.0, float("nan"), None]})
    assert len(set(row_digests(zero))) == 4


def test_digests_do_not_depend_on_batch_borders_or_offset_width():
    batch = awkward.batch()
    whole = row_digests(batch)
    parts = [d for i in range(0, batch.num_rows, 7) for d in row_digests(batch.slice(i, 7))]
    assert whole == parts
    assert len(set(whole)) == batch.num_rows
    wide = batch.column("text").cast(pa.large_string())
    assert row_digests(pa.record_batch({"t": wide})) == row_digests(texts(*batch.column("text").to_pylist()))


def test_a_digest_is_the_same_in_every_version():
    batch = pa.record_batch(
        {"i": [1], "s": ["é"], "d": pa.array([Decimal("1.50")], pa.decimal128(5, 2)), "n": pa.nulls(1)}
    )
    values = [(b"i", b"1"), (b"s", b"\xc3\xa9"), (b"d", b"1.50")]
    row = b"".join(tag + len(raw).to_bytes(8, "big") + raw for tag, raw in values) + b"\x00"
    assert row_digests(batch) == [hashlib.sha256(row).hexdigest()]


def test_subtract_takes_each_row_as_often_as_known():
    batch = texts("a", "a", "a", None, "b")
    a, *_, null, b = row_digests(batch)
    known = Counter({a: 2, null: 1, "other": 1})
    left, taken = subtract(batch, known)
    assert left.column(0).to_pylist() == ["a", "b"]
    assert taken == 3
    assert known == {"other": 1}
    assert subtract(batch, Counter()) == (batch, 0)
    assert b not in known


def test_conform_orders_and_widens_but_never_alters():
    schema = pa.schema([pa.field("b", pa.int64()), pa.field("a", pa.string())])
    batch = pa.record_batch({"a": ["x"], "b": pa.array([5], pa.int32())})
    assert conform(batch, schema).to_pylist() == [{"b": 5, "a": "x"}]
    with pytest.raises(UnrepresentableValue) as caught:
        conform(pa.record_batch({"n": [987654]}), pa.schema([("n", pa.int8())]))
    assert "987654" not in str(caught.value)
    assert "987654" not in str(caught.value.__cause__)


@pytest.mark.parametrize("names", [["a"], ["a", "c"], ["a", "b", "c"], ["a", "A"]])
def test_conform_refuses_other_columns(names):
    schema = pa.schema([("a", pa.int64()), ("b", pa.int64())])
    with pytest.raises(SchemaDrift):
        conform(pa.record_batch({name: [1] for name in names}), schema)


def test_conform_refuses_null_where_none_is_declared():
    schema = pa.schema([pa.field("a", pa.int64(), nullable=False)])
    with pytest.raises(SchemaDrift, match="NOT NULL"):
        conform(pa.record_batch({"a": pa.array([None], pa.int64())}), schema)


DAY = 86_400_000_000


@pytest.mark.parametrize(
    ("values", "kind", "fits"),
    [
        (pa.array([0.5, None, float("nan"), float("inf"), -0.0]), pa.float32(), True),
        (pa.array([0.1]), pa.float32(), False),
        (pa.array([0.125]), pa.decimal128(9, 2), False),
        (pa.array([0.25]), pa.decimal128(9, 2), True),
        (pa.array([Decimal("12345678901234567.8")]), pa.float64(), False),
        (pa.array([1, 0, None]), pa.bool_(), True),
        (pa.array([5]), pa.bool_(), False),
        (pa.array([DAY, None], pa.timestamp("us")), pa.date32(), True),
        (pa.array([DAY + 1], pa.timestamp("us")), pa.date32(), False),
        (pa.array([DAY + 1], pa.timestamp("us")), pa.time64("us"), False),
        (pa.array([1.5], pa.float16()), pa.float32(), True),
        (pa.array(["5"]).dictionary_encode(), pa.string(), True),
    ],
)
def test_a_cast_that_changes_a_value_is_refused(values, kind, fits):
    """Arrow's safe casts round, drop the time of day, and make 5 true."""
    batch, schema = pa.record_batch({"a": values}), pa.schema([("a", kind)])
    if fits:
        assert conform(batch, schema).column(0).null_count == values.null_count
    else:
        with pytest.raises(UnrepresentableValue, match="column a"):
            conform(batch, schema)
