"""Many tables at once: one that is wrong stops itself alone, and looking at all of them stays cheap."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from hdm.connectors.sqlite import SQLiteDatabase
from tests.flows.kit import Place, direct, shop

MANY = 60


def batch(place: Place, *tables: str) -> Place:
    link: dict[str, Any] = direct(place, "x")
    scenarios = [{"table": name} for name in tables]
    link["batch_definition"] = {"source_name": "src", "scenarios": scenarios}
    link["source"]["conf"]["table_name"] = "<<table>>"
    place.manifest["orchestrator"] = {"type": "BatchOrchestrator", "conf": {"workers": 2}}
    del place.manifest["declared_data_links"]
    place.manifest["template_data_links"] = {"templates": [link]}
    return place.write()


def schema(place: Place) -> Place:
    link = direct(place, "x")
    link["source"]["conf"] = {"env": "src", "include": ["*"]}
    place.manifest["orchestrator"] = {"type": "AutoBatchOrchestrator", "conf": {"workers": 2}}
    del place.manifest["declared_data_links"]
    place.manifest["template_data_links"] = {"templates": [link]}
    return place.write()


def test_a_wrong_table_of_a_batch_stops_itself_alone(tmp_path: Path) -> None:
    place = batch(shop(tmp_path), "orders", "nosuch", "items")
    planned = place.hdm("plan")
    assert planned.code == 1
    assert "cannot be moved: " in planned.err and "source src: there is no table nosuch in " in planned.err
    done = place.hdm("run")
    assert done.code == 1
    assert "there is no table nosuch in " in done.err
    for table in ("orders", "items"):
        assert place.rows(table) == place.source_rows(table)
    assert place.hdm("status").code == 1
    place.sql("CREATE TABLE nosuch (id INTEGER PRIMARY KEY)")
    assert place.hdm("run").code == 0


def test_a_batch_of_which_nothing_can_be_moved_is_told_whole_and_does_nothing(tmp_path: Path) -> None:
    place = batch(shop(tmp_path), "nosuch", "neither")
    done = place.hdm("run")
    assert done.code == 2
    assert "2 links cannot be carried out:" in done.err
    assert "no table nosuch" in done.err and "no table neither" in done.err
    assert not place.target.exists()


def test_all_that_is_wrong_with_declared_links_is_told_at_once(tmp_path: Path) -> None:
    place = shop(tmp_path)
    first, second, _ = place.manifest["declared_data_links"]["stages"]
    first["source"]["conf"]["table_name"] = "nosuch"
    second["source"]["conf"]["where"] = "nothing = 1"
    done = place.write().hdm("run")
    assert done.code == 2
    assert "no table nosuch" in done.err and "refuses where" in done.err
    assert not place.target.exists()


def test_a_view_that_is_broken_does_not_stop_a_schema(tmp_path: Path) -> None:
    place = schema(shop(tmp_path))
    place.sql("CREATE TABLE gone (id INTEGER)")
    place.sql("CREATE VIEW broken AS SELECT id FROM gone")
    place.sql("DROP TABLE gone")
    done = place.hdm("run")
    assert done.code == 0, done.said
    assert "1 manual" in done.said
    assert place.rows("orders") == place.source_rows("orders")


def test_many_tables_are_looked_at_in_few_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite reads its whole schema for each session: one for each table is a square of work."""
    place = shop(tmp_path, orders=3, items=3)
    with sqlite3.connect(place.source) as connection:
        for number in range(MANY):
            connection.execute(f"CREATE TABLE t{number} (id INTEGER PRIMARY KEY, changed INTEGER)")
    opened: list[str] = []
    real = SQLiteDatabase.connect

    def connect(self: SQLiteDatabase, label: str = "hdm", *, write: bool = False) -> Any:
        opened.append(label)
        return real(self, label, write=write)

    monkeypatch.setattr(SQLiteDatabase, "connect", connect)
    done = schema(place).hdm("plan")
    assert done.code == 0, done.said
    assert len(done.out.splitlines()) > MANY
    assert len(opened) < 10, opened
