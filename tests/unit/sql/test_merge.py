"""The result of a job does not depend on which of its chunks commits last, nor on what a table's
triggers, rules and collations make of what they are given."""

from __future__ import annotations

import itertools
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hdm.errors import HdmError, RejectedRows, SchemaDrift
from hdm.model import Attempt, Mode
from tests.conformance.systems import System, duckdb_system, mariadb_system, postgres_system, sqlite_system
from tests.runner.sample import Sample
from tests.servers.process import Database
from tests.unit.sqlkit import JOB, plan
from tests.unit.sqlkit import sqlite_system as source_system

ORDERS = list(itertools.permutations(range(4)))
TELLING = [ORDERS[n] for n in (0, 9, 16, 23)]
"""Orders in which each chunk is the first once, and the last once."""


@pytest.fixture(params=["sqlite", "duckdb", "postgres", "mariadb"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> System:
    if request.param in ("sqlite", "duckdb"):
        return (sqlite_system if request.param == "sqlite" else duckdb_system)(tmp_path)
    fresh: Callable[..., Database] = request.getfixturevalue(f"fresh_{request.param}")
    return postgres_system(fresh()) if request.param == "postgres" else mariadb_system(fresh())


@pytest.fixture
def history(tmp_path: Path) -> Any:
    """Six keys in versions, of which the first has no stamp; four chunks."""
    system = source_system(str(tmp_path / "source.db"))
    system.run("CREATE TABLE h (k TEXT, ver INTEGER, stamp INTEGER)")
    rows = [(f"k{k}", v, v * 10 + k if v else None) for v in range(4) for k in range(6)]
    with sqlite3.connect(tmp_path / "source.db") as connection:
        connection.executemany("INSERT INTO h VALUES (?, ?, ?)", rows)
    connection.close()
    return system.source("h", watermark={"column": "stamp"}, chunk={"rows": 9})


def carry(source: Any, sink: Any, mode: Mode, order: tuple[int, ...], job: str = JOB) -> list[Any]:
    """Move everything, its chunks in that order."""
    table, chunks = plan(source)
    sink.prepare(table, job, 1, mode)
    picked = [chunks[n].at(job_key=job) for n in order]
    receipts = [sink.write(table, one, Attempt(1), source.read(table, one), mode) for one in picked]
    sink.finish(table, job, 1, mode)
    return receipts


@pytest.mark.parametrize("mode", [Mode.APPEND, Mode.MERGE, Mode.REPLACE])
@pytest.mark.slow
def test_every_order_of_four_chunks_gives_the_same_table(
    target: System, history: Any, mode: Mode, sample: Sample
) -> None:
    assert len(plan(history)[1]) == 4
    newest = sorted((f"k{k}", 3, 30 + k) for k in range(6))
    whole = sorted((f"k{k}", v, v * 10 + k if v else None) for v in range(4) for k in range(6))
    all_here = sample.whole or (target.name == "sqlite" and mode is Mode.MERGE)
    orders = ORDERS if all_here else TELLING
    for number, order in enumerate(orders):
        sink = target.sink(table_name=f"t{number}", **({"key": ["k"]} if mode is Mode.MERGE else {}))
        receipts = carry(history, sink, mode, order, f"{number:032x}")
        found = sorted(target.run(f"SELECT k, ver, stamp FROM t{number}"), key=lambda row: row[:2])
        assert found == (newest if mode is Mode.MERGE else whole), order
        assert sum(one.rows + one.filtered for one in receipts) == len(whole)
        if mode is Mode.MERGE:
            assert sum(one.rows for one in receipts) >= len(newest)


@pytest.mark.slow
def test_of_versions_in_one_chunk_the_newest_stays(target: System, history: Any) -> None:
    table, chunks = plan(history)
    sink = target.sink(table_name="t", key=["k"])
    sink.prepare(table, JOB, 1, Mode.MERGE)
    whole = chunks[0].at(conditions=())
    receipt = sink.write(table, whole, Attempt(1), history.read(table, whole), Mode.MERGE)
    assert sorted(target.run("SELECT k, ver FROM t")) == [(f"k{k}", 3) for k in range(6)]
    assert (receipt.rows, receipt.filtered) == (6, 18)


@pytest.mark.slow
def test_merges_without_a_constraint_wait_for_each_other(target: System, history: Any) -> None:
    """Each of four threads brings all keys: none may stand twice."""
    table, chunks = plan(history)
    sink = target.sink(table_name="t", key=["k"])
    sink.prepare(table, JOB, 1, Mode.MERGE)
    ready, wrong = threading.Barrier(4), []

    def work(number: int) -> None:
        ready.wait(60)
        one = chunks[number]
        try:
            target.sink(table_name="t", key=["k"]).write(
                table, one, Attempt(1), history.read(table, one), Mode.MERGE
            )
        except HdmError as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong
    assert sorted(target.run("SELECT k, ver FROM t")) == [(f"k{k}", 3) for k in range(6)]


def test_what_no_cursor_orders_goes_in_order(target: System, history: Any, tmp_path: Path) -> None:
    system = source_system(str(tmp_path / "source.db"))
    unordered = system.source("h", chunk={"rows": 9})
    by_text = system.source("h", watermark={"column": "k"})
    sink = target.sink(table_name="t", key=["ver"])
    for source, expected in ((history, False), (unordered, True), (by_text, True)):
        assert sink.goes_in_order(source.describe(), Mode.MERGE, repeats=False) == expected
        assert not sink.goes_in_order(source.describe(), Mode.APPEND, repeats=True)
    system.run("CREATE TABLE u (id INTEGER NOT NULL PRIMARY KEY, v TEXT)")
    keyed = system.source("u").describe()
    assert not target.sink(table_name="u").goes_in_order(keyed, Mode.MERGE, repeats=False)
    assert target.sink(table_name="u").goes_in_order(keyed, Mode.MERGE, repeats=True)


@pytest.mark.slow
def test_a_cursor_that_the_target_keeps_as_text_is_not_compared(target: System, history: Any) -> None:
    text = "varchar(20)" if target.name == "mysql" else "TEXT"
    target.run(f"CREATE TABLE t (k {text}, ver bigint, stamp {text})")
    table, chunks = plan(history)
    sink = target.sink(table_name="t", key=["k"])
    with pytest.raises(SchemaDrift, match="stamp"):
        sink.prepare(table, JOB, 1, Mode.MERGE)
        sink.write(table, chunks[1], Attempt(1), history.read(table, chunks[1]), Mode.MERGE)


# -- keys that a collation takes for equal -----------------------------------------

FOLDING = {
    "sqlite": "TEXT COLLATE NOCASE",
    "duckdb": "VARCHAR COLLATE NOCASE",
    "postgres": "text COLLATE folds",
    "mysql": "varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
}


@pytest.mark.parametrize("unique", [False, True])
@pytest.mark.slow
def test_keys_that_differ_in_case_are_two_or_refused(target: System, tmp_path: Path, unique: bool) -> None:
    system = source_system(str(tmp_path / "source.db"))
    system.run("CREATE TABLE s (k TEXT NOT NULL PRIMARY KEY, v INTEGER)")
    system.run("INSERT INTO s VALUES ('A', 1)")
    if target.name == "postgres":
        target.run(
            "CREATE COLLATION folds (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
        )
    primary = " NOT NULL PRIMARY KEY" if unique else ""
    target.run(f"CREATE TABLE t (k {FOLDING[target.name]}{primary}, v bigint)")
    sink = target.sink(table_name="t")
    table = system.source("s").describe()
    sink.prepare(table, JOB, 1, Mode.MERGE)
    for number in range(3):
        source = system.source("s")
        one = plan(source)[1][0].at(epoch=number + 1)
        try:
            sink.write(table, one, Attempt(1), source.read(table, one), Mode.MERGE)
        except RejectedRows as error:
            assert unique or target.name in ("postgres", "mysql")  # whose stages fold as the table does
            assert "takes for one what the source tells apart" in str(error)
            return
        system.run("INSERT OR REPLACE INTO s VALUES ('a', ?)", number + 5)
    assert not unique or target.name == "duckdb"
    assert sorted(target.run("SELECT k, v FROM t")) == [("A", 1), ("a", 6)]


@pytest.mark.slow
def test_keys_that_differ_in_a_blank_at_the_end(target: System, tmp_path: Path) -> None:
    """Collations that pad with blanks take two such keys for one."""
    system = source_system(str(tmp_path / "source.db"))
    system.run("CREATE TABLE s (k TEXT NOT NULL PRIMARY KEY, v INTEGER)")
    system.run("INSERT INTO s VALUES ('a', 1), ('a ', 1)")
    if target.name == "mysql":
        target.run("CREATE TABLE t (k varchar(20) COLLATE utf8mb4_bin, v bigint)")
    source, sink = system.source("s"), target.sink(table_name="t")
    table, (one,) = plan(source)
    sink.prepare(table, JOB, 1, Mode.MERGE)
    try:
        assert sink.write(table, one, Attempt(1), source.read(table, one), Mode.MERGE).rows == 2
        assert sorted(target.run("SELECT k FROM t")) == [("a",), ("a ",)]
    except RejectedRows as error:
        assert target.name == "mysql"
        assert "takes for one what the source tells apart" in str(error)


# -- what the target took ----------------------------------------------------------

DROPPERS = {
    "before insert": (
        "CREATE TRIGGER dropper BEFORE INSERT ON t WHEN NEW.k % 10 = 0 BEGIN SELECT RAISE(IGNORE); END",
        "IF NEW.k % 10 = 0 THEN RETURN NULL; END IF; RETURN NEW;",
        "BEFORE INSERT",
    ),
    "before update": (
        "CREATE TRIGGER dropper BEFORE UPDATE ON t BEGIN SELECT RAISE(IGNORE); END",
        "RETURN NULL;",
        "BEFORE UPDATE",
    ),
    "after insert": (
        "CREATE TRIGGER dropper AFTER INSERT ON t BEGIN DELETE FROM t WHERE k % 2 = 0; END",
        "DELETE FROM t WHERE k = NEW.k AND k % 2 = 0; RETURN NULL;",
        "AFTER INSERT",
    ),
}


def drop_rows(target: System, how: str) -> None:
    """Make table ``t`` lose rows by a trigger."""
    lite, body, when = DROPPERS[how]
    if target.name == "sqlite":
        target.run(lite)
        return
    target.run(f"CREATE FUNCTION dropper() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {body} END$$")
    target.run(f"CREATE TRIGGER dropper {when} ON t FOR EACH ROW EXECUTE FUNCTION dropper()")


@pytest.mark.parametrize("target", ["sqlite", "postgres"], indirect=True)
@pytest.mark.parametrize("mode", [Mode.APPEND, Mode.MERGE, Mode.REPLACE])
@pytest.mark.parametrize("how", DROPPERS)
def test_rows_that_a_trigger_drops_are_missed(target: System, tmp_path: Path, mode: Mode, how: str) -> None:
    if how == "before update" and mode is not Mode.MERGE:
        return
    if target.name == "postgres" and mode is Mode.REPLACE:
        target.run("CREATE TABLE t (k bigint PRIMARY KEY, v text)")
        target.run("CREATE VIEW over_t AS SELECT k FROM t")  # so that it is refilled in its place
    else:
        target.run("CREATE TABLE t (k bigint PRIMARY KEY, v text)")
    system = source_system(str(tmp_path / "source.db"))
    system.run("CREATE TABLE s (k INTEGER NOT NULL PRIMARY KEY, v TEXT)")
    for k in range(1, 21):
        system.run("INSERT INTO s VALUES (?, 'x')", k)
        if how == "before update":
            target.run(f"INSERT INTO t VALUES ({k}, 'old')")
    drop_rows(target, how)
    with pytest.raises(
        RejectedRows, match=r"\bt (took \d+ of 20|holds \d+ (of 20|rows after it was given 20))"
    ):
        carry(system.source("s"), target.sink(table_name="t"), mode, (0,))
    assert target.run("SELECT COUNT(*) FROM t WHERE v = 'x'") == [(0,)]


@pytest.mark.parametrize("target", ["postgres"], indirect=True)
def test_rows_that_a_rule_turns_away_are_missed(target: System, history: Any) -> None:
    target.run("CREATE TABLE t (k text, ver bigint, stamp bigint)")
    target.run("CREATE RULE away AS ON INSERT TO t WHERE NEW.k = 'k1' DO INSTEAD NOTHING")
    with pytest.raises(RejectedRows, match=r"took \d of 6 rows"):
        carry(history, target.sink(table_name="t", key=["k"]), Mode.MERGE, (0,))
