"""What ``hdm catalog`` says of a target and of what was accepted is so."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.flows.kit import Done, Place, run


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.sql("CREATE TABLE up (id INTEGER PRIMARY KEY)")
    place.sql("CREATE TABLE down (id INTEGER PRIMARY KEY, up INTEGER REFERENCES up)")
    return moving(place, "evolve")


def moving(place: Place, policy: str) -> Place:
    source = {"name": "s", "type": "SQLiteSource", "conf": {"env": "src", "include": ["*"]}}
    sink = {"name": "t", "type": "SQLiteSink", "conf": {"env": "dst"}}
    place.manifest = {
        "version": 1,
        "orchestrator": {"type": "AutoBatchOrchestrator"},
        "template_data_links": {"templates": [{"source": source, "sink": sink, "schema_policy": policy}]},
    }
    return place.write()


def catalog(place: Place, verb: str, *words: str) -> Done:
    return run(["catalog", verb, *place.args, *words], place.env)


def test_a_foreign_key_that_is_missing_is_a_difference(place: Place) -> None:
    assert place.hdm("run").code == 0
    assert catalog(place, "diff").out.strip() == "no difference"
    with sqlite3.connect(place.target) as target:
        target.execute("DROP TABLE down")
        target.execute("CREATE TABLE down (id INTEGER PRIMARY KEY, up INTEGER)")
    done = catalog(place, "diff", "--json")
    assert done.code == 1
    assert done.json == [
        {"change": "no foreign key", "object": "down", "column": "up", "detail": "to up"},
    ]


def test_accepting_what_is_not_there_is_a_mistake(place: Place) -> None:
    assert place.hdm("run").code == 0
    done = catalog(place, "accept", "dwon")
    assert done.code == 2
    assert "dwon is no table of the source" in done.said and "did you mean 'down'?" in done.said


@pytest.mark.parametrize("policy", ["evolve", "discard", "freeze", "fail"])
def test_a_dropped_table_can_be_accepted(place: Place, policy: str) -> None:
    assert moving(place, policy).hdm("run").code == 0
    place.sql("DROP TABLE down")
    assert place.hdm("run").code in (1, 2)
    done = catalog(place, "accept", "down")
    assert (done.code, done.out) == (0, "1 tables accepted: down (dropped)\n"), done.said
    for _ in range(2):
        done = place.hdm("run")
        assert done.code == 0, done.said
        assert "down" not in done.said
    with sqlite3.connect(place.target) as target:
        assert target.execute("SELECT count(*) FROM down").fetchone() == (0,)
    place.sql("CREATE TABLE down (id INTEGER PRIMARY KEY, up INTEGER REFERENCES up)")
    done = place.hdm("run")
    assert "new table" in done.said, "it is new to whoever accepted that it was gone"


def test_another_database_behind_a_connection_has_a_record_of_its_own(place: Place) -> None:
    assert moving(place, "fail").hdm("run").code == 0
    place.profiles["src"] = {"path": str(place.folder / "other.db")}
    with sqlite3.connect(place.folder / "other.db") as other:
        other.execute("CREATE TABLE far (id INTEGER PRIMARY KEY)")
    done = place.write().hdm("run")
    assert done.code == 0, done.said
    assert "dropped table" not in done.said
    place.profiles["dst"] = {"path": str(place.folder / "empty.db")}
    with sqlite3.connect(place.folder / "other.db") as other:
        other.execute("DROP TABLE far")
        other.execute("CREATE TABLE near (id INTEGER PRIMARY KEY)")
    done = place.write().hdm("run")
    assert done.code == 0, done.said
    assert "dropped table" not in done.said


def test_nothing_is_said_to_be_done_for_a_table_that_waits(place: Place) -> None:
    assert place.hdm("run").code == 0
    place.sql("DROP TABLE down")
    place.sql("CREATE TABLE down (id INTEGER PRIMARY KEY, more TEXT)")
    done = place.hdm("run")
    assert done.code == 1
    assert "waits for a person" in done.said
    assert "added" not in done.said
