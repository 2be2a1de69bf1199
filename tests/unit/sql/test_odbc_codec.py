"""ODBC's carriers, sizes and casts, without a driver: what is bound, and what is refused."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from hdm.errors import MissingDriver, UnrepresentableValue
from hdm.model import Column, Kind
from hdm.sql import odbc_codec


class Cursor:
    """Rows in portions, as an executed cursor gives them."""

    def __init__(self, rows: list[tuple]) -> None:
        self.rows, self.steps = rows, []

    def fetchmany(self, size: int) -> list[tuple]:
        self.steps.append(size)
        part, self.rows = self.rows[:size], self.rows[size:]
        return part


def test_only_columns_without_a_useful_bound_are_measured():
    columns = [
        Column("bounded", Kind.TEXT, pa.string(), length=4000),
        Column("long", Kind.TEXT, pa.string(), length=4001),
        Column("free", Kind.TEXT, pa.string()),
        Column("day", Kind.DATE, pa.date32()),
        Column("raw", Kind.BINARY, pa.binary(), length=8000),
        Column("blob", Kind.BINARY, pa.binary()),
        Column("n", Kind.INT64, pa.int64()),
        Column("uuid", Kind.UUID, pa.string()),
    ]
    assert [c.name for c in odbc_codec.unbounded("ansi", columns)] == ["long", "free", "blob"]


@pytest.mark.parametrize(("widest", "rows"), [(10, 5000), (1024 * 1024, 7), (10**9, 1)])
def test_a_portion_of_rows_fits_the_memory(widest, rows):
    assert odbc_codec.rows_within(8 * 1024 * 1024, widest) == rows


def test_rows_one_by_one_are_batches_of_the_columns_carriers():
    columns = [
        Column("n", Kind.INT32, pa.int32(), False),
        Column("flag", Kind.BOOLEAN, pa.bool_()),
        Column("raw", Kind.BINARY, pa.binary()),
    ]
    cursor = Cursor([(1, "t", bytearray(b"a")), (2, 0, None), (3, None, b"c")])
    batches = list(odbc_codec.one_by_one(cursor, columns, "ansi", 2 * 1024 * 1024))
    assert cursor.steps[0] == 3, "three of them fit into the memory that is allowed"
    assert [row for batch in batches for row in batch.to_pylist()] == [
        {"n": 1, "flag": True, "raw": b"a"},
        {"n": 2, "flag": False, "raw": None},
        {"n": 3, "flag": None, "raw": b"c"},
    ]
    assert batches[0].schema == pa.schema([pa.field(c.name, c.type, c.nullable) for c in columns])


def test_what_is_no_boolean_is_refused_by_name():
    columns = [Column("flag", Kind.BOOLEAN, pa.bool_())]
    with pytest.raises(UnrepresentableValue, match="column flag"):
        list(odbc_codec.one_by_one(Cursor([("maybe",)]), columns, "ansi", 10))


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2020-01-02 03:04:05.5+02", datetime(2020, 1, 2, 1, 4, 5, 500000, tzinfo=UTC)),
        ("2020-01-02 03:04:05Z", datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2020-01-02 03:04:05", datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ],
)
def test_a_moment_with_and_without_its_zone(text, instant):
    columns = [Column("at", Kind.TIMESTAMPTZ, pa.timestamp("us", "UTC"))]
    batch = pa.RecordBatch.from_pydict({"at": pa.array([text, None])})
    assert odbc_codec.carried(batch, columns).column(0).to_pylist() == [instant, None]


def test_a_cast_that_would_alter_a_value_is_refused_without_it():
    batch = pa.RecordBatch.from_pydict({"n": pa.array([70_000], pa.int64())})
    with pytest.raises(UnrepresentableValue, match="column n: a value does not fit int16") as wrong:
        odbc_codec.carried(batch, [Column("n", Kind.INT16, pa.int16())])
    assert "70" not in str(wrong.value)


@pytest.mark.parametrize("missing", ["pyodbc", "arrow_odbc"])
def test_a_module_that_is_not_installed_names_the_extra(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, "pyodbc", type(sys)("pyodbc"))
    monkeypatch.setitem(sys.modules, "arrow_odbc", type(sys)("arrow_odbc"))
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingDriver) as wrong:
        odbc_codec.modules()
    assert missing in wrong.value.message
    assert wrong.value.hint == "pip install 'hdm[odbc]'"


@pytest.mark.parametrize(
    "error",
    [
        OSError("cannot load library 'x/libarrow_odbc.so': libodbc.so.2: cannot open shared object file"),
        ImportError("libodbc.so.2: cannot open shared object file: No such file or directory"),
    ],
    ids=["arrow-odbc", "pyodbc"],
)
def test_a_driver_manager_that_is_not_installed_is_one_line_too(monkeypatch, error):
    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name == "pyodbc":
                raise error

    monkeypatch.delitem(sys.modules, "pyodbc", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(MissingDriver, match="libodbc") as wrong:
        odbc_codec.modules()
    assert "unixodbc" in wrong.value.hint
