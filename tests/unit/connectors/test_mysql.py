"""MySQL connectors against a real MariaDB: every type exactly, or a refusal by name."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from hdm import failpoints
from hdm.config.secrets import Secret
from hdm.connectors.mysql import MySQLProfile, MySQLSource
from hdm.errors import BrokenContract, HdmError, RejectedRows, UnrepresentableValue, UsageError
from hdm.model import Attempt, Chunk, Column, Kind, Mode
from tests.servers.process import Database
from tests.unit.mysqlkit import MySQLSystem, mysql_system
from tests.unit.sqlkit import JOB, all_rows, move, plan, rows_of

TEXTS = [
    "", "NULL", "\\N", "a'b", 'say "hi"', '""', "two\nlines", "\r\n", "\t", "\\", "nul\0byte", "é日本🎈",
    "\ufeffbom", "x,y", " lead", "trail ", "\x1a", "0", "007",
]  # fmt: skip
AWKWARD = """CREATE TABLE awk (
  id int PRIMARY KEY AUTO_INCREMENT, t1 tinyint(1), tu tinyint unsigned, su smallint unsigned,
  mu mediumint unsigned, i int unsigned zerofill, b bigint, bu bigint unsigned, d decimal(65,30),
  d2 decimal(10,2) zerofill, f float, f2 float(7,2), db double, db2 double(20,3), v varchar(200), c char(10),
  l1 varchar(20) CHARACTER SET latin1, tx longtext, tt tinytext, vb varbinary(300), fb binary(4), bl longblob,
  j json, e enum('a','b,''"','ü'), s set('x','y'), bt bit(64), b1 bit(1), y year, dt date, tm time(6),
  dtm datetime(6), ts timestamp(6) NULL, g point, u uuid, ip inet6,
  gen int AS (tu + 1) STORED, UNIQUE (bu)) DEFAULT CHARSET utf8mb4"""
EXTREMES = (
    """INSERT INTO awk (t1,tu,su,mu,i,b,bu,d,d2,f,f2,db,db2,bt,b1,y,dt,tm,dtm,ts,g,ip,s,e,fb) VALUES
  (-128, 255, 65535, 16777215, 4294967295, -9223372036854775808, 18446744073709551615,
   '-99999999999999999999999999999999999.999999999999999999999999999999', 1.5, 3.4028234663852886e38,
   12345.67, 1.7976931348623157e308, 12345678901234567.123, b'%s', b'1', 0, '9999-12-31', '23:59:59.999999',
   '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07.999999', ST_PointFromText('POINT(1 2)'), '::1', 'x,y',
   'ü', x'00ff0000')"""
    % ("1" + "0" * 62 + "1"),
    """INSERT INTO awk (t1,f,db,d,dt,tm,dtm,ts,y,bt,s) VALUES
  (2, 0.1, -0e0, '0.000000000000000000000000000001', '0000-01-01', '00:00:00', '0001-01-01',
   '1970-01-01 00:00:01', 2155, b'0', '')""",
    "INSERT INTO awk (f, db) VALUES (1.401298464324817e-45, 5e-324), (16777216, 9007199254740993)",
)


@pytest.fixture
def maria(fresh_mariadb: Callable[..., Database]) -> MySQLSystem:
    return mysql_system(fresh_mariadb().profile)


def _awkward(maria: MySQLSystem) -> None:
    maria.run(AWKWARD)
    maria.run("INSERT INTO awk (id) VALUES (0)")
    for text in TEXTS:
        maria.run(
            "INSERT INTO awk (v, c, l1, tx, tt, vb, bl, j, e, u) VALUES "
            "(%s, %s, %s, %s, %s, %s, %s, %s, %s, uuid())",
            text, text[:10], "é\xff\"'\\", text, text, text.encode(), bytes(range(256)),
            '{"a": 1e400, "a": 2}', "b,'\"",
        )  # fmt: skip
    for statement in EXTREMES:
        maria.run(statement)


def _different(maria: MySQLSystem, one: str, other: str, key: str = "id") -> list[str]:
    """Columns of two tables that differ in any row, by the server's own bytes."""
    names = [str(row[0]) for row in maria.run(f"SHOW COLUMNS FROM `{other}`")]
    wrong = []
    for name in names:
        a, b = (f"CONVERT({t}.`{name}` USING utf8mb4)" if name == "l1" else f"{t}.`{name}`" for t in "ab")
        same = f"a.`{name}` <=> b.`{name}`" if name[0] in "fd" and name != "dt" else f"HEX({a}) <=> HEX({b})"
        if maria.run(f"SELECT 1 FROM `{one}` a JOIN `{other}` b USING ({key}) WHERE NOT ({same}) LIMIT 1"):
            wrong.append(name)
    return wrong


# -- values ------------------------------------------------------------------------


@pytest.mark.parametrize("infile", ["ON", "OFF"])
def test_every_type_comes_back_exactly(maria: MySQLSystem, infile: str) -> None:
    _awkward(maria)
    maria.run(f"SET GLOBAL local_infile = {infile}")
    try:
        receipts = move(maria.source("awk"), maria.sink("copy"))
    finally:
        maria.run("SET GLOBAL local_infile = ON")
    assert sum(r.rows for r in receipts) == len(TEXTS) + 5
    assert maria.run("SELECT COUNT(*) FROM copy") == [(len(TEXTS) + 5,)]
    assert _different(maria, "awk", "copy") == []
    kept = {row[0]: row[1] for row in maria.run("SHOW COLUMNS FROM copy")}
    assert kept["bu"] == "bigint(20) unsigned" and kept["e"] == "enum('a','b,''\"','ü')"


def test_a_query_is_described_and_read_like_its_table(maria: MySQLSystem) -> None:
    _awkward(maria)
    table, query = maria.source("awk"), maria.source(query="SELECT * FROM awk")
    by_table = {c.name: c.type for c in table.describe().columns}
    described = query.describe()
    assert {c.name: c.type for c in described.columns} == by_table
    whole, chunk = plan(table)
    by_query, same = plan(query)
    assert list(query.read(by_query, same[0]).batches()) == list(table.read(whole, chunk[0]).batches())


def test_zero_dates_are_refused_by_name_and_count(maria: MySQLSystem) -> None:
    maria.run("CREATE TABLE z (id int PRIMARY KEY, d date NOT NULL, t datetime(6))")
    maria.run(
        "INSERT INTO z VALUES (1, '0000-00-00', NULL), (2, '2020-00-10', NULL), (3, '2020-01-31', NULL)"
    )
    with pytest.raises(UnrepresentableValue, match="column d: 2 zero dates") as caught:
        all_rows(maria.source("z"))
    assert "zero_dates" in str(caught.value.hint) and "2020" not in str(caught.value)


def test_zero_dates_become_null_and_are_counted(maria: MySQLSystem, caplog: pytest.LogCaptureFixture) -> None:
    maria.run("CREATE TABLE z (id int PRIMARY KEY, d date NOT NULL, t datetime(6), s timestamp NULL)")
    maria.run(
        "INSERT INTO z VALUES (1, '0000-00-00', '0000-00-00 00:00:00', '0000-00-00 00:00:00'), "
        "(2, '2020-02-31', '2020-05-00 10:00:00', NULL), (3, '2020-02-29', '2020-01-01', '2020-01-01')"
    )
    rows = sorted(all_rows(maria.source("z", zero_dates="null")))
    assert [[v is None for v in row[1:]] for row in rows] == [[True] * 3, [True] * 3, [False] * 3]
    assert "column d: 2 zero dates" in caplog.text and "column s: 1 zero dates" in caplog.text


def test_zero_dates_as_text_come_back_exactly(maria: MySQLSystem) -> None:
    maria.run("CREATE TABLE z (id int PRIMARY KEY, d date NOT NULL, t datetime(6), s timestamp NULL)")
    maria.run(
        "INSERT INTO z VALUES (1, '0000-00-00', '0000-00-00 00:00:00', '0000-00-00 00:00:00'), "
        "(2, '2020-02-31', '2020-05-00 10:00:00', NULL), "
        "(3, '2020-02-29', '2020-01-01 01:02:03.4', '2020-01-01')"
    )
    source = maria.source("z", zero_dates="text")
    assert [(c.kind, c.type) for c in source.describe().columns[1:]] == [
        (kind, pa.string()) for kind in (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
    ]
    move(source, maria.sink("copy"))
    assert _different(maria, "z", "copy") == []


def test_times_beyond_a_day_are_refused_or_exact(maria: MySQLSystem) -> None:
    maria.run("CREATE TABLE t (id int PRIMARY KEY, tm time(6))")
    maria.run("INSERT INTO t VALUES (1, '-838:59:59.999999'), (2, '838:59:59'), (3, '24:00:00'), (4, NULL)")
    with pytest.raises(UnrepresentableValue, match="column tm"):
        all_rows(maria.source("t"))
    move(maria.source("t", times="text"), maria.sink("copy"))
    assert _different(maria, "t", "copy") == []


@pytest.mark.parametrize(
    ("declared", "column", "value"),
    [
        ("varchar(3)", Column("c", Kind.TEXT, pa.string()), "secret"),
        ("int", Column("c", Kind.TEXT, pa.string()), "secret"),
        ("tinyint", Column("c", Kind.INT32, pa.int32()), 1234567),
        ("decimal(5,1)", Column("c", Kind.DECIMAL, pa.string()), "1.25"),
        ("enum('a')", Column("c", Kind.ENUM, pa.string()), "secret"),
        ("datetime", Column("c", Kind.TEXT, pa.string()), "2020-13-01 00:00:00"),
        ("varchar(9) CHARACTER SET latin1", Column("c", Kind.TEXT, pa.string()), "日本"),
        ("float", Column("c", Kind.FLOAT64, pa.float64()), 1e39),
        ("int NOT NULL", Column("c", Kind.INT32, pa.int32()), None),
        ("timestamp", Column("c", Kind.TIMESTAMPTZ, pa.timestamp("us", "UTC")), 2**53),
    ],
)
@pytest.mark.parametrize("infile", ["ON", "OFF"])
def test_no_value_is_altered_silently(
    maria: MySQLSystem, declared: str, column: Column, value: Any, infile: str
) -> None:
    maria.run(f"CREATE TABLE n (c {declared})")
    database = maria.sink("n").database
    connection = database.connect("hdm:t", write=True)
    batch = pa.RecordBatch.from_arrays([pa.array([value], column.type)], names=["c"])
    maria.run(f"SET GLOBAL local_infile = {infile}")
    try:
        database.begin(connection, write=True)
        with pytest.raises(HdmError) as caught:
            database.load(connection, (maria.profile.database, "n"), [column], iter([batch]))
    finally:
        maria.run("SET GLOBAL local_infile = ON")
        connection.close()
    assert isinstance(caught.value, RejectedRows)
    assert "secret" not in str(caught.value) and "1234567" not in str(caught.value)
    assert maria.run("SELECT COUNT(*) FROM n") == [(0,)]


def test_what_mysql_does_not_have_is_refused(maria: MySQLSystem) -> None:
    maria.run("CREATE TABLE n (f double, d date)")
    database = maria.sink("n").database
    infinite = pa.array([2**31 - 1], pa.int32()).cast(pa.date32())
    for column, array in [
        (Column("f", Kind.FLOAT64, pa.float64()), pa.array([float("nan")])),
        (Column("d", Kind.DATE, pa.date32()), infinite),
    ]:
        connection = database.connect("hdm:t", write=True)
        batch = pa.RecordBatch.from_arrays([array], names=[column.name])
        with pytest.raises(UnrepresentableValue, match=f"column {column.name}"):
            database.load(connection, (maria.profile.database, "n"), [column], iter([batch]))
        connection.close()


def test_rows_of_many_megabytes_pass(maria: MySQLSystem) -> None:
    maria.run("CREATE TABLE w (id int PRIMARY KEY, b longblob, t longtext)")
    for number in range(3):
        maria.run(
            "INSERT INTO w VALUES (%s, REPEAT(UNHEX('00ff5c0a'), 5000000), REPEAT('é\n\\\\', 4000000))",
            number,
        )
    source = maria.source("w")
    table, chunks = plan(source)
    batches = [b.num_rows for b in source.read(table, chunks[0]).batches()]
    assert batches == [1, 1, 1]
    move(source, maria.sink("copy"))
    same = "SELECT COUNT(*) FROM w a JOIN copy b USING (id) "
    same += "WHERE SHA1(a.b) = SHA1(b.b) AND SHA1(a.t) = SHA1(b.t)"
    assert maria.run(same) == [(3,)]


# -- chunks ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    ["varchar(20) COLLATE utf8mb4_general_ci", "varchar(20) CHARACTER SET latin1", "varbinary(20)", "int"],
)
def test_chunks_hold_every_row_once(maria: MySQLSystem, key: str) -> None:
    number = key == "int"
    maria.run(
        f"CREATE TABLE t (k {key} NOT NULL, n int NOT NULL, PRIMARY KEY (k, n)) DEFAULT CHARSET utf8mb4"
    )
    shown = "seq DIV 3" if number else "ELT(1 + seq % 6, 'a', 'A', 'a ', 'ä', '\\\\', 'o''x')"
    maria.run(f"INSERT INTO t SELECT {shown}, seq FROM seq_1_to_500")
    source = maria.source("t", chunk={"rows": 40})
    table, chunks = plan(source)
    assert len(chunks) > 5 or key == "varbinary(20)"
    rows = Counter(row for chunk in chunks for row in rows_of(source, table, chunk))
    assert len(rows) == 500 and set(rows.values()) == {1}


def test_a_window_brings_ties_nulls_and_new_rows_once(maria: MySQLSystem) -> None:
    maria.run("CREATE TABLE t (id int PRIMARY KEY, at datetime(6) NULL)")
    maria.run("INSERT INTO t SELECT seq, '2020-01-01' + INTERVAL seq DIV 4 MICROSECOND FROM seq_1_to_40")
    maria.run("INSERT INTO t VALUES (41, NULL)")
    source = maria.source("t", watermark={"column": "at"}, chunk={"rows": 7})
    table, chunks = plan(source)
    first = Counter(row[0] for c in chunks for row in rows_of(source, table, c))
    assert first == Counter(range(1, 42))
    after = [c.upto for c in chunks if c.upto][-1]
    assert after == "2020-01-01 00:00:00.000010"
    window = replace(source.window(), after=after, ties=1, nulls=1)
    assert plan(source, window)[1] == []
    maria.run("INSERT INTO t VALUES (50, '2020-01-01 00:00:00.000010'), (51, '2020-01-02'), (52, NULL)")
    table, chunks = plan(source, window)
    second = {row[0] for c in chunks for row in rows_of(source, table, c)}
    assert second == {40, 50, 51, 41, 52}
    assert {c.seen_key for c in chunks} == {"point", "null", None}


@pytest.mark.parametrize(
    ("kind", "zone", "seen"),
    [("timestamp(6) NULL", {}, {0, 1}), ("datetime(6)", {"zone": "utc"}, {0, 1}), ("datetime(6)", {}, {0})],
)
def test_a_window_ends_below_the_oldest_open_writer(
    maria: MySQLSystem, kind: str, zone: dict[str, str], seen: set[int]
) -> None:
    """A DATETIME may have been stamped by a clock of any zone, unless the manifest vouches for UTC."""
    maria.run(f"CREATE TABLE t (id int PRIMARY KEY, at {kind})")
    maria.run("INSERT INTO t VALUES (1, UTC_TIMESTAMP(6) - INTERVAL 1 HOUR)")
    maria.run("INSERT INTO t VALUES (0, UTC_TIMESTAMP(6) - INTERVAL 1 DAY)")
    late = maria.connect()
    cursor = late.cursor()
    cursor.execute("BEGIN")
    cursor.execute("INSERT INTO t VALUES (2, UTC_TIMESTAMP(6))")
    maria.run("INSERT INTO t VALUES (3, UTC_TIMESTAMP(6))")
    source = maria.source("t", watermark={"column": "at", **zone})
    assert {row[0] for row in all_rows(source)} == seen
    late.commit()
    late.close()
    assert {row[0] for row in all_rows(source)} == {0, 1, 2, 3}


# -- attempts ------------------------------------------------------------------------


def _simple(maria: MySQLSystem, rows: int = 20) -> tuple[Any, Any, Any, Chunk]:
    maria.run("CREATE TABLE t (id int PRIMARY KEY, v varchar(20))")
    maria.run(f"INSERT INTO t SELECT seq, CONCAT('v', seq) FROM seq_1_to_{rows}")
    source, sink = maria.source("t"), maria.sink("copy")
    table, chunks = plan(source)
    sink.prepare(table, JOB, 1, Mode.APPEND)
    return source, sink, table, chunks[0]


def test_a_chunk_is_written_once(maria: MySQLSystem) -> None:
    source, sink, table, chunk = _simple(maria)
    first = sink.write(table, chunk, Attempt(1), source.read(table, chunk), Mode.APPEND)
    again = sink.write(table, chunk, Attempt(2), source.read(table, chunk), Mode.APPEND)
    assert (first.adopted, again.adopted, again.rows) == (False, True, 20)
    assert sink.committed(table, chunk, Mode.APPEND) == first
    assert maria.run("SELECT COUNT(*) FROM copy") == [(20,)]


def test_a_failing_source_leaves_nothing(maria: MySQLSystem) -> None:
    source, sink, table, chunk = _simple(maria)
    payload = source.read(table, chunk)
    batches = payload.batches

    def broken() -> Iterator[pa.RecordBatch]:
        yield from batches()
        raise RuntimeError("stop")

    payload.batches = broken
    with pytest.raises(RuntimeError, match="stop"):
        sink.write(table, chunk, Attempt(1), payload, Mode.APPEND)
    assert maria.run("SELECT COUNT(*) FROM copy") == [(0,)]
    assert sink.committed(table, chunk, Mode.APPEND) is None


def test_a_newer_attempt_ends_the_session_of_an_older_one(maria: MySQLSystem) -> None:
    source, sink, table, chunk = _simple(maria)
    paused, claim_next = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def zombie() -> None:
        payload = source.read(table, chunk)
        batches = payload.batches

        def slow() -> Iterator[pa.RecordBatch]:
            yield from batches()
            paused.set()
            claim_next.wait(30)

        payload.batches = slow
        try:
            sink.write(table, chunk, Attempt(1), payload, Mode.APPEND)
        except HdmError as error:
            failures.append(error)

    thread = threading.Thread(target=zombie)
    thread.start()
    assert paused.wait(30)
    begun = time.monotonic()
    receipt = sink.write(table, chunk, Attempt(2), source.read(table, chunk), Mode.APPEND)
    assert time.monotonic() - begun < 4  # without the kill it waits 5 s for the lock
    claim_next.set()
    thread.join()
    assert not receipt.adopted and len(failures) == 1
    assert maria.run("SELECT COUNT(*) FROM copy") == [(20,)]


def test_no_answer_but_a_load_may_ask_for_a_file(maria: MySQLSystem) -> None:
    connection = maria.sink("t").database.connect("hdm:t", write=True)
    maria.run("CREATE TABLE t (v text)")
    with pytest.raises(Exception, match="local_infile"):
        connection.cursor().execute("LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE t")
    connection.close()


def test_a_wrong_password_is_the_users_mistake_and_stays_secret(maria: MySQLSystem) -> None:
    bad = mysql_system(
        {"host": maria.profile.host, "port": maria.profile.port, "database": maria.profile.database}
        | {"user": "hdm", "password": "wrongwrong"}
    )
    with pytest.raises(UsageError) as caught:
        bad.source("t").describe()
    assert "wrongwrong" not in str(caught.value)


# -- modes ---------------------------------------------------------------------------


def test_merge_matches_null_keys_and_updates_the_rest(maria: MySQLSystem) -> None:
    maria.run("CREATE TABLE t (a int NULL, b varchar(9), v longtext)")
    maria.run("INSERT INTO t VALUES (1, 'x', 'new'), (NULL, 'n', 'new'), (2, 'y', 'new')")
    maria.run("CREATE TABLE copy (a int NULL, b varchar(9), v longtext)")
    maria.run("INSERT INTO copy VALUES (1, 'x', 'old'), (NULL, 'n', 'old'), (9, 'z', 'old')")
    move(maria.source("t"), maria.sink("copy", key=["a", "b"]), Mode.MERGE)
    rows = sorted(maria.run("SELECT b, v FROM copy"))
    assert rows == [("n", "new"), ("x", "new"), ("y", "new"), ("z", "old")]


def test_merge_takes_equal_rows_once_and_refuses_two_versions(maria: MySQLSystem) -> None:
    maria.run("CREATE TABLE t (a int, v varchar(9))")
    maria.run("INSERT INTO t VALUES (1, 'x'), (1, 'x')")
    move(maria.source("t"), maria.sink("copy", key=["a"]), Mode.MERGE)
    assert maria.run("SELECT * FROM copy") == [(1, "x")]
    maria.run("INSERT INTO t VALUES (1, 'y')")
    with pytest.raises(RejectedRows):
        move(maria.source("t"), maria.sink("copy", key=["a"]), Mode.MERGE, job="f" * 32)


def test_keys_that_differ_in_case_or_blanks_stay_apart(maria: MySQLSystem) -> None:
    maria.run("CREATE TABLE t (k varchar(9) COLLATE utf8mb4_nopad_bin PRIMARY KEY) DEFAULT CHARSET utf8mb4")
    maria.run("INSERT INTO t VALUES ('a'), ('A'), ('a '), ('ä')")
    move(maria.source("t"), maria.sink("copy"), Mode.MERGE)
    assert maria.run("SELECT COUNT(*) FROM copy") == [(4,)]


def test_replace_swaps_and_keeps_indexes(maria: MySQLSystem) -> None:
    """A table on which nothing hangs but indexes and partitions changes names with the new one."""
    maria.run("CREATE TABLE t (id int PRIMARY KEY, v int);; INSERT INTO t VALUES (1, 1), (2, 2)")
    maria.run(
        "CREATE TABLE copy (id int PRIMARY KEY, v int, KEY mine (v)) PARTITION BY HASH (id) PARTITIONS 2"
    )
    maria.run("INSERT INTO copy VALUES (7, 7)")
    for epoch in (1, 2):
        move(maria.source("t"), maria.sink("copy"), Mode.REPLACE, epoch=epoch)
        assert maria.run("SELECT * FROM copy ORDER BY id") == [(1, 1), (2, 2)]
    shown = maria.run("SHOW CREATE TABLE copy")[0][1]
    assert "KEY `mine`" in shown and "COMMENT='[hdm:" in shown and "PARTITIONS 2" in shown
    tables = {row[0] for row in maria.run("SHOW TABLES")}
    assert tables == {"t", "copy", "_hdm_load_ledger"}


HANGS = {
    "a comment": "ALTER TABLE copy COMMENT 'kept'",
    "a trigger": "CREATE TRIGGER noted AFTER INSERT ON copy FOR EACH ROW SET @noted = 1",
    "a counter": "ALTER TABLE copy MODIFY id int AUTO_INCREMENT, AUTO_INCREMENT = 900",
    "a key": "CREATE TABLE far (v int PRIMARY KEY);; INSERT INTO far VALUES (1), (2), (7);; "
    "ALTER TABLE copy ADD CONSTRAINT away FOREIGN KEY (v) REFERENCES far (v)",
    "a key of its own": "ALTER TABLE copy ADD CONSTRAINT up FOREIGN KEY (v) REFERENCES copy (id)",
    "versions": "ALTER TABLE copy ADD SYSTEM VERSIONING",
}


@pytest.mark.parametrize("what", HANGS)
def test_replace_keeps_what_hangs_on_a_table(maria: MySQLSystem, what: str) -> None:
    maria.run("CREATE TABLE t (id int PRIMARY KEY, v int);; INSERT INTO t VALUES (1, 2), (2, 2)")
    maria.run("CREATE TABLE copy (id int PRIMARY KEY, v int);; INSERT INTO copy VALUES (7, 7), (2, 7)")
    for statement in HANGS[what].split(";; "):
        maria.run(statement)
    before = maria.run("SHOW CREATE TABLE copy"), maria.run("SHOW TRIGGERS")
    for epoch in (1, 2):
        move(maria.source("t"), maria.sink("copy"), Mode.REPLACE, epoch=epoch)
        assert maria.run("SELECT id, v FROM copy ORDER BY id") == [(1, 2), (2, 2)]
    assert (maria.run("SHOW CREATE TABLE copy"), maria.run("SHOW TRIGGERS")) == before
    assert not [row for row in maria.run("SHOW TABLES") if "__hdm" in row[0]]
    if what == "a key of its own":
        maria.run("UPDATE t SET v = 5 WHERE id = 1")
        with pytest.raises(RejectedRows, match=r"1 of the new ones refer .* \(up\)"):
            move(maria.source("t"), maria.sink("copy"), Mode.REPLACE, epoch=3)
        assert maria.run("SELECT id, v FROM copy ORDER BY id") == [(1, 2), (2, 2)]


@pytest.mark.parametrize("rule", ["RESTRICT", "CASCADE", "SET NULL"])
def test_rows_that_refer_to_a_replaced_table_stay(maria: MySQLSystem, rule: str) -> None:
    maria.run("CREATE TABLE t (id int PRIMARY KEY, v int);; INSERT INTO t VALUES (1, 1), (2, 2)")
    maria.run("CREATE TABLE copy (id int PRIMARY KEY, v int);; INSERT INTO copy VALUES (7, 7), (2, 9)")
    maria.run(
        "CREATE TABLE child (id int PRIMARY KEY, up int, "
        f"CONSTRAINT up FOREIGN KEY (up) REFERENCES copy (id) ON DELETE {rule})"
    )
    maria.run("INSERT INTO child VALUES (1, 2)")
    before = maria.run("SHOW CREATE TABLE child")
    move(maria.source("t"), maria.sink("copy"), Mode.REPLACE)
    assert maria.run("SELECT id, v FROM copy ORDER BY id") == [(1, 1), (2, 2)]
    maria.run("DELETE FROM t WHERE id = 2")
    with pytest.raises(RejectedRows, match=r"1 rows of \w+.child refer .* \(up\)"):
        move(maria.source("t"), maria.sink("copy"), Mode.REPLACE, epoch=2)
    assert maria.run("SELECT id, v FROM copy ORDER BY id") == [(1, 1), (2, 2)]
    assert maria.run("SELECT id, up FROM child") == [(1, 2)]
    assert maria.run("SHOW CREATE TABLE child") == before


def test_a_view_is_not_replaced(maria: MySQLSystem) -> None:
    maria.run("CREATE TABLE t (id int PRIMARY KEY, v int);; CREATE VIEW copy AS SELECT * FROM t")
    maria.run("CREATE TABLE old (id int PRIMARY KEY, v int) ENGINE MyISAM")
    maria.run("CREATE TRIGGER noted AFTER INSERT ON old FOR EACH ROW SET @noted = 1")
    for name, why in (("copy", "it is a view"), ("old", "its engine knows no transactions")):
        with pytest.raises(UsageError, match=why):
            maria.sink(name).accepts(maria.source("t").describe(), Mode.REPLACE)


@pytest.mark.parametrize("there", [True, False])
def test_a_crash_after_the_swap_does_not_swap_again(
    maria: MySQLSystem, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    maria.run("CREATE TABLE t (id int PRIMARY KEY);; INSERT INTO t VALUES (1), (2)")
    if there:
        maria.run("CREATE TABLE copy (id int PRIMARY KEY);; INSERT INTO copy VALUES (7)")
    point = failpoints.point

    def crash(name: str) -> None:
        if name == "W2":
            raise BrokenContract("killed")
        point(name)

    source, sink = maria.source("t"), maria.sink("copy")
    with monkeypatch.context() as patch:
        patch.setattr(failpoints, "point", crash)
        with pytest.raises(BrokenContract):
            move(source, sink, Mode.REPLACE)
    table = source.describe()
    sink.prepare(table, JOB, 1, Mode.REPLACE)
    sink.finish(table, JOB, 1, Mode.REPLACE)
    assert maria.run("SELECT id FROM copy ORDER BY id") == [(1,), (2,)]
    assert {row[0] for row in maria.run("SHOW TABLES")} == {"t", "copy", "_hdm_load_ledger"}


def test_the_doctor_says_what_guards_against_late_commits(maria: MySQLSystem) -> None:
    told = {what: (ok, detail) for what, ok, detail in maria.sink("t").probe()}
    assert "MariaDB" in told["version"][1]
    assert "cannot share" in told["snapshot"][1]
    assert told["late commits"][1].startswith("windows wait for open writers (DATETIME: 12 hours more")


def test_without_process_the_doctor_says_so_and_nothing_pretends(maria: MySQLSystem) -> None:
    maria.run("CREATE TABLE t (id int PRIMARY KEY, at datetime(6));; INSERT INTO t VALUES (1, '2020-01-01')")
    maria.run("CREATE OR REPLACE USER plain IDENTIFIED BY 'p@ss/word'")
    maria.run(f"GRANT SELECT ON `{maria.profile.database}`.* TO plain")
    url = f"mysql://plain:p%40ss%2Fword@{maria.profile.host}:{maria.profile.port}/{maria.profile.database}"
    profile = MySQLProfile.model_validate({"url": Secret(url)})
    plain = replace(maria, profile=profile)
    told = {what: detail for what, _, detail in plain.source("t").probe()}
    assert "PROCESS is not granted" in told["late commits"]
    assert all_rows(plain.source("t", watermark={"column": "at"})).total() == 1


def test_settings_in_a_url_are_not_dropped() -> None:
    profile = MySQLProfile.model_validate({"url": Secret("mysql://u:canary@h/d?ssl-mode=required")})
    with pytest.raises(UsageError) as caught:
        MySQLSource(MySQLSource.Config(table_name="t"), profile).describe()
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:canary@h/d", "url is not one of MySQL"),
        ("u:canary@h/d", "url is not one of MySQL"),
        ("mysql:/u:canary@h/d", "url is not one of MySQL"),
        ("mysql://u:canary@[::1/d", "url is not one of MySQL"),
        ("mysql://u:canary@h:canary/d", "port in the profile's url"),
        ("mariadb://u:canary@h:99999/d", "port in the profile's url"),
    ],
)
def test_a_wrong_url_is_the_users_mistake_and_not_shown(url: str, said: str) -> None:
    profile = MySQLProfile.model_validate({"url": Secret(url)})
    with pytest.raises(UsageError, match=said) as caught:
        MySQLSource(MySQLSource.Config(table_name="t"), profile).describe()
    assert "canary" not in str(caught.value)
