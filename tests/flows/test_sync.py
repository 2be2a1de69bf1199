"""A table is made equal to another by the rows that differ, or it is said why not; nothing is half said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hdm.api
from hdm import failpoints
from hdm.proof import applying
from tests.flows.kit import Done, Place, direct, on_sqlite, only, run, shop
from tests.flows.test_proof import DAMAGE, NAN, Target, facts, target

__all__ = ["target"]

ORDERS = ("sqlite:src.orders", "sqlite:dst.orders")


def sync(place: Place, *words: str, tables: tuple[str, str] = ORDERS) -> Done:
    options = ["-e", "dev", "--profiles", str(place.folder / "p.yml")]
    return run(["sync", *tables, *options, *words], place.env)


def pair(place: Place, ddl: str, first: list[tuple[Any, ...]], second: list[tuple[Any, ...]]) -> None:
    """Make a table ``t`` with other rows in the source's and the target's file."""
    for file, rows in ((place.source, first), (place.target, second)):
        on_sqlite(file, ddl)
        on_sqlite(file, f"INSERT INTO t VALUES ({', '.join('?' * len(rows[0]))})", rows)


T = ("sqlite:src.t", "sqlite:dst.t")


def moved(folder: Path, orders: int = 30) -> Place:
    """A shop whose orders were moved, and whose target then got one row changed, lost and too many."""
    place = shop(folder, orders=orders)
    only(place, direct(place, "orders"))
    assert place.hdm("run").code == 0
    on_sqlite(place.target, "UPDATE orders SET customer = 'C9 ' WHERE id = 9")
    on_sqlite(place.target, "DELETE FROM orders WHERE id = 4")
    on_sqlite(place.target, "INSERT INTO orders VALUES (5000, 'x', 1, 1)")
    return place


# -- every system -----------------------------------------------------------------


def some(*ordinary: str) -> pytest.MarkDecorator:
    """These systems in every run, the others in the long one."""
    every = ("Postgres", "MariaDB", "DuckDB", "SQLite", "Snowflake")
    marks = {name: () if name in ordinary else (pytest.mark.long,) for name in every}
    return pytest.mark.parametrize(
        "target", [pytest.param(name, marks=marks[name]) for name in every], indirect=True
    )


@pytest.mark.server
@some("Postgres")
def test_each_damaged_row_is_repaired_on_every_system(tmp_path: Path, target: Target) -> None:
    place = facts(tmp_path, target)
    assert place.hdm("run").code == 0
    target.damage(DAMAGE if target.system in ("MySQL", "SQLite") else DAMAGE | NAN)
    stopped = place.hdm("validate", "--repair", "--json")
    (found,) = stopped.json
    assert stopped.code == 1 and "--max-deletes 1" in found["repaired"]["stopped"], stopped.said
    assert found["repaired"]["after"] is None
    assert place.hdm("validate").code == 1
    done = place.hdm("validate", "--repair", "--max-deletes", "1", "--json")
    (found,) = done.json
    assert done.code == 0, done.said
    wrong = len(DAMAGE) + (target.system not in ("MySQL", "SQLite"))
    assert found["repaired"]["done"] == {"new": 2, "changed": wrong, "deleted": 1}
    assert found["equal"] and (found["rows_second"], found["missing"]) == (300, 0)
    again = place.hdm("validate")
    assert again.code == 0 and "equal, 300 rows" in again.out, again.said
    assert place.hdm("run").code == 0
    told = [json.loads(text) for (text,) in place.state(
        "SELECT payload FROM hdm_event WHERE event_type = 'table.repaired' ORDER BY seq"
    )]  # fmt: skip
    assert [one["equal"] for one in told] == [False, True]
    assert place.state("SELECT COUNT(*) FROM hdm_event WHERE event_type = 'table.repairing'") == [(2,)]
    assert told[1]["done"]["changed"] == wrong and told[1]["found"]["missing"] == 2
    assert place.hdm("state", "verify").code == 0


@pytest.mark.server
@some("DuckDB")
def test_any_table_is_synced_from_any_other(tmp_path: Path, target: Target) -> None:
    """Into a table that another system holds, by the key that both have; and back, so that the copy wins."""
    place = facts(tmp_path, target, rows=60)
    assert place.hdm("run").code == 0
    other = f"{target.system.lower()}:dst.facts"
    if target.system == "SnowflakeCopy":
        other = "snowflake:dst.facts"
    place.sql("DELETE FROM facts WHERE id IN (5, 6)")
    place.sql("UPDATE facts SET note = 'new' WHERE id = 7")
    place.sql("INSERT INTO facts VALUES (900, 'n', NULL, '1.0001', 0.5, '2024-01-01', NULL, 1, x'00')")
    there = sync(place, "--max-deletes", "5%", "--json", tables=("sqlite:src.facts", other))
    assert there.code == 0, there.said
    assert there.json["done"] == {"new": 1, "changed": 1, "deleted": 2}
    place.sql("UPDATE facts SET name = 'damaged' WHERE id < 3")
    place.sql("DELETE FROM facts WHERE id = 10")
    back = sync(place, "--json", tables=(other, "sqlite:src.facts"))
    assert back.code == 0 and back.json["done"] == {"new": 1, "changed": 3, "deleted": 0}, back.said
    assert place.sql("SELECT name FROM facts WHERE id = 2") == [("n\u00e4me 2",)]


# -- two tables -------------------------------------------------------------------


def test_a_dry_run_counts_names_causes_and_changes_nothing(tmp_path: Path) -> None:
    place = moved(tmp_path)
    before = place.rows("orders")
    runs = place.state("SELECT COUNT(*) FROM hdm_run")
    done = sync(place, "--dry-run")
    assert done.code == 1, done.said
    assert "customer: another value (1)" in done.out or "customer: " in done.out
    assert "dry run: a sync would stop: 1 rows would be deleted" in done.out
    done = sync(place, "--dry-run", "--max-deletes", "1")
    assert "dry run: a sync would do 1 new, 1 changed, 1 deleted" in done.out
    assert place.rows("orders") == before and place.state("SELECT COUNT(*) FROM hdm_run") == runs


@pytest.mark.parametrize("limit", ["0", "2%"])
def test_too_many_deletes_stop_before_anything_is_changed(tmp_path: Path, limit: str) -> None:
    place = moved(tmp_path)
    before = place.rows("orders")
    done = sync(place, "--max-deletes", limit)
    assert done.code == 1 and "1 rows would be deleted" in done.out, done.said
    assert "then write --max-deletes 1" in done.out
    assert place.rows("orders") == before
    done = sync(place, "--max-deletes", "4%")
    assert done.code == 0 and "done: 1 new, 1 changed, 1 deleted" in done.out, done.said
    assert "equal, 30 rows, compared by rows" in done.out
    assert place.rows("orders") == place.source_rows("orders")


def test_a_sync_is_a_run_on_record_without_values(tmp_path: Path) -> None:
    place = moved(tmp_path)
    on_sqlite(place.target, "UPDATE orders SET customer = 'secret words' WHERE id = 8")
    assert sync(place).code == 1
    assert sync(place, "--max-deletes", "1").code == 0
    runs = place.state("SELECT status, error_msg FROM hdm_run WHERE manifest_name LIKE 'sync %'")
    assert [status for status, _ in runs] == ["failure", "success"]
    told = place.state("SELECT payload FROM hdm_event WHERE event_type = 'table.synced' ORDER BY at_db")
    facts_of = [json.loads(text) for (text,) in told]
    assert facts_of[0]["stopped"] and facts_of[1]["done"] == {"new": 1, "changed": 2, "deleted": 1}
    assert facts_of[1]["equal"] and facts_of[1]["left"]["rows_second"] == 30
    kept = b"".join(file.read_bytes() for file in place.home.rglob("*") if file.is_file())
    assert b"secret words" not in kept
    ledger = on_sqlite(place.target, "SELECT chunk_json, receipt_json FROM _hdm_load_ledger")
    done = [text for text, _ in ledger if "#" in text]
    assert sorted(json.loads(text)["dataset"]["name"] for text in done) == [
        "orders#changed", "orders#deleted", "orders#new", "orders#sync",
    ]  # fmt: skip
    place.trail_holds()
    assert sync(place).code == 0 and place.hdm("run").code == 0
    (runs_of,) = place.state("SELECT COUNT(*) FROM hdm_event WHERE event_type = 'table.synced'")
    assert runs_of == (3,)


@pytest.mark.parametrize(
    ("ddl", "key"),
    [
        ("CREATE TABLE t (a TEXT, b INTEGER, note TEXT, PRIMARY KEY (a, b))", ()),
        ("CREATE TABLE t (a TEXT, b INTEGER, note TEXT)", ("--key", "a", "--key", "b")),
        ("CREATE TABLE t (a TEXT PRIMARY KEY, b INTEGER, note TEXT)", ("--key", "b")),
    ],
)
def test_keys_of_text_and_of_several_columns(tmp_path: Path, ddl: str, key: tuple[str, ...]) -> None:
    """Also keys that differ in case only, or in blanks at the end, and rows of many transactions."""
    place = shop(tmp_path, orders=1)
    rows = [(f"Key {n}" if n % 2 else f"key {n - 1} ", n, f"n{n}") for n in range(1_200)]
    other = [(a, b, note if b % 100 else None) for a, b, note in rows if b % 10 != 3]
    pair(place, ddl, rows, [*other, ("KEY 1", 5000, "extra")])
    done = sync(place, *key, "--max-deletes", "1", "--json", tables=T)
    assert done.code == 0 and done.json["done"] == {"new": 120, "changed": 12, "deleted": 1}, done.said
    assert place.rows("t") == place.source_rows("t")


def test_more_rows_than_one_round_or_one_comparison_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hdm.proof import differing

    monkeypatch.setattr(differing, "ROUND_BYTES", 2_000)
    monkeypatch.setattr(applying, "ROWS_AT_ONCE", 40)
    monkeypatch.setattr(applying, "KEYS_AT_MOST", 300)
    place = shop(tmp_path, orders=700)
    on_sqlite(
        place.target, "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, cents INT, changed INT)"
    )
    on_sqlite(place.target, "INSERT INTO orders VALUES (?, 'x', 1, 1)", [(n,) for n in range(650, 720)])
    done = sync(place, "--max-deletes", "20", "--json")
    assert done.code == 0 and done.json["done"] == {"new": 650, "changed": 50, "deleted": 20}, done.said
    assert place.rows("orders") == place.source_rows("orders")
    chunks = on_sqlite(place.target, "SELECT COUNT(*) FROM _hdm_load_ledger WHERE chunk_id <> '_target'")
    assert chunks[0][0] > 700 / 40


def test_left_out_columns_are_neither_compared_nor_written(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=1)
    pair(place, "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT, own TEXT DEFAULT 'd')",
         [(1, "a", "p"), (2, "b", "p")], [(1, "other", "q")])  # fmt: skip
    done = sync(place, "--exclude", "own", tables=T)
    assert done.code == 0 and "not compared: own" in done.out, done.said
    assert place.rows("t") == [(1, "a", "q"), (2, "b", "d")]
    done = sync(place, "--where", "id = 1", tables=T)
    assert done.code == 0 and place.rows("t") == [(1, "a", "p"), (2, "b", "d")], done.said
    place.sql("UPDATE t SET own = 'd'")
    place.sql("UPDATE t SET x = 'c' WHERE id = 2")
    done = sync(place, "--where", "x = 'b'", "--max-deletes", "1", tables=T)
    assert done.code == 1 and "not deleted: 1 rows" in done.out, done.said
    assert (2, "b", "d") in place.rows("t")


# -- what is refused --------------------------------------------------------------

REFUSED: dict[str, tuple[str, list[tuple[Any, ...]], list[tuple[Any, ...]], tuple[str, ...], str]] = {
    "no key": ("(a INT, b INT)", [(1, 1)], [(1, 2)], (), "has a primary key"),
    "a key twice at the source": ("(a INT, b INT)", [(1, 1), (1, 2), (3, 3)], [(1, 1)], ("--key", "a"),
                                  "repeats itself"),
    "a key twice at the target": ("(a INT, b INT)", [(1, 1), (2, 2)], [(1, 1), (1, 1)], ("--key", "a"),
                                  "repeats itself"),
    "a text key twice": ("(a TEXT, b INT)", [("x", 1), ("x", 2)], [("x", 1)], ("--key", "a"),
                         "repeats itself"),
    "a key is NULL": ("(a INT, b INT)", [(None, 1), (2, 2)], [(2, 2)], ("--key", "a"), "is NULL"),
    "a text key is NULL": ("(a TEXT, b INT)", [(None, 1), ("x", 2)], [("x", 2)], ("--key", "a"), "is NULL"),
    "a tolerance": ("(a INT PRIMARY KEY, b INT)", [(1, 1)], [(1, 2)], ("--accept", "b:tolerance=3"),
                    "not known what to write"),
    "values that stand for others": ("(a INT PRIMARY KEY, b INT)", [(1, 1)], [(1, 2)], ("--accept", "b:1=2"),
                                     "not known what to write"),
    "no limit": ("(a INT PRIMARY KEY, b INT)", [(1, 1)], [(1, 2)], ("--max-deletes", "many"), "is no limit"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_synced_is_refused_by_name_and_left(tmp_path: Path, kind: str) -> None:
    columns, first, second, words, said = REFUSED[kind]
    place = shop(tmp_path, orders=1)
    pair(place, f"CREATE TABLE t {columns}", first, second)
    done = sync(place, *words, tables=T)
    assert (done.code, said in done.err, "Traceback" in done.err) == (2, True, False), done.said
    assert "hint:" in done.err and sorted(second) == place.rows("t")


def test_tables_of_other_columns_and_one_table_twice_are_refused(tmp_path: Path) -> None:
    place = moved(tmp_path)
    on_sqlite(place.target, "ALTER TABLE orders ADD COLUMN own TEXT")
    done = sync(place)
    assert done.code == 2 and "only the second has the column own" in done.err, done.said
    done = sync(place, tables=(ORDERS[0], ORDERS[0]))
    assert done.code == 2 and "are one table" in done.err


@pytest.mark.parametrize(
    ("ddl", "said"),
    [
        ("CREATE TRIGGER x AFTER INSERT ON orders BEGIN UPDATE orders SET cents = 7 WHERE id = NEW.id; END",
         "stored other values than it was given in cents"),
        ("CREATE TRIGGER x BEFORE INSERT ON orders BEGIN SELECT RAISE(IGNORE); END", "it holds 0 rows"),
        ("CREATE TRIGGER x BEFORE INSERT ON orders BEGIN SELECT RAISE(ABORT, 'no'); END", "1 rows could not"),
    ],
)  # fmt: skip
def test_a_trigger_that_makes_other_rows_of_them_is_named(tmp_path: Path, ddl: str, said: str) -> None:
    place = moved(tmp_path)
    on_sqlite(place.target, ddl)
    done = sync(place, "--max-deletes", "1")
    assert done.code == 1 and said in done.out, done.said
    assert "different, 30 and 29 rows" in done.out and "1 missing" in done.out
    assert len(place.rows("orders")) == 29


def test_a_trigger_that_keeps_or_takes_more_rows_of_a_delete_is_found(tmp_path: Path) -> None:
    place = moved(tmp_path)
    on_sqlite(
        place.target, "CREATE TRIGGER x AFTER DELETE ON orders BEGIN DELETE FROM orders WHERE id < 3; END"
    )
    done = sync(place, "--max-deletes", "1")
    assert done.code == 1 and "4 rows went when 1 were deleted; all were left" in done.out, done.said
    assert len(place.rows("orders")) == 30


def test_a_generated_column_is_computed_and_compared(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=1)
    pair(place, "CREATE TABLE t (id INTEGER PRIMARY KEY, x INT, y INT)", [(1, 2, 4), (2, 3, 6)], [(1, 9, 18)])
    on_sqlite(place.target, "DROP TABLE t")
    on_sqlite(place.target, "CREATE TABLE t (id INTEGER PRIMARY KEY, x INT, y INT AS (x * 2) STORED)")
    on_sqlite(place.target, "INSERT INTO t (id, x) VALUES (1, 9)")
    done = sync(place, tables=T)
    assert done.code == 0 and place.rows("t") == [(1, 2, 4), (2, 3, 6)], done.said
    place.sql("UPDATE t SET x = 5 WHERE id = 2")
    done = sync(place, tables=T)
    assert done.code == 1 and "other values than it was given in y" in done.out, done.said
    assert place.rows("t") == [(1, 2, 4), (2, 3, 6)]


# -- tables that change meanwhile --------------------------------------------------


def at(monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[], object]) -> None:
    """Do something once, when hdm passes a point of its protocol."""
    acted: list[str] = []

    def point(passed: str) -> None:
        if passed == name and not acted:
            acted.append(passed)
            act()

    monkeypatch.setattr(failpoints, "point", point)


def test_a_source_that_changes_meanwhile_is_not_called_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = moved(tmp_path)
    at(monkeypatch, "Y5", lambda: place.sql("UPDATE orders SET cents = -1 WHERE id = 20"))
    done = sync(place, "--max-deletes", "1")
    assert done.code == 1 and "done: 1 new, 1 changed, 1 deleted" in done.out, done.said
    assert "different, 30 rows" in done.out and "1 changed" in done.out.splitlines()[-4:][0] + done.out
    assert sync(place).code == 0


def test_a_row_that_the_source_has_by_now_is_not_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = moved(tmp_path)
    at(monkeypatch, "Y0", lambda: place.sql("INSERT INTO orders VALUES (5000, 'x', 1, 1)"))
    done = sync(place, "--max-deletes", "1")
    assert done.code == 0 and "done: 1 new, 1 changed, 0 deleted" in done.out, done.said
    assert "not deleted: 1 rows" in done.out and "equal, 31 rows" in done.out


def test_a_row_that_came_into_the_target_meanwhile_is_neither_doubled_nor_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = shop(tmp_path, orders=1)
    pair(place, "CREATE TABLE t (id INTEGER, x TEXT)", [(1, "a"), (2, "b")], [(1, "a")])
    at(monkeypatch, "Y0", lambda: on_sqlite(place.target, "INSERT INTO t VALUES (2, 'mine')"))
    done = sync(place, "--key", "id", tables=T)
    assert done.code == 1 and "1 rows stand under the keys of 1 new rows" in done.out, done.said
    assert place.rows("t") == [(1, "a"), (2, "mine")]
    done = sync(place, "--key", "id", tables=T)
    assert done.code == 0 and place.rows("t") == [(1, "a"), (2, "b")], done.said


def test_of_two_syncs_at_a_time_the_earlier_one_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = moved(tmp_path)
    inner: list[int] = []
    at(monkeypatch, "Y0", lambda: inner.append(sync(place, "--max-deletes", "1").code))
    done = sync(place, "--max-deletes", "1")
    assert inner == [0] and done.code == 1, done.said
    assert "another sync of it has begun since" in done.err, done.said
    assert place.rows("orders") == place.source_rows("orders")


# -- links ------------------------------------------------------------------------


def test_a_repair_goes_through_transforms_and_writes_what_is_not_compared(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=30)
    link = {**direct(place, "orders"), "transform": "SELECT id, upper(customer) AS who, cents FROM batch",
            "validate": {"level": "counts", "exclude": ["cents"]}}  # fmt: skip
    only(place, link)
    assert place.hdm("run").code == 0
    before = place.rows("orders")
    on_sqlite(place.target, "DELETE FROM orders WHERE id = 3")
    on_sqlite(place.target, "UPDATE orders SET who = lower(who), cents = 0 WHERE id = 5")
    done = place.hdm("validate", "--repair")
    assert done.code == 0 and "done: 1 new, 1 changed, 0 deleted" in done.out, done.said
    assert place.rows("orders") == before
    assert place.hdm("run").code == 0


def test_a_repair_that_breaks_off_is_on_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = shop(tmp_path, orders=9)
    only(place, direct(place, "orders"))
    assert place.hdm("run").code == 0
    on_sqlite(place.target, "DELETE FROM orders WHERE id = 3")
    monkeypatch.setattr(failpoints, "_points", {"Y3": [(1, "raise:ConnectionLost")]})
    monkeypatch.setattr(failpoints, "_passes", {})
    done = place.hdm("validate", "--repair")
    assert done.code == 1 and "failpoint Y3" in done.err, done.said
    assert len(place.rows("orders")) == 8
    told = place.state(
        "SELECT event_type, payload FROM hdm_event WHERE event_type LIKE 'table.%' ORDER BY seq"
    )
    assert [kind for kind, _ in told] == ["table.repairing", "table.repaired"]
    assert json.loads(told[1][1])["error"] == "ConnectionLost"
    assert place.hdm("validate", "--repair").code == 0
    place.trail_holds()


def test_rows_beyond_the_watermark_wait_for_the_next_run(tmp_path: Path) -> None:
    """Changed since, they are extra up to the watermark: a repair must not delete them."""
    place = shop(tmp_path, orders=100)
    link = direct(place, "orders", watermark={"column": "changed"})
    link["sink"]["conf"]["mode"] = "merge"
    only(place, link)
    assert place.hdm("run").code == 0
    place.sql("UPDATE orders SET customer = 'later', changed = 1000 WHERE id = 7")
    on_sqlite(place.target, "INSERT INTO orders VALUES (5000, 'x', 1, 1)")
    done = place.hdm("validate", "--repair", "--max-deletes", "2")
    assert done.code == 1 and "done: 0 new, 0 changed, 1 deleted" in done.out, done.said
    assert "not deleted: 1 rows" in done.out and "1 extra" in done.out
    assert place.rows("orders WHERE id = 7", "customer") == [("c0",)]
    assert place.hdm("run").code == 0
    assert place.hdm("validate").code == 0


def test_a_repair_before_the_first_run_or_at_another_level_is_refused(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=3)
    only(place, direct(place, "orders"))
    done = place.hdm("validate", "--repair")
    assert done.code == 2 and "nothing was run yet" in done.err, done.said
    done = place.hdm("validate", "--repair", "--level", "counts")
    assert done.code == 2 and "a repair compares rows" in done.err, done.said


def test_rows_that_name_their_chunk_name_that_of_their_repair(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=20)
    link = direct(place, "orders")
    link["sink"]["conf"]["row_lineage"] = True
    only(place, link)
    assert place.hdm("run").code == 0
    on_sqlite(place.target, "DELETE FROM orders WHERE id = 3")
    assert place.hdm("validate", "--repair").code == 0
    found = on_sqlite(
        place.target,
        "SELECT l.chunk_json FROM orders o JOIN _hdm_load_ledger l ON l.chunk_id = o._hdm_chunk_id "
        "WHERE id = 3",
    )
    assert len(found) == 1 and "#new" in found[0][0]


def test_from_python(tmp_path: Path) -> None:
    place = moved(tmp_path)
    known = {"env": "dev", "profiles": tmp_path / "p.yml", "state": str(tmp_path / "s.db")}
    from hdm.state import StateManager

    StateManager.open(f"sqlite:///{tmp_path / 's.db'}").close()
    made = hdm.api.sync(*ORDERS, max_deletes=1, **known)
    assert (made.exit_code, made.applied.before.missing, made.applied.equal) == (0, 1, True)
    assert made.run is not None
    on_sqlite(place.target, "DELETE FROM orders WHERE id = 4")
