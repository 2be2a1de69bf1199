"""Carriers, what fits into what, and what each target says it loses."""

import pyarrow as pa
import pytest

from hdm.dialects import dialect
from hdm.dialects.types import Fidelity, carrier, decimal_carrier, misfit
from hdm.model import Column, Kind

PG, LITE = dialect("postgres"), dialect("sqlite")


@pytest.mark.parametrize(
    ("precision", "scale", "expected"),
    [
        (10, 2, pa.decimal128(10, 2)),
        (38, 38, pa.decimal128(38, 38)),
        (39, 0, pa.decimal256(39, 0)),
        (76, 10, pa.decimal256(76, 10)),
        (77, 0, pa.string()),
        (None, None, pa.string()),
        (3, -2, pa.decimal128(5, 0)),
        (2, 5, pa.decimal128(5, 5)),
    ],
)
def test_decimals(precision, scale, expected):
    assert decimal_carrier(precision, scale) == expected


def test_finer_than_microseconds_travels_in_nanoseconds():
    assert carrier(Kind.TIMESTAMP, 9) == pa.timestamp("ns")
    assert carrier(Kind.TIMESTAMPTZ, 7) == pa.timestamp("ns", "UTC")
    assert carrier(Kind.TIME, 9) == pa.time64("ns")
    assert carrier(Kind.TIMESTAMP, 6) == pa.timestamp("us")


@pytest.mark.parametrize(
    ("held", "wanted", "fits"),
    [
        ("bigint", "integer", True),
        ("integer", "bigint", False),
        ("numeric(19,0)", "bigint", True),
        ("numeric(18,0)", "bigint", False),
        ("numeric", "numeric(38,18)", True),
        ("numeric(38,10)", "numeric(38,18)", False),
        ("numeric(40,18)", "numeric(38,18)", True),
        ("numeric(38,18)", "numeric", False),
        ("text", "numeric", True),
        ("text", "bytea", False),
        ("text", "timestamp without time zone", True),
        ("character varying(10)", "text", True),
        ("character varying(10)", "character varying(10)", True),
        ("character varying(10)", "bytea", False),
        ("timestamp(3) without time zone", "timestamp without time zone", False),
        ("timestamp without time zone", "timestamp(3) without time zone", True),
        ("timestamp with time zone", "timestamp without time zone", False),
        ("real", "double precision", False),
        ("double precision", "real", True),
        ("date", "timestamp without time zone", False),
        ("boolean", "integer", False),
    ],
)
def test_what_fits(held, wanted, fits):
    made = [PG.column_from_catalog("c", native) for native in (held, wanted)]
    assert (misfit(*made) is None) is fits


@pytest.mark.parametrize(
    ("held", "wanted", "fits"),
    [
        ("varbinary(1536)", "longblob", True),
        ("binary(16)", "longblob", False),
        ("binary(16)", "varbinary(16)", True),
    ],
)
def test_bytes_that_are_padded_are_no_home_for_longer_ones(held, wanted, fits):
    made = [dialect("mysql").column_from_catalog("c", native) for native in (held, wanted)]
    assert (misfit(*made) is None) is fits


def column(kind, **more):
    return Column(
        "c", kind, carrier(kind, more.get("precision"), more.get("scale")), origin="elsewhere", **more
    )


@pytest.mark.parametrize("target", [PG, LITE])
@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_a_home_that_is_read_back_as_the_same_carrier(target, kind):
    given = column(kind, precision=12, scale=3) if kind is Kind.DECIMAL else column(kind)
    stored = target.stored(given)
    back = target.column_from_catalog("c", stored.native)
    assert stored.fidelity is not Fidelity.LOSSY
    if stored.fidelity is Fidelity.EXACT and kind not in (Kind.INT8, Kind.INT32):
        assert back.type == given.type


@pytest.mark.parametrize("kind", [Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ])
def test_nanoseconds_are_a_loss_in_postgres_and_none_in_sqlite(kind):
    fine = column(kind, precision=9)
    assert PG.stored(fine).fidelity is Fidelity.LOSSY
    assert LITE.stored(fine).fidelity is Fidelity.EXACT
    assert LITE.column_from_catalog("c", LITE.stored(fine).native).type == fine.type


def test_the_same_system_keeps_its_own_words():
    assert PG.stored(PG.column_from_catalog("c", "character varying(7)")).native == "character varying(7)"
    assert PG.stored(PG.column_from_catalog("c", "inet")).native == "inet"
    own = PG.stored(PG.column_from_catalog("c", "mood[]"))
    assert (own.native, own.fidelity) == ("text", Fidelity.APPROXIMATED)
