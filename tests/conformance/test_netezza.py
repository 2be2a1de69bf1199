"""Netezza through the real nzpy, whose server is ``tests/servers/netezza.py``."""

from __future__ import annotations

import datetime as dt
import re
import socket
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from hdm.components import silence
from hdm.connectors.netezza import (
    NetezzaDatabase,
    NetezzaExternalTableSource,
    NetezzaProfile,
    NetezzaSink,
    NetezzaSource,
)
from hdm.errors import ConnectionLost, CorruptFile, HdmError, UnrepresentableValue, UsageError
from hdm.model import Attempt, Chunk, Column, Dataset, Kind, Mode, Payload, Table
from tests.servers.netezza import Netezza
from tests.servers.process import Database

JOB = "j" * 64
TABLE = Table(
    Dataset("memory", "people"),
    ("PEOPLE",),
    (
        Column("ID", Kind.INT64, pa.int64(), nullable=False),
        Column("NAME", Kind.TEXT, pa.string(), length=60),
        Column("PRICE", Kind.DECIMAL, pa.decimal128(12, 2), precision=12, scale=2),
        Column("RAW", Kind.BINARY, pa.binary(), length=20),
        Column("RATIO", Kind.FLOAT64, pa.float64()),
    ),
    ("ID",),
)
NAMES = [
    "O'Neil", "what?", "''?''", "a\\", "\\'; x", "œuvre à 5 €", "漢字 🎈", "", None, " ", "NULL",
    "two\nlines",
]  # fmt: skip
ROWS: list[dict[str, Any]] = [
    {"ID": n, "NAME": name, "PRICE": Decimal("-0.05"), "RAW": b"\0\xff\x80'?", "RATIO": 0.1 + 0.2}
    for n, name in enumerate(NAMES)
]


@pytest.fixture(params=["plain", "escapes"])
def server(fresh_postgres: Callable[..., Database], request: pytest.FixtureRequest) -> Iterator[Netezza]:
    made = Netezza(fresh_postgres(), escapes=getattr(request, "param", "") == "escapes")
    yield made
    made.close()


def profile(server: Netezza, **more: Any) -> NetezzaProfile:
    given = {"host": "127.0.0.1", "port": server.port, "database": server.database.database, "user": "x",
             "password": "canary", **more}  # fmt: skip
    return NetezzaProfile.model_validate(given)


def sink(server: Netezza) -> NetezzaSink:
    return NetezzaSink(NetezzaSink.Config(table_name="ADMIN.PEOPLE"), profile(server), name="t")


def load(server: Netezza, number: int, rows: list[dict[str, Any]], mode: Mode = Mode.APPEND) -> None:
    one, batch = sink(server), pa.RecordBatch.from_pylist(rows, schema=TABLE.schema)
    chunk = Chunk(JOB, TABLE.dataset, number, epoch=number)
    one.prepare(TABLE, JOB, 0, mode)
    one.write(TABLE, chunk, Attempt(1), Payload(TABLE, lambda: iter([batch])), mode)


def held(server: Netezza) -> list[dict[str, Any]]:
    one = NetezzaSource(NetezzaSource.Config(table_name="ADMIN.PEOPLE"), profile(server), name="s")
    table = one.describe()
    found = [
        row
        for chunk in one.split(table, one.window(), JOB, None)
        for batch in one.read(table, chunk).batches()
        for row in batch.to_pylist()
    ]
    return sorted(found, key=lambda row: row["ID"])


def counted(server: Netezza, table: str) -> int:
    with psycopg.connect(server.database.dsn) as connection:
        row = connection.execute(f'SELECT COUNT(*) FROM "ADMIN"."{table}"'.encode()).fetchone()
    assert row is not None
    return int(row[0])


def test_values_arrive_as_they_are_whatever_a_backslash_means(server: Netezza) -> None:
    load(server, 0, ROWS)
    assert held(server) == ROWS


@pytest.mark.parametrize("server", ["plain"], indirect=True)
@pytest.mark.parametrize("place", ['UPDATE "ADMIN"."_hdm_load_ledger"', "COMMIT"])
def test_rows_and_their_receipt_come_together_in_every_transaction_of_a_session(
    server: Netezza, place: str
) -> None:
    """nzpy left to itself sends BEGIN before the first only."""
    sink(server).prepare(TABLE, JOB, 0, Mode.APPEND)
    one, batch = sink(server), pa.RecordBatch.from_pylist(ROWS, schema=TABLE.schema)
    chunk = Chunk(JOB, TABLE.dataset, 0)
    server.dies_at = place
    with pytest.raises(HdmError):
        one.write(TABLE, chunk, Attempt(1), Payload(TABLE, lambda: iter([batch])), Mode.MERGE)
    server.dies_at = None
    assert (counted(server, "PEOPLE"), counted(server, "_hdm_load_ledger")) == (0, 1)
    one.write(TABLE, chunk, Attempt(2), Payload(TABLE, lambda: iter([batch])), Mode.MERGE)
    again = one.write(TABLE, chunk, Attempt(3), Payload(TABLE, lambda: iter([batch])), Mode.MERGE)
    assert (counted(server, "PEOPLE"), counted(server, "_hdm_load_ledger")) == (len(ROWS), 2)
    assert again.adopted and again.rows == len(ROWS)


@pytest.mark.parametrize("server", ["plain"], indirect=True)
def test_a_session_has_as_many_ends_as_beginnings(server: Netezza) -> None:
    database = NetezzaDatabase(profile(server))
    connection = database.connect(write=True)
    database.run(connection, 'CREATE TABLE "ADMIN"."T" ("A" INTEGER)')
    for end in (database.rollback, database.commit, database.rollback):
        database.begin(connection, write=True)
        database.run(connection, 'INSERT INTO "ADMIN"."T" VALUES (1)')
        end(connection)
    database.begin(connection)
    connection.close()
    assert counted(server, "T") == 1 and server.said.count("BEGIN") == 3


@pytest.mark.parametrize("server", ["plain"], indirect=True)
def test_a_merge_needs_no_correlated_query(server: Netezza) -> None:
    load(server, 0, ROWS[:3])
    changed = [{**ROWS[1], "NAME": "new"}, ROWS[5], ROWS[6]]
    load(server, 1, changed, Mode.MERGE)
    assert held(server) == [ROWS[0], changed[0], ROWS[2], ROWS[5], ROWS[6]]


@pytest.mark.parametrize("server", ["plain"], indirect=True)
def test_a_text_that_is_too_long_or_holds_a_nul_is_refused_and_not_cut(server: Netezza) -> None:
    for wrong in ("x" * 61, "a\0b"):
        with pytest.raises(UnrepresentableValue):
            load(server, 0, [{**ROWS[0], "NAME": wrong}])
    assert counted(server, "PEOPLE") == 0


@pytest.mark.parametrize("server", ["plain"], indirect=True)
def test_a_refused_login_says_why(server: Netezza) -> None:
    with pytest.raises(UsageError) as caught:
        NetezzaDatabase(profile(server, password="wrong")).connect()
    assert caught.value.hint == "correct user and password in the profile"


@pytest.mark.parametrize("server", ["plain"], indirect=True)
def test_a_query_is_described_beside_others_that_are_being_described(server: Netezza) -> None:
    load(server, 0, ROWS)
    one = NetezzaSource(
        NetezzaSource.Config(query='SELECT "ID", "NAME" FROM "ADMIN"."PEOPLE"'), profile(server), name="s"
    )
    connection = one.database.connect()
    one.database.run(connection, 'CREATE TEMP TABLE "_HDM_QUERY" AS SELECT 1 AS other')
    assert [c.name for c in one.database.query_columns(connection, one.config.query)] == ["ID", "NAME"]
    assert one.database.pages(connection, one.describe()) == 0
    connection.close()


@pytest.mark.parametrize("server", ["plain"], indirect=True)
def test_a_table_is_unloaded_by_the_protocol_and_a_file_that_breaks_off_is_refused(
    server: Netezza, tmp_path: Path
) -> None:
    load(server, 0, ROWS)
    conf = {"table_name": "ADMIN.PEOPLE", "directory": str(tmp_path), "columns": ["ID", "NAME", "PRICE"]}
    one = NetezzaExternalTableSource(
        NetezzaExternalTableSource.Config.model_validate(conf), profile(server), name="s"
    )
    table = one.describe()
    (chunk,) = one.split(table, one.window(), JOB, None)

    def read() -> list[Any]:
        return [row["NAME"] for batch in one.read(table, chunk).batches() for row in batch.to_pylist()]

    assert read() == NAMES and list(tmp_path.iterdir()) == []
    server.cut_unloads = True
    with pytest.raises(CorruptFile, match="1 rows less"):
        read()


@pytest.mark.parametrize("server", ["plain"], indirect=True)
def test_what_a_killed_unload_left_goes_with_the_next(server: Netezza, tmp_path: Path) -> None:
    load(server, 0, ROWS)
    conf = {"table_name": "ADMIN.PEOPLE", "directory": str(tmp_path), "columns": ["ID"]}
    cls = NetezzaExternalTableSource
    one = cls(cls.Config.model_validate(conf), profile(server), name="s")
    table = one.describe()
    (chunk,) = one.split(table, one.window(), JOB, None)
    left, others = tmp_path / f"hdm-{chunk.chunk_id[:24]}-00000000.unload", tmp_path / "others.unload"
    left.write_text("1|2\n")
    others.write_text("")
    assert sum(batch.num_rows for batch in one.read(table, chunk).batches()) == len(ROWS)
    assert list(tmp_path.iterdir()) == [others]


@pytest.mark.parametrize("server", ["plain"], indirect=True)
def test_a_connection_that_breaks_is_lost_and_not_a_mystery(server: Netezza) -> None:
    database = NetezzaDatabase(profile(server))
    connection = database.connect()
    server.dies_at = "SELECT 1"
    with pytest.raises(ConnectionLost):
        database.run(connection, "SELECT 1")


@pytest.mark.parametrize("server", ["plain"], indirect=True)
def test_a_session_that_reads_can_change_nothing(server: Netezza) -> None:
    load(server, 0, ROWS)
    database = NetezzaDatabase(profile(server))
    for statement in (
        'DELETE FROM "ADMIN"."PEOPLE"',
        'DROP TABLE "ADMIN"."PEOPLE"',
        'CREATE TABLE "A" (B INT)',
    ):
        connection = database.connect()
        with pytest.raises(UsageError) as refused:
            database.run(connection, statement.replace("DROP", "TRUNCATE"))
        assert "call nothing that writes" in str(refused.value.hint)
        connection.close()
    asked = NetezzaSource(
        NetezzaSource.Config(query='SELECT "ID" FROM "ADMIN"."PEOPLE"'), profile(server), name="s"
    )
    assert [column.name for column in asked.describe().columns] == ["ID"]  # by a temporary table
    assert counted(server, "PEOPLE") == len(ROWS)


@pytest.mark.parametrize("server", ["plain"], indirect=True)
def test_the_kernel_is_told_to_look_for_the_other_side(server: Netezza) -> None:
    connection = NetezzaDatabase(profile(server)).connect()
    sock = connection._usock
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == silence.USER_TIMEOUT
    connection.close()


WIDE = Table(
    Dataset("memory", "wide"),
    ("WIDE",),
    (
        Column("ID", Kind.INT64, pa.int64(), nullable=False),
        Column("NAME", Kind.TEXT, pa.string(), length=60),
        Column("PRICE", Kind.DECIMAL, pa.decimal128(12, 2), precision=12, scale=2),
        Column("OK", Kind.BOOLEAN, pa.bool_()),
        Column("DAY", Kind.DATE, pa.date32()),
        Column("AT", Kind.TIMESTAMP, pa.timestamp("us")),
        Column("RATIO", Kind.FLOAT64, pa.float64()),
    ),
    ("ID",),
)
MARKED = [*NAMES, "a|b", "cr\rlf\r\n", "tab\t\x01", "\\n", "|"]
WIDE_ROWS: list[dict[str, Any]] = [
    {
        "ID": n, "NAME": name, "PRICE": Decimal("-0.05"), "OK": n % 2 == 0, "DAY": dt.date(1, 1, 1),
        "AT": dt.datetime(2020, 2, 29, 1, 2, 3, 4), "RATIO": 1e-300 if n % 3 else float("-inf"),
    }
    for n, name in enumerate(MARKED)
]  # fmt: skip
WIDE_ROWS.append({"ID": len(WIDE_ROWS), **dict.fromkeys(("NAME", "PRICE", "OK", "DAY", "AT", "RATIO"))})


def load_wide(server: Netezza, rows: list[dict[str, Any]], mode: Mode, number: int = 0) -> None:
    one = NetezzaSink(NetezzaSink.Config(table_name="ADMIN.WIDE"), profile(server), name="t")
    batch = pa.RecordBatch.from_pylist(rows, schema=WIDE.schema)
    one.prepare(WIDE, JOB, 0, mode)
    chunk = Chunk(JOB, WIDE.dataset, number, epoch=number)
    one.write(WIDE, chunk, Attempt(1), Payload(WIDE, lambda: iter([batch])), mode)


def wide(server: Netezza) -> list[dict[str, Any]]:
    with psycopg.connect(server.database.dsn) as connection:
        found = connection.execute(b'SELECT * FROM "ADMIN"."WIDE" ORDER BY "ID"')
        names = [one.name for one in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found]


@pytest.mark.parametrize("server", ["plain"], indirect=True)
@pytest.mark.parametrize("mode", [Mode.APPEND, Mode.MERGE, Mode.REPLACE])
def test_rows_go_by_file_before_a_transaction_that_only_moves_them(server: Netezza, mode: Mode) -> None:
    """Head row first and rows one by one, all loads but one would end with a serialisation error."""
    load_wide(server, WIDE_ROWS, mode)
    if mode is Mode.REPLACE:
        NetezzaSink(NetezzaSink.Config(table_name="ADMIN.WIDE"), profile(server), name="t").finish(
            WIDE, JOB, 0, mode
        )
    assert wide(server) == WIDE_ROWS
    head = next(n for n, sql in enumerate(server.said) if 'SET "loads"' in sql and "_target" not in sql)
    loads = [n for n, sql in enumerate(server.said) if " FROM EXTERNAL " in sql]
    claims = [n for n, sql in enumerate(server.said) if "chunk_json" in sql and sql.startswith("INSERT")]
    assert head and len(loads) == 1 and claims[1] > loads[0]
    folder = re.search(r"LOGDIR '([^']*)'", server.said[loads[0]])
    assert folder and not Path(folder[1]).exists(), "what the server says of bad rows holds their values"


@pytest.mark.parametrize("server", ["plain"], indirect=True)
def test_without_the_right_to_make_external_tables_rows_go_one_by_one(server: Netezza) -> None:
    server.loads = False
    load_wide(server, WIDE_ROWS, Mode.APPEND)
    assert wide(server) == WIDE_ROWS


@pytest.mark.parametrize("server", ["plain"], indirect=True)
def test_a_row_that_the_server_cannot_read_ends_the_load(server: Netezza) -> None:
    load_wide(server, WIDE_ROWS[:1], Mode.APPEND)
    with psycopg.connect(server.database.dsn, autocommit=True) as connection:
        connection.execute(b'ALTER TABLE "ADMIN"."WIDE" ALTER COLUMN "ID" TYPE smallint')
    with pytest.raises(HdmError):
        load_wide(server, [{**WIDE_ROWS[0], "ID": 70_000}], Mode.APPEND, 1)
    assert len(wide(server)) == 1


@pytest.mark.parametrize("server", ["plain"], indirect=True)
@pytest.mark.parametrize("place", ["NAME", "ID"])
def test_a_row_whose_column_of_distribution_changes_is_moved_and_keeps_the_rest(
    server: Netezza, place: str
) -> None:
    """An UPDATE cannot set such a column; columns that only the table has keep their values."""
    database = NetezzaDatabase(profile(server))
    connection = database.connect(write=True)
    natives = "BIGINT NOT NULL, NVARCHAR(60), NUMERIC(12,2), BOOLEAN, DATE, TIMESTAMP, DOUBLE PRECISION"
    natives = natives.replace("(12,2)", "(12;2)")
    shown = zip(WIDE.columns, natives.split(", "), strict=True)
    declared = ", ".join(f'"{c.name}" {native.replace(";", ",")}' for c, native in shown)
    own = f'CREATE TABLE "ADMIN"."WIDE" ({declared}, "OWN" INTEGER) DISTRIBUTE ON ("{place}")'
    database.run(connection, own)
    load_wide(server, WIDE_ROWS[:3], Mode.MERGE)
    database.run(connection, 'UPDATE "ADMIN"."WIDE" SET "OWN" = 7')
    connection.close()
    changed = [{**WIDE_ROWS[1], "NAME": "new"}, WIDE_ROWS[5]]
    load_wide(server, changed, Mode.MERGE, 1)
    found = wide(server)
    assert [row.pop("OWN") for row in found] == [7, 7, 7, None]
    assert found == [WIDE_ROWS[0], changed[0], WIDE_ROWS[2], WIDE_ROWS[5]]


@pytest.mark.parametrize("server", ["plain"], indirect=True)
def test_doctor_says_where_names_without_a_schema_are(server: Netezza) -> None:
    """A database's default schema is its owner's, not ADMIN."""
    told = {what: (ok, said) for what, ok, said in NetezzaDatabase(profile(server)).probe()}
    assert told["schema"][0] is False and "ADMIN" in told["schema"][1] and "public" in told["schema"][1]
    named = NetezzaDatabase(profile(server, schema="ADMIN"))
    assert all(ok for _, ok, _ in named.probe())


RIGHTS = {
    'SELECT 1 FROM "ADMIN"."PEOPLE"': (
        "source",
        "SELECT on the table",
        'GRANT SELECT ON "{0}"."ADMIN"."PEOPLE" TO "hdm";',
    ),
    'CREATE TABLE "ADMIN"': ("sink", "CREATE TABLE", 'GRANT CREATE TABLE TO "hdm";'),
    "CREATE TEMP TABLE": ("sink", "CREATE TEMP TABLE", 'GRANT CREATE TEMP TABLE TO "hdm";'),
    "CREATE EXTERNAL TABLE": ("unload", "CREATE EXTERNAL TABLE", 'GRANT CREATE EXTERNAL TABLE TO "hdm";'),
    "INSERT INTO": ("append", "INSERT on the table", 'GRANT INSERT ON "{0}"."ADMIN"."PEOPLE" TO "hdm";'),
    "DELETE FROM": ("merge", "DELETE on the table", 'GRANT DELETE ON "{0}"."ADMIN"."PEOPLE" TO "hdm";'),
}


@pytest.mark.parametrize("server", ["plain"], indirect=True)
def test_doctor_tries_each_right_and_leaves_nothing(server: Netezza) -> None:
    load(server, 0, ROWS)
    database, path = NetezzaDatabase(profile(server)), ("ADMIN", "PEOPLE")
    with psycopg.connect(server.database.dsn) as connection:
        counted = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relpersistence = 'p'"
        before = connection.execute(counted.encode()).fetchone()
    for part in ("source", "sink", "unload", "append", "merge", "replace"):
        assert [ok for _, ok, _ in database.grants(path, part)] == [True], part
    for start, (part, right, statement) in RIGHTS.items():
        server.refuses = (start,)
        shown = statement.format(server.database.database)
        assert database.grants(path, part) == [("grants", False, f"lacks {right}: {shown}")]
    server.refuses = ()
    with psycopg.connect(server.database.dsn) as connection:
        assert connection.execute(counted.encode()).fetchone() == before
    assert held(server) == ROWS and server.said.count("BEGIN") == len(
        [s for s in server.said if s in ("COMMIT", "ROLLBACK")]
    )


@pytest.mark.parametrize("server", ["plain"], indirect=True)
@pytest.mark.parametrize("mode", [Mode.MERGE, Mode.REPLACE])
def test_a_table_is_groomed_after_an_epoch_where_that_is_asked_for(server: Netezza, mode: Mode) -> None:
    load(server, 0, ROWS, mode)
    for upkeep in (False, True):
        server.said.clear()
        conf = NetezzaSink.Config.model_validate({"table_name": "ADMIN.PEOPLE", "upkeep": upkeep})
        one = NetezzaSink(conf, profile(server), name="t")
        one.finish(TABLE, JOB, 0, mode)
        tidied = [sql for sql in server.said if sql.startswith(("GROOM", "GENERATE"))]
        wanted = ['GROOM TABLE "ADMIN"."PEOPLE" RECORDS ALL', 'GENERATE STATISTICS ON "ADMIN"."PEOPLE"']
        assert tidied == (wanted if upkeep else [])
    assert held(server) == ROWS
