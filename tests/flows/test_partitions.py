"""A partitioned table under ``include``: made with its partitions, moved once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.flows.kit import Place
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
    place.dsn = target.dsn  # type: ignore[attr-defined]
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
