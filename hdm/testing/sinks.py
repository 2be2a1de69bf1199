"""SinkConformance: what every sink promises, as checks that can fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from hdm.model import Attempt, Chunk, Mode, Payload, Receipt, Table
from hdm.sink import Sink
from hdm.testing.rows import as_rows, awkward_batch, awkward_table

JOB = "conformance"
EPOCH = 1

ReadBack = Callable[[Sink, Table], list[tuple[Any, ...]]]
"""Gives the rows that a user of the target sees now, for the source table given."""


class Exploded(Exception):
    """What the exploding stream of ``check_exploding_stream_leaves_nothing`` raises."""


def chunk_of(table: Table, number: int = 0) -> Chunk:
    """A chunk with an identity of its own."""
    return Chunk(JOB, table.dataset, number, schema_sha=table.schema_sha)


def payload_of(table: Table, *batches: pa.RecordBatch) -> Payload:
    """A payload of these batches."""
    return Payload(table, lambda: iter(batches))


def deliver(sink: Sink, table: Table, chunk: Chunk, attempt: int, *batches: pa.RecordBatch) -> Receipt:
    """Write and publish, as a link does."""
    payload = payload_of(table, *batches)
    receipt = sink.write(table, chunk, Attempt(attempt), payload, Mode.APPEND)
    return sink.publish(table, chunk, payload.tally.complete(receipt))


def check_rows_arrive_exactly(sink: Sink, table: Table, read_back: ReadBack) -> None:
    """Every value of the awkward table is there afterwards, unaltered."""
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    batch = awkward_batch(table)
    receipt = deliver(sink, table, chunk_of(table), 1, batch)
    assert receipt.rows == batch.num_rows
    assert read_back(sink, table) == as_rows([batch])


def check_exploding_stream_leaves_nothing(sink: Sink, table: Table, read_back: ReadBack) -> None:
    """When the source fails half-way, nothing is visible, nothing committed, and a retry works."""
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    batch, chunk = awkward_batch(table), chunk_of(table)

    def explode() -> Iterator[pa.RecordBatch]:
        yield batch
        raise Exploded

    with pytest.raises(Exploded):
        sink.write(table, chunk, Attempt(1), Payload(table, explode), Mode.APPEND)
    assert read_back(sink, table) == []
    assert sink.committed(table, chunk, Mode.APPEND) is None
    sink.discard(table, chunk, 1)
    deliver(sink, table, chunk, 2, batch)
    assert read_back(sink, table) == as_rows([batch])


def check_twice_is_once(sink: Sink, table: Table, read_back: ReadBack) -> None:
    """A chunk written and published again, by a later attempt, is there once."""
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    batch, chunk = awkward_batch(table), chunk_of(table)
    first = deliver(sink, table, chunk, 1, batch)
    sink.publish(table, chunk, first)
    again = deliver(sink, table, chunk, 2, batch)
    assert again.adopted or again.rows == first.rows
    assert read_back(sink, table) == as_rows([batch])


def check_rivals_leave_one(sink: Sink, table: Table, read_back: ReadBack) -> None:
    """Two attempts write, the stale one publishes last: the chunk is there once."""
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    batch, chunk = awkward_batch(table), chunk_of(table)
    stale = sink.write(table, chunk, Attempt(1), payload_of(table, batch), Mode.APPEND)
    deliver(sink, table, chunk, 2, batch)
    sink.publish(table, chunk, stale)
    assert read_back(sink, table) == as_rows([batch])
    held = sink.committed(table, chunk, Mode.APPEND)
    assert held is not None
    assert held.rows == batch.num_rows


def check_committed_tells_the_truth(sink: Sink, table: Table) -> None:
    """None before, the receipt's rows after, asked of a new instance; other chunks stay None."""
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    batch, chunk = awkward_batch(table), chunk_of(table)
    assert sink.committed(table, chunk, Mode.APPEND) is None
    deliver(sink, table, chunk, 1, batch)
    another = type(sink)(sink.config, sink.profile, name=sink.name)
    held = another.committed(table, chunk, Mode.APPEND)
    assert held is not None
    assert held.rows == batch.num_rows
    assert another.committed(table, chunk_of(table, 1), Mode.APPEND) is None


def check_ledger_lists_the_chunk(sink: Sink, table: Table) -> None:
    """The target alone can say which chunks of the job it holds."""
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    batch = awkward_batch(table)
    chunks = [chunk_of(table, number) for number in range(2)]
    for number, chunk in enumerate(chunks):
        moved = awkward_batch(table, first_id=1 + number * 1000)
        deliver(sink, table, chunk, 1, moved)
    held = {chunk.chunk_id: receipt.rows for chunk, receipt in sink.ledger(table, JOB)}
    assert held == {chunk.chunk_id: batch.num_rows for chunk in chunks}
    assert list(sink.ledger(table, "another job")) == []


def check_prepare_again_keeps_rows(sink: Sink, table: Table, read_back: ReadBack) -> None:
    """``prepare`` is idempotent: it never empties or replaces what is there."""
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    batch = awkward_batch(table)
    deliver(sink, table, chunk_of(table), 1, batch)
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    assert read_back(sink, table) == as_rows([batch])


def check_discard_spares_the_winner(sink: Sink, table: Table, read_back: ReadBack) -> None:
    """Discarding a dead attempt leaves the published one alone."""
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    batch, chunk = awkward_batch(table), chunk_of(table)
    sink.write(table, chunk, Attempt(1), payload_of(table, batch), Mode.APPEND)
    deliver(sink, table, chunk, 2, batch)
    sink.discard(table, chunk, 1)
    sink.discard(table, chunk, 1)
    assert read_back(sink, table) == as_rows([batch])
    assert sink.committed(table, chunk, Mode.APPEND) is not None


def check_empty_chunk_counts(sink: Sink, table: Table, read_back: ReadBack) -> None:
    """A chunk without rows is committed with 0 rows, so that it is never read again."""
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    chunk = chunk_of(table)
    receipt = deliver(sink, table, chunk, 1)
    assert receipt.rows == 0
    assert sink.committed(table, chunk, Mode.APPEND) is not None
    assert read_back(sink, table) == []


def check_replace_swaps_at_the_end(sink: Sink, table: Table, read_back: ReadBack) -> None:
    """In mode replace the old rows stay until ``finish``; then there are only the new ones."""
    if Mode.REPLACE not in sink.modes:
        return
    old, new = awkward_batch(table), awkward_batch(table, first_id=5000)
    for epoch, batch in ((1, old), (2, new)):
        chunk = chunk_of(table).at(epoch=epoch)
        sink.prepare(table, JOB, epoch, Mode.REPLACE)
        payload = payload_of(table, batch)
        receipt = sink.write(table, chunk, Attempt(1), payload, Mode.REPLACE)
        sink.publish(table, chunk, payload.tally.complete(receipt))
        if epoch == 2:
            assert read_back(sink, table) == as_rows([old])
        sink.finish(table, JOB, epoch, Mode.REPLACE)
        sink.finish(table, JOB, epoch, Mode.REPLACE)
        assert read_back(sink, table) == as_rows([batch])


def check_merge_updates_by_key(sink: Sink, table: Table, read_back: ReadBack) -> None:
    """In mode merge a row with a known key replaces the old one, a new key is added."""
    if Mode.MERGE not in sink.modes:
        return
    sink.prepare(table, JOB, EPOCH, Mode.MERGE)
    batch = awkward_batch(table)
    changed = batch.slice(0, 2).set_column(
        batch.num_columns - 1,
        batch.schema.field(batch.num_columns - 1),
        pa.nulls(2, batch.schema.field(batch.num_columns - 1).type),
    )
    for number, rows in enumerate((batch, changed)):
        payload = payload_of(table, rows)
        receipt = sink.write(table, chunk_of(table, number), Attempt(1), payload, Mode.MERGE)
        sink.publish(table, chunk_of(table, number), payload.tally.complete(receipt))
    assert read_back(sink, table) == as_rows([changed, batch.slice(2)])


CHECKS_WITH_READ_BACK = (
    check_rows_arrive_exactly,
    check_exploding_stream_leaves_nothing,
    check_twice_is_once,
    check_rivals_leave_one,
    check_prepare_again_keeps_rows,
    check_discard_spares_the_winner,
    check_empty_chunk_counts,
    check_replace_swaps_at_the_end,
    check_merge_updates_by_key,
)
CHECKS = (check_committed_tells_the_truth, check_ledger_lists_the_chunk)


class SinkConformance:
    """Inherit, and give ``subject`` (the sink, its target empty) and ``read_back`` (a ``ReadBack``).

    ``table`` may be narrowed to the columns that the target can hold exactly.
    """

    @pytest.fixture
    def table(self) -> Table:
        """The awkward table; override with ``awkward_table(names)`` to leave columns out."""
        return awkward_table()

    @pytest.mark.parametrize("check", CHECKS_WITH_READ_BACK, ids=lambda check: check.__name__[6:])
    def test_promise(self, subject: Sink, table: Table, read_back: ReadBack, check: Any) -> None:
        """One promise; see the function of that name."""
        check(subject, table, read_back)

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
    def test_record(self, subject: Sink, table: Table, check: Any) -> None:
        """One promise about the target's own record; see the function of that name."""
        check(subject, table)
