"""Rows that a target refuses are found without a trace in it, by themselves or together with others."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hdm.components.check import Check
from hdm.connectors.duckdb import DuckDBSink
from hdm.connectors.mysql import MariaDBSink
from hdm.connectors.postgres import PostgresSink
from hdm.connectors.sqlite import SQLiteSink
from hdm.errors import RejectedRows
from hdm.files import quarantine
from hdm.files.stores.base import LocalStore
from hdm.model import Attempt, Chunk, Column, Dataset, Kind, Mode, Payload, Table
from hdm.runtime import bisecting
from hdm.runtime.bisecting import load_others
from hdm.runtime.checking import Sieve
from hdm.sql.sink import SqlSink

JOB = "0123456789abcdef" * 2
TABLE = Table(
    Dataset("list", "facts"),
    ("facts",),
    (Column("id", Kind.INT64, pa.int64()), Column("code", Kind.TEXT, pa.string(), length=9)),
)
DDL = "CREATE TABLE facts (id BIGINT, code VARCHAR(9) UNIQUE, CHECK (id < 1000))"
CHUNK = Chunk(JOB, TABLE.dataset, 0)


@pytest.fixture(params=["sqlite", "duckdb", "postgres", "mariadb"])
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> SqlSink:
    kinds: dict[str, type[SqlSink]] = {
        "sqlite": SQLiteSink, "duckdb": DuckDBSink, "postgres": PostgresSink, "mariadb": MariaDBSink,
    }  # fmt: skip
    kind = kinds[request.param]
    if request.param in ("sqlite", "duckdb"):
        profile: dict[str, Any] = {"path": str(tmp_path / "a.db")}
    else:
        profile = dict(request.getfixturevalue(f"fresh_{request.param}")().profile)
    assert kind.Profile is not None
    made = kind(kind.Config.model_validate({"table_name": "facts"}), kind.Profile.model_validate(profile))
    with closing(made.database.connect("test", write=True)) as connection:
        made.database.begin(connection, write=True)
        made.database.change(connection, DDL)
        made.database.commit(connection)
    made.prepare(TABLE, JOB, 1, Mode.APPEND)
    return made


def batches(rows: list[tuple[int, str]], size: int = 30) -> list[pa.RecordBatch]:
    parts = [rows[start : start + size] for start in range(0, len(rows), size)]
    return [
        pa.RecordBatch.from_pylist([{"id": one, "code": code} for one, code in part], schema=TABLE.schema)
        for part in parts
    ]


def loaded(sink: SqlSink, store: LocalStore, rows: list[tuple[int, str]]) -> Any:
    def make() -> list[Check]:
        return []

    sieve = Sieve(make, store, TABLE, CHUNK, 1, finishes=False)

    def through() -> Any:
        flight = sieve.begin()
        for batch in batches(rows):
            payload.tally.extracted += batch.num_rows
            yield flight.look(batch)

    payload = Payload(TABLE, through)
    return load_others(sink, TABLE, CHUNK, Attempt(1), Mode.APPEND, payload, sieve)


def test_the_rows_that_are_refused_are_set_aside_and_all_others_loaded(sink: SqlSink, tmp_path: Path) -> None:
    rows = [(n, f"c{n}") for n in range(100)]
    rows[7], rows[64], rows[99] = (5000, "c7"), (5001, "c64"), (5002, "c99")  # by themselves
    rows[90], rows[91] = (90, "c3"), (91, "c3")  # together with row 3
    store = LocalStore(tmp_path / "aside")
    receipt = loaded(sink, store, rows)
    assert (receipt.rows, receipt.rejected, receipt.extracted) == (95, 5, 100)
    assert sink.rows(TABLE) == 95
    assert sink.committed(TABLE, CHUNK, Mode.APPEND) == receipt  # the ledger names the file, too
    assert receipt.quarantine is not None
    (held,) = quarantine.read(store, receipt.quarantine)
    assert held.column("row_no").to_pylist() == [8, 65, 91, 92, 100]
    assert [row["id"] for row in held.column("row").to_pylist()] == [5000, 5001, 90, 91, 5002]
    assert set(held.column("rule").to_pylist()) == {"target"}
    assert all(text.startswith("RejectedRows: ") for text in held.column("reason").to_pylist())


def test_a_chunk_with_too_many_is_refused_as_a_whole(
    sink: SqlSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bisecting, "MOST_REFUSED", 2)
    rows = [(5000 + n if n % 5 == 0 else n, f"c{n}") for n in range(30)]
    with pytest.raises(RejectedRows):
        loaded(sink, LocalStore(tmp_path / "aside"), rows)
    assert sink.rows(TABLE) == 0 and sink.committed(TABLE, CHUNK, Mode.APPEND) is None
