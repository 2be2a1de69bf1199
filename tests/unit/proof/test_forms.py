"""Equal values have equal spellings, whatever type carries them; other values have others."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest

from hdm.model import Column, Kind
from hdm.proof.forms import Form, framed, joined, number_text, pair_of, spelled


def spell(kind: Kind, carrier: pa.DataType, *values: object, other: Kind | None = None) -> list[bytes | None]:
    column = Column("c", kind, carrier)
    beside = column if other is None else Column("c", other, pa.string())
    found: list[bytes | None] = spelled(
        pa.array(values, carrier), pair_of(column, beside), first=True
    ).to_pylist()
    return found


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("1.50", "1.5"),
        ("-0.00", "0"),
        ("1E+3", "1000"),
        ("1e-7", "0.0000001"),
        ("NaN", "NaN"),
        ("007", "7"),
        ("x", "x"),
    ],
)
def test_numbers_have_one_text(text: str, plain: str) -> None:
    assert number_text(text) == plain
    assert spell(Kind.DECIMAL, pa.string(), text) == [plain.encode()]


def test_decimals_of_any_scale_are_spelled_alike() -> None:
    for scale in (0, 4, 20):
        values = [Decimal(n) for n in (0, 10, -7, 1000)]
        assert spell(Kind.DECIMAL, pa.decimal128(38, scale), *values) == [b"0", b"10", b"-7", b"1000"]
    assert spell(Kind.DECIMAL, pa.decimal256(76, 30), Decimal("1.10"), None) == [b"1.1", None]
    assert spell(Kind.INT8, pa.int8(), 10, 1) == [b"10", *spell(Kind.BOOLEAN, pa.bool_(), True)]


def test_floats_are_told_apart_to_the_last_bit() -> None:
    zero, minus, one, next_one = spell(Kind.FLOAT64, pa.float64(), 0.0, -0.0, 1.0, 1.0000000000000002)
    assert len({zero, minus, one, next_one}) == 4
    assert spell(Kind.FLOAT32, pa.float32(), 0.5) == spell(Kind.FLOAT64, pa.float64(), 0.5)
    odd = pa.array([float("nan")]).cast(pa.float32()).cast(pa.float64())
    assert spell(Kind.FLOAT64, pa.float64(), float("nan")) == spell(
        Kind.FLOAT64, pa.float64(), *odd.to_pylist()
    )


def test_a_float_beside_a_decimal_is_its_shortest_text() -> None:
    pair = pair_of(Column("c", Kind.FLOAT64, pa.float64()), Column("c", Kind.DECIMAL, pa.decimal128(9, 2)))
    assert pair.form is Form.NUMBER
    assert spelled(pa.array([0.1, 1e16, -0.0]), pair, first=True).to_pylist() == [
        b"0.1",
        b"1" + b"0" * 16,
        b"0",
    ]


def test_moments_of_any_unit_are_spelled_alike() -> None:
    moment = dt.datetime(1969, 12, 31, 23, 59, 59, 999_000)
    texts = {spell(Kind.TIMESTAMP, pa.timestamp(unit), moment)[0] for unit in ("ms", "us", "ns")}
    assert texts == {b"-1000"}
    finer = pa.array([-1, 1_001], pa.int64()).cast(pa.timestamp("ns"))
    pair = pair_of(*[Column("c", Kind.TIMESTAMP, pa.timestamp("ns"))] * 2)
    assert spelled(finer, pair, first=True).to_pylist() == [b"-1.999", b"1.001"]


def test_days_beyond_64_bits_of_microseconds_and_infinity() -> None:
    days = pa.array([2**31 - 1, -(2**31 - 1), 2_000_000_000], pa.int32()).cast(pa.date32())
    pair = pair_of(*[Column("c", Kind.DATE, pa.date32())] * 2)
    far = spelled(days, pair, first=True).to_pylist()
    assert far == [
        b"9223372036854775807",
        b"-9223372036854775807",
        str(2_000_000_000 * 86_400_000_000).encode(),
    ]


def test_what_is_next_to_each_other_is_not_mixed_up() -> None:
    def row(*values: str | None) -> bytes:
        parts = [framed(pa.array([v], pa.string()).cast(pa.binary()), Form.TEXT) for v in values]
        return joined(parts)[0]

    rows = [
        row("ab", "c"),
        row("a", "bc"),
        row("", "abc"),
        row(None, "abc"),
        row("N", "abc"),
        row("t1:a", "bc"),
    ]
    rows += [row("at:b", "c"), row("a", "bt:c"), row("at1:b", "c"), row("a", "bt1:c")]
    assert len(set(rows)) == len(rows)


def test_other_kinds_are_compared_as_text() -> None:
    assert spell(Kind.DATE, pa.date32(), dt.date(2024, 2, 29), other=Kind.TEXT) == [b"2024-02-29"]
    assert spell(Kind.BOOLEAN, pa.bool_(), True, other=Kind.TEXT) == [b"1"]
    assert spell(Kind.DECIMAL, pa.decimal128(5, 2), Decimal("1.50"), other=Kind.TEXT) == [b"1.5"]
