"""Into a target with foreign keys, rows that others refer to are loaded first, in every run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.flows.kit import Place
from tests.servers.process import Database

TABLES = ("achild", "bchild", "zparent")  # in the wrong order


@pytest.fixture
def place(tmp_path: Path, fresh_postgres: Callable[..., Database]) -> Place:
    place, target = Place(tmp_path), fresh_postgres()
    place.profiles["wh"] = target.profile
    place.sql("CREATE TABLE zparent (id INTEGER PRIMARY KEY)")
    place.sql("CREATE TABLE bchild (id INTEGER PRIMARY KEY, up INTEGER)")
    place.sql("CREATE TABLE achild (id INTEGER PRIMARY KEY, up INTEGER)")
    with psycopg.connect(target.dsn) as connection:
        connection.execute(
            "CREATE TABLE zparent (id bigint PRIMARY KEY);"
            "CREATE TABLE bchild (id bigint PRIMARY KEY, up bigint REFERENCES zparent);"
            "CREATE TABLE achild (id bigint PRIMARY KEY, up bigint REFERENCES bchild)"
        )
    place.dsn = target.dsn  # type: ignore[attr-defined]
    return place


def links(kind: str, place: Place) -> list[dict[str, Any]]:
    made = []
    for table in TABLES:
        conf = {"env": "src", "table_name": table, "watermark": {"column": "id"}, "chunk": {"rows": 40}}
        source = {"name": f"from {table}", "type": "SQLiteSource", "conf": conf}
        sink = {"name": f"to {table}", "type": "PostgresSink", "conf": {"env": "wh"}}
        if kind == "direct":
            made.append({"source": source, "sink": sink, "mode": "append"})
            continue
        folder = {"directory": str(place.stage / table)}
        staged = f"files of {table}"
        made.append({"source": source, "sink": {"name": staged, "type": "FSSink", "conf": folder}})
        made.append({"source": {"name": staged, "type": "FSSource", "conf": folder}, "sink": sink})
    return made


@pytest.mark.parametrize(("kind", "workers"), [("direct", 1), ("direct", 4), ("chain", 4)])
def test_increments_go_in_the_order_of_the_keys(place: Place, kind: str, workers: int) -> None:
    place.manifest = {
        "version": 1,
        "orchestrator": {"type": "DeclaredOrchestrator", "conf": {"workers": workers}},
        "declared_data_links": {"stages": links(kind, place)},
    }
    place.write()
    for turn in range(1, 4):
        for table in TABLES:
            rows = [
                (turn * 1000 + n, *(() if table == "zparent" else (turn * 1000 + n,))) for n in range(100)
            ]
            place.sql(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
        done = place.hdm("run")
        assert done.code == 0, done.said
        with psycopg.connect(place.dsn) as target:  # type: ignore[attr-defined]
            for table in TABLES:
                assert target.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() == (turn * 100,)
    tried = place.state("SELECT max(attempt) FROM hdm_chunk")
    assert tried == [(1,)]


def test_a_parent_that_fails_does_not_keep_its_children(place: Place) -> None:
    place.manifest = {"version": 1, "declared_data_links": {"stages": links("direct", place)}}
    place.sql("INSERT INTO zparent VALUES (1)")
    assert place.write().hdm("run").code == 0
    place.sql("INSERT INTO bchild VALUES (5, 1)")
    place.sql("ALTER TABLE zparent ADD b TEXT NOT NULL DEFAULT 'x'")  # the target has no such column
    done = place.hdm("run")
    assert done.code == 1, done.said
    with psycopg.connect(place.dsn) as target:  # type: ignore[attr-defined]
        assert target.execute("SELECT id FROM bchild").fetchall() == [(5,)]


def test_rows_that_refer_to_each_other_in_any_order_arrive(place: Place) -> None:
    """Of a circle of keys, and of a table that refers to itself, a chunk waits for the other chunks."""
    with psycopg.connect(place.dsn) as target:  # type: ignore[attr-defined]
        target.execute("ALTER TABLE zparent ADD up bigint REFERENCES achild")
        target.execute("ALTER TABLE zparent ADD own bigint REFERENCES zparent")
    place.sql("ALTER TABLE zparent ADD up INTEGER")
    place.sql("ALTER TABLE zparent ADD own INTEGER")
    place.sql("INSERT INTO bchild VALUES (1, NULL), (50, 3)")
    place.sql("INSERT INTO achild VALUES (1, NULL), (2, 50)")
    place.sql("INSERT INTO zparent VALUES (1, NULL, 150), (3, 1, NULL)")
    place.sql("INSERT INTO zparent VALUES (?, NULL, NULL)", [(n,) for n in range(4, 160)])
    place.manifest = {"version": 1, "declared_data_links": {"stages": links("direct", place)}}
    done = place.write().hdm("run")
    assert done.code == 0, done.said
    with psycopg.connect(place.dsn) as target:  # type: ignore[attr-defined]
        counts = [target.execute(f"SELECT count(*) FROM {t}".encode()).fetchone() for t in TABLES]
        assert counts == [(2,), (2,), (158,)]


def test_what_refers_to_nothing_dies_with_the_way_out(place: Place) -> None:
    place.sql("INSERT INTO bchild VALUES (1, 404)")
    place.manifest = {"version": 1, "declared_data_links": {"stages": links("direct", place)}}
    done = place.write().hdm("run")
    assert done.code == 1, done.said
    assert "23503" in done.said and "load the table that the key refers to" in done.said
    place.sql("INSERT INTO zparent VALUES (404)")
    assert place.hdm("retry").code == 0
    assert place.hdm("run").code == 0
