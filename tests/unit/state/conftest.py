"""The store on three real databases, and the few words that every test of it needs."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hdm.model import (
    Chunk,
    Column,
    Condition,
    Dataset,
    Kind,
    Mode,
    Origin,
    Receipt,
    StagedFile,
    Table,
)
from hdm.state import Job, JobInfo, Lease, RunInfo, StateManager
from tests.servers.sqlserver import SQLServerDatabase, microsoft_driver

BACKENDS = ("sqlite", "postgres", "mariadb")
SHARED = (*BACKENDS, pytest.param("sqlserver", marks=pytest.mark.long))
"""SQL Server is a stand-in over TDS, by Microsoft's driver; ``test_on_sqlserver.py`` is for every day."""


def table(
    name: str, namespace: str = "src", cursor: str | None = "id", extra: tuple[Column, ...] = ()
) -> Table:
    columns = (
        Column("id", Kind.INT64, pa.int64(), False, "bigint"),
        Column("ssn", Kind.TEXT, pa.string(), native="text"),
        *extra,
    )
    return Table(Dataset(namespace, name), (name,), columns, ("id",), cursor)


def run_info(name: str = "m", host: str = "here") -> RunInfo:
    return RunInfo(name, "0" * 64, "test", "tester", "a" * 40, False, "0.1", host)


@dataclass
class World:
    """A run with one worker, and short words for what a worker does."""

    store: StateManager
    key: str = field(default_factory=lambda: f"p-{uuid.uuid4().hex}")
    run: str = ""
    worker: str = ""

    def __post_init__(self) -> None:
        self.run = self.store.runs.open(run_info(self.key))
        self.worker = self.new_worker()

    def new_worker(self, site: str | None = None) -> str:
        return self.store.workers.register(self.run, "here", os.getpid(), "token", "0.1", site)

    def info(self, key: str | None = None, **changes: Any) -> JobInfo:
        values: dict[str, Any] = {
            "pipeline_key": key or self.key,
            "link_key": "link",
            "stage_no": 0,
            "source_name": "in",
            "source_type": "PostgresSource",
            "sink_name": "out",
            "sink_type": "FSSink",
            "source": table(f"{self.key}.t"),
            "target": table(f"{self.key}.u", "dst", None),
            "mode": Mode.APPEND,
        }
        values |= changes
        values.setdefault(
            "origins", tuple(Origin(column.name, (column.name,)) for column in values["source"].columns)
        )
        return JobInfo(**values)

    def chunks(self, job: Job, count: int, start: int = 0, **changes: Any) -> list[Chunk]:
        return [
            Chunk(
                job.pipeline_key,
                job.info.source.dataset,
                n,
                (Condition("id", ">=", str(n * 10)), Condition("id", "<", str(n * 10 + 10))),
                schema_sha=job.info.source.schema_sha,
                epoch=job.epoch,
                upto=str(n * 10 + 9),
            ).at(**changes)
            for n in range(start, start + count)
        ]

    def planned(self, count: int, **changes: Any) -> Job:
        job = self.store.jobs.open(self.run, self.info(**changes))
        self.store.jobs.plan(job, self.chunks(job, count), wm_high=str(count * 10))
        return job

    def claim(self, worker: str | None = None, **options: Any) -> Lease:
        lease = self.store.chunks.claim(worker or self.worker, self.run, **options)
        assert lease is not None
        return lease

    def finish(self, lease: Lease, rows: int = 10, target_rows: int | None = None, **changes: Any) -> Receipt:
        receipt = receipt_of(lease, rows, **changes)
        self.store.chunks.wrote(lease, receipt)
        self.store.chunks.commit(lease, receipt, target_rows=target_rows)
        return receipt

    def query(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        """Rows of a plain statement, past the store's own words."""
        from sqlalchemy import text

        found = self.store._base.db.read(lambda conn: conn.execute(text(sql), values).all())
        return [tuple(row) for row in found]

    def alter(self, sql: str, **values: Any) -> int:
        """A change behind the store's back."""
        from sqlalchemy import text

        return self.store._base.db.run(lambda conn: conn.execute(text(sql), values).rowcount)

    def expire(self, lease: Lease) -> None:
        self.alter(
            "UPDATE hdm_chunk SET lease_expires_at = '2000-01-01T00:00:00.000000Z' WHERE chunk_id = :id",
            id=lease.chunk_id,
        )
        self.store._base.looked.clear()  # a look for expired leases is due

    def row(self, chunk_id: str, *columns: str) -> tuple[Any, ...]:
        return self.query(f"SELECT {', '.join(columns)} FROM hdm_chunk WHERE chunk_id = :id", id=chunk_id)[0]

    def events(self, chunk_id: str | None = None) -> list[str]:
        rows = self.store.runs.events(self.run)
        return [r["event_type"] for r in rows if chunk_id is None or r["chunk_id"] == chunk_id]


def in_threads(count: int, work: Callable[[], None]) -> None:
    """Carry out ``work`` in so many threads at once."""
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def receipt_of(lease: Lease, rows: int = 10, **changes: Any) -> Receipt:
    values: dict[str, Any] = {
        "rows": rows,
        "bytes": 100,
        "extracted": rows,
        "files": (file_of(lease),),
        "location": "file:///stage",
    }
    return Receipt(lease.chunk_id, lease.attempt, **{**values, **changes})


def file_of(lease: Lease) -> StagedFile:
    return StagedFile(f"file:///stage/{lease.chunk_id}.parquet", "parquet", 100, 10, "f" * 64)


def url_of(database: Any) -> str:
    """The URL of a state database in an empty database of the tests."""
    made: str = database.url(microsoft_driver()) if isinstance(database, SQLServerDatabase) else database.url
    return made


@pytest.fixture(scope="session")
def sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('state')}/state.db"


@pytest.fixture(scope="session", params=SHARED)
def shared_url(request: pytest.FixtureRequest, sqlite_file: str) -> str:
    """A state database that tests share; they keep apart by their pipeline keys."""
    if request.param == "sqlite":
        return sqlite_file
    return url_of(request.getfixturevalue(f"fresh_{request.param}")())


@pytest.fixture(scope="session")
def shared_store(shared_url: str) -> Iterator[StateManager]:
    with StateManager.open(shared_url, lease_ttl=20) as store:
        yield store


@pytest.fixture
def world(shared_store: StateManager) -> World:
    return World(shared_store)


@pytest.fixture(params=BACKENDS)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without anything in it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/fresh.db"
    return url_of(request.getfixturevalue(f"fresh_{request.param}")())


@pytest.fixture
def alone(empty_url: str) -> Iterator[World]:
    """A world that has its database to itself."""
    with StateManager.open(empty_url) as store:
        yield World(store)
