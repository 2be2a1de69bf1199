"""Which chunk brought one row: said where the ranges on record say it, never guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hdm.api.row_lineage import PERHAPS, WAIVED, YES, find, key_of
from hdm.errors import UsageError
from hdm.model import Chunk, Condition, Dataset, Table
from hdm.model.values import Column, Kind
from tests.flows.kit import Place, direct, load, on_sqlite, only, shop, stage


def asked(place: Place, table: str, row: str) -> list[dict[str, Any]]:
    done = place.hdm("lineage", table, "--row", row, "--json")
    assert done.code == (0 if json.loads(done.out) else 1), done.said
    found: list[dict[str, Any]] = json.loads(done.out)
    return found


@pytest.mark.slow
def test_the_chunk_of_a_key_is_named_with_its_file_through_a_chain(tmp_path: Path) -> None:
    place = shop(tmp_path, 200, 9)
    only(place, stage("orders", place), load(place))
    assert place.hdm("run").code == 0
    cut = place.state("SELECT chunk_id, lo, hi FROM hdm_chunk WHERE corr_in IS NULL")
    assert len(cut) > 2
    seen = set()
    for number in (0, 49, 50, 123, 199):
        (found,) = asked(place, "orders", str(number))
        assert (found["brought"], found["why"]) == (YES, ""), found
        assert found["run"] == place.state("SELECT run_id FROM hdm_run")[0][0]
        root, last = found["path"]
        assert last == found["chunk"]
        files = {row[0] for row in place.state(f"SELECT uri FROM hdm_artifact WHERE chunk_id = '{root}'")}
        assert set(found["files"]) == files
        rows = place.state(f"SELECT rows_loaded FROM hdm_chunk WHERE chunk_id = '{root}'")
        assert rows[0][0] <= 60
        seen.add(root)
    assert len(seen) >= 3
    assert asked(place, "orders", "100000000") == asked(place, "orders", "id=100000000")
    done = place.hdm("lineage", "orders", "--row", "7")
    assert (done.code, "yes" in done.out) == (0, True), done.said


@pytest.mark.slow
def test_a_row_that_a_repair_may_have_written_is_perhaps(tmp_path: Path) -> None:
    place = shop(tmp_path, 40, 9)
    only(place, direct(place, "orders"))
    assert place.hdm("run").code == 0
    on_sqlite(place.target, "DELETE FROM orders WHERE id = 7")
    assert place.hdm("validate", "--repair").code == 0
    (found,) = asked(place, "orders", "7")
    assert (found["brought"], found["why"]) == (PERHAPS, "a repair wrote rows of the table since")


@pytest.mark.slow
def test_a_window_of_another_column_says_what_it_does_not_know(tmp_path: Path) -> None:
    place = shop(tmp_path, 120, 9)
    link = direct(place, "orders", watermark={"column": "changed"}, chunk={"rows": 1000})
    link["mode"] = "merge"
    only(place, link)
    assert place.hdm("run").code == 0
    place.sql("UPDATE orders SET changed = 500, cents = 1 WHERE id = 7")
    assert place.hdm("run").code == 0
    unsure = asked(place, "orders", "7")
    assert len(unsure) >= 2
    assert {one["brought"] for one in unsure} == {PERHAPS}
    assert any("give its value, too" in one["why"] for one in unsure), unsure
    sure = asked(place, "orders", "id=7,changed=500")
    assert {one["epoch"] for one in sure} == {2}, sure


@pytest.mark.slow
def test_waived_rows_are_said_to_be_missing_and_replaced_ones_are_left_out(tmp_path: Path) -> None:
    place = shop(tmp_path, 100, 30)
    link = direct(place, "orders")
    link["checks"] = [{"type": "RowCount", "max": 60}]
    link["source"]["conf"]["chunk"] = {"rows": 70}
    only(place, link)
    assert place.hdm("run").code == 1
    assert place.hdm("waive", "--by", "A. Person", "--reason", "the source is wrong").code == 0
    assert place.hdm("run").code == 0
    told = [one for number in range(0, 100, 9) for one in asked(place, "orders", str(number))]
    assert {one["brought"] for one in told} == {YES, WAIVED}
    assert all("A. Person" in one["why"] for one in told if one["brought"] == WAIVED)
    for row, said in (("nix=3", "no column 'nix'"), ("id=3,4", "cannot be read")):
        done = place.hdm("lineage", "orders", "--row", row)
        assert (done.code, said in done.err) == (2, True), done.said


TABLE = Table(
    Dataset("db", "t"),
    ("t",),
    (
        Column("id", Kind.INT64, pa.int64()),
        Column("name", Kind.TEXT, pa.string()),
        Column("day", Kind.TIMESTAMP, pa.timestamp("us")),
    ),
    ("id",),
)


def one(*conditions: Condition, upstream: str | None = None, **chunk: Any) -> dict[str, Any]:
    made = Chunk("job", TABLE.dataset, 1, conditions, upstream=upstream, **chunk)
    lines = [
        {
            "sink_column": name, "source_column": name, "expression": None,
            "transform_type": "DIRECT", "transform_subtype": "IDENTITY",
        }
        for name in ("id", "name", "day")
    ]  # fmt: skip
    names = "run_id manifest_name manifest_sha256 git_sha git_dirty started_by snapshot_token sink_name"
    job: dict[str, Any] = dict.fromkeys([*names.split(), "pipeline_key"])
    job |= {"epoch": 1, "mode": "append", "table": TABLE, "target": TABLE, "columns": lines}
    return {
        "chunk": made, "status": "verified", "committed_at": None, "job": job, "files": [], "waived": None,
        "legacy": False, "from": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("row", "conditions", "answer"),
    [
        ("id=10", [("id", ">=", "9"), ("id", "<", "100")], YES),
        ("id=100", [("id", ">=", "9"), ("id", "<", "100")], None),
        ("id=9", [("id", ">", "9")], None),
        ("id=NULL", [("id", "null", None)], YES),
        ("id=NULL", [("id", "<", "9")], None),
        ("id=NULL", [("id", "beyond", "9")], YES),
        ("id=10", [("id", "null", None)], None),
        ("id=8", [("id", "in", "3,7..9")], YES),
        ("id=10", [("id", "in", "3,7..9")], None),
        ("id=x", [("id", "in", "3,7..9")], PERHAPS),
        ("name=b", [("name", ">=", "a")], PERHAPS),
        ("name=b", [("name", "=", "b")], YES),
        ("name=B", [("name", "=", "b")], PERHAPS),
        ("id=10", [("@page", ">=", "0"), ("@page", "<", "9")], PERHAPS),
        ("id=10", [("name", ">=", "a")], PERHAPS),
        ("id=10", [("name", ">=", "a"), ("id", "<", "5")], None),
        ("day=2024-01-02", [("day", "<=", "2024-01-02 00:00:00")], YES),
        ("day=2024-01-02 00:00:01", [("day", "<=", "2024-01-02T00:00:00.999999")], None),
        ("day=2024-01-02 00:00:01", [("day", "<=", "2024-01-02 00:00:01.0000001")], PERHAPS),
        ("id=1", [], YES),
    ],
)  # fmt: skip
def test_a_condition_is_met_not_met_or_not_known(
    row: str, conditions: list[tuple[str, str, str | None]], answer: str | None
) -> None:
    found = find([one(*(Condition(*each) for each in conditions))], key_of(row, ("id",)))
    assert [each.brought for each in found] == ([answer] if answer else [])


def test_what_no_range_tells_is_perhaps() -> None:
    for unknown in (one(upstream="gone"), one(first_row=3), one(seen_key="point"), {**one(), "legacy": True}):
        (found,) = find([unknown], {"id": "1"})
        assert found.brought == PERHAPS
        assert found.why
    changed = one(Condition("id", "<", "9"))
    changed["job"]["columns"][0]["transform_subtype"] = "TRANSFORMATION"
    (found,) = find([changed], {"id": "1"})
    assert found.brought == PERHAPS


def test_of_several_merges_none_is_sure() -> None:
    merged = [one(Condition("id", "<", "9")), one(Condition("id", "<", "8"))]
    for each in merged:
        each["job"]["mode"] = "merge"
    assert [each.brought for each in find(merged, {"id": "1"})] == [PERHAPS] * 2
    assert [each.brought for each in find(merged, {"id": "8"})] == [YES]


def test_several_links_and_parts_of_a_file_are_perhaps() -> None:
    first, second = one(Condition("id", "<", "9")), one(Condition("id", "<", "9"))
    second["job"] = {**second["job"], "pipeline_key": "another"}
    assert [each.brought for each in find([first], {"id": "1"})] == [YES]
    assert [each.brought for each in find([first, second], {"id": "1"})] == [PERHAPS] * 2
    root = one(Condition("id", "<", "9"))
    two_files = {**root, "files": [{"uri": "file:a"}]}
    for above, part in ((root, {"first_row": 0}), (two_files, {"files": ()})):
        below = {**one(upstream=root["chunk"].chunk_id, **part), "from": above}
        assert [each.brought for each in find([below], {"id": "1"})] == [PERHAPS]
    below = {**one(upstream=root["chunk"].chunk_id), "from": root}
    assert [each.brought for each in find([below], {"id": "1"})] == [YES]
    assert find([below], {"id": "9"}) == []
    waived = {**one(Condition("name", "<", "b")), "status": "waived", "waived": "by A. Person: known"}
    (found,) = find([waived], {"id": "1"})
    assert (found.brought, "waived by A. Person" in found.why) == (PERHAPS, True)


def test_a_key_is_read_by_name_or_as_the_only_one() -> None:
    assert key_of("7", ("id",)) == {"id": "7"}
    assert key_of("a=1,b=NULL", ()) == {"a": "1", "b": None}
    assert key_of("NULL", ("id",)) == {"id": None}
    for text, key in (("7", ("a", "b")), ("7", ()), ("=3", ("a",)), ("a=1,2", ("a",)), ("a=1,a=2", ())):
        with pytest.raises(UsageError):
            key_of(text, key)
