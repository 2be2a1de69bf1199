"""DuckDB connectors on real files: every type exactly, one writer at a time, one instance."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pydantic import ValidationError

from hdm import failpoints
from hdm.connectors.duckdb import DuckDBDatabase, DuckDBProfile
from hdm.connectors.duckdb.instance import instance_of
from hdm.errors import BrokenContract, ConnectionLost, RejectedRows, UsageError
from hdm.model import Attempt, Column, Kind, Mode
from tests.unit.mysqlkit import DuckDBSystem, duckdb_system
from tests.unit.sqlkit import JOB, all_rows, move, plan, rows_of

AWKWARD = """CREATE TABLE t (id integer PRIMARY KEY, bo boolean, i8 tinyint, u8 utinyint, u16 usmallint,
  u32 uinteger, u64 ubigint, h hugeint, uh uhugeint, bn bignum, d decimal(38,10), f float, db double,
  v varchar, bl blob, dt date, tm time, tns time_ns, ttz timetz, ts timestamp, tss timestamp_s,
  tms timestamp_ms,
  tsn timestamp_ns, tz timestamptz, iv interval, uu uuid, j json, l varchar[], ll int[][], arr int[3],
  s struct(a int, "b c" varchar), m map(varchar, int), bt bit, e enum('a', 'b''c'))"""
ROWS = (
    "INSERT INTO t (id) VALUES (0)",
    r"""INSERT INTO t VALUES (1, true, -128, 255, 65535, 4294967295, 18446744073709551615,
  -170141183460469231731687303715884105728, 340282366920938463463374607431768211455,
  123456789012345678901234567890123456789012345678901234567890::bignum,
  9999999999999999999999999999.9999999999, 'nan', '-inf', 'a"''\,', '\x00\xFF'::blob, 'infinity', '24:00:00',
  '23:59:59.999999999', '23:59:59.999999+15:59', 'infinity', 'infinity', 'infinity', 'infinity', '-infinity',
  interval '-1 year 5 days -3 hours 0.000001 seconds', uuid(), '{"a":  1e400}',
  ['a', 'NULL', null, '', 'x,]"'], [[1], null, []], [1, 2, 3], {'a': 1, 'b c': 'q}'''},
  map {'k=,': 1}, '0101', 'b''c')""",
    """INSERT INTO t (id, v, bl, dt, ts, tz, f, db, h, uh, iv, bt, u64, s) VALUES
  (2, 'a' || chr(0) || 'b', '', '5877642-06-25 (BC)', '290309-12-22 (BC) 00:00:00',
  '294247-01-10 04:00:54.775806+00', -0.0, 5e-324,
  170141183460469231731687303715884105727, 0, interval '0 seconds', '1', 0, {'a': null, 'b c': 'NULL'})""",
    """INSERT INTO t (id, v, dt, ts, l, tss, tms, tsn) VALUES (3, e'\\n\\r\\t\\x1f é日🎈', '0001-01-01',
  '9999-12-31 23:59:59.999999', [], '1969-12-31 23:59:59', '1969-12-31 23:59:59.999',
  '1677-09-21 00:12:43.145224194')""",
    "INSERT INTO t (id, v) VALUES (4, ''), (5, 'NULL'), (6, ' '), (7, '\\N')",
)


@pytest.fixture
def duck(tmp_path: Path) -> DuckDBSystem:
    return duckdb_system(str(tmp_path / "a.duckdb"))


@pytest.fixture
def other(tmp_path: Path) -> DuckDBSystem:
    return duckdb_system(str(tmp_path / "b.duckdb"))


def _awkward(duck: DuckDBSystem) -> None:
    duck.run(AWKWARD)
    for statement in ROWS:
        duck.run(statement)


# -- values --------------------------------------------------------------------------


@pytest.mark.slow
def test_every_type_comes_back_exactly(duck: DuckDBSystem, other: DuckDBSystem) -> None:
    _awkward(duck)
    move(duck.source("t"), other.sink())
    connection = other.connect()
    connection.execute(f"SET TimeZone = 'UTC'; ATTACH '{duck.profile.path}' AS a (READ_ONLY)")
    assert connection.execute("SELECT COUNT(*) FROM t").fetchall() == [(8,)]
    wrong = []
    for (name,) in connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE database_name = 'a' AND table_name = 't'"
    ).fetchall():
        x, y = f'x."{name}"', f'y."{name}"'
        sql = (
            f"SELECT COUNT(*) FROM t x JOIN a.t y USING (id) WHERE {x} IS DISTINCT FROM {y} "
            f"OR typeof({x}) <> typeof({y}) OR {x}::varchar IS DISTINCT FROM {y}::varchar"
        )
        if connection.execute(sql).fetchone() != (0,):
            wrong.append(name)
    connection.close()
    assert wrong == []


@pytest.mark.slow
def test_unions_are_a_declared_loss(duck: DuckDBSystem, other: DuckDBSystem) -> None:
    duck.run("CREATE TABLE t (id integer, u union(n int, s varchar), e enum('union'))")
    duck.run("INSERT INTO t VALUES (1, 2, 'union'), (2, NULL, NULL)")
    table = duck.source("t").describe()
    assert [column.name for column, _ in other.sink().losses(table)] == ["u"]
    move(duck.source("t"), other.sink(allow_loss=["u"]))
    assert other.run("SELECT * FROM t ORDER BY id") == [(1, "2", "union"), (2, None, None)]


@pytest.mark.slow
def test_a_value_that_does_not_fit_is_refused(duck: DuckDBSystem) -> None:
    duck.run("CREATE TABLE n (c tinyint)")
    database = duck.sink("n").database
    connection = database.connect("hdm:t", write=True)
    batch = pa.RecordBatch.from_arrays([pa.array([1234567])], names=["c"])
    database.begin(connection, write=True)
    with pytest.raises(RejectedRows) as caught:
        database.load(connection, ("main", "n"), [Column("c", Kind.INT64, pa.int64())], iter([batch]))
    connection.close()
    assert "1234567" not in str(caught.value)


@pytest.mark.slow
def test_a_query_is_described_and_read(duck: DuckDBSystem) -> None:
    _awkward(duck)
    by_table = {c.name: c.type for c in duck.source("t").describe().columns}
    query = duck.source(query="SELECT * FROM t WHERE id < 5")
    assert {c.name: c.type for c in query.describe().columns} == by_table
    assert sum(b.num_rows for c in plan(query)[1] for b in query.read(query.describe(), c).batches()) == 5


# -- chunks --------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "PRIMARY KEY"])
@pytest.mark.slow
def test_chunks_hold_every_row_once(duck: DuckDBSystem, key: str) -> None:
    duck.run(f"CREATE TABLE t (id integer {key}, v varchar)")
    duck.run("INSERT INTO t SELECT range, 'v' || range FROM range(10000)")
    duck.run("DELETE FROM t WHERE id % 7 = 0")
    source = duck.source("t", chunk={"rows": 2500})
    table, chunks = plan(source)
    assert len(chunks) >= 4
    assert {c.conditions[0].column for c in chunks} == ({"id"} if key else {"@page"})
    rows = Counter(row[0] for c in chunks for row in rows_of(source, table, c))
    assert len(rows) == 8571 and set(rows.values()) == {1}


@pytest.mark.slow
def test_a_window_brings_ties_nulls_and_new_rows_once(duck: DuckDBSystem) -> None:
    duck.run("CREATE TABLE t (id integer PRIMARY KEY, at_ timestamp_ns)")
    duck.run("INSERT INTO t SELECT range, make_timestamp_ns(1000000000 + range // 4) FROM range(40)")
    duck.run("INSERT INTO t VALUES (41, NULL)")
    source = duck.source("t", watermark={"column": "at_"}, chunk={"rows": 7})
    table, chunks = plan(source)
    first = Counter(row[0] for c in chunks for row in _ids(source, table, c))
    assert first == Counter([*range(40), 41])
    after = [c.upto for c in chunks if c.upto][-1]
    assert after == "1970-01-01 00:00:01.000000009"
    window = replace(source.window(), after=after, ties=4, nulls=1)
    assert plan(source, window)[1] == []
    duck.run("INSERT INTO t VALUES (50, make_timestamp_ns(1000000009)), (51, '2020-01-02'), (52, NULL)")
    table, chunks = plan(source, window)
    assert {row[0] for c in chunks for row in _ids(source, table, c)} == {36, 37, 38, 39, 50, 51, 41, 52}


def _ids(source: Any, table: Any, chunk: Any) -> list[tuple[int]]:
    return [(i,) for batch in source.read(table, chunk).batches() for i in batch.column(0).to_pylist()]


# -- attempts and modes --------------------------------------------------------------


@pytest.mark.slow
def test_a_chunk_is_written_once_and_by_one_writer_at_a_time(duck: DuckDBSystem, other: DuckDBSystem) -> None:
    duck.run("CREATE TABLE t AS SELECT range id FROM range(20000)")
    source, sink = duck.source("t", chunk={"rows": 4096}), other.sink()
    table, chunks = plan(source)
    sink.prepare(table, JOB, 1, Mode.APPEND)
    receipts = []

    def work(number: int) -> None:
        for chunk in chunks[number:] + chunks[:number]:
            receipts.append(
                other.sink().write(table, chunk, Attempt(1), source.read(table, chunk), Mode.APPEND)
            )

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receipts) == 3 * len(chunks)
    assert sum(not r.adopted for r in receipts) == len(chunks)
    assert other.run("SELECT COUNT(*), COUNT(DISTINCT id) FROM t") == [(20000, 20000)]


@pytest.mark.slow
def test_one_file_may_be_source_and_sink(duck: DuckDBSystem) -> None:
    duck.run("CREATE TABLE t AS SELECT range id FROM range(5000)")
    move(duck.source("t"), duck.sink("copy"))
    assert duck.run("SELECT COUNT(*) FROM copy") == [(5000,)]


@pytest.mark.slow
def test_a_failing_source_leaves_nothing(duck: DuckDBSystem, other: DuckDBSystem) -> None:
    duck.run("CREATE TABLE t AS SELECT range id FROM range(10)")
    source, sink = duck.source("t"), other.sink()
    table, chunks = plan(source)
    sink.prepare(table, JOB, 1, Mode.APPEND)
    payload = source.read(table, chunks[0])
    batches = payload.batches

    def broken() -> Any:
        yield from batches()
        raise BrokenContract("stop")

    payload.batches = broken
    with pytest.raises(BrokenContract):
        sink.write(table, chunks[0], Attempt(1), payload, Mode.APPEND)
    assert sink.committed(table, chunks[0], Mode.APPEND) is None
    assert other.run("SELECT COUNT(*) FROM t") == [(0,)]


@pytest.mark.parametrize("mode", [Mode.APPEND, Mode.MERGE, Mode.REPLACE])
@pytest.mark.slow
def test_the_file_is_free_when_the_work_is_done(duck: DuckDBSystem, other: DuckDBSystem, mode: Mode) -> None:
    duck.run("CREATE TABLE t (id integer PRIMARY KEY, v varchar); INSERT INTO t VALUES (1, 'new'), (2, NULL)")
    other.run("CREATE TABLE t (id integer PRIMARY KEY, v varchar)")
    if mode is not Mode.APPEND:
        other.run("INSERT INTO t VALUES (1, 'old'), (9, 'old')")
    move(duck.source("t"), other.sink(), mode)
    for system in (duck, other):
        assert instance_of(Path(system.profile.path)).root is None
    held = set(other.run("SELECT * FROM t"))
    assert held == {(1, "new"), (2, None)} | ({(9, "old")} if mode is Mode.MERGE else set())


@pytest.mark.slow
def test_a_crash_before_the_swap_commits_leaves_the_old_table(
    duck: DuckDBSystem, other: DuckDBSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    duck.run("CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1)")
    other.run("CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (7)")

    def crash(name: str) -> None:
        if name == "W2":
            raise BrokenContract("killed")

    source, sink = duck.source("t"), other.sink()
    with monkeypatch.context() as patch:
        patch.setattr(failpoints, "point", crash)
        with pytest.raises(BrokenContract):
            move(source, sink, Mode.REPLACE)
    assert other.run("SELECT * FROM t") == [(7,)]
    table = source.describe()
    sink.prepare(table, JOB, 1, Mode.REPLACE)
    sink.finish(table, JOB, 1, Mode.REPLACE)
    assert other.run("SELECT * FROM t") == [(1,)]


# -- the file --------------------------------------------------------------------------


@pytest.mark.slow
def test_another_process_holds_the_file(duck: DuckDBSystem) -> None:
    duck.run("CREATE TABLE t (id integer)")
    script = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, duck.profile.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None and holder.stdin is not None
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ConnectionLost, match="IOException") as caught:
            duck.source("t").describe()
        assert "other process" in str(caught.value.hint)
    finally:
        holder.stdin.close()
        holder.stdout.close()
        holder.wait(30)
    assert duck.source("t").describe().columns[0].name == "id"


@pytest.mark.slow
def test_readers_leave_the_file_open_to_other_readers(duck: DuckDBSystem) -> None:
    duck.run("CREATE TABLE t AS SELECT range id FROM range(100000)")
    source = duck.source("t")
    table, chunks = plan(source)
    batches = source.read(table, chunks[0]).batches()
    next(iter(batches))
    script = "import duckdb, sys; print(duckdb.connect(sys.argv[1], read_only=True).sql('from t').shape[0])"
    told = subprocess.run(
        [sys.executable, "-c", script, duck.profile.path], capture_output=True, text=True, check=True
    )
    assert told.stdout == "100000\n"
    batches.close()


def test_a_missing_file_is_not_made_by_a_source(tmp_path: Path) -> None:
    system = duckdb_system(str(tmp_path / "x.duckdb"))
    (tmp_path / "x.duckdb").unlink()
    with pytest.raises(UsageError, match="no DuckDB file"):
        system.source("t").describe()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", [False, True])
def test_a_path_that_is_no_database_is_the_users_mistake(tmp_path: Path, write: bool) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("some text that is no database")
    (tmp_path / "short").write_text("x")
    for name, said in (
        ("folder", "is a folder, not a DuckDB file"),
        ("text", "is not a DuckDB database"),
        ("short", "is not a DuckDB database"),
    ):
        database = DuckDBDatabase(DuckDBProfile(path=str(tmp_path / name)))
        with pytest.raises(UsageError, match=said):
            database.connect(write=write)


def test_a_database_in_memory_is_refused() -> None:
    for entry in ({"path": ":memory:"}, {"path": ":memory:x"}, {"database": ":memory:"}):
        with pytest.raises(ValidationError, match=":memory: is no file"):
            DuckDBProfile.model_validate(entry)


def test_the_originals_profile_names_the_file() -> None:
    profile = DuckDBProfile(dbpath="/data", database="shop")
    assert profile.file == Path("/data/shop.duckdb")
    with pytest.raises(ValueError, match="give path"):
        DuckDBProfile()


@pytest.mark.slow
def test_infinity_travels_as_the_largest_integer(duck: DuckDBSystem) -> None:
    duck.run("CREATE TABLE t AS SELECT 'infinity'::date d, '-infinity'::timestamp ts")
    source = duck.source("t")
    table, chunks = plan(source)
    batch = next(source.read(table, chunks[0]).batches())
    assert batch.column(0).cast(pa.int32()).to_pylist() == [2**31 - 1]
    assert batch.column(1).cast(pa.int64()).to_pylist() == [-(2**63 - 1)]
    assert duckdb.__version__


@pytest.mark.slow
def test_all_rows_of_a_view(duck: DuckDBSystem) -> None:
    duck.run("CREATE TABLE t AS SELECT range id FROM range(10); CREATE VIEW w AS SELECT id + 1 AS n FROM t")
    assert all_rows(duck.source("w", chunk={"rows": 3})) == Counter((n,) for n in range(1, 11))


@pytest.mark.slow
def test_generated_columns_are_told_from_defaults(duck: DuckDBSystem) -> None:
    duck.run(
        "CREATE TABLE t (a integer DEFAULT 7, g integer GENERATED ALWAYS AS (a + 1), v varchar NOT NULL)"
    )
    a, g, v = duck.source("t").describe().columns
    assert (a.default, a.generated, v.nullable) == ("7", None, False)
    assert g.default is None and g.generated is not None


@pytest.mark.parametrize("hangs", ["an index", "a view", "a foreign key"])
@pytest.mark.slow
def test_replace_leaves_the_table_and_all_that_hangs_on_it(duck, hangs):
    duck.run("CREATE TABLE src (id integer PRIMARY KEY, v varchar)")
    duck.run("INSERT INTO src VALUES (1, 'a'), (2, 'b')")
    duck.run(
        "CREATE TABLE dst (id bigint PRIMARY KEY, v varchar, came varchar DEFAULT 'now', CHECK (id < 10))"
    )
    duck.run("INSERT INTO dst (id, v) VALUES (9, 'old')")
    duck.run(
        {
            "an index": "CREATE INDEX by_v ON dst (v)",
            "a view": "CREATE VIEW seen AS SELECT came FROM dst",
            "a foreign key": "CREATE TABLE child (id bigint REFERENCES dst (id))",
        }[hangs]
    )
    for epoch in (1, 2):
        move(duck.source("src"), duck.sink("dst"), Mode.REPLACE, epoch=epoch)
        assert sorted(duck.run("SELECT * FROM dst")) == [(1, "a", "now"), (2, "b", "now")]
    left = "SELECT sql FROM duckdb_tables() WHERE table_name LIKE 'dst%'"
    assert len(duck.run(left)) == 1
    assert "CHECK" in duck.run(left)[0][0]


@pytest.mark.slow
def test_rows_that_others_refer_to_are_not_replaced_and_the_error_says_so(duck):
    duck.run("CREATE TABLE src (id integer PRIMARY KEY)")
    duck.run("INSERT INTO src VALUES (1)")
    duck.run("CREATE TABLE dst (id integer PRIMARY KEY)")
    duck.run("INSERT INTO dst VALUES (1)")
    duck.run("CREATE TABLE child (id integer REFERENCES dst (id))")
    duck.run("INSERT INTO child VALUES (1)")
    with pytest.raises(RejectedRows) as wrong:
        move(duck.source("src"), duck.sink("dst"), Mode.REPLACE)
    assert wrong.value.message == "main.dst: DuckDB lets no row go that child may refer to"
    assert "mode: merge" in str(wrong.value.hint)
    assert duck.run("SELECT * FROM dst") == [(1,)]
