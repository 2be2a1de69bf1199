"""What a second run moves, and what a link does to the rows on their way."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.flows.kit import Place, direct, load, only, shop, stage


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return shop(tmp_path)


def equal(place: Place, *tables: str) -> bool:
    return all(place.rows(table) == place.source_rows(table) for table in tables)


def moved(place: Place) -> list[tuple[Any, ...]]:
    """What the newest run committed: (rows of the chunk, where it was read)."""
    return place.state(
        "SELECT c.rows_loaded, c.source_filter FROM hdm_event e JOIN hdm_chunk c ON c.chunk_id = e.chunk_id"
        " WHERE e.to_status = 'committed' AND e.run_id ="
        " (SELECT run_id FROM hdm_run ORDER BY started_at DESC LIMIT 1)"
    )


def test_a_second_run_moves_nothing(place: Place) -> None:
    assert place.hdm("run").code == 0
    assert equal(place, "orders", "items")
    again = place.hdm("run")
    assert again.code == 0
    assert "all committed, 2 up to date, nothing moved" in again.err
    assert "items: moved before and not read again" in again.err
    assert moved(place) == []
    assert equal(place, "orders", "items")


def test_new_rows_ties_and_nulls_arrive_once(place: Place) -> None:
    place.hdm("run")
    (top,) = place.sql("SELECT max(changed) FROM orders")[0]
    new = [(1000, "tie", 1, top), (1001, "null", 2, None), (1002, "new", 3, top + 5), (1003, "tie", 1, top)]
    place.sql("INSERT INTO orders VALUES (?, ?, ?, ?)", new)
    assert place.hdm("run").code == 0
    assert sum(rows for rows, _ in moved(place)) == 2 * len(new)
    assert equal(place, "orders")
    assert place.hdm("run").code == 0
    assert moved(place) == []


@pytest.mark.parametrize("watermark", [{}, {"watermark": {"column": "changed"}}], ids=["none", "cursor"])
def test_a_table_that_was_empty_is_read_again(place: Place, watermark: dict[str, Any]) -> None:
    rows = place.sql("SELECT * FROM orders")
    place.sql("DELETE FROM orders")
    only(place, stage("orders", place, **watermark), load(place))
    assert place.hdm("run").code == 0
    staged = set(place.stage.rglob("*"))
    assert place.hdm("run").code == 0
    assert set(place.stage.rglob("*")) == staged  # emptiness is staged once, not at each look
    place.sql("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
    for _ in range(2):
        assert place.hdm("run").code == 0
        assert equal(place, "orders")


@pytest.mark.parametrize("before", [None, "id"])
def test_another_watermark_appends_nothing_twice(place: Place, before: str | None) -> None:
    place.sql("CREATE TABLE loose AS SELECT * FROM orders")
    only(place, direct(place, "loose", **({"watermark": {"column": before}} if before else {})))
    assert place.hdm("run").code == 0
    place.sql("INSERT INTO loose VALUES (?, ?, ?, ?)", [(900, "new", 0, 1)])
    was = place.rows("loose")
    only(place, direct(place, "loose", watermark={"column": "changed"}))
    done = place.hdm("run")
    assert done.code == 1
    assert f"its watermark is now changed, and its rows were moved with {before or 'none'}" in done.err
    assert place.rows("loose") == was
    link = place.manifest["declared_data_links"]["stages"][0]
    link["mode"], link["sink"]["conf"]["key"] = "merge", ["id"]
    assert place.write().hdm("run").code == 0
    assert equal(place, "loose")


def test_rows_changed_since_are_merged(place: Place) -> None:
    only(place, {**direct(place, "orders", watermark={"column": "changed"}), "mode": "merge"})
    place.hdm("run")
    place.sql("UPDATE orders SET cents = -1, changed = 900 WHERE id IN (3, 77, 150)")
    place.sql("INSERT INTO orders VALUES (?, ?, ?, ?)", [(2000, "new", 0, 901)])
    assert place.hdm("run").code == 0
    assert sum(rows for rows, _ in moved(place)) == 4
    assert equal(place, "orders")


def test_a_replaced_table_follows_deletes(place: Place) -> None:
    only(place, {**direct(place, "items"), "mode": "replace"})
    for statement in ("DELETE FROM items WHERE line = 1", "UPDATE items SET what = 'x'", "DELETE FROM items"):
        place.sql(statement)
        assert place.hdm("run").code == 0
        assert equal(place, "items")


def test_a_replaced_chain_is_swapped_when_it_is_whole(place: Place) -> None:
    """A chunk that is dead on the way to the files leaves the target as it was."""
    first = {**stage("items", place, chunk={"rows": 20}), "mode": "replace"}
    first["checks"] = [{"type": "NotNull", "column": "what"}]
    only(place, first, {**load(place), "mode": "replace"})
    assert place.hdm("run").code == 0
    before = place.rows("items")
    place.sql("UPDATE items SET what = 'new'")
    place.sql("UPDATE items SET what = NULL WHERE order_id = 4")
    for _ in range(2):
        assert place.hdm("run").code == 1
        assert place.rows("items") == before
    place.sql("UPDATE items SET what = 'newer' WHERE what IS NULL")
    assert place.hdm("retry").code == 0
    done = place.hdm("run")
    assert done.code == 0, done.said
    assert equal(place, "items")


@pytest.mark.parametrize("mode", ["append", "merge", "replace"])
def test_what_is_staged_anew_each_time_is_never_appended(place: Place, mode: str) -> None:
    """Nor by a source that has another name than the sink, or stands in another manifest."""
    only(place, {**stage("items", place), "mode": "replace"})
    assert place.hdm("run").code == 0
    other = {**load(place), "mode": mode}
    other["source"]["name"] = "what was staged"
    only(place, other)
    done = place.hdm("run")
    if mode != "append":
        assert done.code == 0 and equal(place, "items"), done.said
        return
    assert (done.code, done.out) == (2, "")
    assert "/m.yml:12:9: source what was staged: files/items" in done.err
    assert " is staged in mode replace: mode append would load all of it again each time\n" in done.err
    assert done.err.endswith("hint: write mode: replace or merge\n")


def test_a_waived_gap_lets_the_watermark_pass(place: Place) -> None:
    place.sql("UPDATE orders SET cents = NULL WHERE id = 60")
    link = direct(place, "orders", watermark={"column": "changed"})
    only(place, {**link, "checks": [{"type": "NotNull", "column": "cents"}]})
    done = place.hdm("run")
    assert done.code == 1
    assert "CheckFailed" not in done.err and "1 NULLs in cents" in done.err
    dead = place.hdm("status", "--dead", "--json")
    assert dead.code == 1
    (row,) = dead.json
    assert (row["table"], row["error"], row["attempts"]) == ("orders", "CheckFailed", 1)
    assert row["message"] == "NotNull: 1 NULLs in cents (row 5 of the chunk)"
    assert place.hdm("status").code == 1
    held = len(place.rows("orders"))
    assert 0 < held < 250
    assert place.hdm("run").code == 1  # still dead, not tried again
    assert place.hdm("waive", "--by", "ann", "--reason", "known to be empty").code == 0
    place.sql("INSERT INTO orders VALUES (?, ?, ?, ?)", [(3000, "new", 0, 999)])
    assert place.hdm("run").code == 0
    assert place.hdm("run").code == 0
    assert len(place.rows("orders")) == held + 1
    assert place.hdm("status").code == 0


def test_a_dead_chunk_is_retried_once_mended(place: Place) -> None:
    place.sql("UPDATE orders SET cents = NULL WHERE id = 60")
    only(place, {**direct(place, "orders"), "checks": [{"type": "NotNull", "column": "cents"}]})
    assert place.hdm("run").code == 1
    place.sql("UPDATE orders SET cents = 0 WHERE id = 60")
    assert place.hdm("retry", "--table", "orders").code == 0
    assert place.hdm("run").code == 0
    assert equal(place, "orders")


CHECKS = [
    (
        {"type": "NotNull", "column": "changed"},
        "5 NULLs in changed (rows 1, 51, 101, 151 and 201 of the chunk)",
    ),
    (
        {"type": "Range", "column": "id", "min": 10, "max": 240},
        "19 values of id out of range (rows 1, 2, 3, 4, 5 and 14 more of the chunk)",
    ),
    ({"type": "Unique", "column": "customer", "over": "chunk"}, "243 values of customer come again"),
    ({"type": "RowCount", "max": 100}, "250 rows, expected 0 to 100"),
]


@pytest.mark.parametrize(("check", "found"), CHECKS, ids=[check["type"] for check, _ in CHECKS])
def test_a_check_stops_or_warns(place: Place, check: dict[str, Any], found: str) -> None:
    link = direct(place, "orders", chunk={"rows": 1000})
    only(place, {**link, "checks": [{**check, "severity": "warn"}, {"type": "RowCount", "min": 1}]})
    warned = place.hdm("run")
    assert warned.code == 0
    assert found in warned.err
    assert equal(place, "orders")
    kept = "SELECT kind, severity, status, target_value FROM hdm_validation WHERE kind <> 'row_count'"
    wanted = [("RowCount", "error", "pass", None), (check["type"], "warn", "fail", found)]
    assert sorted(place.state(kept), key=repr) == sorted(wanted, key=repr)
    other = {**link["sink"], "conf": {"env": "dst", "table_name": "two"}}
    stopped = only(place, {**link, "sink": other, "checks": [check]}).hdm("run")
    assert stopped.code == 1
    assert found in stopped.err


def test_a_transform_maps_and_filters_and_the_books_balance(place: Place) -> None:
    only(
        place,
        {
            **direct(place, "orders"),
            "transform": "SELECT id, upper(customer) AS who, cents / 100.0 AS euros FROM batch"
            " WHERE id % 2 = 0",
        },
    )
    assert place.hdm("run").code == 0
    assert place.rows("orders", "id, who, euros") == sorted(
        [(n, f"C{n % 7}", float(n)) for n in range(0, 250, 2)], key=repr
    )
    sums = "SELECT sum(rows_extracted), sum(rows_loaded), sum(rows_filtered) FROM hdm_chunk"
    assert place.state(sums) == [(250, 125, 125)]


def test_a_changed_schema_is_said_and_loads_nothing(place: Place) -> None:
    only(place, direct(place, "orders", watermark={"column": "changed"}), direct(place, "items"))
    assert place.hdm("run").code == 0
    place.sql("ALTER TABLE orders ADD COLUMN extra TEXT")
    place.sql("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", [(4000, "new", 0, 999, "x")])
    drifted = place.hdm("run")
    assert drifted.code == 1
    assert "schema_policy is fail:\n  new column: orders.extra" in drifted.err
    assert len(place.rows("orders")) == 250
    place.manifest["declared_data_links"]["stages"][0]["schema_policy"] = "evolve"
    assert place.write().hdm("run").code == 0
    assert equal(place, "orders")


def test_a_dropped_column_leaves_the_target_as_it_is(place: Place) -> None:
    link = direct(place, "orders", watermark={"column": "changed"})
    assert only(place, link).hdm("run").code == 0
    place.sql("ALTER TABLE orders DROP COLUMN customer")
    drifted = only(place, {**link, "schema_policy": "evolve", "allow_loss": ["customer"]}).hdm("run")
    assert drifted.code == 1
    assert "customer: NOT NULL without a default, and the source has no such column" in drifted.err


def test_a_loss_is_refused_or_recorded(place: Place) -> None:
    place.sql("CREATE TABLE untyped (id INTEGER PRIMARY KEY, anything)")
    place.sql("INSERT INTO untyped VALUES (?, ?)", [(1, "a")])
    only(place, direct(place, "untyped"))
    assert place.hdm("run").code == 2
    only(place, {**direct(place, "untyped"), "allow_loss": ["anything"]})
    assert place.hdm("plan", "--json").json[0]["losses"]
    assert place.hdm("run").code == 0
    assert equal(place, "untyped")
    assert "anything" in place.state("SELECT losses FROM hdm_job")[0][0]


def test_loading_begins_before_extraction_ends(tmp_path: Path) -> None:
    place = shop(tmp_path, 4000)
    place.hdm("run")
    events = place.state(
        "SELECT j.stage_no, e.seq FROM hdm_event e JOIN hdm_job j ON j.job_id = e.job_id"
        " WHERE e.to_status = 'committed' ORDER BY e.seq"
    )
    loaded = min(seq for depth, seq in events if depth == 2)
    assert loaded < max(seq for depth, seq in events if depth == 1)


@pytest.mark.parametrize("bound", [1, 3])
def test_no_more_lies_staged_than_the_bound(place: Place, bound: int) -> None:
    place.manifest["orchestrator"]["conf"] = {"workers": 1, "back_pressure_factor": bound}
    only(
        place, stage("orders", place, chunk={"rows": 10}), place.manifest["declared_data_links"]["stages"][-1]
    )
    place.hdm("run")
    events = place.state(
        "SELECT j.stage_no FROM hdm_event e JOIN hdm_job j ON j.job_id = e.job_id"
        " WHERE e.to_status = 'committed' ORDER BY e.seq"
    )
    lying, most = 0, 0
    for (depth,) in events:
        lying += 1 if depth == 1 else -1
        most = max(most, lying)
    assert 1 <= most <= bound + 2  # what was claimed while the count was taken


def test_no_more_are_at_a_source_than_its_limit(place: Place) -> None:
    place.manifest["orchestrator"]["conf"] = {"workers": 6}
    only(place, {**direct(place, "orders", chunk={"rows": 10}), "limits": {"connections": 2}})
    now, most, guard = 0, 0, threading.Lock()
    from hdm.runtime.link import DataLink

    original = DataLink._carry

    def counted(self: DataLink, *args: Any) -> Any:
        nonlocal now, most
        with guard:
            now += 1
            most = max(most, now)
        try:
            return original(self, *args)
        finally:
            with guard:
                now -= 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DataLink, "_carry", counted)
        assert place.hdm("run").code == 0
    assert 1 <= most <= 2
    assert equal(place, "orders")


def batch(shape: Any, place: Place) -> dict[str, Any]:
    template = {
        "batch_definition": shape,
        "source": {
            "name": "src",
            "type": "SQLiteSource",
            "conf": {"env": "src", "table_name": "<<template>>"},
        },
        "sink": {"name": "files", "type": "FSSink", "conf": {"directory": str(place.stage)}},
    }
    return {
        "version": 1,
        "orchestrator": {"type": "batch_orchestrator", "conf": None},
        "template_data_links": {"templates": [template]},
        "declared_data_links": {"stages": [load(place)]},
    }


@pytest.mark.parametrize(
    "shape",
    [
        [{"source_name": "src", "field": "table_name", "values": ["orders", "items"], "threads": 2}],
        {"source_name": "src", "scenarios": [{"table_name": "orders"}, {"table_name": "items"}]},
    ],
    ids=["the seed's list", "the original's mapping"],
)
def test_a_batch_moves_each_table(place: Place, shape: Any) -> None:
    place.manifest = batch(shape, place)
    assert place.write().hdm("run").code == 0
    assert equal(place, "orders", "items")


def test_two_runs_at_once_share_the_work(place: Place) -> None:
    both = [place.start("run"), place.start("run")]
    assert [process.wait(120) for process in both] == [0, 0]
    with contextlib.closing(open(place.folder / "out.txt")) as out:
        assert "Traceback" not in out.read()
    assert equal(place, "orders", "items")


def test_a_source_that_finds_nothing_says_so(place: Place) -> None:
    place.stage.mkdir()
    refused = only(place, load(place)).hdm("run")
    assert refused.code == 2
    assert "finds nothing to read, as there are no files" in refused.err
    link = load(place)
    link["source"]["conf"]["allow_empty"] = True
    done = only(place, link).hdm("run")
    assert done.code == 0
    assert "note: source files: found nothing to read" in done.err


@pytest.mark.parametrize(
    ("name", "content"),
    [("bad.parquet", b"PAR1 no more"), ("bad.csv", b"a,b\n1\n1,2,3\n"), ("none.csv", b"")],
)
def test_a_file_that_cannot_be_read_is_named(place: Place, name: str, content: bytes) -> None:
    place.stage.mkdir()
    (place.stage / name).write_bytes(content)
    done = only(place, load(place)).hdm("run")
    assert done.code in (1, 2)
    assert f"/stage/{name}: " in done.err
    assert "mend the file or take it away" in done.err
