"""PostgreSQL: every value arrives as it is or is refused, snapshots are shared, zombies end."""

import threading
import time
from collections import Counter

import pyarrow as pa
import pytest

from hdm.arrow import temporal
from hdm.config.secrets import Secret
from hdm.connectors.postgres import PostgresDatabase, PostgresProfile
from hdm.errors import (
    ConnectionLost,
    HdmError,
    RejectedRows,
    SnapshotLost,
    UnrepresentableValue,
    UsageError,
)
from hdm.model import Attempt, Kind, Mode, Payload
from tests.unit.sql_fixtures import lite, pg  # noqa: F401
from tests.unit.sqlkit import JOB, all_rows, move, plan, rows_of

VALUES = {
    "boolean": ["true", "false"],
    "smallint": ["-32768", "32767"],
    "integer": ["-2147483648", "2147483647"],
    "bigint": ["-9223372036854775808", "9223372036854775807"],
    "real": ["NaN", "Infinity", "-Infinity", "3.4028235e38", "1e-45", "0.1", "-0"],
    "double precision": ["NaN", "Infinity", "-Infinity", "1.7976931348623157e308", "5e-324", "0.1", "-0"],
    "numeric": ["NaN", "Infinity", "-Infinity", "1e100", "-0.00", "123456789" * 20, "0." + "1" * 200],
    "numeric(38,18)": ["12345678901234567890.123456789012345678", "-0.000000000000000001", "0"],
    "numeric(76,10)": ["9" * 66 + ".0123456789", "-1"],
    "numeric(100,50)": ["9" * 50 + "." + "1" * 50],
    "numeric(3,-2)": ["12300", "-99900"],
    "numeric(2,5)": ["0.00012", "-0.00099"],
    "text": ["", "NULL", "\\N", "\\.", "a\nb\r\nc\td", "q\"q'q\\q", "\ufeffbom", "\U0001f600 é", " x "],
    "varchar(7)": ["", "abc    ", "\u2028,;"],
    "character(5)": ["ab", "", "abcde"],
    "bytea": ["\\x", "\\x00ff", "\\x5c783030"],
    "date": ["infinity", "-infinity", "0001-01-01", "4713-01-01 BC", "5874897-12-31", "10000-01-01"],
    "time": ["00:00:00", "23:59:59.999999"],
    "time(2)": ["12:00:00.12"],
    "timetz": ["12:00:00-05:30", "24:00:00+15:59"],
    "timestamp": ["infinity", "0044-03-15 12:00:00.5 BC", "294246-12-31 23:59:59", "1969-12-31 23:59:59.9"],
    "timestamp(3)": ["2024-02-29 23:59:59.999"],
    "timestamptz": ["infinity", "2024-03-31 02:30:00+02", "0001-01-01 00:00:00+00", "12024-01-01 00:00-11"],
    "interval": ["1 mon -3 days 04:05:06.789", "-1 year", "00:00:00", "178000000 years"],
    "uuid": ["00000000-0000-0000-0000-000000000000"],
    "json": ['{"b": 1, "a":  12345678901234567890, "a": null}', "null", "1.50"],
    "jsonb": ['{"a": 1.50}', '"\\u00e9"'],
    "integer[]": ["{}", "{1,NULL,3}", "[2:3]={1,2}"],
    "text[]": ['{{a,"b,c"},{"",NULL}}', '{"NULL"}'],
    "bit(5)": ["10101"],
    "bit varying(9)": ["", "1"],
    "money": ["-1234.56", "92233720368547758.07"],
    "inet": ["10.0.0.1/8", "::1"],
    "point": ["(1,2.5)"],
    "xml": ["<a>b</a>"],
    "int4range": ["[1,5)", "empty"],
    "oid": ["4294967295"],
    "tsvector": ["'a':1 'b':2"],
    "public.mood": ["sad"],
    "public.mood[]": ["{sad,ok}"],
    "public.price": ["1.50"],
}  # fmt: skip


def awkward(system):
    system.run("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN price AS numeric(6,2)")
    columns = ", ".join(f'"c {n}" {kind}' for n, kind in enumerate(VALUES))
    system.run(f"CREATE TABLE awkward (id serial PRIMARY KEY, {columns})")
    system.run("INSERT INTO awkward DEFAULT VALUES")
    for n, (kind, values) in enumerate(VALUES.items()):
        for value in values:
            system.run(f'INSERT INTO awkward ("c {n}") VALUES (?::{kind})', value)
    return system.source("awkward")


def shown(system, table):
    """Rows as text in fixed settings; bpchar padded, not trimmed."""
    columns = ", ".join(
        f'"c {n}"::numeric::text' if kind == "money" else f"concat(\"c {n}\", '|')"
        for n, kind in enumerate(VALUES)
    )
    return system.run(
        f"SET intervalstyle TO 'iso_8601'; SET time zone 'UTC'; SELECT id, {columns} FROM {table} ORDER BY id"
    )


def test_every_value_comes_back_from_postgres(pg):  # noqa: F811
    source = awkward(pg)
    assert pg.sink("copied").losses(source.describe()) == []
    move(source, pg.sink("copied"))
    assert shown(pg, "copied") == shown(pg, "awkward")
    kinds = (
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attnum > 0 AND attrelid = '{}'::regclass"
    )
    changed = set(pg.run(kinds.format("copied"))) - set(pg.run(kinds.format("awkward")))
    assert {kind for _, kind in changed} == {"text", "numeric(6,2)"}, "enums as text, domains as their base"


def test_every_value_survives_a_stay_in_sqlite(pg, lite):  # noqa: F811
    source = awkward(pg)
    move(source, lite.sink("stay"))
    move(lite.source("stay"), pg.sink("back"), job="b" * 32)
    negative_zero = {n for n, kind in enumerate(VALUES) if kind in ("real", "double precision")}
    for was, now in zip(shown(pg, "awkward"), shown(pg, "back"), strict=True):
        for n, (a, b) in enumerate(zip(was[1:], now[1:], strict=True)):
            assert a == b or (n in negative_zero and a == "-0|"), list(VALUES)[n]


def test_infinities_travel_as_the_largest_integers(pg):  # noqa: F811
    pg.run("CREATE TABLE t (d date, s timestamp)")
    pg.run("INSERT INTO t VALUES ('infinity', '-infinity')")
    source = pg.source("t")
    table, chunks = plan(source)
    (batch,) = source.read(table, chunks[0]).batches()
    assert batch.column(0).cast(pa.int32()).to_pylist() == [2**31 - 1]
    assert batch.column(1).cast(pa.int64()).to_pylist() == [-(2**63 - 1)]
    assert temporal.to_texts(batch.column(0)).to_pylist() == ["infinity"]


@pytest.mark.parametrize(
    ("kind", "value"), [("numeric(5,2)", "NaN"), ("time", "24:00:00"), ("timestamp", "294276-12-31 23:59:59")]
)
def test_what_no_carrier_holds_is_refused_by_name(pg, kind, value):  # noqa: F811
    pg.run(f"CREATE TABLE t (good int, odd {kind})")
    pg.run(f"INSERT INTO t VALUES (1, '{value}')")
    with pytest.raises(UnrepresentableValue, match="column odd"):
        all_rows(pg.source("t"))
    assert len(all_rows(pg.source(query="SELECT good, odd::text AS odd FROM t"))) == 1


def test_one_column_of_nulls_and_empty_strings(pg):  # noqa: F811
    pg.run("CREATE TABLE t (v text)")
    pg.run("INSERT INTO t VALUES (NULL), (''), (NULL)")
    assert all_rows(pg.source("t")) == Counter({(None,): 2, ("",): 1})
    move(pg.source("t"), pg.sink("u"))
    assert Counter(pg.run("SELECT v FROM u")) == Counter({(None,): 2, ("",): 1})


def test_nul_in_text_is_refused(pg, lite):  # noqa: F811
    lite.run("CREATE TABLE t (v text)")
    lite.run("INSERT INTO t VALUES (?)", "a\0b")
    with pytest.raises(UnrepresentableValue):
        move(lite.source("t"), pg.sink("t"))


def test_rows_of_20_mb(pg):  # noqa: F811
    pg.run("CREATE TABLE t (id int PRIMARY KEY, v text, b bytea)")
    pg.run(
        "INSERT INTO t SELECT g, repeat('x', 20000000), decode(repeat('00ff', 5000000), 'hex') "
        "FROM generate_series(1, 3) g"
    )
    move(pg.source("t"), pg.sink("u"))
    assert pg.run("SELECT count(*), sum(length(v)), sum(length(b)) FROM u") == [(3, 60000000, 30000000)]
    assert pg.run("SELECT count(*) FROM t JOIN u USING (id, v, b)") == [(3,)]


def test_query_columns_have_their_types(pg):  # noqa: F811
    table = pg.source(
        query="SELECT 1::smallint AS a, 1.5::numeric(9,3) AS b, now() AS c, ARRAY[1] AS d"
    ).describe()
    assert [c.kind for c in table.columns] == [Kind.INT16, Kind.DECIMAL, Kind.TIMESTAMPTZ, Kind.ARRAY]
    assert table.columns[1].native == "numeric(9,3)"


# -- snapshots ---------------------------------------------------------------------


def test_chunks_of_one_plan_see_one_moment(pg):  # noqa: F811
    pg.run("CREATE TABLE t AS SELECT g AS id, 0 AS moved FROM generate_series(1, 1000) g")
    pg.run("ALTER TABLE t ADD PRIMARY KEY (id)")
    pg.run("ANALYZE")
    source = pg.source("t", chunk={"rows": 100})
    with source.snapshot() as token:
        table, chunks = plan(source, snapshot=token)
        seen = Counter()
        for n, chunk in enumerate(chunks):
            seen.update(rows_of(source, table, chunk))
            pg.run(f"UPDATE t SET id = id + 100000, moved = 1 WHERE id = {1000 - n}")
            pg.run(f"DELETE FROM t WHERE id = {500 + n}")
    assert seen == Counter((n, 0) for n in range(1, 1001))


def test_key_ranges_go_on_when_the_snapshot_is_gone(pg):  # noqa: F811
    pg.run("CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 100) g")
    pg.run("ALTER TABLE t ADD PRIMARY KEY (id)")
    source = pg.source("t", chunk={"rows": 30})
    with source.snapshot() as token:
        table, chunks = plan(source, snapshot=token)
    assert sum(len(rows_of(source, table, c)) for c in chunks) == 100


@pytest.mark.parametrize(
    "change", ["UPDATE t SET v = v WHERE id = 5", "INSERT INTO t VALUES (0, '')", "VACUUM FULL t"]
)
def test_page_ranges_do_not_when_rows_changed(pg, change):  # noqa: F811
    pg.run("CREATE TABLE t AS SELECT g AS id, repeat('x', 200) AS v FROM generate_series(1, 2000) g")
    pg.run("ANALYZE")
    source = pg.source("t", chunk={"rows": 500})
    with source.snapshot() as token:
        table, chunks = plan(source, snapshot=token)
    assert len(chunks) > 1
    assert sum(len(rows_of(source, table, c)) for c in chunks) == 2000
    connection = pg.connect()
    connection.autocommit = True
    connection.execute(change)
    connection.close()
    with pytest.raises(SnapshotLost):
        rows_of(source, table, chunks[1])


# -- zombies and errors --------------------------------------------------------------


def test_a_newer_attempt_ends_the_older_one(pg):  # noqa: F811
    pg.run("CREATE TABLE src (id int PRIMARY KEY)")
    pg.run("INSERT INTO src VALUES (1), (2)")
    source, sink = pg.source("src"), pg.sink("dst")
    table, (chunk,) = plan(source)
    sink.prepare(table, JOB, 1, Mode.APPEND)
    hanging, go, ended = threading.Event(), threading.Event(), []

    def slow():
        yield from source.read(table, chunk).batches()
        hanging.set()
        go.wait(20)

    def zombie():
        try:
            sink.write(table, chunk, Attempt(1), Payload(table, slow), Mode.APPEND)
        except HdmError as error:
            ended.append(error)

    thread = threading.Thread(target=zombie)
    thread.start()
    hanging.wait(20)
    receipt = sink.write(table, chunk, Attempt(2), source.read(table, chunk), Mode.APPEND)
    go.set()
    thread.join(20)
    assert not receipt.adopted
    assert isinstance(ended[0], ConnectionLost)
    assert pg.run("SELECT count(*) FROM dst") == [(2,)]


@pytest.mark.parametrize(
    ("label", "patience"), [("hdm:0123456789ab:2", "15min"), ("hdm:prepare", "30s"), ("hdm:ddl", "30s")]
)
def test_who_makes_a_table_and_is_stopped_soon_lets_go_of_it(pg, label, patience):  # noqa: F811
    """Rows may be long in coming; between two definitions there is nothing to wait for."""
    with pg.sink("dst").database.connect(label, write=True) as connection:
        assert connection.execute("SHOW idle_in_transaction_session_timeout").fetchone() == (patience,)


def test_closing_a_read_early_leaves_no_session(pg):  # noqa: F811
    pg.run("CREATE TABLE t AS SELECT repeat('x', 1000) AS v FROM generate_series(1, 30000)")
    source = pg.source("t")
    table, (chunk, *_) = plan(source)
    batches = source.read(table, chunk).batches()
    next(batches)
    batches.close()
    for _ in range(50):
        if not pg.run("SELECT 1 FROM pg_stat_activity WHERE application_name = 'hdm:read'"):
            break
        time.sleep(0.1)
    else:
        pytest.fail("the reading session is still there")


def test_the_login_and_the_database_are_the_users_to_get_right(pg, postgres_server):  # noqa: F811
    wrong = {"host": "127.0.0.1", "port": postgres_server.port, "database": "nowhere", "user": "hdm"}
    with pytest.raises(UsageError, match="no such database"):
        PostgresDatabase(PostgresProfile.model_validate(wrong)).connect()
    wrong.update(database="postgres", user="mover", password=Secret("canary-secret"))
    with pytest.raises(UsageError, match="login") as caught:
        PostgresDatabase(PostgresProfile.model_validate(wrong)).connect()
    assert "canary" not in str(caught.value)
    with pytest.raises(ConnectionLost):
        PostgresDatabase(PostgresProfile.model_validate({**wrong, "port": 1})).connect()


def test_tls_is_asked_for_beyond_this_host():
    far = PostgresDatabase(PostgresProfile.model_validate({"host": "db.example", "database": "d"}))
    assert far._parameters["sslmode"] == "verify-full"
    trusting = PostgresDatabase(PostgresProfile.model_validate({"host": "db.example", "insecure": True}))
    assert "sslmode" not in trusting._parameters
    url = PostgresProfile.model_validate(
        {"url": Secret("postgresql+psycopg://u:p@db.example:99/shop?sslmode=require")}
    )
    assert PostgresDatabase(url)._parameters["sslmode"] == "require"
    assert PostgresDatabase(url).dataset(("public", "t")).name == "shop.public.t"
    assert PostgresDatabase(url).dataset(("public", "t")).namespace == "postgres://db.example:99"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://u:canary@h/d", "url is not one of PostgreSQL"),
        ("u:canary@h/d", "url is not one of PostgreSQL"),
        ("mysql://u:canary@h/d?x=1", "url is not one of PostgreSQL"),
        ("postgresql://u:canary@[::1/d", "url is not one of PostgreSQL"),
        ("postgresql://u:canary%zz@h/d", "url is not one of PostgreSQL"),
        ("postgresql://u:canary@h/d?canary=1", "url has a setting after '?'"),
        ("postgresql://u:canary@h:canary/d", "port in the profile's url"),
        ("postgresql://u:canary@h:99999/d", "port in the profile's url"),
        ("postgresql://u:canary@h/d?port=canary", "port in the profile's url"),
    ],
)
def test_a_wrong_url_is_the_users_mistake_and_not_shown(url, said):
    database = PostgresDatabase(PostgresProfile.model_validate({"url": Secret(url)}))
    for ask in (database.connect, lambda: database.dataset(("public", "t"))):
        with pytest.raises(UsageError) as caught:
            ask()
        assert said in str(caught.value)
        assert "canary" not in str(caught.value)


def test_a_value_that_does_not_fit_is_rejected_without_showing_it(pg):  # noqa: F811
    pg.run("CREATE TABLE src (v text)")
    pg.run("INSERT INTO src VALUES ('canary-value')")
    pg.run("CREATE TABLE dst (v text)")
    database = PostgresDatabase(pg.profile)
    connection = database.connect()
    try:
        with pytest.raises(RejectedRows) as caught:
            database.run(connection, "SELECT v::int FROM src")
    finally:
        connection.close()
    assert "canary" not in str(caught.value)


def test_probe(pg):  # noqa: F811
    found = pg.source(query="SELECT 1 AS a").probe()
    asked = ["connection", "version", "clock", "late commits", "table", "grants"]
    assert [what for what, ok, _ in found if ok] == asked


def test_rows_are_merged_into_the_targets_own_types(pg):  # noqa: F811
    pg.run("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN price AS numeric(6,2) CHECK (VALUE > 0)")
    pg.run("CREATE TABLE s (id int PRIMARY KEY, m mood, p price)")
    pg.run("CREATE TABLE t (id int PRIMARY KEY, m mood NOT NULL, p price, extra text DEFAULT 'own')")
    pg.run("INSERT INTO s VALUES (1, 'ok', 2.50), (2, 'sad', NULL); INSERT INTO t VALUES (1, 'sad', 9)")
    move(pg.source("s"), pg.sink("t"), mode=Mode.MERGE)
    assert pg.run("SELECT id, m, p::text, extra FROM t ORDER BY id") == [
        (1, "ok", "2.50", "own"),
        (2, "sad", None, "own"),
    ]
