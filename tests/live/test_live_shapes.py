"""More of ``docs/reference/real-systems.md`` that only a real system can show: keys, queries, views, targets.

What is not about one system alone is proven on PostgreSQL, as all tests here are.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from hdm.errors import HdmError
from hdm.model import Column, Dataset, Kind, Mode, Table
from tests.live.named import component
from tests.live.test_live import JOB, clear, read
from tests.live.test_live_findings import (
    ID,
    Make,
    finding,
    made,  # noqa: F401 -- a fixture
    put,
    pytest_generate_tests,  # noqa: F401 -- a hook
)

pytestmark = pytest.mark.live
NAME = Column("NAME", Kind.TEXT, pa.string(), False, length=40)
KEYS = ["a", "a-b", "ab", "a b", "a_b", "b", "co-op", "coop", "Zz", "ä", "é", "œ", "1", "-1", "10", "2"]


def rows_of(system: str, **conf: Any) -> list[dict[str, Any]]:
    """The rows of a table or query, read as a job reads them: planned, and in chunks."""
    source = component("source", system, **conf)
    table = source.describe()
    with source.snapshot() as token:
        chunks = list(source.split(table, source.window(), JOB, token))
        batches = [batch for chunk in chunks for batch in source.read(table, chunk).batches()]
    return [row for batch in batches for row in batch.to_pylist()]


@pytest.fixture
def own(system: str) -> Iterator[Any]:
    """``own(columns)``: a table by the system's own DDL, and a sink that writes it; dropped at the end."""
    left = []

    def make(columns: str, *declared: Column) -> tuple[Any, Table, str]:
        name = f"HDM_LIVE_{uuid.uuid4().hex[:8].upper()}"
        table = Table(Dataset("live", name), (name,), declared, ())
        one = component("sink", system, table_name=name, allow_loss=True)
        full = one.dialect.qualify(one.target(table).path)
        connection = one.database.connect("hdm:live", write=True)
        one.database.change(connection, f"CREATE TABLE {full} ({columns})")
        one.database.commit(connection)
        connection.close()
        left.append((one, table))
        return one, table, full

    yield make
    for one, table in left:
        clear(one, table)


@finding(
    "oracle: ranges and watermarks",
    "oracle: text keys, '' in NOT NULL",
    "netezza: edges are sorted in one place",
)
def test_ranges_of_a_text_key_hold_each_row_once(system: str, made: Make) -> None:  # noqa: F811
    one, table = made((NAME,), ("NAME",))
    put(one, table, [{"NAME": key} for key in KEYS])
    found = rows_of(system, table_name=table.path[-1], chunk={"rows": 3})
    assert sorted(row["NAME"] for row in found) == sorted(KEYS)


@finding("oracle: text keys, '' in NOT NULL")
def test_an_empty_text_may_come(system: str, made: Make) -> None:  # noqa: F811
    one, table = made((ID, NAME))
    put(one, table, [{"ID": 1, "NAME": ""}, {"ID": 2, "NAME": "x"}])
    assert [row["NAME"] or "" for row in read(system, table)] == ["", "x"]


@finding("oracle: floats, long binds", "netezza: casts cut; floats; rows too wide")
def test_floats_arrive_bit_for_bit(system: str, made: Make) -> None:  # noqa: F811
    one, table = made((ID, Column("F", Kind.FLOAT64, pa.float64())))
    given = [0.1, 1e126, -1.7976931348623157e308, 2.2250738585072014e-308, None]
    put(one, table, [{"ID": n, "F": value} for n, value in enumerate(given)])
    assert [row["F"] for row in read(system, table)] == given
    try:
        put(one, table, [{"ID": 10, "F": math.nan}, {"ID": 11, "F": math.inf}], Mode.APPEND, 2)
    except HdmError:
        return  # a system without them refuses them
    assert [repr(row["F"]) for row in read(system, table)[-2:]] == ["nan", "inf"]


@finding(
    "oracle: private temporary tables",
    "oracle: merges: NULL and '' in keys",
    "sqlserver: the stage's collation; keys of nvarchar(max)",
    "sqlserver: narrow types for parameters on # tables",
    "netezza: OR in NOT EXISTS; columns of distribution",
)
def test_a_merge_changes_what_is_there_and_adds_the_rest(system: str, made: Make) -> None:  # noqa: F811
    key = Column("K", Kind.TEXT, pa.string(), length=20)
    one, table = made((key, Column("V", Kind.TEXT, pa.string(), length=300)), ("K",))
    put(one, table, [{"K": "a", "V": "1"}, {"K": None, "V": "2"}, {"K": "c", "V": None}], Mode.MERGE)
    put(one, table, [{"K": "a", "V": "x" * 300}, {"K": None, "V": "3"}, {"K": "d", "V": "4"}], Mode.MERGE, 2)
    found = sorted((row["K"] or "", row["V"]) for row in rows_of(system, table_name=table.path[-1]))
    assert found == [("", "3"), ("a", "x" * 300), ("c", None), ("d", "4")]


@finding("snowflake: keys of a view", "netezza: slices of views; one temporary name")
def test_a_view_is_read(system: str, made: Make) -> None:  # noqa: F811
    one, table = made((ID, NAME))
    put(one, table, [{"ID": n, "NAME": "x"} for n in range(6)])
    path = one.target(table).path
    view = (*path[:-1], f"{path[-1]}_V")
    connection = one.database.connect("hdm:live", write=True)
    names = [one.dialect.qualify(view), one.dialect.qualify(path)]
    try:
        one.database.change(connection, f"CREATE VIEW {names[0]} AS SELECT * FROM {names[1]}")
        one.database.commit(connection)
        found = rows_of(system, table_name=view[-1], chunk={"rows": 2})
        assert sorted(row["ID"] for row in found) == list(range(6))
    finally:
        with suppress(HdmError):
            one.database.change(connection, f"DROP VIEW {names[0]}")
            one.database.commit(connection)
        connection.close()


@finding("oracle: SELECT without FROM", "oracle: ranges and watermarks")
def test_a_watermark_with_an_offset_is_computed(system: str, made: Make) -> None:  # noqa: F811
    one, table = made((ID,))
    put(one, table, [{"ID": n} for n in range(8)])
    found = rows_of(
        system, table_name=table.path[-1], watermark={"column": "ID", "offset": "2"}, chunk={"rows": 3}
    )
    assert sorted(row["ID"] for row in found) == list(range(8))


@finding("sqlserver: names in another database; WITH and ORDER BY")
def test_a_query_is_read_as_a_table(system: str, made: Make) -> None:  # noqa: F811
    one, table = made((ID,))
    put(one, table, [{"ID": n} for n in range(4)])
    full, name = one.dialect.qualify(one.target(table).path), one.dialect.quote("ID")
    found = rows_of(system, query=f"SELECT {name} FROM {full} WHERE {name} < 3 ORDER BY {name}")
    assert sorted(int(row["ID"]) for row in found) == [0, 1, 2]


@pytest.mark.only("SQLSERVER")
@finding("sqlserver: ranges over varchar keys overlap")
def test_ranges_of_a_narrow_key_hold_each_row_once(system: str, own: Any) -> None:
    narrow = [key for key in KEYS if key.isascii()]
    one, table, _ = own("[NAME] varchar(40) NOT NULL PRIMARY KEY", NAME)
    put(one, table, [{"NAME": key} for key in narrow])
    found = rows_of(system, table_name=table.path[-1], chunk={"rows": 2})
    assert sorted(row["NAME"] for row in found) == sorted(narrow)


@pytest.mark.only("SQLSERVER")
@finding("sqlserver: money of a query")
def test_money_of_a_query_keeps_four_digits(system: str, own: Any) -> None:
    _, table, full = own(
        "[ID] bigint, [M] money", ID, Column("M", Kind.DECIMAL, pa.decimal128(19, 4), precision=19, scale=4)
    )
    one = component("sink", system, table_name=table.path[-1], allow_loss=True)
    put(one, table, [{"ID": 1, "M": Decimal("-12345678901234.5678")}])
    (row,) = rows_of(system, query=f"SELECT [M] FROM {full}")
    assert Decimal(str(row["M"])) == Decimal("-12345678901234.5678")


@pytest.mark.only("SQLSERVER")
@finding("sqlserver: datetime targets; identities; GENERATED ALWAYS")
def test_identities_and_datetime_take_the_sources_values(system: str, own: Any) -> None:
    import datetime as dt

    stamp = Column("AT", Kind.TIMESTAMP, pa.timestamp("us"), precision=3)
    one, table, _ = own("[ID] bigint IDENTITY(1, 1) NOT NULL, [AT] datetime", ID, stamp)
    given = [{"ID": 41, "AT": dt.datetime(2020, 2, 29, 1, 2, 3, 10_000)}, {"ID": 7, "AT": None}]
    put(one, table, given)
    assert read(system, table) == sorted(given, key=lambda row: int(row["ID"]))
