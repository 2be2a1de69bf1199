"""A partitioned table under ``include``: made with its partitions, moved once. And tables that inherit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.flows.kit import Place, on_sqlite
from tests.servers.process import Database

PARTS = """
CREATE SCHEMA app;
CREATE TABLE app.event (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE app.event_a PARTITION OF app.event FOR VALUES FROM ('2024-01-01') TO ('2024-07-01');
CREATE TABLE app.event_b PARTITION OF app.event FOR VALUES FROM ('2024-07-01') TO ('2025-01-01')
  PARTITION BY RANGE (day);
CREATE TABLE app.event_b1 PARTITION OF app.event_b FOR VALUES FROM ('2024-07-01') TO ('2025-01-01');
INSERT INTO app.event SELECT n, date '2024-01-01' + n % 360 FROM generate_series(1, 1000) n;
"""


@pytest.fixture
def place(tmp_path: Path, fresh_postgres: Callable[..., Database]) -> Place:
    place, source, target = Place(tmp_path), fresh_postgres(), fresh_postgres()
    with psycopg.connect(source.dsn) as connection:
        connection.execute(PARTS)
        connection.execute("ANALYZE app.event")
    place.profiles |= {"src": source.profile, "wh": target.profile}
    place.dsn, place.source_dsn = target.dsn, source.dsn  # type: ignore[attr-defined]
    return place


def moving(place: Place, sink: str, env: str, include: str) -> Place:
    source = {"name": "s", "type": "PostgresSource", "conf": {"env": "src", "include": [include]}}
    template = {"source": source, "sink": {"name": "t", "type": sink, "conf": {"env": env}}}
    place.manifest = {
        "version": 1,
        "orchestrator": {"type": "AutoBatchOrchestrator"},
        "template_data_links": {"templates": [template]},
    }
    return place.write()


def test_parent_and_partitions_are_made_and_rows_arrive_once(place: Place) -> None:
    moving(place, "PostgresSink", "wh", "app.*")
    for _ in range(2):
        done = place.hdm("run")
        assert done.code == 0, done.said
        with psycopg.connect(place.dsn) as target:  # type: ignore[attr-defined]
            assert target.execute("SELECT count(*), count(DISTINCT id) FROM app.event").fetchone() == (
                1000,
                1000,
            )
            assert target.execute("SELECT count(*) FROM pg_inherits").fetchone() == (6,)  # tables and keys
            assert target.execute("SELECT count(*) FROM app.event_a").fetchone() == (545,)
    assert [one["table"].split(".")[-1] for one in place.hdm("plan", "--json").json] == ["event"]


def test_a_partition_alone_is_a_table_like_others(place: Place) -> None:
    moving(place, "SQLiteSink", "dst", "app.event_a")
    assert place.hdm("run").code == 0
    assert len(place.rows("event_a")) == 545
    moving(place, "PostgresSink", "wh", "app.event_a")
    done = place.hdm("run")
    assert done.code == 0, done.said


def test_assess_counts_partitions_once(place: Place) -> None:
    moving(place, "SQLiteSink", "dst", "app.*")
    found = place.hdm("assess", "--json", "-").json
    assert [one["table"] for one in found["tables"]] == ["app.event"]
    assert found["totals"]["rows"] == 1000


HEIRS = """
CREATE TABLE app.staff (id int PRIMARY KEY, name text);
CREATE TABLE app.lead (bonus int, PRIMARY KEY (id)) INHERITS (app.staff);
CREATE TABLE app.chief (seat text, PRIMARY KEY (id)) INHERITS (app.lead);
INSERT INTO app.staff SELECT n, 's' FROM generate_series(1, 100) n;
INSERT INTO app.lead SELECT n, 'l', n FROM generate_series(101, 130) n;
INSERT INTO app.chief SELECT n, 'c', n, 'x' FROM generate_series(131, 135) n;
"""
COUNTS = {"staff": 100, "lead": 30, "chief": 5}


def changed_source(place: Place, sql: str) -> None:
    with psycopg.connect(place.source_dsn) as connection:  # type: ignore[attr-defined]
        connection.execute(sql)


@pytest.mark.parametrize(("sink", "env"), [("PostgresSink", "wh"), ("SQLiteSink", "dst")])
def test_rows_of_tables_that_inherit_arrive_once_and_whole(place: Place, sink: str, env: str) -> None:
    """A parent's own rows in the parent's table, an heir's in its own, with the columns that it has more."""
    changed_source(place, HEIRS)
    moving(place, sink, env, "app.*")
    place.manifest["template_data_links"]["templates"][0]["source"]["conf"]["exclude"] = ["app.event*"]
    place.write()
    plan = place.hdm("plan")
    assert "app.staff: read without the rows of app.chief, app.lead, which inherit from it" in plan.said
    done = place.hdm("run")
    assert done.code == 0, done.said

    def held(sql: str) -> list[tuple[object, ...]]:
        if env == "dst":
            return place.rows(sql.removeprefix("app."))
        with psycopg.connect(place.dsn) as target:  # type: ignore[attr-defined]
            return target.execute(f"SELECT * FROM {sql}").fetchall()

    assert {name: len(held(f"app.{name}")) for name in COUNTS} == COUNTS
    assert (135, "c", 135, "x") in held("app.chief")


def test_a_parent_alone_is_read_with_its_heirs_and_only_without(place: Place) -> None:
    """Nothing else moves their rows; ``only`` says otherwise, also where edges are sampled."""
    changed_source(place, HEIRS)
    moving(place, "SQLiteSink", "dst", "app.staff")
    done = place.hdm("run")
    assert done.code == 0, done.said
    assert len(place.rows("staff")) == 135
    moving(place, "SQLiteSink", "other", "app.staff")
    place.profiles["other"] = {"path": str(place.folder / "other.db")}
    conf = place.manifest["template_data_links"]["templates"][0]["source"]["conf"]
    conf |= {"only": True, "chunk": {"rows": 30}}
    place.write()
    done = place.hdm("run")
    assert done.code == 0, done.said
    assert on_sqlite(place.folder / "other.db", "SELECT COUNT(*) FROM staff") == [(100,)]
