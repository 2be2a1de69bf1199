"""The shipped sink suite and one flow by the command line, against each system that is named."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hdm.components.sink import Sink
from hdm.model import Table
from hdm.testing import SinkConformance
from hdm.testing.rows import as_rows, awkward_table
from hdm.testing.sinks import JOB, ReadBack
from tests.flows.kit import only, shop
from tests.live.named import SET, SYSTEMS, component
from tests.live.test_live import clear

pytestmark = pytest.mark.live
EXACT = ("medium", "big", "amount", "words", "raw", "moment")
LOSSY = {"ORACLE": ("medium", "big", "amount", "moment")}
"""Columns that a system keeps exactly: Oracle has '' for NULL."""


def pytest_generate_tests(metafunc: Any) -> None:
    if "system" in metafunc.fixturenames:
        metafunc.parametrize("system", SET)


class TestSink(SinkConformance):
    @pytest.fixture
    def table(self, system: str) -> Table:
        return awkward_table(LOSSY.get(system, EXACT), path=(f"HDM_LIVE_{uuid.uuid4().hex[:8].upper()}",))

    @pytest.fixture
    def subject(self, system: str, table: Table) -> Iterator[Sink]:
        one = component("sink", system, table_name=table.path[-1], allow_loss=True)
        yield one
        clear(one, table)

    @pytest.fixture
    def read_back(self, system: str) -> ReadBack:
        def read(sink: Sink, table: Table) -> list[tuple[Any, ...]]:
            one = component("source", system, table_name=table.path[-1])
            found = one.describe()
            with one.snapshot() as token:
                chunks = list(one.split(found, one.window(), JOB, token))
                batches = [batch for chunk in chunks for batch in one.read(found, chunk).batches()]
            whole = pa.Table.from_batches(batches, found.schema).select(table.schema.names)
            return as_rows(whole.cast(table.schema).to_batches())

        return read

    @pytest.fixture
    def secret(self, system: str) -> str | None:
        found: str = json.loads(os.environ[f"HDM_LIVE_{system}_URL"]).get("password") or ""
        return found if len(found) > 7 else None  # a short one is found in many a word


def test_a_manifest_moves_rows_there_and_back(system: str, tmp_path: Path) -> None:
    """SQLite -> the system -> SQLite, run twice: everything once."""
    name = f"HDM_LIVE_{uuid.uuid4().hex[:8].upper()}"
    place = shop(tmp_path, orders=120, items=1)
    place.profiles["live"] = json.loads(os.environ[f"HDM_LIVE_{system}_URL"])
    source, sink = SYSTEMS[system]
    read = {"env": "src", "table_name": "orders", "chunk": {"rows": 50}}
    there = {"env": "live", "table_name": name, "allow_loss": True}
    back = {"env": "live", "table_name": name, "chunk": {"rows": 50}}
    links = [
        {"source": {"name": "a", "type": "SQLiteSource", "conf": read},
         "sink": {"name": "b", "type": sink, "conf": there}, "allow_loss": True},
        {"source": {"name": "c", "type": source, "conf": back},
         "sink": {"name": "d", "type": "SQLiteSink", "conf": {"env": "dst", "table_name": "orders"}}},
    ]  # fmt: skip
    try:
        for link in links * 2:
            done = only(place, link).hdm("run")
            assert done.code == 0, done.said
        assert len(place.rows("orders")) == len(place.source_rows("orders")) == 120
    finally:
        one = component("sink", system, table_name=name, allow_loss=True)
        keys = [str(key) for (key,) in place.state("SELECT pipeline_key FROM hdm_job")]
        clear(one, Table(awkward_table().dataset, (name,), ()), keys)
