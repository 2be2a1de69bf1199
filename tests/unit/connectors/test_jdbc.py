"""JDBC for real: values, errors and sessions through H2's, HSQLDB's and PostgreSQL's drivers."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal

import pyarrow as pa
import pytest

from hdm.connectors.jdbc import JDBCProfile, JDBCSink, JDBCSource
from hdm.connectors.netezza import NetezzaProfile, NetezzaSource
from hdm.connectors.netezza.jdbc import NetezzaJdbcDatabase
from hdm.dialects.jdbc import JdbcError, of_url, through_jdbc
from hdm.errors import (
    ConnectionLost,
    Deadlock,
    HdmError,
    PermanentError,
    RejectedRows,
    SchemaDrift,
    TransientError,
    UsageError,
)
from hdm.model import Attempt, Chunk, Column, Dataset, Kind, Mode, Payload, Table
from tests.servers.jdbc import Drivers, Plain

JOB = "j" * 64
CANARY = "canary-4711"


def source(words, **conf):
    return JDBCSource(JDBCSource.Config.model_validate(conf), JDBCProfile.model_validate(words), name="s")


def sink(words, **conf):
    return JDBCSink(JDBCSink.Config.model_validate(conf), JDBCProfile.model_validate(words), name="t")


def run(words, *statements):
    session = Plain(words)
    try:
        for sql in statements:
            session.execute(sql)
    finally:
        session.close()


def batches(one):
    table = one.describe()
    return [b for c in one.split(table, one.window(), JOB, None) for b in one.read(table, c).batches()]


def write(one, table, rows, mode=Mode.APPEND, number=0):
    batch = pa.RecordBatch.from_pylist(rows, schema=table.schema)
    one.prepare(table, JOB, 0, mode)
    chunk = Chunk(JOB, table.dataset, number)
    return one.write(table, chunk, Attempt(1), Payload(table, lambda: iter([batch])), mode)


@pytest.fixture
def h2(jdbc_drivers: Drivers):
    return jdbc_drivers.fresh("h2")


def test_values_of_h2_arrive_as_they_are(h2):
    run(
        h2,
        """CREATE TABLE v (id INT PRIMARY KEY, b BOOLEAN, t TINYINT, i8 BIGINT, f4 REAL, f8 DOUBLE PRECISION,
        n DECIMAL(38,18), wide DECIMAL(60,10), d DECFLOAT(50), c CHAR(5), x VARCHAR(10), l CLOB,
        y VARBINARY(9),
        o BLOB, da DATE, ti TIME(9), ts TIMESTAMP(9), tz TIMESTAMP(6) WITH TIME ZONE, u UUID)""",
        """INSERT INTO v VALUES (1, TRUE, -128, 9223372036854775807, 0.1, 16777217,
        12345678901234567890.123456789012345678,
        12345678901234567890123456789012345678901234567890.0123456789,
        1E-30, 'ab', '', REPEAT('é', 50000), X'00FF', X'00', DATE '1582-10-10', TIME '23:59:59.123456789',
        TIMESTAMP '2020-03-29 02:30:00.123456789', TIMESTAMP '2020-01-02 03:04:05.5+02:00',
        'B9E1DA99-9CA6-4C90-B5B7-08FBFB9BF68E'), (2, NULL, NULL, NULL, NULL, 'NaN', NULL, NULL, NULL, NULL,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)""",
    )
    one = source(h2, table_name="V")
    (batch,) = batches(one)
    assert batch.schema.equals(one.describe().schema)
    first, second = ({n: batch.column(n)[at] for n in batch.schema.names} for at in range(2))
    ts = first.pop("TS")
    assert ts.type == pa.timestamp("ns") and ts.value == 1585449000123456789
    ti = first.pop("TI")
    assert ti.type == pa.time64("ns") and ti.value % 10**9 == 123456789
    plain = {name: value.as_py() for name, value in first.items()}
    assert plain.pop("TZ").isoformat() == "2020-01-02T01:04:05.500000+00:00"
    assert plain.pop("F4") == pytest.approx(0.1, abs=1e-8)
    assert Decimal(plain.pop("D")) == Decimal("1E-30")
    assert plain == {
        "ID": 1, "B": True, "T": -128, "I8": 2**63 - 1, "F8": 16777217.0,
        "N": Decimal("12345678901234567890.123456789012345678"),
        "WIDE": Decimal("12345678901234567890123456789012345678901234567890.0123456789"), "C": "ab   ",
        "X": "",
        "L": "é" * 50000, "Y": b"\0\xff", "O": b"\0", "DA": date(1582, 10, 10),
        "U": "b9e1da99-9ca6-4c90-b5b7-08fbfb9bf68e",
    }  # fmt: skip
    assert all(value.as_py() is None for name, value in second.items() if name not in ("ID", "F8"))


def test_wide_values_are_fetched_few_at_a_time(h2):
    run(h2, "CREATE TABLE w (id INT PRIMARY KEY, l CLOB)")
    run(h2, *(f"INSERT INTO w VALUES ({n}, REPEAT('x', 3000000))" for n in range(8)))
    found = batches(source(h2, table_name="W"))
    assert sum(b.num_rows for b in found) == 8 and max(b.nbytes for b in found) <= 12_100_000


def test_a_row_that_is_refused_takes_its_chunk_with_it(h2):
    columns = (Column("ID", Kind.INT64, pa.int64(), nullable=False), Column("N", Kind.INT64, pa.int64()))
    table = Table(Dataset("memory", "t"), ("T",), columns, ("ID",))
    run(h2, "CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT CHECK (n < 5000))")
    rows = [{"ID": n, "N": n} for n in range(6000)]
    with pytest.raises(RejectedRows) as caught:
        write(sink(h2), table, rows)
    assert "5000" not in str(caught.value)
    written = write(sink(h2), table, rows[:5000], number=1)
    assert written.rows == 5000
    assert sum(b.num_rows for b in batches(source(h2, table_name="T"))) == 5000


def test_a_batch_of_which_the_table_took_another_number_is_rolled_back(h2, monkeypatch):
    from hdm.sql import jdbc_session

    columns = (Column("ID", Kind.INT64, pa.int64(), nullable=False),)
    table = Table(Dataset("memory", "t"), ("T",), columns, ("ID",))
    run(h2, "CREATE TABLE t (id BIGINT PRIMARY KEY)")
    whole = jdbc_session.Cursor.executemany

    def fewer(cursor, sql, rows):
        whole(cursor, sql, rows)
        cursor.rowcount -= 1

    monkeypatch.setattr(jdbc_session.Cursor, "executemany", fewer)
    with pytest.raises(RejectedRows, match="took 2 of 3 rows"):
        write(sink(h2), table, [{"ID": n} for n in range(3)])
    assert batches(source(h2, table_name="T")) == []


def test_a_query_is_described_by_the_driver(h2):
    one = source(
        h2, query='SELECT 1 AS "a", CAST(1.5 AS DECIMAL(9,2)) AS "b", CAST(NULL AS VARCHAR(7)) AS "c"'
    )
    a, b, c = one.describe().columns
    assert (a.kind, b.kind, b.precision, b.scale, c.kind, c.length) == (
        Kind.INT32, Kind.DECIMAL, 9, 2, Kind.TEXT, 7,
    )  # fmt: skip
    (batch,) = batches(one)
    assert batch.to_pylist() == [{"a": 1, "b": Decimal("1.50"), "c": None}]


def test_another_drivers_jar_is_loaded_after_the_machine_has_started(jdbc_drivers: Drivers):
    for system in ("h2", "hsqldb"):
        words = jdbc_drivers.fresh(system)
        run(
            words,
            "CREATE TABLE t (id INT PRIMARY KEY, ti TIME(3))",
            "INSERT INTO t VALUES (7, '01:02:03.004')",
        )
        (batch,) = batches(source(words, table_name="T"))
        assert batch.to_pylist() == [{"ID": 7, "TI": time(1, 2, 3, 4000)}]
        (driver,) = [said for what, _, said in sink(words).probe() if what == "driver"]
        assert system in driver.lower().replace("hsql database engine", "hsqldb")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"driver": {"name": "org.h2.Driver", "path": "/nowhere/h2.jar"}},
            "there is no driver jar /nowhere/h2.jar",
        ),
        ({"driver": {"name": "org.h2.Nothing"}}, "cannot be loaded from"),
        ({"driver": {"name": "java.lang.Object"}}, "is no JDBC driver"),
        ({"url": f"jdbc:nothing:{CANARY}", "dialect": "h2"}, "does not take this url"),
    ],
)
def test_what_a_profile_says_wrongly_is_one_clear_error(h2, change, said):
    with pytest.raises(UsageError, match=said) as caught:
        source({**h2, **change}, table_name="T").describe()
    assert caught.value.exit_code == 2 and caught.value.hint
    assert CANARY not in str(caught.value)


def test_a_url_that_names_no_known_system_needs_a_dialect(h2):
    words = {**h2, "url": "jdbc:acme:x"}
    with pytest.raises(UsageError, match="which system"):
        source(words, table_name="T")
    assert source({**words, "dialect": "ansi"}, table_name="T").dialect.name == "ansi"
    assert source(words, table_name="T", dialect="oracle").dialect.name == "oracle"
    with pytest.raises(UsageError, match="is not one of JDBC"):
        source({**h2, "url": "h2:mem:x"}, table_name="T")


@pytest.mark.parametrize(
    ("url", "system"),
    [
        ("jdbc:postgresql://h/d", "postgres"),
        ("jdbc:mysql://h/d", "mysql"),
        ("jdbc:mariadb://h/d", "mariadb"),
        ("jdbc:oracle:thin:@//h:1521/s", "oracle"),
        ("jdbc:sqlserver://h;databaseName=d", "sqlserver"),
        ("jdbc:netezza://h/d", "netezza"),
        ("jdbc:H2:mem:x", "h2"),
        ("jdbc:acme:x", None),
        ("jdbc:", None),
    ],
)
def test_a_url_tells_the_system(url, system):
    assert of_url(url) == system


@pytest.mark.parametrize(
    ("url", "space", "name"),
    [
        (f"jdbc:postgresql://u:{CANARY}@h:5432/d?password={CANARY}", "postgres://h:5432", "d.public.T"),
        (f"jdbc:sqlserver://h:1433;databaseName=d;password={CANARY}", "sqlserver://h:1433", "d.dbo.T"),
        (f"jdbc:h2:file:/data/sales;PASSWORD={CANARY}", "h2://file:/data/sales", "PUBLIC.T"),
        (f"jdbc:hsqldb:hsql://h/x;password={CANARY}", "hsqldb://h", "x.PUBLIC.T"),
        (f"jdbc:oracle:thin:scott/{CANARY}@h:1521:x", "oracle://thin:@h:1521:x", "T"),
        ("jdbc:oracle:thin:@h:1521:x", "oracle://thin:@h:1521:x", "T"),
        (f"jdbc:teradata://h/DATABASE=sales,USER=u,PASSWORD={CANARY}", "teradata://h", "sales.T"),
        (f"jdbc:postgresql://h/d:password={CANARY};user=u", "postgres://h", "d.public.T"),
        (f"jdbc:mysql://u:x@{CANARY}@h:3306/d", "mysql://h:3306", "d.T"),
        (f"jdbc:mysql://u:x/{CANARY}@h/d", "mysql://u", "T"),
        (f"jdbc:mysql://(host=h,user={CANARY},password={CANARY})/d", "mysql:////(host=h,,)/d", "T"),
        (f"jdbc:mysql://address=(host=h)(password={CANARY})/d", "mysql://address", "d.T"),
    ],
)
def test_a_table_is_named_by_its_place_without_what_is_secret(h2, url, space, name):
    found = source({**h2, "url": url}, table_name="T").database
    made = found.dataset(found.default_path(("T",)))
    assert (made.namespace, made.name) == (space, name)


@pytest.mark.parametrize(
    ("system", "error", "kind"),
    [
        ("h2", JdbcError("x", "23505", 23505), RejectedRows),
        ("h2", JdbcError("x", "40001", 40001), Deadlock),
        ("h2", JdbcError("x", "90067", 90067), ConnectionLost),
        ("h2", JdbcError("x", "42000"), PermanentError),
        ("h2", JdbcError("x", "28000", 28000), UsageError),
        ("h2", JdbcError("x", "42S02", 42102), SchemaDrift),
        ("ansi", JdbcError("x", "08006"), ConnectionLost),
        ("ansi", JdbcError("x", "22012"), RejectedRows),
        ("ansi", JdbcError("x", thrown="java.lang.OutOfMemoryError"), TransientError),
        ("mysql", JdbcError("x", "40001", 1213), Deadlock),
        ("mysql", JdbcError("x", "23000", 1062), RejectedRows),
        ("oracle", JdbcError("ORA-00060", "61000", 60), Deadlock),
        ("oracle", JdbcError("x", "72000", 12899), RejectedRows),
        ("sqlserver", JdbcError("x", "40001", 1205), Deadlock),
        ("sqlserver", JdbcError("x", "S0001", 2627), RejectedRows),
        ("postgres", JdbcError("x", "40P01"), Deadlock),
        ("postgres", JdbcError("x", "57P01"), TransientError),
        ("netezza", JdbcError("ERROR: numeric overflow", "HY000", 1100), RejectedRows),
    ],
)
def test_errors_say_what_to_do_and_no_value(system, error, kind):
    error.args = (f"{error.args[0]} {CANARY}",)
    made = through_jdbc(system).classify(error)
    assert isinstance(made, kind) and CANARY not in str(made)


def test_a_remote_server_is_verified_unless_the_profile_says_insecure(h2):
    words = {**h2, "url": "jdbc:postgresql://db.example.com/d", "user": "u", "password": CANARY}
    told = source(words, table_name="T").database.properties("hdm:read")
    assert told == {"user": "u", "password": CANARY, "sslmode": "verify-full", "ApplicationName": "hdm:read"}
    local = source({**words, "url": "jdbc:postgresql://localhost/d"}, table_name="T").database.properties("x")
    open_ = source({**words, "insecure": True}, table_name="T").database.properties("x")
    assert "sslmode" not in local and open_["sslmode"] == "prefer"
    own = {"sslmode": "require", "tcpKeepAlive": True}
    assert (
        source({**words, "properties": own}, table_name="T").database.properties("x")["sslmode"] == "require"
    )


# -- PostgreSQL's driver -------------------------------------------------------


@pytest.fixture
def postgres(jdbc_drivers: Drivers, fresh_postgres):
    made = fresh_postgres().profile
    url = f"jdbc:postgresql://{made['host']}:{made['port']}/{made['database']}"
    login = {key: made[key] for key in ("user", "password")}
    return {"url": url, **login, "driver": jdbc_drivers.driver("postgres")}


def test_values_of_postgres_arrive_as_they_are(postgres):
    run(
        postgres,
        """CREATE TABLE v (id int PRIMARY KEY, b bool, f4 real, f8 float8, n numeric, n38 numeric(38,18),
        by bytea, d date, d2 date, ti time, ts timestamp, ts2 timestamp, tsz timestamptz, u uuid, j jsonb,
        x bit(4))""",
        """INSERT INTO v VALUES (1, true, 0.1, 16777217, 1e50 + 0.1, '1.123456789012345678', '\\x0001ff',
        '0044-03-15 BC', 'infinity', '23:59:59.123456', '2020-03-29 02:30:00.123456', '-infinity',
        '2020-01-02 03:04:05.123456+02', 'B9E1DA99-9CA6-4C90-B5B7-08FBFB9BF68E', '{"a": 9223372036854775808}',
        '1010')""",
    )
    one = source(postgres, table_name="v")
    (batch,) = batches(one)
    first = {n: batch.column(n)[0] for n in batch.schema.names}
    assert (first.pop("d").value, first.pop("d2").value) == (-735160, 2**31 - 1)
    assert first.pop("ts2").value == -(2**63 - 1)
    plain = {name: value.as_py() for name, value in first.items()}
    assert plain["n"] == "1" + "0" * 50 + ".1" and plain["n38"] == Decimal("1.123456789012345678")
    assert (plain["b"], plain["f8"], plain["by"], plain["x"]) == (True, 16777217.0, b"\0\x01\xff", "1010")
    assert plain["ts"].isoformat() == "2020-03-29T02:30:00.123456"
    assert plain["tsz"].isoformat() == "2020-01-02T01:04:05.123456+00:00"
    assert plain["j"] == '{"a": 9223372036854775808}' and str(plain["ti"]) == "23:59:59.123456"


def test_rows_of_postgres_are_fetched_by_a_cursor_and_nothing_is_written(postgres):
    run(postgres, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t SELECT generate_series(1, 5000)")
    database = source(postgres, table_name="t").database
    session = database.connect("hdm:test")
    try:
        database.begin(session)
        cursor = session.cursor()
        cursor.execute("SELECT id FROM t")
        assert len(cursor.fetchmany(10)) == 10
        assert (
            database.run(session, "SELECT count(*) FROM pg_cursors WHERE statement = 'SELECT id FROM t'")[0][
                0
            ]
            == 1
        )
        with pytest.raises(HdmError):
            database.run(session, "INSERT INTO t VALUES (0)")
    finally:
        session.close()


def test_rows_go_to_postgres_and_come_back_from_it(postgres):
    columns = (
        Column("id", Kind.INT64, pa.int64(), nullable=False), Column("t", Kind.TEXT, pa.string()),
        Column("n", Kind.DECIMAL, pa.decimal128(38, 18), precision=38, scale=18),
        Column("b", Kind.BOOLEAN, pa.bool_()), Column("y", Kind.BINARY, pa.binary()),
        Column("d", Kind.DATE, pa.date32()), Column("f", Kind.FLOAT64, pa.float64()),
        Column("ts", Kind.TIMESTAMP, pa.timestamp("us"), precision=6),
        Column("tz", Kind.TIMESTAMPTZ, pa.timestamp("us", "UTC"), precision=6),
    )  # fmt: skip
    table = Table(Dataset("memory", "t"), ("t",), columns, ("id",))
    moment = pa.scalar(1585449000123456, pa.timestamp("us")).as_py()
    row = {
        "id": 1, "t": "o'é\"", "n": Decimal("12345678901234567890.123456789012345678"), "b": True,
        "y": b"\0\xff",
        "d": date(1, 1, 1), "f": 0.1 + 0.2, "ts": moment,
        "tz": pa.scalar(1, pa.timestamp("us", "UTC")).as_py(),
    }  # fmt: skip
    rows = [row, {**dict.fromkeys(row), "id": 2}]
    for mode in (Mode.APPEND, Mode.MERGE):
        write(sink(postgres), table, rows, mode, number=len(mode.value))
    found = [one for batch in batches(source(postgres, table_name="t")) for one in batch.to_pylist()]
    assert sorted(found, key=lambda one: one["id"]) == rows


# -- MariaDB's driver ----------------------------------------------------------


def test_values_of_mariadb_arrive_and_go_back(jdbc_drivers: Drivers, fresh_mariadb):
    made = fresh_mariadb().profile
    url = f"jdbc:mariadb://{made['host']}:{made['port']}/{made['database']}"
    words = {"url": url, "user": made["user"], "password": made["password"]}
    words["driver"] = jdbc_drivers.driver("mariadb")
    run(
        words,
        """CREATE TABLE v (id bigint unsigned PRIMARY KEY, t tinyint(1), d decimal(38,18), w text,
        y varbinary(9),
        ts datetime(6), da date, ti time(6), f double)""",
        """INSERT INTO v VALUES (18446744073709551615, 2, 12345678901234567890.123456789012345678, 'o''é',
        X'00FF', '1582-10-10 02:30:00.123456', '0001-01-01', '23:59:59.000001', 0.1)""",
    )
    (batch,) = batches(source(words, table_name="v"))
    (row,) = batch.to_pylist()
    assert int(row["id"]) == 2**64 - 1 and int(row["t"]) == 2 and row["y"] == b"\0\xff" and row["f"] == 0.1
    assert row["d"] == Decimal("12345678901234567890.123456789012345678") and row["w"] == "o'é"
    assert (str(row["ts"]), str(row["da"])) == ("1582-10-10 02:30:00.123456", "0001-01-01")
    assert str(row["ti"]) == "23:59:59.000001"
    written = write(sink(words, table_name="w"), source(words, table_name="v").describe(), [row])
    assert written.rows == 1 and [b.to_pylist() for b in batches(source(words, table_name="w"))] == [[row]]


# -- Netezza -------------------------------------------------------------------

NETEZZA = {"host": "nz.example.com", "database": "SALES", "user": "u", "password": CANARY}


def test_the_originals_profile_of_netezza_goes_by_jdbc():
    words = {**NETEZZA, "driver": {"name": "org.netezza.Driver", "path": "/nowhere/nzjdbc.jar"}}
    one = NetezzaSource(NetezzaSource.Config(table_name="T"), NetezzaProfile.model_validate(words), name="s")
    assert isinstance(one.database, NetezzaJdbcDatabase)
    assert one.database.url() == "jdbc:netezza://nz.example.com:5480/SALES"
    told = one.database.properties("hdm:read")
    assert told["securityLevel"] == "onlySecured" and told["password"] == CANARY
    with pytest.raises(UsageError, match=r"no driver jar /nowhere/nzjdbc\.jar") as caught:
        one.describe()
    assert caught.value.exit_code == 2


def test_netezza_by_jdbc_opens_a_session_and_reads(postgres, jdbc_drivers: Drivers, monkeypatch):
    """By PostgreSQL's driver, since Netezza's cannot be had: what hdm says to it is Netezza's."""
    monkeypatch.setattr(NetezzaJdbcDatabase, "url", lambda self: postgres["url"])
    words = {**NETEZZA, "host": "localhost", "driver": jdbc_drivers.driver("postgres"), "insecure": True}
    words |= {"user": postgres["user"], "password": postgres["password"]}
    database = NetezzaJdbcDatabase(NetezzaProfile.model_validate(words))
    session = database.connect("hdm:test")
    try:
        assert database.run(session, "SELECT 1, CAST('x' AS VARCHAR(9)), ?", ("it's \\ so",)) == [
            (1, "x", "it's \\ so")
        ]
    finally:
        session.close()
