"""What drivers give for a value: the Python object or its exact text, and nothing that must be rounded."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest

from hdm.dialects.native_type import words_and_numbers
from hdm.dialects.types import carrier
from hdm.model import Column, Kind
from hdm.sql.dbapi_codec import decoder

MOMENT = datetime(2024, 1, 2, 3, 4, 5, 678901)
EAST = timezone(timedelta(hours=2))


def column(kind: Kind, precision: int | None = None, scale: int | None = None) -> Column:
    return Column("c", kind, carrier(kind, precision, scale), precision=precision, scale=scale)


def decoded(one: Column, *values: Any) -> list[Any]:
    made = decoder(one)(values, one.type)
    assert made.type == one.type
    return list(made.to_pylist())


@pytest.mark.parametrize(
    ("kind", "given", "kept"),
    [
        (Kind.INT64, 2**63 - 1, 2**63 - 1),
        (Kind.INT64, "-12", -12),
        (Kind.INT16, Decimal("7"), 7),
        (Kind.BOOLEAN, 1, True),
        (Kind.BOOLEAN, "f", False),
        (Kind.FLOAT64, 3, 3.0),
        (Kind.FLOAT64, "0.1", 0.1),
        (Kind.TEXT, "x", "x"),
        (Kind.BINARY, bytearray(b"\x00"), b"\x00"),
        (Kind.UUID, UUID(int=1), str(UUID(int=1))),
        (Kind.JSON, '{"a": 1}', '{"a": 1}'),
        (Kind.DATE, date(2024, 2, 29), date(2024, 2, 29)),
        (Kind.DATE, "2024-02-29", date(2024, 2, 29)),
        (Kind.TIME, time(1, 2, 3, 4), time(1, 2, 3, 4)),
        (Kind.TIMESTAMP, MOMENT, MOMENT),
        (Kind.TIMESTAMP, "2024-01-02 03:04:05.678901", MOMENT),
        (Kind.TIMESTAMPTZ, datetime(2024, 1, 2, 3, tzinfo=EAST), datetime(2024, 1, 2, 1, tzinfo=UTC)),
    ],
)
def test_a_value_comes_as_itself_or_as_its_text(kind: Kind, given: Any, kept: Any) -> None:
    assert decoded(column(kind), None, given) == [None, kept]


def test_decimals_keep_every_digit() -> None:
    assert decoded(column(Kind.DECIMAL, 12, 2), Decimal("0.10"), "-1.5", 3) == [
        Decimal("0.10"), Decimal("-1.50"), Decimal("3.00")
    ]  # fmt: skip
    assert decoded(column(Kind.DECIMAL), Decimal("1E+3"), "0.10", Decimal("NaN")) == ["1000", "0.10", "NaN"]


def test_short_floats_come_as_they_are_or_as_their_shortest_text_says() -> None:
    short = pa.array([0.1], pa.float32())[0].as_py()
    assert decoded(column(Kind.FLOAT32), 0.1, short, 1e30, float("inf")) == [
        short, short, pa.scalar(1e30, pa.float32()).as_py(), float("inf")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("one", "given"),
    [
        (column(Kind.INT64), 1.5),
        (column(Kind.INT64), True),
        (column(Kind.INT64), "1.5"),
        (column(Kind.INT16), 40_000),
        (column(Kind.BOOLEAN), 2),
        (column(Kind.FLOAT64), 2**53 + 1),
        (column(Kind.FLOAT64), Decimal("0.1")),
        (column(Kind.FLOAT32), 0.1234567890123),
        (column(Kind.FLOAT32), 1e300),
        (column(Kind.DECIMAL, 12, 2), 0.1),
        (column(Kind.DECIMAL, 12, 2), "0.123"),
        (column(Kind.DECIMAL, 4, 2), 1000),
        (column(Kind.DECIMAL, 12, 2), "some"),
        (column(Kind.TEXT), 7),
        (column(Kind.TEXT), b"x"),
        (column(Kind.BINARY), "x"),
        (column(Kind.OTHER), b"x"),
        (column(Kind.DATE), MOMENT),
        (column(Kind.DATE), "yesterday"),
        (column(Kind.TIMESTAMP), date(2024, 1, 1)),
        (column(Kind.TIMESTAMP), MOMENT.replace(tzinfo=UTC)),
        (column(Kind.TIMESTAMPTZ), MOMENT),
        (column(Kind.TIME), timedelta(hours=1)),
    ],
)
def test_what_would_be_rounded_cut_or_guessed_is_refused(one: Column, given: Any) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError, pa.ArrowException)):
        decoded(one, given)


@pytest.mark.parametrize(
    ("native", "words", "numbers"),
    [
        ("bigint", "BIGINT", ()),
        ("Numeric( 10 , -2 )", "NUMERIC", (10, -2)),
        ("timestamp(3) with time zone", "TIMESTAMP WITH TIME ZONE", (3,)),
        ("int(10) unsigned", "INT UNSIGNED", (10,)),
        ("nvarchar(max)", "NVARCHAR", None),
        ("enum('a,b','c')", "ENUM", None),
        ("ARRAY(NUMBER(38,0))", "ARRAY", None),
        ("STRING()", "STRING", None),
        ("", "", ()),
    ],
)
def test_a_types_words_and_numbers(native: str, words: str, numbers: tuple[int, ...] | None) -> None:
    assert words_and_numbers(native) == (words, numbers)
