"""Rows that break a rule or that the target refuses are set aside, counted, and replayed exactly once."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyarrow import parquet

from tests.flows.kit import Done, Place, direct, load, on_sqlite, only, shop, stage
from tests.flows.test_checks import BLOCKS

pytestmark = pytest.mark.slow
BOOKS = "SELECT SUM(rows_extracted), SUM(rows_loaded), SUM(rows_rejected), SUM(rows_filtered) FROM hdm_chunk"
RULE = {"type": "Range", "column": "cents", "max": 11700, "severity": "quarantine"}
DEAR = {118, 119}
ALL = set(range(120))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return shop(tmp_path, orders=120, items=6)


def guarded(place: Place, *checks: dict[str, Any], **link: Any) -> Place:
    """One link that sets rows aside."""
    aside = {"type": "FSSink", "conf": {"directory": str(place.folder / "aside")}}
    return only(place, {**direct(place, "orders"), "checks": list(checks), "quarantine": aside, **link})


def ids(place: Place) -> list[int]:
    return sorted(row[0] for row in place.rows("orders", "id"))


def balanced(place: Place, aside: int) -> None:
    """Every chunk accounts for each row that was read."""
    wrong = place.state(
        "SELECT COUNT(*) FROM hdm_chunk WHERE rows_extracted <> rows_loaded + rows_rejected + rows_filtered"
    )
    assert wrong == [(0,)]
    ((extracted, loaded, rejected, filtered),) = place.state(BOOKS)
    assert (extracted, rejected) == (loaded + rejected + filtered, aside)


def quarantine(place: Place, verb: str, *options: str) -> Done:
    return place.hdm("quarantine", verb, *options)


def test_rows_that_break_a_rule_are_set_aside_and_said(place: Place) -> None:
    guarded(place, RULE, {"type": "NotNull", "column": "changed", "severity": "quarantine"})
    done = place.hdm("run")
    assert done.code == 1
    nulls = {0, 50, 100}
    assert ids(place) == sorted(ALL - DEAR - nulls), done.said
    assert "all committed" not in done.err
    assert "committed but for 5 row(s) in quarantine" in done.err
    balanced(place, 5)
    status = place.hdm("status")
    assert status.code == 1 and "quarantine: orders -> dst: 3 row(s) of chunk" in status.out, status.said
    assert [row["set_aside"] for row in place.hdm("status", "--json").json] == [5]
    listed = quarantine(place, "list", "--json")
    assert listed.code == 1
    assert sum(row["rows"] for row in listed.json) == 5 and {row["state"] for row in listed.json} == {"open"}
    shown = quarantine(place, "show", "--json").json
    assert {row["row.id"] for row in shown} == DEAR | nulls
    assert {(row["rule"], row["reason"]) for row in shown} == {
        ("Range", "values of cents out of range"), ("NotNull", "NULLs in changed"),
    }  # fmt: skip
    assert {row["row.id"]: row["row_no"] for row in shown}[119] == 20
    files = [path for path in (place.folder / "aside").rglob("*") if path.is_file()]
    assert len(files) == 3 and {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    kept = "\n".join(on_sqlite_dump(place))
    assert not re.search(r"\b11[89]00\b", kept)  # in words of its own: ids and times have such digits, too
    again = place.hdm("run")
    assert again.code == 1 and "committed but for 5 row(s) in quarantine" in again.err
    assert place.state("SELECT DISTINCT error_class FROM hdm_run") == [("RowsSetAside",)]
    waived = quarantine(place, "waive", "--by", "A. Person", "--reason", "ticket 4711")
    assert waived.code == 0 and "5 row(s) of 3 chunk(s) waived by A. Person" in waived.out
    assert " open " not in waived.out and "ticket 4711" in waived.out
    last = place.hdm("run")
    assert last.code == 0 and "all committed" in last.err, last.said
    assert [row["reason"] for row in quarantine(place, "list", "--all", "--json").json] == ["ticket 4711"] * 3
    place.trail_holds()


def test_the_quarantine_of_the_page(place: Place) -> None:
    words = yaml.safe_load(BLOCKS["quarantine"])
    words["quarantine"]["conf"]["directory"] = str(place.folder / "aside")
    assert only(place, {**direct(place, "orders"), **words}).hdm("run").code == 1
    assert ids(place) == sorted(ALL - DEAR)


def on_sqlite_dump(place: Place) -> list[str]:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(place.home / ".hashmap_data_migrator" / "state.db")) as connection:
        return [line for line in connection.iterdump() if "CREATE" not in line]


def test_a_row_that_breaks_two_rules_is_set_aside_once(place: Place) -> None:
    place.sql("UPDATE orders SET changed = NULL WHERE id = 119")
    guarded(place, RULE, {"type": "NotNull", "column": "changed", "severity": "quarantine"})
    assert place.hdm("run").code == 1
    balanced(place, 5)
    (both,) = [row for row in quarantine(place, "show", "--json").json if row["row.id"] == 119]
    assert both["rule"] == "Range; NotNull"


def test_more_than_is_tolerated_makes_the_chunk_dead(place: Place) -> None:
    guarded(place, {**RULE, "max": 10000, "tolerate": "10%"})
    done = place.hdm("run")
    assert done.code == 1
    assert "Range: 19 values of cents out of range" in done.err
    assert ids(place) == list(range(100))
    assert quarantine(place, "list").code == 0


def refusing(place: Place) -> None:
    """A target that refuses dear orders, and a customer's second order of a time."""
    on_sqlite(
        place.target,
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, cents INTEGER, changed INTEGER)",
    )
    on_sqlite(place.target, "CREATE UNIQUE INDEX once ON orders (customer, changed)")
    on_sqlite(
        place.target,
        "CREATE TRIGGER cheap BEFORE INSERT ON orders WHEN NEW.cents > 11700 "
        "BEGIN SELECT RAISE(ABORT, 'dear'); END",
    )
    place.sql("UPDATE orders SET customer = 'x', changed = 7 WHERE id IN (60, 77, 83)")
    place.sql("UPDATE orders SET changed = id WHERE id NOT IN (60, 77, 83)")


TWICE = {77, 83}


def test_rows_that_the_target_refuses_are_found_and_replayed_once_it_takes_them(place: Place) -> None:
    refusing(place)
    done = guarded(place).hdm("run")
    assert done.code == 1
    assert ids(place) == sorted(ALL - DEAR - TWICE), done.said
    assert "committed but for 4 row(s) in quarantine" in done.err
    balanced(place, 4)
    shown = quarantine(place, "show", "--json").json
    assert {row["row.id"]: row["row_no"] for row in shown} == {77: 28, 83: 34, 118: 19, 119: 20}
    assert {row["rule"] for row in shown} == {"target"}
    still = quarantine(place, "replay", "--json")
    assert still.code == 1 and [row["loaded"] for row in still.json] == [0, 0], still.said
    on_sqlite(place.target, "DROP TRIGGER cheap")
    half = quarantine(place, "replay", "--json")
    assert half.code == 1 and sorted(row["loaded"] for row in half.json) == [0, 2]
    on_sqlite(place.target, "DROP INDEX once")
    assert quarantine(place, "replay", "--by", "A. Person").code == 0
    assert ids(place) == sorted(ALL)
    assert "no rows are set aside" in quarantine(place, "replay").out
    assert {row["by"] for row in quarantine(place, "list", "--all", "--json").json} >= {"A. Person"}
    last = place.hdm("run")
    assert last.code == 0 and "all committed" in last.err, last.said
    assert ids(place) == sorted(ALL)
    place.trail_holds()


def test_without_a_place_a_refused_row_makes_its_chunk_dead(place: Place) -> None:
    refusing(place)
    assert only(place, direct(place, "orders")).hdm("run").code == 1
    assert place.state("SELECT COUNT(*) FROM hdm_chunk WHERE status = 'dead'") == [(2,)]


def test_a_target_that_refuses_every_row_is_no_matter_of_rows(place: Place) -> None:
    refusing(place)
    on_sqlite(place.target, "DROP TRIGGER cheap")
    on_sqlite(place.target, "CREATE TRIGGER no BEFORE INSERT ON orders BEGIN SELECT RAISE(ABORT, 'no'); END")
    done = guarded(place).hdm("run")
    assert done.code == 1
    assert place.state("SELECT DISTINCT status, rows_rejected FROM hdm_chunk") == [("dead", 0)]


KILLS = [("Q1:1", "append"), ("L5:2", "merge")]
MORE = [
    (f"{name}:{n}", mode)
    for name in ("Q1", "L4", "L5", "V2")
    for n in (1, 2)
    for mode in ("append", "merge", "replace")
    if (name, n, mode) != ("Q1", 2, "replace")  # one chunk only has rows to set aside
]


@pytest.mark.parametrize(
    ("point", "mode"),
    [*KILLS, *(pytest.param(*one, marks=pytest.mark.long) for one in MORE if one not in KILLS)],
)
def test_a_kill_between_leaves_no_row_lost_or_counted_twice(place: Place, point: str, mode: str) -> None:
    if mode != "replace":  # which fills a table beside, whose triggers and keys are not those of the target
        refusing(place)
    conf = {"watermark": {"column": "changed"}} if mode == "merge" else {}
    link = {**direct(place, "orders", **conf), "mode": mode}
    guarded(place, {**RULE, "max": 11700 if mode == "replace" else 11800}, **link)
    killed = place.start("run", HDM_FAILPOINT=f"{point}:kill")
    assert killed.wait() == -9
    assert place.hdm("run").code == 1
    aside = DEAR if mode == "replace" else DEAR | TWICE
    assert ids(place) == sorted(ALL - aside)
    balanced(place, len(aside))
    shown = [row["row.id"] for row in quarantine(place, "show", "--json").json]
    assert sorted(shown) == sorted(aside)


@pytest.mark.parametrize(
    "point", ["Q2:1", *(pytest.param(one, marks=pytest.mark.long) for one in ("L4:1", "L5:1", "Q2:2"))]
)
def test_a_replay_that_is_killed_is_done_once(place: Place, point: str) -> None:
    refusing(place)
    guarded(place).hdm("run")
    on_sqlite(place.target, "DROP TRIGGER cheap")
    on_sqlite(place.target, "DROP INDEX once")
    killed = place.python(
        ["-m", "hdm", "quarantine", "replay", *place.args], {"HDM_FAILPOINT": f"{point}:kill"}
    )
    assert killed.wait() == -9
    assert quarantine(place, "replay").code == 0
    assert ids(place) == sorted(ALL)
    assert {row["state"] for row in quarantine(place, "list", "--all", "--json").json} == {"replayed"}
    assert place.hdm("run").code == 0
    assert ids(place) == sorted(ALL)


def test_rows_that_a_killed_replay_brought_are_not_called_waived(place: Place) -> None:
    guarded(place, RULE).hdm("run")
    guarded(place)
    killed = place.python(["-m", "hdm", "quarantine", "replay", *place.args], {"HDM_FAILPOINT": "Q2:1:kill"})
    assert killed.wait() == -9
    done = quarantine(place, "waive", "--by", "A. Person", "--reason", "ticket 4711")
    assert done.code == 0 and "1 chunk(s) were replayed already" in done.out, done.said
    states = [row["state"] for row in quarantine(place, "list", "--all", "--json").json]
    assert (states.count("replayed"), set(states) <= {"replayed", "waived"}) == (1, True)
    assert len(ids(place)) == len(ALL) - states.count("waived")


def test_a_newer_reading_that_failed_forgets_no_row(place: Place) -> None:
    assert guarded(place, RULE, mode="replace").hdm("run").code == 1
    place.sql("UPDATE orders SET cents = 1 WHERE cents > 11700")
    fails = {"type": "Range", "column": "cents", "min": 2}
    assert guarded(place, RULE, fails, mode="replace").hdm("run").code == 1
    assert sum(row["rows"] for row in quarantine(place, "list", "--json").json) == len(DEAR)


def test_a_replay_obeys_the_rules_as_they_are_now(place: Place) -> None:
    guarded(place, RULE).hdm("run")
    still = quarantine(place, "replay", "--json")
    assert still.code == 1 and "Range: 2 values of cents out of range" in still.json[0]["refused"]
    guarded(place, {**RULE, "max": 20000})
    assert quarantine(place, "replay").code == 0
    assert ids(place) == sorted(ALL)


def test_a_merge_that_cannot_tell_what_is_newer_is_not_replayed(place: Place) -> None:
    guarded(place, RULE, mode="merge").hdm("run")
    guarded(place, mode="merge")
    done = quarantine(place, "replay", "--json")
    assert done.code == 1 and "cannot tell whether the target has newer rows" in done.json[0]["refused"]
    assert ids(place) == sorted(ALL - DEAR)


def test_a_replay_puts_no_older_row_over_a_newer_one(place: Place) -> None:
    link = {**direct(place, "orders", watermark={"column": "changed"}), "mode": "merge"}
    guarded(place, RULE, **link).hdm("run")
    place.sql("UPDATE orders SET cents = 5, changed = 100000 WHERE id = 119")
    place.hdm("run")
    guarded(place, **link)
    done = quarantine(place, "replay", "--json")
    assert done.code == 0 and sorted(row["loaded"] for row in done.json) == [0, 1], done.said
    rows = [row for row in place.rows("orders", "id, cents") if row[0] in DEAR]
    assert sorted(rows) == [(118, 11800), (119, 5)]


def test_what_was_read_anew_is_not_counted_any_more(place: Place) -> None:
    assert guarded(place, RULE, mode="replace").hdm("run").code == 1
    place.sql("UPDATE orders SET cents = 1 WHERE cents > 11700")
    done = place.hdm("run")
    assert done.code == 0, done.said
    assert ids(place) == sorted(ALL)
    assert quarantine(place, "list").code == 0


def read_whole_again(place: Place, link: dict[str, Any], way: str) -> Done:
    if way == "chain":
        first, last = stage("orders", place, watermark={"column": "id"}), load(place)
        aside = {"type": "FSSink", "conf": {"directory": str(place.folder / "aside")}}
        only(place, first, {**last, "mode": "merge", "checks": [RULE], "quarantine": aside})
    else:
        guarded(place, RULE, **link)
    return place.hdm("run", *(() if "watermark" not in str(place.manifest) else ("--full-refresh", "orders")))


@pytest.mark.parametrize("way", ["cursor", "no cursor", "chain"])
def test_rows_that_a_merge_reads_again_are_listed_once(place: Place, way: str) -> None:
    """The first reading's rows stay on the list while the new one has not ended with success."""
    link = {**direct(place, "orders", **({"watermark": {"column": "id"}} if way == "cursor" else {}))}
    link["mode"] = "merge"
    for _ in range(2):
        assert read_whole_again(place, link, way).code == 1
        assert sum(row["rows"] for row in quarantine(place, "list", "--json").json) == len(DEAR)
    place.sql("UPDATE orders SET cents = 1 WHERE id = 119")
    assert "committed but for 1 row(s) in quarantine" in read_whole_again(place, link, way).err
    assert ids(place) == sorted(ALL - {118})
    place.sql("UPDATE orders SET cents = 1 WHERE id = 118")
    done = read_whole_again(place, link, way)
    assert done.code == 0, done.said
    assert quarantine(place, "list", "--all").code == 0


def test_a_reading_that_was_given_up_forgets_no_row(place: Place) -> None:
    """It is closed as a success, since nothing more is expected of it."""
    guarded(place, RULE, mode="replace").hdm("run")
    place.sql("UPDATE orders SET cents = 1 WHERE cents > 11700")
    fails = {"type": "Range", "column": "cents", "min": 2}
    for _ in range(2):
        assert guarded(place, RULE, fails, mode="replace").hdm("run", "--full-refresh", "orders").code == 1
    assert ("success",) in place.state("SELECT status FROM hdm_job WHERE epoch = 2")
    assert sum(row["rows"] for row in quarantine(place, "list", "--json").json) == len(DEAR)


def test_rows_whose_replay_the_target_lost_are_open_again(place: Place) -> None:
    """It was restored from a copy that was made between the run and the replay."""
    guarded(place, RULE).hdm("run")
    copy = place.target.read_bytes()
    guarded(place)
    for _ in range(2):
        place.target.write_bytes(copy)
        done = place.hdm("run")
        assert done.code == 1 and "committed but for 2 row(s) in quarantine" in done.err, done.said
        assert {row["state"] for row in quarantine(place, "list", "--json").json} == {"open"}
        assert quarantine(place, "replay").code == 0
        assert ids(place) == sorted(ALL)
        assert place.hdm("run").code == 0
    place.target.write_bytes(copy)
    assert "2 row(s) that were replayed from quarantine are gone from the target" in place.hdm("run").err
    place.trail_holds()


def test_rules_about_a_chunk_as_a_whole_do_not_judge_the_part_that_is_replayed(place: Place) -> None:
    place.sql("UPDATE orders SET changed = NULL WHERE id > 116")
    whole = [
        {"type": "RowCount", "min": 10},
        {"type": "NotNull", "column": "changed", "tolerate": "20%"},
    ]
    assert guarded(place, RULE, *whole).hdm("run").code == 1
    assert ids(place) == sorted(ALL - DEAR)
    guarded(place, *whole)
    done = quarantine(place, "replay")
    assert (done.code, ids(place)) == (0, sorted(ALL)), done.said


def test_a_file_that_was_changed_or_is_gone_is_not_believed(place: Place) -> None:
    guarded(place, RULE).hdm("run")
    guarded(place)
    (file,) = (place.folder / "aside").rglob("*.parquet")
    table = parquet.read_table(file)
    file.unlink()
    gone = quarantine(place, "replay", "--json")
    assert gone.code == 1 and "is gone" in gone.json[0]["refused"]
    parquet.write_table(table.slice(0, 1), file)
    assert "another checksum" in quarantine(place, "replay", "--json").json[0]["refused"]
    assert ids(place) == sorted(ALL - DEAR)


def test_a_lost_state_database_forgets_no_row(place: Place) -> None:
    refusing(place)
    guarded(place).hdm("run")
    on_sqlite(place.target, "DROP TRIGGER cheap")
    assert quarantine(place, "replay").code == 1  # rows 118 and 119 are in now, 77 and 83 are not
    for file in (place.home / ".hashmap_data_migrator").glob("state.db*"):
        file.unlink()
    again = place.hdm("run")
    assert again.code == 1 and "committed but for 4 row(s) in quarantine" in again.err, again.said
    on_sqlite(place.target, "DROP INDEX once")
    assert quarantine(place, "replay").code == 0
    assert ids(place) == sorted(ALL)
    assert place.hdm("run").code == 0


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_rows_are_exported_into_a_new_file_of_ones_own(place: Place, kind: str) -> None:
    guarded(place, RULE).hdm("run")
    file = place.folder / f"out.{kind}"
    assert quarantine(place, "export", "-o", str(file)).code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    rows = (
        parquet.read_table(file).to_pylist()
        if kind == "parquet"
        else [json.loads(line) for line in file.read_text().splitlines()]
    )
    assert {row["row"]["id"] for row in rows} == DEAR
    assert quarantine(place, "export", "-o", str(file)).code == 2
    assert quarantine(place, "export", "-o", str(place.folder / "out.doc")).code == 2


def test_rows_of_other_columns_are_exported_chunk_by_chunk(place: Place) -> None:
    link = guarded(place, RULE).manifest["declared_data_links"]["stages"][0]
    other = {**link, "transform": "SELECT id, cents FROM batch", "sink": {**link["sink"], "name": "cut"}}
    other["sink"]["conf"] = {"env": "dst", "table_name": "cut"}
    ran = only(place, link, other).hdm("run")
    listed = quarantine(place, "list", "--json").json
    assert len(listed) == 2, ran.said
    chunk = listed[0]["chunk"]
    file = place.folder / "out.jsonl"
    done = quarantine(place, "export", "-o", str(file))
    assert done.code == 2 and "have different columns from chunk to chunk" in done.err, done.said
    assert not file.exists()
    done = quarantine(place, "export", "--chunk", chunk, "-o", str(file))
    assert done.code == 0, done.said


def test_rows_of_a_link_that_left_the_manifest_are_refused_by_name(place: Place) -> None:
    guarded(place, RULE).hdm("run")
    only(place, direct(place, "items"))
    listed = quarantine(place, "list", "--json")
    assert [row["rows"] for row in listed.json] == [2]
    done = quarantine(place, "replay", "--json")
    assert done.code == 1 and "has no quarantine: now" in done.json[0]["refused"], done.said


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ({"quarantine": None}, "check Range of orders has nowhere to set rows aside"),
        ({"checks": [{"type": "RowCount", "max": 1, "severity": "quarantine"}]}, "judges no single rows"),
        ({"quarantine": {"type": "SQLiteSink", "conf": {"env": "dst"}}}, "SQLiteSink writes no files"),
        ({"quarantine": {"type": "FSink", "conf": {}}}, "no sink is registered as 'FSink'"),
        ({"quarantine": {"type": "FSSink"}}, "directory"),
    ],
)
def test_what_cannot_be_set_aside_is_refused_when_planned(
    place: Place, link: dict[str, Any], said: str
) -> None:
    done = guarded(place, RULE, **link).hdm("plan")
    assert done.code == 2 and said in done.err, done.said


def test_files_are_no_target_to_set_rows_aside_from(place: Place) -> None:
    link = guarded(place, RULE).manifest["declared_data_links"]["stages"][0]
    done = only(place, {**stage("orders", place), "quarantine": link["quarantine"]}, load(place)).hdm("plan")
    assert done.code == 2 and "quarantine: of orders has no effect here" in done.err
