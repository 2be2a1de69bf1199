"""Carries out a chunk of mode sync: compares a table with its target, and changes the rows that differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from hdm import failpoints
from hdm.errors import RejectedRows, TransientError
from hdm.model import Attempt, Change, Chunk, Column, Condition, Receipt, Table
from hdm.planning.sync_links import LIMIT, wishes_of
from hdm.proof.applying import Applied, Task, checked, key_of, make_equal, patched
from hdm.proof.buckets import Buckets
from hdm.proof.side import Reader, Side, StreamSide, sql_side
from hdm.runtime.transform import Transform
from hdm.sql.sink import SqlSink

if TYPE_CHECKING:
    from hdm.runtime.link import DataLink
    from hdm.state import Lease, StateManager


def sync_chunk(link: DataLink, lease: Lease, table: Table, attempt: Attempt, state: StateManager) -> Receipt:
    """Make the target of a link equal to its source, and return the receipt, which the ledger has by then.

    Rows are changed in transactions of their own; a later attempt compares again and finds what is left, and
    its receipt counts what earlier ones did. Raises ``RejectedRows`` if more rows would be deleted than the
    link allows, or if the target refused some, and ``TransientError`` if a row still differs, since somebody
    writes to one of the tables.
    """
    sink, chunk, source = link.sink, lease.chunk, lease.job.info.source
    assert isinstance(sink, SqlSink)
    target = sink.target(table)
    side = link.side(source)
    held = sql_side(sink.database, target.path)
    wishes = wishes_of(link.spec, table, target, sink.losses(table))
    plan = checked(side.table, held.table, wishes)
    key = key_of("sync", lease.job.pipeline_key)
    before = _earlier(sink, table, key, chunk) if lease.attempt > 1 else {}
    patch = patched(table, plan, target, sink)
    task = Task(
        _Counted(side, attempt), _Counted(held, attempt), wishes, table.columns, patch, key,
        alive=_Counted(side, attempt), max_deletes=link.spec.max_deletes,
        deleted=before.get(Change.DELETED, 0), limit_word=LIMIT, mark=_mark(chunk),
        attempt=attempt, clock=state.reports.clock,
    )  # fmt: skip
    names = {"first": _named(source), "second": _named(target), "ledger_key": key, "chunk": chunk.chunk_id}
    state.operators.synced(attempt.run_id, names, begins=True)
    try:
        made = make_equal(task)
    except BaseException as error:
        state.operators.synced(attempt.run_id, {**names, "error": type(error).__name__})
        raise
    state.operators.synced(attempt.run_id, {**names, **made.facts()})
    _must_be_equal(made, target)
    done = {one: before.get(one, 0) + made.done.get(one, 0) for one in Change}
    written, gone = done[Change.NEW] + done[Change.CHANGED], done[Change.DELETED]
    receipt = Receipt(
        chunk.chunk_id, attempt.number, written, extracted=written + gone, filtered=gone,
        location=target.dataset.name,
    )  # fmt: skip
    failpoints.point("Y6")
    attempt.check()
    return patch.conclude(chunk, attempt, receipt)


def _must_be_equal(made: Applied, target: Table) -> None:
    if made.equal:
        return
    name = target.dataset.name
    for why in (made.stopped, made.refused):
        if why:
            raise RejectedRows(f"{name}: {why}", hint="hdm plan shows what a sync would do")
    last = made.after or made.before
    left = f"{last.missing:,} missing, {last.extra:,} extra, {last.changed:,} changed"
    raise TransientError(f"{name} differs after the sync ({left}): it or its source is written meanwhile")


def _mark(chunk: Chunk) -> Condition:
    """Return the condition by which the ledger's rows of one chunk's changes are found again."""
    return Condition("@of", "=", chunk.chunk_id)


def _earlier(sink: SqlSink, table: Table, key: str, chunk: Chunk) -> Mapping[Change, int]:
    """Return how many rows earlier attempts at the chunk have changed, by the target's ledger."""
    found = dict.fromkeys(Change, 0)
    for one, receipt in sink.ledger(table, key):
        for kind in Change if _mark(chunk) in one.conditions else ():
            if one.dataset.name.endswith(f"#{kind.value}"):
                found[kind] += receipt.rows + receipt.filtered
    return found


@dataclass(frozen=True)
class _Counted:
    """A side whose batches tell the worker that there is progress, and stop if it must stop."""

    side: Side
    attempt: Attempt

    @property
    def label(self) -> str:
        return self.side.label

    @property
    def table(self) -> Table:
        return self.side.table

    @contextmanager
    def open(self) -> Iterator[Reader]:
        self.attempt.check()
        with self.side.open() as reader:
            yield _CountedReader(reader, self.attempt)


@dataclass(frozen=True)
class _CountedReader:
    reader: Reader
    attempt: Attempt

    @property
    def seeks(self) -> bool:
        return self.reader.seeks

    def count(self) -> int:
        return self.reader.count()

    def extent(self, column: Column) -> tuple[int, int] | None:
        return self.reader.extent(column)

    def batches(
        self, columns: Sequence[Column], conditions: Sequence[Condition] = ()
    ) -> Iterator[pa.RecordBatch]:
        for batch in self.reader.batches(columns, conditions):
            self.attempt.check()
            yield batch

    def sums(self, buckets: Buckets, *, first: bool) -> pa.Table | None:
        self.attempt.check()
        return self.reader.sums(buckets, first=first)


def _named(table: Table) -> dict[str, str]:
    return {"namespace": table.dataset.namespace, "name": table.dataset.name}


def through(link: DataLink, side: Side) -> Side:
    """Return a side whose rows have passed the link's transforms; the side itself if it has none."""
    if not link.makes_rows_of_its_own:
        return side
    table, spec = link.outgoing(side.table), link.spec

    def read() -> Iterator[pa.RecordBatch]:
        change: Callable[[pa.RecordBatch], pa.RecordBatch] = _as_it_is
        if spec.transform:
            change = Transform(spec.transform, side.table)
        with side.open() as reader:
            for batch in reader.batches(side.table.columns):
                yield link.transform(change(batch))

    return StreamSide(side.label, table, read)


def _as_it_is(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch
