"""A link in mode sync: a run makes its target equal to its source, or says why not and changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hdm import failpoints
from tests.flows.kit import Done, Place, direct, load, on_sqlite, only, run, shop, stage
from tests.flows.test_proof import Target, facts, target
from tests.flows.test_sync import at, some

__all__ = ["target"]


def synced(folder: Path, orders: int = 30, **words: Any) -> Place:
    """A shop whose orders are filled by a link in mode sync; the first run made and filled the target."""
    place = shop(folder, orders=orders)
    only(place, {**direct(place, "orders"), "mode": "sync", **words})
    done = place.hdm("run")
    assert done.code == 0, done.said
    return place


def damage(place: Place) -> None:
    """One row changed, one lost, one too many."""
    on_sqlite(place.target, "UPDATE orders SET customer = 'C9 ' WHERE id = 9")
    on_sqlite(place.target, "DELETE FROM orders WHERE id = 4")
    on_sqlite(place.target, "INSERT INTO orders VALUES (5000, 'x', 1, 1)")


def words_of(place: Place, **words: Any) -> None:
    """Change the link's words."""
    (link,) = place.manifest["declared_data_links"]["stages"]
    link.update(words)
    place.write()


def told(place: Place, kind: str) -> list[dict[str, Any]]:
    query = f"SELECT payload FROM hdm_event WHERE event_type = '{kind}' ORDER BY at_db, seq"
    return [json.loads(text) for (text,) in place.state(query)]


def counts(place: Place) -> list[tuple[Any, ...]]:
    """Extracted, loaded and filtered rows of each chunk, oldest first."""
    return place.state(
        "SELECT c.rows_extracted, c.rows_loaded, c.rows_filtered, c.status FROM hdm_chunk c "
        "JOIN hdm_job j ON j.job_id = c.job_id ORDER BY j.epoch"
    )


def equal(place: Place) -> bool:
    return place.rows("orders") == place.source_rows("orders")


# -- a run ------------------------------------------------------------------------


def test_a_run_changes_the_rows_that_differ_and_no_others(tmp_path: Path) -> None:
    place = synced(tmp_path, max_deletes=1)
    assert equal(place) and counts(place) == [(30, 30, 0, "verified")]
    damage(place)
    on_sqlite(place.target, "CREATE TABLE touched (id INTEGER)")
    for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
        keep = f"INSERT INTO touched VALUES ({row}.id)"
        on_sqlite(place.target, f"CREATE TRIGGER t_{event} AFTER {event} ON orders BEGIN {keep}; END")
    done = place.hdm("run")
    assert done.code == 0, done.said
    assert equal(place) and place.rows("touched") == [(4,), (5000,), (9,)]
    assert counts(place)[-1] == (3, 2, 1, "verified")
    assert "note: orders: 1 rows that its source has not were deleted" in done.err, done.said
    assert told(place, "table.synced")[-1]["done"] == {"new": 1, "changed": 1, "deleted": 1}
    again = place.hdm("run")
    assert again.code == 0 and counts(place)[-1] == (0, 0, 0, "verified"), again.said
    assert len(place.rows("touched")) == 3
    shown = place.hdm("status")
    assert shown.code == 0 and "orders" in shown.out, shown.said
    assert place.hdm("state", "verify").code == 0
    assert place.hdm("validate").code == 0


def test_a_target_that_lost_all_or_was_emptied_by_its_source_is_synced_again(tmp_path: Path) -> None:
    place = synced(tmp_path, max_deletes="100%")
    on_sqlite(place.target, "DELETE FROM orders")
    on_sqlite(place.target, "DELETE FROM _hdm_load_ledger")
    done = place.hdm("run")
    assert done.code == 0 and equal(place), done.said
    place.sql("DELETE FROM orders")
    assert place.hdm("run").code == 0 and place.rows("orders") == []
    assert place.hdm("run").code == 0
    on_sqlite(place.target, "DROP TABLE orders")
    assert place.hdm("run").code == 0 and place.rows("orders") == []


def test_more_deletes_than_allowed_stop_the_table_before_anything_is_changed(tmp_path: Path) -> None:
    place = synced(tmp_path)
    damage(place)
    before = place.rows("orders")
    done = place.hdm("run")
    text = done.said
    assert done.code == 1 and "1 rows would be deleted" in text and "max_deletes: 1" in text, text
    assert place.rows("orders") == before
    assert counts(place)[-1][3] == "dead"
    words_of(place, max_deletes="4%")
    assert place.hdm("plan").code == 0
    done = place.hdm("run")
    assert done.code == 0 and equal(place), done.said
    assert "compared anew" in done.said
    assert place.hdm("status").code == 0


def test_a_plan_says_what_a_run_would_change_and_changes_nothing(tmp_path: Path) -> None:
    place = synced(tmp_path)
    damage(place)
    before, runs = place.rows("orders"), place.state("SELECT COUNT(*) FROM hdm_run")
    done = place.hdm("plan")
    assert done.code == 1 and "would do: 1 new, 1 changed, 1 deleted" in done.said, done.said
    assert "cannot be moved: orders: 1 rows would be deleted" in done.said
    words_of(place, max_deletes=1)
    done = place.hdm("plan")
    assert done.code == 0 and "would do: 1 new, 1 changed, 1 deleted" in done.said, done.said
    assert (place.rows("orders"), place.state("SELECT COUNT(*) FROM hdm_run")) == (before, runs)
    (tmp_path / "other").mkdir()
    first = shop(tmp_path / "other")
    only(first, {**direct(first, "orders"), "mode": "sync"})
    done = first.hdm("plan")
    assert done.code == 0 and "gets every row" in done.said, done.said


def test_a_transform_a_condition_and_columns_that_are_not_compared(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=20)
    link = direct(place, "orders", where="id < 15")
    link |= {"mode": "sync", "max_deletes": 5, "validate": {"level": "rows", "exclude": ["cents"]},
             "transform": "SELECT id, upper(customer) AS who, cents FROM batch WHERE id <> 3"}  # fmt: skip
    link["sink"]["conf"]["key"] = ["id"]
    only(place, link)
    assert place.hdm("run").code == 0
    assert {row[0] for row in place.rows("orders", "id")} == {*range(15)} - {3}
    on_sqlite(place.target, "UPDATE orders SET cents = 0 WHERE id = 5")
    on_sqlite(place.target, "UPDATE orders SET who = lower(who), cents = 0 WHERE id = 6")
    on_sqlite(place.target, "INSERT INTO orders VALUES (3, 'C3', 1)")
    done = place.hdm("run")
    assert done.code == 0, done.said
    assert place.rows("orders WHERE id IN (3, 5, 6)") == [(5, "C5", 0), (6, "C6", 600)]


def test_rows_name_the_chunk_that_wrote_them_and_lineage_says_what_is_known(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=10)
    link = {**direct(place, "orders"), "mode": "sync"}
    link["sink"]["conf"]["row_lineage"] = True
    only(place, link)
    assert place.hdm("run").code == 0
    place.sql("UPDATE orders SET customer = 'new' WHERE id = 4")
    assert place.hdm("run").code == 0
    found = on_sqlite(
        place.target,
        "SELECT o.id, l.chunk_json FROM orders o JOIN _hdm_load_ledger l ON l.chunk_id = o._hdm_chunk_id",
    )
    kinds = {number: json.loads(text)["dataset"]["name"].rpartition("#")[2] for number, text in found}
    assert len(kinds) == 10 and kinds.pop(4) == "changed" and set(kinds.values()) == {"new"}
    done = place.hdm("lineage", "orders")
    assert done.code == 0 and "SQLiteSource -> SQLiteSink" in done.out, done.said
    row = place.hdm("lineage", "orders", "--row", "id=4")
    assert "which these were is not on record" in row.out and "yes" not in row.out, row.said


# -- what is refused ----------------------------------------------------------------

REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    # link's words, source's conf, what is said
    "checks": ({"checks": [{"type": "NotNull", "column": "id"}]}, {}, "takes no checks:"),
    "watermark": ({}, {"watermark": {"column": "changed"}}, "takes no watermark"),
    "union": ({"union": ["id"]}, {}, "takes no union:"),
    "rates": ({"limits": {"rows_per_second": 5}}, {}, "takes no limits:"),
    "no limit": ({"max_deletes": "many"}, {}, "max_deletes: 'many' is no limit"),
    "part of a part": ({"max_deletes": "101%"}, {}, "is no limit"),
    "a tolerance": ({"validate": {"accept": {"cents": {"tolerance": 3}}}}, {}, "not known what to write"),
    "another mode": ({"mode": "merge", "max_deletes": 3}, {}, "only mode sync deletes single rows"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_synced_is_refused_when_planned(tmp_path: Path, kind: str) -> None:
    words, conf, said = REFUSED[kind]
    place = shop(tmp_path, orders=5)
    only(place, {**direct(place, "orders", **conf), "mode": "sync", **words})
    for verb in ("plan", "run"):
        done = place.hdm(verb)
        assert (done.code, said in done.err, "hint:" in done.err) == (2, True, True), done.said
    assert not place.target.exists()


def refused(place: Place, *said: str) -> Done:
    done = place.hdm("run")
    assert done.code == 2 and all(text in done.err for text in said), done.said
    return done


def test_stages_files_views_and_tables_without_a_key_are_refused(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=5)
    only(place, stage("orders", place), {**load(place), "mode": "sync"})
    refused(place, "is a stage", "mode: merge here")
    only(place, {**stage("orders", place), "mode": "sync"})
    refused(place, "cannot honour mode sync", "append, replace")
    place.sql("CREATE TABLE bare (a INTEGER, b TEXT)")
    only(place, {**direct(place, "bare"), "mode": "sync"})
    refused(place, "mode sync needs a key", "key: [column, ...]")
    on_sqlite(place.target, "CREATE VIEW orders AS SELECT 1 AS id")
    only(place, {**direct(place, "orders"), "mode": "sync"})
    refused(place, "orders is a view")


def test_a_table_under_another_name_is_refused(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=5)
    (tmp_path / "link.db").symlink_to(place.source)
    place.profiles["dst"] = {"path": str(tmp_path / "link.db")}
    only(place, {**direct(place, "orders"), "mode": "sync", "max_deletes": "100%"})
    refused(place, "are one table under two names")
    assert len(place.source_rows("orders")) == 5


def test_two_links_into_one_table_are_refused(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=5)
    one, other = direct(place, "orders"), direct(place, "items")
    other["source"]["name"] = "src2"
    for link in (one, other):
        link["sink"]["conf"]["table_name"] = "both"
    other["sink"]["name"] = "dst2"
    only(place, {**one, "mode": "sync"}, {**other, "mode": "append"})
    refused(place, "both")


# -- every system -------------------------------------------------------------------


@pytest.mark.server
@some("Postgres")
def test_every_system_is_synced(tmp_path: Path, target: Target) -> None:
    place = facts(tmp_path, target, rows=60)
    (link,) = place.manifest["declared_data_links"]["stages"]
    only(place, {**link, "mode": "sync", "max_deletes": 2, "validate": "rows"})
    first = place.hdm("run")
    assert first.code == 0, first.said
    target.damage({15: ("note", "'note'", ""), 16: ("price", "4.0002", "")})
    done = place.hdm("run")
    assert done.code == 0, done.said
    assert told(place, "table.synced")[-1]["done"] == {"new": 2, "changed": 2, "deleted": 1}
    assert counts(place)[-1] == (5, 4, 1, "verified")
    assert place.hdm("validate").code == 0 and place.hdm("state", "verify").code == 0


# -- tables that change, kills, two at a time ------------------------------------------


def test_rows_that_the_target_refuses_leave_a_dead_chunk_with_the_reason(tmp_path: Path) -> None:
    place = synced(tmp_path)
    on_sqlite(place.target, "CREATE TRIGGER x BEFORE INSERT ON orders BEGIN SELECT RAISE(ABORT, 'no'); END")
    place.sql("INSERT INTO orders VALUES (900, 'n', 1, 1)")
    place.sql("UPDATE orders SET cents = 7 WHERE id = 2")
    done = place.hdm("run")
    assert done.code == 1 and "1 rows could not be changed" in done.said, done.said
    assert place.rows("orders WHERE id = 2", "cents") == [(7,)]
    on_sqlite(place.target, "DROP TRIGGER x")
    assert place.hdm("run").code == 0 and equal(place)


def test_a_source_that_changes_meanwhile_is_compared_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = synced(tmp_path)
    place.sql("UPDATE orders SET cents = -1 WHERE id = 20")
    at(monkeypatch, "Y5", lambda: place.sql("UPDATE orders SET cents = -2 WHERE id IN (20, 21)"))
    done = place.hdm("run")
    assert done.code == 0 and equal(place), done.said
    assert counts(place)[-1] == (3, 3, 0, "verified")  # of both attempts


@pytest.mark.parametrize(
    "point",
    [pytest.param(one, marks=pytest.mark.long) for one in ("Y0", "Y2", "Y5", "Y7")]
    + ["Y3", "Y4", "Y6", "Y8"],
)
def test_an_attempt_that_breaks_off_is_counted_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    place = synced(tmp_path, max_deletes=1)
    damage(place)
    nth = 2 if point in ("Y2", "Y3", "Y4") else 1
    monkeypatch.setattr(failpoints, "_points", {point: [(nth, "raise:ConnectionLost")]})
    monkeypatch.setattr(failpoints, "_passes", {})
    done = place.hdm("run")
    assert done.code == 0 and equal(place), done.said
    assert counts(place)[-1] == (3, 2, 1, "verified")
    if point == "Y4":
        assert sum(sum(one["done"].values()) for one in told(place, "table.synced") if "done" in one) < 33
    assert place.hdm("state", "verify").code == 0


def test_a_lost_state_database_is_no_matter(tmp_path: Path) -> None:
    place = synced(tmp_path, max_deletes=1)
    damage(place)
    (place.home / ".hashmap_data_migrator" / "state.db").unlink()
    done = place.hdm("run")
    assert done.code == 0 and equal(place), done.said


def test_a_certificate_of_a_run_in_mode_sync(tmp_path: Path) -> None:
    place = synced(tmp_path, max_deletes=1, validate="rows")
    damage(place)
    assert place.hdm("run").code == 0
    key = str(tmp_path / "hdm.key")
    assert run(["certify", "--new-key", key], place.env).code == 0
    out = tmp_path / "c.json"
    words = ["certify", "latest", *place.args, "--key", f"file:{key}", "-o", str(out)]
    done = run(words, place.env)
    assert done.code == 0 and "PASSED" in done.said, done.said
    checked = run(["certify", "--check", str(out), "--key", f"{key}.pub"], place.env)
    assert checked.code == 0, checked.said
    on_sqlite(place.target, "UPDATE orders SET cents = 5 WHERE id = 3")
    words_of(place, validate="none")
    assert place.hdm("run").code == 0
    (tmp_path / "c.json").unlink()
    done = run(words, place.env)
    assert done.code == 1 and "PASSED" not in done.said, done.said


def test_a_new_column_a_composite_key_and_a_key_of_text(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=3, items=12)
    place.sql("CREATE TABLE names (name TEXT PRIMARY KEY, x INTEGER)")
    place.sql("INSERT INTO names VALUES ('a', 1), ('\u00e4', 2), ('A', 3), ('a ', 4)")
    links = []
    for table in ("items", "names"):
        link = {**direct(place, table), "mode": "sync", "schema_policy": "evolve", "max_deletes": "100%"}
        link["source"]["name"], link["sink"]["name"] = f"src_{table}", f"dst_{table}"
        links.append(link)
    only(place, *links)
    assert place.hdm("run").code == 0
    place.sql("ALTER TABLE items ADD COLUMN more TEXT")
    place.sql("UPDATE items SET more = 'm' WHERE order_id = 2")
    place.sql("DELETE FROM items WHERE order_id = 1 AND line = 2")
    place.sql("UPDATE names SET x = 9 WHERE name = 'A'")
    place.sql("DELETE FROM names WHERE name = 'a '")
    done = place.hdm("run")
    assert done.code == 0, done.said
    assert place.rows("items", "order_id, line, what, more") == place.source_rows("items")
    assert place.rows("names") == place.source_rows("names")


def test_other_commands_hold_over_a_sync(tmp_path: Path) -> None:
    place = synced(tmp_path)
    damage(place)
    assert place.hdm("run").code == 1
    assert place.hdm("status").code == 1
    words_of(place, max_deletes=1)
    assert place.hdm("retry").code == 0
    done = place.hdm("run")
    assert done.code == 0 and equal(place), done.said
    damage(place)
    done = place.hdm("run", "--full-refresh", "orders")
    assert done.code == 0 and equal(place), done.said
    done = place.hdm("state", "reconcile")
    assert done.code == 0, done.said
    damage(place)
    words_of(place, max_deletes=0)
    assert place.hdm("run").code == 1
    done = place.hdm("gc")
    assert done.code == 0, done.said
    assert place.hdm("state", "verify").code == 0


def test_templates_are_held_to_the_same(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=5)
    template: dict[str, Any] = {
        "source": {"name": "src", "type": "SQLiteSource", "conf": {"env": "src", "include": ["main.*"]}},
        "sink": {"name": "dst", "type": "SQLiteSink", "conf": {"env": "dst"}},
        "mode": "sync",
    }
    place.manifest = {"version": 1, "orchestrator": "AutoBatchOrchestrator",
                      "template_data_links": {"templates": [template]}}  # fmt: skip
    template["checks"] = [{"type": "NotNull", "column": "id"}]
    place.write()
    refused(place, "takes no checks:")
    del template["checks"]
    place.write()
    assert place.hdm("run").code == 0 and equal(place)
    place.sql("DELETE FROM items WHERE order_id = 3")
    done = place.hdm("run")
    assert done.code == 1 and "3 rows would be deleted" in done.said, done.said
    template["max_deletes"] = "10%"
    place.write()
    done = place.hdm("run")
    assert done.code == 0 and "3 rows that its source has not were deleted" in done.err, done.said
    assert place.rows("items") == place.source_rows("items")
