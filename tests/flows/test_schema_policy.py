"""A source whose columns change between two runs, under each ``schema_policy`` of a written link."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.flows.kit import Place, direct, load, only, shop, stage

ADDED, DROPPED, RENAMED = "ADD COLUMN n TEXT", "DROP COLUMN what", "RENAME COLUMN what TO which"
OUTCOMES = {
    ("fail", ADDED): "new column: items.n",
    ("fail", DROPPED): "dropped column: items.what",
    ("freeze", ADDED): "items waits for a person, as schema_policy is freeze: new column",
    ("freeze", DROPPED): "items waits for a person",
    ("discard", ADDED): "",
    ("discard", DROPPED): "items waits for a person, as schema_policy is discard: dropped column: items.what",
    ("discard", RENAMED): "items waits for a person",
    ("evolve", ADDED): "",
    ("evolve", DROPPED): "items waits for a person, as schema_policy is evolve: dropped column: items.what",
    ("evolve", RENAMED): "items waits for a person",
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return shop(tmp_path, orders=5, items=3)


def follow(place: Place, policy: str, kind: str = "direct", **more: Any) -> Place:
    """A link from ``items`` by its order, in one hop or through files."""
    mark = {"column": "order_id"}
    reads = (
        direct(place, "items", watermark=mark) if kind == "direct" else stage("items", place, watermark=mark)
    )
    link = {**reads, "schema_policy": policy, **more}
    links = [link, load(place)] if kind == "chain" else [link]
    return only(place, *links)


def change(place: Place, ddl: str) -> None:
    place.sql(f"ALTER TABLE items {ddl}")
    extra = ", n" if ddl == ADDED else ""
    place.sql(f"INSERT INTO items (order_id, line{extra}) VALUES (100, 0{', 1' if extra else ''})")


@pytest.mark.parametrize("kind", ["direct", "chain"])
@pytest.mark.parametrize(("policy", "ddl"), OUTCOMES)
def test_each_change_is_treated_as_its_policy_says(place: Place, policy: str, ddl: str, kind: str) -> None:
    assert follow(place, policy, kind).hdm("run").code == 0
    before = place.rows("items")
    change(place, ddl)
    said, done = OUTCOMES[policy, ddl], place.hdm("run")
    if said:
        assert (done.code, place.rows("items")) == (1, before)
        assert said in done.err
        assert said in place.hdm("plan").err
        return
    assert done.code == 0, done.err
    if policy == "evolve":
        assert place.rows("items", "order_id, n")[-1] == (100, "1")
        assert "rows that were moved before have NULL there" in done.err
    else:
        assert len(place.rows("items")) == 4
        assert "new, and left out: n" in done.err
    assert "nothing moved" in place.hdm("run").err


def test_a_policy_fail_stops_the_run_before_anything_moves(place: Place) -> None:
    both = [{**direct(place, "items", watermark={"column": "order_id"}), "schema_policy": "fail"}]
    both.append(direct(place, "orders", watermark={"column": "id"}))
    both[1]["source"]["name"], both[1]["sink"]["name"] = "src2", "dst2"
    assert only(place, *both).hdm("run").code == 0
    change(place, ADDED)
    place.sql("INSERT INTO orders VALUES (99, 'c', 1, 1)")
    assert place.hdm("run").code == 1
    assert len(place.rows("orders")) == 5
    both[0]["schema_policy"] = "freeze"
    assert only(place, *both).hdm("run").code == 1
    assert len(place.rows("orders")) == 6


def test_a_column_that_may_go_is_named(place: Place) -> None:
    assert follow(place, "evolve").hdm("run").code == 0
    change(place, DROPPED)
    assert follow(place, "evolve", allow_loss=True).hdm("run").code == 1
    done = follow(place, "evolve", allow_loss=["what"]).hdm("run")
    assert done.code == 0
    assert place.rows("items", "order_id, what")[-1] == (100, None)
    assert follow(place, "fail").hdm("run").code == 0, "what was accepted is no change any more"


def test_templates_obey_it_too(place: Place) -> None:
    template = {
        **direct(place, "<<table>>", watermark={"column": "order_id"}),
        "schema_policy": "fail",
        "batch_definition": {"source_name": "src", "scenarios": [{"table": "items"}]},
    }
    place.manifest = {"version": 1, "template_data_links": {"templates": [template]}}
    assert place.write().hdm("run").code == 0
    change(place, DROPPED)
    assert place.hdm("run").code == 1


def test_files_whose_columns_change_are_held_to_it(place: Place) -> None:
    link = load(place)
    link["schema_policy"] = "discard"
    place.stage.mkdir()
    file = place.stage / "t.jsonl"
    file.write_text(json.dumps({"a": "1"}) + "\n")
    assert only(place, link).hdm("run").code == 0
    file.write_text(json.dumps({"a": "1"}) + "\n" + json.dumps({"a": "2", "b": "x"}) + "\n")
    held = place.hdm("run")
    assert held.code == 1
    assert "FSSource cannot leave out b" in held.err
    link["schema_policy"] = "evolve"
    assert only(place, link).hdm("run").code == 0
    assert place.rows("t") == [("1", None), ("2", "x")]


def test_a_policy_without_effect_is_refused(place: Place) -> None:
    links = [stage("items", place), {**load(place), "schema_policy": "evolve"}]
    refused = only(place, *links).hdm("plan")
    assert refused.code == 2
    assert "schema_policy: evolve has no effect here" in refused.err
