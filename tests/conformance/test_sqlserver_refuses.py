"""What SQL Server alters or refuses, on the stand-in that does so too, by Microsoft's driver."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from hdm.connectors.sqlserver import SQLServerCatalog, SQLServerProfile
from hdm.errors import (
    ConnectionLost,
    Deadlock,
    HdmError,
    RejectedRows,
    Throttled,
    UnrepresentableValue,
    UsageError,
)
from hdm.model import Attempt, Chunk, Column, Dataset, Kind, Mode, Payload, Table
from hdm.testing.sources import read_all
from tests.conformance.systems import System, sqlserver_system
from tests.servers import sqlserver

JOB = "j" * 64
NAMES = ["O'Neil", "what?", "''?''", "a\\", "œuvre à 5 €", "漢字 🎈", "", None, " ", "NULL", "two\nlines"]


@pytest.fixture
def database(fresh_sqlserver: Callable[[], sqlserver.SQLServerDatabase]) -> sqlserver.SQLServerDatabase:
    return fresh_sqlserver()


@pytest.fixture
def system(database: sqlserver.SQLServerDatabase) -> System:
    return sqlserver_system(database, sqlserver.microsoft_driver())


def table(*columns: Column, key: tuple[str, ...] = ("id",)) -> Table:
    number = Column("id", Kind.INT64, pa.int64(), nullable=False)
    return Table(Dataset("memory", "t"), ("t",), (number, *columns), key)


def load(system: System, of: Table, rows: list[Any], mode: Mode = Mode.APPEND, number: int = 0) -> int:
    """Rows are dicts, or values of the one column beside the id."""
    made = [
        row if isinstance(row, dict) else {"id": n, of.columns[1].name: row} for n, row in enumerate(rows)
    ]
    batch = pa.RecordBatch.from_pylist(made, schema=of.schema)
    sink, chunk = system.sink(), Chunk(JOB, of.dataset, number, epoch=number)
    sink.prepare(of, JOB, number, mode)
    receipt = sink.write(of, chunk, Attempt(1), Payload(of, lambda: iter([batch])), mode)
    sink.finish(of, JOB, number, mode)
    return int(receipt.rows)


def held(system: System, what: str = "*") -> list[tuple[Any, ...]]:
    return system.run(f"SELECT {what} FROM t ORDER BY id")


WORD = Column("word", Kind.TEXT, pa.string(), length=60)
SUM = Column("sum", Kind.DECIMAL, pa.decimal128(38, 4), precision=38, scale=4)
RAW = Column("raw", Kind.BINARY, pa.binary(), length=20)
RATIO = Column("ratio", Kind.FLOAT64, pa.float64())


@pytest.mark.parametrize("mode", [Mode.APPEND, Mode.MERGE])
def test_texts_and_long_numbers_arrive_as_they_are(system: System, mode: Mode) -> None:
    most = Decimal("9" * 34 + ".9999")
    of = table(WORD, SUM, RATIO)
    rows = [{"id": n, "word": name, "sum": most, "ratio": 0.1 + 0.2} for n, name in enumerate(NAMES)]
    assert load(system, of, rows, mode) == len(NAMES)
    assert held(system, "word, sum, ratio") == [(name, most, 0.1 + 0.2) for name in NAMES]


def test_a_merge_of_bytes_that_are_all_null_is_no_text(system: System) -> None:
    """The server is not told the type of such a column by its values, and a varchar is no varbinary."""
    load(system, table(RAW), [None, None], Mode.MERGE)
    load(system, table(RAW), [b"\0\xff", None], Mode.MERGE, 1)
    assert held(system, "raw") == [(b"\0\xff",), (None,)]


def test_a_narrow_key_is_read_once_in_every_range(system: System) -> None:
    """varchar and nvarchar are sorted in two orders: ranges by one beside ranges by the other overlap."""
    system.run("CREATE TABLE t (k VARCHAR(20) NOT NULL PRIMARY KEY)")
    words = [f"{first}{n}" for first in ("a", "B", "ö", "o", "Z", "ä", "_") for n in range(5)]
    system.run("INSERT INTO t VALUES (?)", [(word,) for word in words])
    source = system.source(chunk={"rows": 4})
    window = source.window()
    chunks = list(source.split(source.describe(), window, JOB, None))
    found = [row[0] for row in read_all(source)]
    assert len(chunks) > 3 and sorted(found) == sorted(words)


def test_money_of_a_query_is_cut_at_all_of_its_digits(system: System) -> None:
    system.run("CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, m MONEY NOT NULL)")
    system.run("INSERT INTO t VALUES (?, ?)", [(n, f"1.{n:04}") for n in range(40)])
    source = system.make("source", {"query": "SELECT id, m FROM t", "watermark": {"column": "m"},
                                    "chunk": {"rows": 7}})  # fmt: skip
    assert sorted(row[1] for row in read_all(source)) == [f"1.{n:04}" for n in range(40)]


def test_keys_that_differ_in_case_alone_are_refused(system: System) -> None:
    key = Column("k", Kind.TEXT, pa.string(), nullable=False, length=10)
    of = Table(Dataset("memory", "t"), ("t",), (key, WORD), ("k",))
    with pytest.raises(RejectedRows, match="k"):
        load(system, of, [{"k": "a", "word": "1"}, {"k": "A", "word": "2"}], Mode.MERGE)
    load(system, of, [{"k": "a", "word": "1"}], Mode.MERGE, 1)
    with pytest.raises(RejectedRows, match="tells apart"):
        load(system, of, [{"k": "A", "word": "2"}], Mode.MERGE, 2)
    assert system.run("SELECT k, word FROM t") == [("a", "1")]


def test_no_character_is_replaced_by_a_mark(system: System) -> None:
    system.run("CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, word VARCHAR(60))")
    assert load(system, table(WORD), ["œuvre à 5 €", "what?"]) == 2
    for wrong in ("Łódź", "漢", "🎈"):
        with pytest.raises(UnrepresentableValue, match="word"):
            load(system, table(WORD), [wrong], Mode.MERGE, 1)
    assert held(system, "word") == [("œuvre à 5 €",), ("what?",)]


def test_datetime_takes_what_it_can_hold_and_refuses_the_rest(system: System) -> None:
    """Fractions go out as short as they are: a text of more than three digits is Msg 241."""
    system.run("CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, at DATETIME)")
    moments = table(Column("at", Kind.TIMESTAMP, pa.timestamp("us"), precision=3))
    fits = dt.datetime(2020, 1, 1, 1, 2, 3, 123000)
    load(system, moments, [fits, dt.datetime(1753, 1, 1), None])
    for wrong in (fits.replace(microsecond=123456), dt.datetime(1752, 12, 31)):
        with pytest.raises(RejectedRows):
            load(system, moments, [wrong], Mode.MERGE, 1)
    assert held(system, "at") == [(fits,), (dt.datetime(1753, 1, 1),), (None,)]


def test_identity_columns_take_the_sources_numbers(system: System) -> None:
    system.run("CREATE TABLE t (id BIGINT IDENTITY(1,1) NOT NULL PRIMARY KEY, word NVARCHAR(60))")
    for mode, number in ((Mode.APPEND, 0), (Mode.MERGE, 1), (Mode.REPLACE, 2)):
        rows = [{"id": 100 + number, "word": str(number)}]
        load(system, table(WORD), rows, mode, number)
    assert held(system) == [(102, "2")]


def test_the_end_of_time_is_read_with_six_digits(system: System) -> None:
    system.run("CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, at DATETIME2(7))")
    system.run(
        "INSERT INTO t VALUES (?, ?)", [(1, "9999-12-31 23:59:59"), (2, "2020-01-01 00:00:00.1234560")]
    )
    source = system.source(types={"at": "datetime2(6)"})
    assert [row[1].year for row in read_all(source)] == [9999, 2020]
    system.run("INSERT INTO t VALUES (?, ?)", [(3, "2020-01-01 00:00:00.1234567")])
    with pytest.raises(UnrepresentableValue, match="at"):
        read_all(system.source(types={"at": "datetime2(6)"}))


def test_a_key_that_no_index_holds_is_kept_by_hdm(system: System) -> None:
    """nvarchar(max) in a key is Msg 1919."""
    key = Column("k", Kind.TEXT, pa.string(), nullable=False)
    of = Table(Dataset("memory", "t"), ("t",), (key, WORD), ("k",))
    for number, word in enumerate(("one", "two")):
        load(system, of, [{"k": "x", "word": word}], Mode.MERGE, number)
    assert system.run("SELECT k, word FROM t") == [("x", "two")]


def test_a_query_with_an_order_is_read_and_one_with_with_is_refused(system: System) -> None:
    system.run("CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY)")
    system.run("INSERT INTO t VALUES (?)", [(1,), (2,)])
    ordered = system.make("source", {"query": "SELECT id FROM t ORDER BY id"})
    assert sorted(read_all(ordered)) == [(1,), (2,)]
    with pytest.raises(UsageError, match="WITH"):
        system.make("source", {"query": "WITH q AS (SELECT id FROM t) SELECT id FROM q"}).describe()


def test_a_table_that_others_refer_to_is_filled_anew(system: System) -> None:
    """Renamed or dropped it would be Msg 3726, or the key would go on referring to the old rows."""
    system.run("CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, word NVARCHAR(60))")
    system.run("CREATE TABLE u (id BIGINT NOT NULL PRIMARY KEY, t BIGINT REFERENCES t (id))")
    system.run("INSERT INTO t VALUES (?, ?)", [(0, "old"), (9, "gone")])
    system.run("INSERT INTO u VALUES (?, ?)", [(1, 0)])
    load(system, table(WORD), ["new", "more"], Mode.REPLACE)
    assert held(system) == [(0, "new"), (1, "more")] and system.run("SELECT t FROM u") == [(0,)]
    with pytest.raises(RejectedRows):
        load(system, table(WORD), [{"id": 5, "word": "x"}], Mode.REPLACE, 1)
    assert held(system) == [(0, "new"), (1, "more")]


def test_the_crawler_reads_the_catalogue(system: System) -> None:
    columns = "id INT IDENTITY(1,1) NOT NULL PRIMARY KEY, m MONEY DEFAULT 0, at DATETIME2(7), word VARCHAR(9)"
    system.run(f"CREATE TABLE t ({columns})")
    profile = SQLServerProfile.model_validate(system.profile_words)
    found = SQLServerCatalog(SQLServerCatalog.Config(), profile, name="c").crawl()
    (one,) = [relation.table for relation in found.relations]
    assert [c.native for c in one.columns] == ["int", "money", "datetime2(7)", "varchar(9)"]


def test_a_database_without_snapshots_is_refused(
    system: System, database: sqlserver.SQLServerDatabase
) -> None:
    system.run("CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY)")
    database.set("snapshots", "0")
    with pytest.raises(UsageError, match="SNAPSHOT"):
        system.source().describe()


@pytest.mark.parametrize(
    ("number", "kind"), [(1205, Deadlock), (3960, Deadlock), (40501, Throttled), (0, ConnectionLost)]
)
@pytest.mark.parametrize("place", [r"INSERT INTO \[dbo\]\.\[t\]", r"UPDATE \[dbo\]\.\[_hdm_load_ledger\]"])
def test_what_ends_a_load_leaves_neither_rows_nor_receipt(
    system: System, database: sqlserver.SQLServerDatabase, place: str, number: int, kind: type[HdmError]
) -> None:
    load(system, table(WORD), ["first"])
    database.refuse(place, number)
    with pytest.raises(kind):
        load(system, table(WORD), [{"id": 1, "word": "second"}, {"id": 2, "word": "third"}], number=1)
    assert held(system, "word") == [("first",)]
    assert load(system, table(WORD), [{"id": 1, "word": "second"}], number=1) == 1


def test_a_refused_row_shows_no_value(system: System) -> None:
    load(system, table(WORD), ["first"])
    with pytest.raises(RejectedRows) as caught:
        load(system, table(WORD), [{"id": 0, "word": "canary"}], number=1)
    assert "canary" not in str(caught.value) and "(0)" not in str(caught.value)
