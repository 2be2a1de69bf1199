"""Dates and timestamps as text and back, far beyond what Python's datetime holds."""

import datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hdm.arrow import temporal

MICROS = st.integers(-(2**63) + 2, 2**63 - 2)


@given(st.integers(-(2**31) + 2, 2**31 - 2))
def test_dates_round_trip(days):
    assert temporal.date_from_text(temporal.date_to_text(days)) == days


@given(MICROS)
def test_timestamps_round_trip(ticks):
    text = temporal.stamp_to_text(ticks)
    assert temporal.stamp_from_text(text, zoned=False) == ticks
    assert temporal.stamp_from_text(temporal.stamp_to_text(ticks, "+00"), zoned=True) == ticks


@given(st.dates())
def test_agrees_with_python(date):
    days = (date - datetime.date(1970, 1, 1)).days
    assert temporal.date_to_text(days) == date.isoformat()
    assert temporal.date_from_text(date.isoformat()) == days


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("infinity", 2**31 - 1),
        ("-infinity", -(2**31) + 1),
        ("0001-12-31 BC", -719163),
        ("0001-01-01", -719162),
    ],
)
def test_edges(text, days):
    assert temporal.date_from_text(text) == days
    assert temporal.date_to_text(days) == text


@pytest.mark.parametrize(
    "text", ["2024-02-30", "2023-02-29", "2024-13-01", "24-01-01", "", "2024-01-01x", "-0001-01-01 BC"]
)
def test_no_dates(text):
    with pytest.raises(ValueError, match="no"):
        temporal.date_from_text(text)


@pytest.mark.parametrize(
    "text",
    ["2024-01-01 24:00:00", "2024-01-01 00:60:00", "2024-01-01 00:00:00.0000001", "2024-01-01 00:00:00+01"],
)
def test_no_timestamps(text):
    with pytest.raises(ValueError, match=r"no|finer"):
        temporal.stamp_from_text(text, zoned=False)


def test_offsets():
    assert temporal.stamp_from_text("1970-01-01 01:30:15+01:30:15", zoned=True) == 0
    assert temporal.stamp_from_text("1969-12-31 12:00:00-12", zoned=True) == 0


@pytest.mark.parametrize(
    "kind",
    [pa.date32(), pa.timestamp("us"), pa.timestamp("ns"), pa.timestamp("us", "UTC"), pa.timestamp("s")],
)
def test_arrays_round_trip(kind):
    wide = pa.int32() if kind == pa.date32() else pa.int64()
    limit = 2 ** (wide.bit_width - 1) - 1
    if kind == pa.timestamp("s"):
        limit = 10**11
    for numbers in (
        [0, None, -1, 10**4],
        [limit, -limit, None, 0, -limit + 1 if kind != pa.timestamp("s") else 5],
    ):
        array = pa.array(numbers, wide).cast(kind)
        texts = temporal.to_texts(array)
        assert temporal.from_texts(texts, kind).cast(wide).to_pylist() == numbers


def test_times():
    kind = pa.time64("us")
    array = pa.array([0, None, 86399999999], pa.int64()).cast(kind)
    assert temporal.from_texts(temporal.to_texts(array), kind) == array
    with pytest.raises(ValueError, match="no time of day"):
        temporal.clock_from_text("24:00:00")
