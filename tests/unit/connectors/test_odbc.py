"""ODBC for real: psqlODBC, MariaDB's driver and SQLite's, values that each of them damages."""

from __future__ import annotations

import math
import sqlite3
import sys
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import arrow_odbc
import pyarrow as pa
import pytest

from hdm.connectors.odbc import ODBCProfile, ODBCSink, ODBCSource
from hdm.dialects.odbc import through_odbc
from hdm.errors import (
    ConnectionLost,
    HdmError,
    MissingDriver,
    RejectedRows,
    UnrepresentableValue,
    UsageError,
)
from hdm.model import Attempt, Chunk, Column, Dataset, Kind, Mode, Payload, Table

pytestmark = pytest.mark.usefixtures("odbc_drivers")
JOB = "j" * 64
DRIVERS = {"postgres": "PostgreSQL Unicode", "mysql": "MariaDB Unicode", "sqlite": "SQLite3"}


@pytest.fixture
def postgres(fresh_postgres):
    return {"dialect": "postgres", "driver": DRIVERS["postgres"], **fresh_postgres().profile}


@pytest.fixture
def mariadb(fresh_mariadb):
    return {"dialect": "mysql", "driver": DRIVERS["mysql"], **fresh_mariadb().profile}


@pytest.fixture
def sqlite(tmp_path):
    path = tmp_path / "source.db"
    sqlite3.connect(path).close()
    return {"dialect": "sqlite", "driver": DRIVERS["sqlite"], "database": str(path)}


@pytest.fixture(params=["postgres", "mariadb", "sqlite"])
def anywhere(request):
    return request.getfixturevalue(request.param)


def source(profile, **conf):
    return ODBCSource(ODBCSource.Config.model_validate(conf), ODBCProfile.model_validate(profile), name="s")


def sink(profile, **conf):
    return ODBCSink(ODBCSink.Config.model_validate(conf), ODBCProfile.model_validate(profile), name="t")


def run(profile, *statements):
    database = sink(profile, table_name="x").database
    connection = database.connect("test", write=True)
    try:
        return [database.run(connection, statement) for statement in statements][-1]
    finally:
        connection.close()


def read(one, chunks=False):
    table = one.describe()
    found = list(one.split(table, one.window(), JOB, None))
    batches = [list(one.read(table, chunk).batches()) for chunk in found]
    rows = [row for part in batches for batch in part for row in batch.to_pylist()]
    return (rows, found) if chunks else rows


def value(rows, name):
    return next(row[name] for row in rows if row["id"] == 1)


def test_postgres_values_arrive_as_they_are(postgres):
    run(
        postgres,
        """CREATE TABLE v (id int PRIMARY KEY, b bool, i8 bigint, f4 real, f8 float8, n numeric,
        n38 numeric(38,18), n50 numeric(50,10), t text, c char(5), e varchar(10), by bytea, d date,
        d2 date, ti time, tz timetz, ts timestamp, ts2 timestamp, tsz timestamptz,
        iv interval, u uuid, j jsonb, x bit(4), m money)""",
        """INSERT INTO v VALUES (1, true, 9223372036854775807, 0.1, 16777217, 1e50 + 0.1,
        '1.123456789012345678',
        1e39 + 0.1, repeat('é', 20000), 'ab', '', '\\x0001ff', '0044-03-15 BC', 'infinity', '23:59:59.123456',
        '10:00+02', '2020-01-02 03:04:05.123456', '-infinity', '2020-01-02 03:04:05.123456+02',
        '1 mon 2 days',
        'B9E1DA99-9CA6-4C90-B5B7-08FBFB9BF68E', '{"a": 9223372036854775808}', '1010', 12.34)""",
        "INSERT INTO v (id, n, f8) VALUES (2, 'NaN', 'NaN')",
    )
    one = source(postgres, table_name="v")
    table = one.describe()
    (batch,) = [b for c in one.split(table, one.window(), JOB, None) for b in one.read(table, c).batches()]
    assert batch.schema.equals(table.schema)
    rows = [{n: batch.column(n)[i] for n in batch.schema.names} for i in range(2)]
    first = rows[0]
    plain = {n: first[n].as_py() for n in first if n not in ("d", "d2", "ts2")}
    assert plain["b"] is True and plain["i8"] == 2**63 - 1 and plain["f8"] == 16777217.0
    assert plain["f4"] == pytest.approx(0.1, abs=1e-8) and first["f4"].type == pa.float32()
    assert plain["n"] == "1" + "0" * 50 + ".1" and plain["n38"] == Decimal("1.123456789012345678")
    assert plain["n50"] == Decimal("1" + "0" * 39 + ".1")
    assert (
        plain["t"] == "é" * 20000
        and plain["c"] == "ab   "
        and plain["e"] == ""
        and plain["by"] == b"\0\x01\xff"
    )
    assert first["d2"].value == 2**31 - 1 and first["ts2"].value == -(2**63 - 1)
    assert first["d"].value == -735160
    assert str(plain["ti"]) == "23:59:59.123456" and plain["tz"] == "10:00:00+02"
    assert plain["ts"].isoformat() == "2020-01-02T03:04:05.123456"
    assert plain["tsz"].isoformat() == "2020-01-02T01:04:05.123456+00:00"
    assert plain["iv"] == "P1M2D" and plain["u"] == "b9e1da99-9ca6-4c90-b5b7-08fbfb9bf68e"
    assert plain["j"] == '{"a": 9223372036854775808}' and plain["x"] == "1010" and plain["m"] == "12.34"
    assert (
        rows[1]["n"].as_py() == "NaN" and math.isnan(rows[1]["f8"].as_py()) and rows[1]["t"].as_py() is None
    )


def test_mariadb_values_arrive_as_they_are(mariadb):
    run(
        mariadb,
        """CREATE TABLE v (id int PRIMARY KEY, b tinyint(1), bu bigint unsigned, f float, d double,
        n decimal(65,10), t longtext, e varchar(10), bl blob, ti time(6), dt datetime(6),
        ts timestamp(6) null, y year, bt bit(9),
        en enum('a','b'))""",
        """INSERT INTO v VALUES (1, 2, 18446744073709551615, 0.1, 1.23456789012345, 1e30,
        repeat('🎈', 6000), '', x'0001ff', '-12:00:00', '2020-01-02 03:04:05.123456',
        '2020-01-02 03:04:05.123456', 2020, b'101', 'b')""",
    )
    run(mariadb, "UPDATE v SET ti = '23:59:59.123456'")
    rows = read(source(mariadb, table_name="v"))
    row = rows[0]
    assert row["b"] == 2 and row["bu"] == 2**64 - 1 and row["d"] == 1.23456789012345
    assert row["f"] == pytest.approx(0.1, abs=1e-8) and row["n"] == Decimal(10) ** 30
    assert row["t"] == "🎈" * 6000 and row["e"] == "" and row["bl"] == b"\0\x01\xff"
    assert str(row["ti"]) == "23:59:59.123456" and row["dt"].microsecond == 123456
    assert row["ts"].isoformat() == "2020-01-02T03:04:05.123456+00:00"
    assert row["y"] == 2020 and row["bt"] == "000000101" and row["en"] == "b"


@pytest.mark.parametrize("column", ["d date", "ti time", "dt datetime"])
def test_mariadb_values_without_a_place_are_refused(mariadb, column):
    name = column.split()[0]
    run(
        mariadb,
        f"CREATE TABLE z (id int PRIMARY KEY, {column})",
        "SET SESSION sql_mode = ''",
        f"INSERT INTO z VALUES (1, {'%r' % ('-838:59:59' if name == 'ti' else '0000-00-00')})",
    )
    with pytest.raises(UnrepresentableValue, match=f"column {name}"):
        read(source(mariadb, table_name="z"))


def test_sqlite_blobs_do_not_end_the_process_and_decimals_stay_exact(sqlite):
    with sqlite3.connect(sqlite["database"]) as raw:
        raw.execute(
            "CREATE TABLE v (id INTEGER PRIMARY KEY, n DECIMAL_TEXT(38,18), bl BLOB, t TEXT, ts TIMESTAMP)"
        )
        raw.execute(
            "INSERT INTO v VALUES (1, '1.123456789012345678', ?, 'é', '2020-01-02 03:04:05.123456')",
            (b"\0\x01",),
        )
    raw.close()
    row = read(source(sqlite, table_name="v"))[0]
    assert row["n"] == Decimal("1.123456789012345678") and row["bl"] == b"\0\x01" and row["t"] == "é"
    assert row["ts"].microsecond == 123456


def test_a_value_beyond_any_buffer_is_fetched_whole(postgres):
    run(
        postgres,
        "CREATE TABLE w (id int PRIMARY KEY, t text)",
        """INSERT INTO w SELECT n, repeat('x', CASE n WHEN 3 THEN 3000000 ELSE 10 END)
        FROM generate_series(1, 5) n""",
    )
    rows = read(source(postgres, table_name="w"))
    assert sorted(len(row["t"]) for row in rows) == [10, 10, 10, 10, 3_000_000]


def test_chunks_hold_every_row_once(postgres):
    run(
        postgres,
        "CREATE TABLE c (id int PRIMARY KEY, v varchar(20))",
        "INSERT INTO c SELECT n * 3, 'v' || n FROM generate_series(1, 1000) n",
        "ANALYZE c",
    )
    rows, chunks = read(source(postgres, table_name="C", chunk={"rows": 128}), chunks=True)
    assert len(chunks) > 5 and sorted(row["id"] for row in rows) == [n * 3 for n in range(1, 1001)]


def test_a_window_begins_after_its_watermark(postgres):
    run(
        postgres,
        "CREATE TABLE m (id int PRIMARY KEY, at timestamp NOT NULL)",
        """INSERT INTO m SELECT n, timestamp '2020-01-01' + n * interval '0.000001 s'
        FROM generate_series(1, 9) n""",
    )
    one = source(postgres, table_name="m", watermark={"column": "at"})
    table = one.describe()
    window = replace(one.window(), after="2020-01-01 00:00:00.000006", ties=1)
    found = [
        row
        for c in one.split(table, window, JOB, None)
        for b in one.read(table, c).batches()
        for row in b.to_pylist()
    ]
    assert sorted(row["id"] for row in found) == [7, 8, 9]


def test_a_query_is_described_by_the_driver(postgres):
    run(
        postgres,
        "CREATE TABLE q (id int PRIMARY KEY, n numeric)",
        "INSERT INTO q VALUES (1, 1.0000000000001)",
    )
    rows = read(source(postgres, query="SELECT id, n, 'x' || id AS t FROM q"))
    assert rows == [{"id": 1, "n": "1.0000000000001", "t": "x1"}]


TABLE = Table(
    Dataset("memory", "orders"),
    ("orders",),
    (
        Column("id", Kind.INT64, pa.int64(), False),
        Column("Name", Kind.TEXT, pa.string(), length=50),
        Column("price", Kind.DECIMAL, pa.decimal128(20, 4), precision=20, scale=4),
        Column("ok", Kind.BOOLEAN, pa.bool_()),
        Column("f", Kind.FLOAT64, pa.float64()),
        Column("raw", Kind.BINARY, pa.binary()),
        Column("day", Kind.DATE, pa.date32()),
        Column("at", Kind.TIMESTAMP, pa.timestamp("us")),
        Column("utc", Kind.TIMESTAMPTZ, pa.timestamp("us", "UTC")),
    ),
    ("id",),
)


def batch(*ids, name="né🎈", price="1234567890123456.7891"):
    import datetime as dt

    at = dt.datetime(2020, 2, 29, 23, 59, 59, 123456)
    rows = [
        {
            "id": i, "Name": name, "price": Decimal(price), "ok": True, "f": 0.1, "raw": b"\0'\xff",
            "day": at.date(), "at": at, "utc": at.replace(tzinfo=dt.UTC),
        }
        if i % 2
        else {"id": i, "Name": ""}
        for i in ids
    ]  # fmt: skip
    return pa.RecordBatch.from_pylist(rows, schema=TABLE.schema)


def write(one, chunk, *batches, mode=Mode.APPEND, attempt=1):
    one.prepare(TABLE, JOB, chunk.epoch, mode)
    return one.write(TABLE, chunk, Attempt(attempt), Payload(TABLE, lambda: iter(batches)), mode)


def chunk(number=0, epoch=1):
    return Chunk(JOB, TABLE.dataset, number, epoch=epoch, estimate_rows=number)


def test_what_is_written_is_read_back(anywhere):
    one = sink(anywhere, table_name="orders")
    sent = batch(*range(1, 40))
    receipt = write(one, chunk(), sent)
    assert receipt.rows == 39 and one.committed(TABLE, chunk(), Mode.APPEND).rows == 39
    back = read(source(anywhere, table_name="orders"))
    kept = sorted(back, key=lambda row: row["id"])
    for row in kept:
        row["ok"] = None if row["ok"] is None else bool(row["ok"])
    if anywhere["dialect"] == "mysql":
        for row in kept:
            row["utc"] = row["utc"] and row["utc"].replace(tzinfo=sent.column("utc")[0].as_py().tzinfo)
    assert kept == sent.to_pylist()


def test_long_values_are_written_whole(anywhere):
    wide = Table(
        TABLE.dataset,
        ("wide",),
        (
            Column("id", Kind.INT32, pa.int32(), False),
            Column("t", Kind.TEXT, pa.string()),
            Column("b", Kind.BINARY, pa.binary()),
        ),
    )
    one = sink(anywhere, table_name="wide")
    one.prepare(wide, JOB, 1, Mode.APPEND)
    sizes = (1, 255, 256, 400, 1025, 8191, 100_000)
    rows = [{"id": n, "t": "🎈" * n, "b": b"z" * n} for n in sizes]
    sent = pa.RecordBatch.from_pylist(rows, schema=wide.schema)
    one.write(wide, Chunk(JOB, wide.dataset, 0), Attempt(1), Payload(wide, lambda: iter([sent])), Mode.APPEND)
    assert sorted(read(source(anywhere, table_name="wide")), key=lambda row: row["id"]) == rows


def test_a_chunk_is_loaded_once(anywhere):
    one = sink(anywhere, table_name="orders")
    write(one, chunk(), batch(1, 2))
    again = write(one, chunk(), batch(1, 2), attempt=2)
    assert again.adopted and again.rows == 2
    assert len(read(source(anywhere, table_name="orders"))) == 2


def test_a_failing_chunk_leaves_nothing(anywhere):
    one = sink(anywhere, table_name="orders")
    write(one, chunk(), batch(1, 2))
    other = Chunk(JOB, TABLE.dataset, 1, epoch=2)
    with pytest.raises(RejectedRows):
        write(one, other, batch(3, 4), batch(1, 5))
    assert one.committed(TABLE, other, Mode.APPEND) is None
    assert sorted(row["id"] for row in read(source(anywhere, table_name="orders"))) == [1, 2]


def test_merge_and_replace(anywhere):
    one = sink(anywhere, table_name="orders")
    write(one, chunk(), batch(1, 2, 3))
    write(one, Chunk(JOB, TABLE.dataset, 1, epoch=2), batch(3, 5, name="new"), mode=Mode.MERGE)
    back = {row["id"]: row["Name"] for row in read(source(anywhere, table_name="orders"))}
    assert back == {1: "né🎈", 2: "", 3: "new", 5: "new"}
    write(one, Chunk(JOB, TABLE.dataset, 0, epoch=3), batch(7), mode=Mode.REPLACE)
    assert len(read(source(anywhere, table_name="orders"))) == 4
    one.finish(TABLE, JOB, 3, Mode.REPLACE)
    one.finish(TABLE, JOB, 3, Mode.REPLACE)
    assert [row["id"] for row in read(source(anywhere, table_name="orders"))] == [7]


def test_names_are_data(anywhere):
    name = 'Od"d [na`me]; x--' if anywhere["dialect"] != "sqlite" else 'Odd "na`me"; x--'
    odd = Table(
        TABLE.dataset,
        (name,),
        (Column("i d", Kind.INT32, pa.int32(), False), Column('sel"ect', Kind.TEXT, pa.string())),
    )
    one = sink(anywhere, table_name=[name])
    one.prepare(odd, JOB, 1, Mode.APPEND)
    rows = pa.RecordBatch.from_pylist([{"i d": 1, 'sel"ect': "'; DROP"}], schema=odd.schema)
    one.write(odd, Chunk(JOB, odd.dataset, 0), Attempt(1), Payload(odd, lambda: iter([rows])), Mode.APPEND)
    assert read(source(anywhere, table_name=[name])) == rows.to_pylist()


def test_errors_name_the_cure_and_no_secret(postgres):
    with pytest.raises(UsageError, match="table_name"):
        source(postgres, table_name="nowhere").describe()
    lost = {**postgres, "port": 1, "password": "canary;pw}d"}
    with pytest.raises(ConnectionLost) as caught:
        source(lost, table_name="v").describe()
    assert "canary" not in str(caught.value)
    with pytest.raises(HdmError) as caught:
        source({**postgres, "driver": "No Such Driver"}, table_name="v").describe()
    assert "profile" in str(caught.value) and isinstance(caught.value, UsageError)


def test_values_cannot_end_the_connection_string():
    profile = ODBCProfile.model_validate(
        {
            "driver": "D",
            "host": "h",
            "database": "d",
            "user": "u;x=1",
            "password": "p};Server=evil",
            "insecure": True,
        }
    )
    text = ODBCSource(
        ODBCSource.Config(dialect="netezza", table_name="t"), profile
    ).database.connection_string("x")
    assert text == "Driver=D;Servername=h;Database=d;Username={u;x=1};Password={p}};Server=evil}"


def test_a_connection_string_is_completed_not_overruled():
    profile = ODBCProfile.model_validate({"odbc": "DSN=w;Fetch=7", "options": {"Extra": 1}})
    text = ODBCSource(
        ODBCSource.Config(dialect="postgres", table_name="t"), profile
    ).database.connection_string("x")
    assert text.startswith("DSN=w;Fetch=7;") and "Fetch=5000" not in text and "Extra=1" in text
    assert "BoolsAsChar=0" in text


def test_tls_is_verified_unless_told_otherwise():
    def string(**more):
        profile = ODBCProfile.model_validate({"driver": "D", "host": "db.example", **more})
        conf = ODBCSource.Config(dialect=more.get("dialect", "postgres"), table_name="t")
        return ODBCSource(conf, profile).database.connection_string("x")

    assert "SSLmode=verify-full" in string() and "SSLmode" not in string(insecure=True)
    assert "Encrypt=yes;TrustServerCertificate=no" in string(dialect="sqlserver")


def test_which_system_is_behind_must_be_said():
    with pytest.raises(UsageError, match="dialect"):
        ODBCSource(ODBCSource.Config(table_name="t"), ODBCProfile(dsn="w"))


def test_a_missing_module_names_the_extra(monkeypatch, postgres):
    monkeypatch.setitem(sys.modules, "arrow_odbc", None)
    with pytest.raises(MissingDriver, match=r"hdm\[odbc\]"):
        source(postgres, table_name="t").describe()


def test_sqlstates_say_what_to_do():
    dialect = through_odbc("postgres")
    assert isinstance(
        dialect.classify(Exception("08S01", "[08S01] gone (26) (SQLExecDirectW)")), ConnectionLost
    )
    assert isinstance(dialect.classify(Exception("23505", "[23505] key is 'secret' (1)")), RejectedRows)
    assert "secret" not in str(dialect.classify(Exception("23505", "key is 'secret'")))


@pytest.mark.parametrize("how", ["pyodbc", "arrow_odbc"])
def test_a_session_that_reads_can_change_nothing(anywhere, how):
    """Drivers take no notice of ODBC's own access mode: the server is told."""
    run(anywhere, "CREATE TABLE kept (id int)", "INSERT INTO kept VALUES (1)")
    database = source(anywhere, table_name="kept").database
    for statement in ("INSERT INTO kept VALUES (2)", "DROP TABLE kept", "CREATE TABLE another (id int)"):
        with suppress(HdmError, arrow_odbc.Error):
            if how == "pyodbc":
                connection = database.connect()
                try:
                    database.run(connection, statement)
                finally:
                    connection.close()
            else:
                list(database._bulk(statement, source(anywhere, table_name="kept").describe().columns, 0))
    assert [row["id"] for row in read(source(anywhere, table_name="kept"))] == [1]
    with pytest.raises(UsageError, match="another"):
        source(anywhere, table_name="another").describe()


def test_what_a_query_calls_can_change_nothing(postgres):
    run(
        postgres,
        "CREATE TABLE kept (id int)",
        "CREATE FUNCTION put() RETURNS int LANGUAGE sql AS 'INSERT INTO kept VALUES (1) RETURNING id'",
    )
    with pytest.raises(UsageError) as refused:
        read(source(postgres, query="SELECT put() AS id"))
    assert "call nothing that writes" in str(refused.value.hint)
    assert read(source(postgres, table_name="kept")) == []
