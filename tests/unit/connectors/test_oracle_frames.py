"""What python-oracledb's data frames falsify: every value arrives as it is, or is refused by its column."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest

from hdm.connectors.oracle import OracleProfile, OracleSource
from hdm.errors import UnrepresentableValue, UnsupportedType
from tests.fixtures.oracle_frames import Frames
from tests.fixtures.recorded.conversation import Conversation, oracledb

JOB = "j" * 64
UTC = dt.UTC
NINES = "9" * 38
DIGITS = "12345678901234567890123456789012345678"
MOST = dt.datetime(9999, 12, 31, 23, 59, 59, 999_999)


def numbers(*texts: str) -> list[Decimal | None]:
    return [*map(Decimal, texts), None]


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


NUMBERS: dict[str, list[Decimal | None]] = {
    "NUMBER(1,0)": numbers("0", "-9"),
    "NUMBER(18,0)": numbers("999999999999999999", "-999999999999999999"),
    "NUMBER(19,0)": numbers("9223372036854775808", "-9999999999999999999"),
    "NUMBER(38,0)": numbers(NINES, "-" + NINES, "9007199254740993"),
    "NUMBER(*,0)": numbers(NINES, "-" + NINES, "9007199254740993"),
    "NUMBER(12,2)": numbers("9999999999.99", "-0.05", "7", "0.1"),
    "NUMBER(38,10)": numbers(DIGITS[:28] + "." + DIGITS[28:], "-0.0000000001"),
    "NUMBER(38,38)": numbers("0." + DIGITS, "-0." + DIGITS, "0.1"),
    "NUMBER(38,37)": numbers("9." + DIGITS[1:], "-9." + DIGITS[1:]),
    "NUMBER(5,-2)": numbers("12300", "-100", "0", "9999900"),
    "NUMBER(3,5)": numbers("0.00999", "-0.00001", "0"),
}
"""Numbers with a bound: they arrive as decimals."""
UNBOUNDED: dict[str, list[Decimal | None]] = {
    "NUMBER": numbers("0.1", "9007199254740993", "-" + NINES + "99", "1E-130", "9.99E+125", "1E+40", "-0.5"),
    "NUMBER(38,-2)": numbers(DIGITS + "00", "-100"),
    "FLOAT(126)": numbers("0.1", "-123456789.123456789"),
}
"""Numbers without: they arrive as text, digit for digit."""
OTHERS: dict[str, tuple[Sequence[Any], Sequence[Any]]] = {
    # native type -> what is stored, what arrives
    "BINARY_DOUBLE": ([float("inf"), 5e-324, 1.7976931348623157e308, None],) * 2,
    "BINARY_FLOAT": ([float("-inf"), 1.5, None],) * 2,
    "DATE": (
        ["0001-01-01 00:00:00", "9999-12-31 23:59:59", "1582-10-15 12:00:01", None],
        [moment("0001-01-01"), MOST.replace(microsecond=0), moment("1582-10-15 12:00:01"), None],
    ),
    "TIMESTAMP(0)": (["9999-12-31 23:59:59"], [MOST.replace(microsecond=0)]),
    "TIMESTAMP(3)": (["1500-01-01 00:00:00.123"], [moment("1500-01-01 00:00:00.123")]),
    "TIMESTAMP(6)": (
        ["9999-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999"],
        [MOST, moment("1969-12-31 23:59:59.999999")],
    ),
    "TIMESTAMP(6) WITH TIME ZONE": (
        ["2020-02-29 01:02:03.000004", "9999-12-31 23:59:59.999999"],
        [dt.datetime(2020, 2, 29, 1, 2, 3, 4, UTC), MOST.replace(tzinfo=UTC)],
    ),
    "TIMESTAMP(3) WITH LOCAL TIME ZONE": (
        ["2020-02-29 01:02:03.004"], [dt.datetime(2020, 2, 29, 1, 2, 3, 4000, UTC)]
    ),
    "VARCHAR2(30 CHAR)": (["", "é🎈", " x ", None], [None, "é🎈", " x ", None]),
    "CHAR(5)": (["a    ", None], ["a    ", None]),
    "NVARCHAR2(10)": (["漢", ""], ["漢", None]),
    "CLOB": (["x" * 70_000, "", None], ["x" * 70_000, None, None]),
    "NCLOB": (["漢字"], ["漢字"]),
    "LONG": (["long", None], ["long", None]),
    "RAW(16)": ([b"\0\xff", b"", None], [b"\0\xff", None, None]),
    "BLOB": ([b"x" * 70_000, b""], [b"x" * 70_000, None]),
    "LONG RAW": ([b"\0"], [b"\0"]),
    "BOOLEAN": ([True, False, None],) * 2,
    "JSON": (['{"a": 1}', None],) * 2,
    "XMLTYPE": (["<a/>", None],) * 2,
    "ROWID": (["AAAR3sAAEAAAACXAAA"],) * 2,
    "INTERVAL DAY(2) TO SECOND(6)": (["+01 00:00:00.000000", None],) * 2,
}  # fmt: skip
EVERY = [
    *((native, values, values) for native, values in NUMBERS.items()),
    *((native, values, values) for native, values in UNBOUNDED.items()),
    *((native, *values) for native, values in OTHERS.items()),
]
Read = Callable[..., list[Any]]


def opened(
    monkeypatch: pytest.MonkeyPatch, frames: Frames, *, query: bool = False, **conf: Any
) -> OracleSource:
    catalogue = [
        (name, native, 1, *(None,) * 4, 0, None, None) for name, (native, _) in frames.columns.items()
    ]
    conversation = Conversation(
        ("^ALTER SESSION|^SET TRANSACTION READ ONLY$", None), ("^PARSE", frames.parse),
        ("data_object_id FROM all_objects", [("20260101000000", "TABLE", None, 70, 71)]),
        ("FROM all_objects", [("S", "T")]), ("FROM all_tab_cols", catalogue), ("FROM all_constraints", []),
        ("FROM all_tables", [(10, 100)]), (r"COUNT\(\*\)", [(1,)]), ("^SELECT", frames.select),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "oracledb", oracledb(conversation))
    profile = OracleProfile.model_validate(
        {"host": "db", "service_name": "P", "user": "s", "password": "canary"}
    )
    said = {"query": "SELECT * FROM t"} if query else {"table_name": "T"}
    return OracleSource(OracleSource.Config.model_validate({**said, **conf}), profile, name="s")


def read(source: OracleSource) -> list[Any]:
    table = source.describe()
    (chunk,) = source.split(table, source.window(), JOB, None)
    return [row["C"] for batch in source.read(table, chunk).batches() for row in batch.to_pylist()]


def same(found: Any, stored: Any) -> bool:
    return (
        (found is None and stored is None) or Decimal(found) == stored
        if isinstance(stored, Decimal)
        else found == stored
    )


@pytest.mark.parametrize("version", [3, 26])
@pytest.mark.parametrize("query", [False, True], ids=["table", "query"])
@pytest.mark.parametrize(("native", "stored", "arrives"), EVERY, ids=[case[0] for case in EVERY])
def test_every_value_arrives_as_it_is(native, stored, arrives, query, version, monkeypatch):
    found = read(opened(monkeypatch, Frames({"C": (native, stored)}, version), query=query))
    assert len(found) == len(arrives) and all(map(same, found, arrives)), found


def test_the_double_falsifies_what_the_driver_falsifies():
    """Else the tests above would show nothing."""
    from tests.fixtures.oracle_frames import array, described

    def frame(native, value, version=26):
        return array(described(native), [value], version).to_pylist()[0]

    assert frame("NUMBER(5,-2)", Decimal(12300)) == 1_230_000
    assert frame("NUMBER", Decimal(9007199254740993)) == 9007199254740992.0
    assert frame("TIMESTAMP(9)", "2020-02-29 01:02:03.000000999") == moment("2020-02-29 01:02:03")
    wrapped = array(described("TIMESTAMP(9)"), ["9999-12-31 23:59:59"], 26).cast("timestamp[us]", safe=False)
    assert wrapped.to_pylist()[0].year == 1816
    for version, kind in ((3, ValueError), (26, Exception)):
        with pytest.raises(kind):
            frame("NUMBER(38,38)", Decimal("0." + DIGITS), version)
    with pytest.raises(ValueError, match="year"):
        frame("DATE", "-0044-03-15 00:00:00")


@pytest.mark.parametrize("version", [3, 26])
@pytest.mark.parametrize("query", [False, True], ids=["table", "query"])
@pytest.mark.parametrize("native", ["TIMESTAMP(9)", "TIMESTAMP(7) WITH TIME ZONE"])
def test_nanoseconds_arrive_or_their_column_is_named(native, query, version, monkeypatch):
    text = "2020-02-29 01:02:03.000000900"
    source = opened(monkeypatch, Frames({"C": (native, [text])}, version), query=query)
    table = source.describe()
    (chunk,) = source.split(table, source.window(), JOB, None)
    (batch,) = source.read(table, chunk).batches()
    assert batch.column(0).cast("timestamp[ns]").cast("int64").to_pylist() == [1582938123000000900]
    far = opened(
        monkeypatch, Frames({"C": (native, ["9999-12-31 23:59:59.000000001"])}, version), query=query
    )
    with pytest.raises(UnrepresentableValue, match="column C"):
        read(far)


@pytest.mark.parametrize("version", [3, 26])
def test_a_year_that_the_driver_does_not_know_names_its_column_and_can_be_text(version, monkeypatch):
    frames = Frames({"ID": ("NUMBER(9,0)", [Decimal(1)]), "C": ("DATE", ["-0044-03-15 12:00:00"])}, version)
    with pytest.raises(UnrepresentableValue, match=r"in column C") as caught:
        read(opened(monkeypatch, frames))
    assert "types: {" in caught.value.hint
    assert read(opened(monkeypatch, frames, types={"C": "text"})) == ["-0044-03-15 12:00:00"]
    nanos = Frames({"C": ("TIMESTAMP(9)", ["9999-12-31 23:59:59.999999999"])}, version)
    assert read(opened(monkeypatch, nanos, types={"C": "text"})) == ["9999-12-31 23:59:59.999999999"]
    coarse = Frames({"C": ("TIMESTAMP(9)", ["9999-12-31 23:59:59.999999000"])}, version)
    assert read(opened(monkeypatch, coarse, types={"C": "TIMESTAMP(6)"})) == [MOST]


@pytest.mark.parametrize("version", [3, 26])
def test_a_number_that_the_driver_rounds_names_its_column(version, monkeypatch):
    """Of NUMBER(*,0) the catalogue says 38 digits; what if the server tells the driver none?"""
    frames = Frames({"C": ("NUMBER(*,0)", [Decimal(9007199254740993)])}, version, integers_untold=True)
    with pytest.raises(UnrepresentableValue, match="column C"):
        read(opened(monkeypatch, frames))
    assert read(opened(monkeypatch, frames, types={"C": "NUMBER"})) == ["9007199254740993"]
    assert read(opened(monkeypatch, frames, query=True)) == ["9007199254740993"]


@pytest.mark.parametrize("native", ["BFILE", "SDO_GEOMETRY", "VECTOR", "ANYDATA"])
def test_what_frames_cannot_hold_is_refused_by_name_before_anything_is_read(native, monkeypatch):
    frames = Frames({"ID": ("NUMBER(9,0)", [Decimal(1)]), "C": (native, ["x"])})
    for query in (False, True):
        with pytest.raises(UnsupportedType, match=r"cannot read C:"):
            opened(monkeypatch, frames, query=query).describe()
    rest = opened(monkeypatch, frames, columns=["ID"])
    assert [column.name for column in rest.describe().columns] == ["ID"]


def test_rows_come_in_frames_of_the_size_that_was_asked_for(monkeypatch):
    stored = ["x" * 1000] * 1000
    assert read(opened(monkeypatch, Frames({"C": ("CLOB", stored)}))) == stored
    assert read(opened(monkeypatch, Frames({"C": ("CLOB", [])}))) == []
