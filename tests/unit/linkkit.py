"""A run on a real SQLite state, a source of listed rows and a sink that is a shelf in memory."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from hdm.components.sink import Sink
from hdm.components.source import Source
from hdm.model import (
    Attempt,
    Chunk,
    Column,
    ComponentSpec,
    Condition,
    Dataset,
    Kind,
    LinkSpec,
    Mode,
    Payload,
    Receipt,
    StagedFile,
    Table,
    Window,
)
from hdm.planning.planner import Planner
from hdm.planning.preflight import preflight
from hdm.runtime.link import DataLink
from hdm.state import Job, Lease, RunInfo, StateManager

COLUMNS = (
    Column("id", Kind.INT64, pa.int64(), False, "bigint"),
    Column("word", Kind.TEXT, pa.string(), native="text"),
)
TABLE = Table(Dataset("list", "words"), ("words",), COLUMNS, ("id",), "id")
SCHEMA = TABLE.schema


def batch(*rows: tuple[Any, Any], schema: pa.Schema = SCHEMA) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        [dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema
    )


def words(count: int, start: int = 0) -> list[tuple[int, str]]:
    return [(n, f"word {n}") for n in range(start, start + count)]


def nothing(*_: Any) -> None:
    """A hook that does nothing."""


class Listed(Source):
    """Rows from a list, two to a chunk, in batches of one row.

    ``marks`` are set on every chunk; ``above`` stands in for the watermark."""

    def __init__(self, rows: list[tuple[Any, Any]], table: Table = TABLE) -> None:
        super().__init__(self.Config())
        self.rows, self.table, self.per_chunk = rows, table, 2
        self.before_read: Callable[[Chunk], None] = nothing
        self.before_split: Callable[[], None] = nothing
        self.reads: list[Chunk] = []
        self.held: list[str] = []
        self.files: tuple[StagedFile, ...] = ()
        self.gives: pa.Schema = table.schema
        self.marks: dict[str, Any] = {}
        self.above: int | None = None

    def describe(self) -> Table:
        return self.table

    @contextmanager
    def snapshot(self) -> Iterator[str | None]:
        self.held.append(self.table.dataset.name)
        yield "token"
        self.held.remove(self.table.dataset.name)

    def window(self) -> Window:
        return Window(column=self.table.cursor)

    def split(self, table: Table, window: Window, job_key: str, snapshot: str | None) -> Iterator[Chunk]:
        self.before_split()
        after = self.above if self.above is not None else int(window.after or -1)
        left = [row[0] for row in self.rows if row[0] > after]
        for number, start in enumerate(range(0, len(left), self.per_chunk)):
            ids = left[start : start + self.per_chunk]
            yield Chunk(
                job_key,
                table.dataset,
                number,
                (Condition("id", ">=", str(ids[0])), Condition("id", "<", str(ids[-1] + 1))),
                schema_sha=table.schema_sha,
                snapshot=snapshot,
                upto=str(ids[-1]) if table.cursor else None,
            ).at(**self.marks)

    def read(self, table: Table, chunk: Chunk) -> Payload:
        self.reads.append(chunk)
        self.before_read(chunk)
        if chunk.files:
            found = self.rows
        else:
            low, high = (int(condition.value or 0) for condition in chunk.conditions)
            found = [row for row in self.rows if low <= row[0] < high]
        return Payload(
            table,
            lambda: iter([batch(row, schema=self.gives) for row in found]),
            files=self.files,
            open=(lambda file: None) if self.files else None,  # type: ignore[arg-type,return-value]
        )


class Shelf(Sink):
    """Keeps rows by chunk: ``hidden`` until they are published, then in ``shown``.

    ``shelf`` may be shared by two sinks, as two processes share a target.
    """

    modes = frozenset({Mode.APPEND, Mode.REPLACE})

    def __init__(self, name: str = "shelf") -> None:
        super().__init__(self.Config(), name=name)
        self.hidden: dict[tuple[str, int], list[dict[str, Any]]] = {}
        self.shown: dict[str, tuple[Chunk, Receipt, list[dict[str, Any]]]] = {}
        self.calls: list[str] = []
        self.before: dict[str, Callable[..., None]] = {}
        self.payloads: list[Payload] = []
        self.drops = 0

    def _do(self, what: str, *about: Any) -> None:
        self.calls.append(what)
        self.before.get(what, nothing)(*about)

    def dataset(self, table: Table) -> Dataset:
        return Dataset(self.name, table.dataset.name)

    def target(self, table: Table) -> Table:
        return replace(table, dataset=self.dataset(table))

    def prepare(self, table: Table, job_key: str, epoch: int, mode: Mode) -> None:
        self._do("prepare", table)

    def ledger(self, table: Table, job_key: str) -> Iterator[tuple[Chunk, Receipt]]:
        return iter([(c, r) for c, r, _ in self.shown.values() if c.job_key == job_key])

    def committed(self, table: Table, chunk: Chunk, mode: Mode) -> Receipt | None:
        self._do("committed", chunk)
        return self.shown[chunk.chunk_id][1] if chunk.chunk_id in self.shown else None

    def write(self, table: Table, chunk: Chunk, attempt: Attempt, payload: Payload, mode: Mode) -> Receipt:
        self._do("write", chunk, attempt)
        self.payloads.append(payload)
        rows = [row for one in payload.batches() for row in one.to_pylist()]
        rows = rows[: len(rows) - self.drops]
        self.hidden[chunk.chunk_id, attempt.number] = rows
        self.before.get("wrote", nothing)(chunk, attempt)
        file = StagedFile(f"shelf:{chunk.chunk_id[:12]}", "parquet", 9, len(rows), chunk.chunk_id)
        return Receipt(chunk.chunk_id, attempt.number, len(rows), 9, files=(file,), location="shelf:")

    def publish(self, table: Table, chunk: Chunk, receipt: Receipt) -> Receipt:
        self._do("publish", chunk, receipt)
        if chunk.chunk_id not in self.shown:
            rows = self.hidden.pop((chunk.chunk_id, receipt.attempt))
            self.shown[chunk.chunk_id] = (chunk, receipt, rows)
        return self.shown[chunk.chunk_id][1]

    def discard(self, table: Table, chunk: Chunk, attempt: int) -> None:
        self._do("discard", chunk, attempt)
        self.hidden.pop((chunk.chunk_id, attempt), None)

    def finish(self, table: Table, job_key: str, epoch: int, mode: Mode) -> None:
        self._do("finish", epoch)

    @property
    def ids(self) -> list[int]:
        return sorted(row["id"] for _, _, rows in self.shown.values() for row in rows)


def spec(name: str = "words", **changes: Any) -> LinkSpec:
    key = changes.pop("key", f"{name}-{uuid.uuid4().hex[:8]}")
    source, sink = ComponentSpec(name, "Listed", {}), ComponentSpec(f"{name} out", "Shelf", {})
    return LinkSpec(key, source, sink, **changes)


@dataclass
class Run:
    """One run of some links, in one state database."""

    state: StateManager
    links: dict[str, DataLink] = field(default_factory=dict)
    run_id: str = ""
    worker_id: str = ""

    def __post_init__(self) -> None:
        info = RunInfo(uuid.uuid4().hex, "0" * 64, "test", "tester", None, False, "0.1", "here")
        self.run_id = self.state.runs.open(info)
        self.worker_id = self.new_worker()

    def new_worker(self, site: str | None = None) -> str:
        return self.state.workers.register(self.run_id, "here", 1, "token", "0.1", site)

    def again(self) -> Run:
        """The next run of the same links."""
        return Run(self.state, self.links)

    def add(self, source: Source, sink: Sink, link: type[DataLink] = DataLink, **options: Any) -> DataLink:
        made = link(spec(**options), source, sink)
        self.links[made.spec.key] = made
        return made

    def planner(self, **options: Any) -> Planner:
        planner = Planner(self.state, self.run_id, self.links, **options)
        planner.begin(preflight(self.links))
        return planner

    def planned(self) -> Job:
        """The one job of the run, planned."""
        planner = self.planner()
        planner.tick()
        (job,) = planner.jobs.values()
        assert not planner.failed
        return job

    def carry(self) -> tuple[Planner, int]:
        """Plan and move until nothing is left, in this thread; the planner, and how many rows were read."""
        planner, read = self.planner(), []
        for _ in range(10):
            more = planner.tick()
            while (lease := self.state.chunks.claim(self.worker_id, self.run_id)) is not None:
                self.move(lease, Attempt(lease.attempt, count=lambda rows, size: read.append(rows)))
            if not more:
                break
        planner.close()
        return planner, sum(read)

    def move(self, lease: Lease, attempt: Attempt, link: DataLink | None = None) -> Receipt:
        """Take the leased chunk all the way, as a worker does that claims no other with the commit."""
        done = (link or self.links[lease.job.link_key]).attempt(lease, attempt, self.state)
        self.state.chunks.commit(lease, done.receipt, target_rows=done.target_rows)
        self.state.chunks.record_checks(lease, done.checks)
        return done.receipt

    def claim(self, worker_id: str | None = None) -> Lease:
        lease = self.state.chunks.claim(worker_id or self.worker_id, self.run_id)
        assert lease is not None
        return lease

    def query(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        from sqlalchemy import text

        found = self.state._base.db.read(lambda conn: conn.execute(text(sql), values).all())
        return [tuple(row) for row in found]

    def alter(self, sql: str, **values: Any) -> None:
        from sqlalchemy import text

        self.state._base.db.run(lambda conn: conn.execute(text(sql), values).rowcount)

    def expire(self, lease: Lease) -> None:
        self.alter(
            "UPDATE hdm_chunk SET lease_expires_at = '2000-01-01T00:00:00.000000Z' WHERE chunk_id = :id",
            id=lease.chunk_id,
        )

    def is_due(self) -> None:
        """What was put off may be tried now."""
        self.alter("UPDATE hdm_chunk SET not_before = NULL")

    def status(self, chunk_id: str) -> str:
        ((found,),) = self.query("SELECT status FROM hdm_chunk WHERE chunk_id = :id", id=chunk_id)
        return str(found)

    def events(self, chunk_id: str | None = None) -> list[str]:
        rows = self.state.runs.events(self.run_id)
        return [r["event_type"] for r in rows if chunk_id is None or r["chunk_id"] == chunk_id]
