"""Names, literals, conditions and durations: quoted always, cut never."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hdm.dialects import dialect
from hdm.dialects.base import one_predicate, seconds
from hdm.errors import ConnectionLost, TransientError, UnknownComponent, UsageError
from hdm.model import Column, Condition, Dataset, Kind, Table

PG, LITE = dialect("postgres"), dialect("SQLite")


def test_lookup_is_lazy_and_names_what_it_knows():
    assert dialect("postgresql").name == "postgres"
    with pytest.raises(UnknownComponent, match="nope"):
        dialect("nope")


@given(st.text(min_size=1, max_size=15).filter(lambda t: "\0" not in t))
@pytest.mark.slow
def test_quoting_is_reversible(name):
    quoted = PG.quote(name)
    assert quoted[0] == quoted[-1] == '"'
    assert quoted[1:-1].replace('""', '"') == name


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 64, "é" * 32])
def test_names_that_would_be_cut_are_refused(name):
    with pytest.raises(UsageError):
        PG.quote(name)


def test_names_beside_stay_within_the_limit_and_apart():
    one, two = PG.beside("é" * 31 + "a", "__hdm_1"), PG.beside("é" * 31 + "b", "__hdm_1")
    assert one != two
    assert len(one.encode()) <= 63
    assert PG.beside("short", "__hdm_1") == "short__hdm_1"


def table(*columns):
    return Table(Dataset("n", "t"), ("t",), columns)


def test_conditions():
    made = table(
        PG.column_from_catalog("a'b", "timestamp(3) with time zone"), PG.column_from_catalog("n", "bigint")
    )
    conditions = (
        Condition("a'b", ">", "x'); DROP TABLE t; --"),
        Condition("n", "<=", "5"),
        Condition("n", "null"),
    )
    assert PG.predicate(conditions, made) == (
        "\"a'b\" > CAST('x''); DROP TABLE t; --' AS timestamp(3) with time zone) "
        'AND "n" <= 5 AND "n" IS NULL'
    )
    assert PG.predicate((), made) == ""
    assert PG.condition(Condition("@page", ">=", "7"), made) == "ctid >= '(7,0)'::tid"
    assert PG.condition(Condition("@late", "=", "7,8"), made) == "xmin = ANY ('{7,8}'::xid[])"


@pytest.mark.parametrize(
    "one",
    [
        Condition("n", "<=", "5 OR 1=1"),
        Condition("n", "LIKE", "5"),
        Condition("gone", "=", "5"),
        Condition("@page", ">=", "7)'::tid OR true --"),
        Condition("@late", "=", "7}'"),
        Condition("n", "=", None),
    ],
)
def test_conditions_that_are_none(one):
    with pytest.raises(UsageError):
        PG.condition(one, table(PG.column_from_catalog("n", "bigint")))


def test_sqlite_has_no_pages():
    with pytest.raises(UsageError, match="no @page"):
        LITE.condition(Condition("@page", ">=", "7"), table())


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("1.5s", 1.5), ("15m", 900), ("2 hours", 7200), ("1d", 86400), ("5ms", 0.005)],
)
def test_durations(text, expected):
    assert seconds(text) == pytest.approx(expected)
    assert seconds("2", days=True) == 172800


@pytest.mark.parametrize("text", ["", "x", "-5", "5 parsecs", "1h; DROP"])
def test_no_durations(text):
    with pytest.raises(UsageError, match="not a duration"):
        seconds(text)


@pytest.mark.parametrize("text", ["a = 1", "a IN (1, (2))", "a = 'x;--y'", '"a;b" > 0'])
def test_one_predicate(text):
    assert one_predicate(text) == text


def test_unknown_errors_are_transient_and_silent():
    assert type(PG.classify(RuntimeError("canary"))) is TransientError
    assert "canary" not in str(PG.classify(RuntimeError("canary")))
    assert type(PG.classify(ConnectionResetError())) is ConnectionLost


def test_lag_and_offset_fit_the_column():
    number = PG.column_from_catalog("n", "bigint")
    assert PG.minus("x", "5", number) == "(x - 5)"
    moment = PG.column_from_catalog("t", "timestamp without time zone")
    assert "3600.000000" in PG.minus("x", "1h", moment)
    for column, amount in ((number, "1h"), (PG.column_from_catalog("v", "text"), "1")):
        with pytest.raises(UsageError):
            PG.minus("x", amount, column)


def test_floats_are_not_bare_words():
    column = Column("f", Kind.FLOAT64, None, native="REAL", origin="sqlite")
    with pytest.raises(UsageError):
        LITE.literal("1 OR 1=1", column)
    assert LITE.literal("-1.5e-300", column) == "-1.5e-300"
