"""Tests that every sink must pass."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from hdm.components import registry
from hdm.components.sink import Sink
from hdm.errors import LeaseLost
from hdm.model import Attempt, Chunk, Mode, Payload, Receipt, Table
from hdm.testing import leaks
from hdm.testing.rows import as_rows, awkward_batch, awkward_table

JOB = "conformance"
EPOCH = 1

ReadBack = Callable[[Sink, Table], list[tuple[Any, ...]]]
"""Returns the rows of a source table that a user of the target sees now."""


class Exploded(Exception):
    """Error that a check's stream of batches raises half-way."""


def chunk_of(table: Table, number: int = 0) -> Chunk:
    """Return a chunk of a table; chunks of different ``number`` have different ids."""
    return Chunk(JOB, table.dataset, number, schema_sha=table.schema_sha, snapshot=str(number))


def payload_of(table: Table, *batches: pa.RecordBatch) -> Payload:
    """Return a payload of these batches."""
    return Payload(table, lambda: iter(batches))


def deliver(sink: Sink, table: Table, chunk: Chunk, attempt: int, *batches: pa.RecordBatch) -> Receipt:
    """Write and publish a chunk's batches as attempt number ``attempt``; return the receipt."""
    payload = payload_of(table, *batches)
    receipt = sink.write(table, chunk, Attempt(attempt), payload, Mode.APPEND)
    return sink.publish(table, chunk, payload.tally.complete(receipt))


def check_rows_arrive_exactly(sink: Sink, table: Table, read_back: ReadBack) -> None:
    """Check that every value of the awkward table is stored unaltered."""
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    batch = awkward_batch(table)
    receipt = deliver(sink, table, chunk_of(table), 1, batch)
    assert receipt.rows == batch.num_rows
    assert read_back(sink, table) == as_rows([batch])


def check_every_batch_arrives(sink: Sink, table: Table, read_back: ReadBack) -> None:
    """Check that all batches of a chunk are stored, and its receipt counts their rows."""
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    batches = [awkward_batch(table, first_id=1 + number * 1000) for number in range(3)]
    receipt = deliver(sink, table, chunk_of(table), 1, *batches)
    assert receipt.rows == sum(batch.num_rows for batch in batches)
    assert read_back(sink, table) == as_rows(batches)


def check_chunks_add_up(sink: Sink, table: Table, read_back: ReadBack) -> None:
    """Check that all chunks of a table are stored when several workers write at once."""
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    batches = [awkward_batch(table, first_id=1 + number * 1000) for number in range(4)]

    def work(number: int) -> Receipt:
        return deliver(fresh(sink), table, chunk_of(table, number), 1, batches[number])

    with ThreadPoolExecutor(len(batches)) as workers:
        receipts = list(workers.map(work, range(len(batches))))
    assert [receipt.rows for receipt in receipts] == [batch.num_rows for batch in batches]
    assert read_back(sink, table) == as_rows(batches)


def check_exploding_stream_leaves_nothing(sink: Sink, table: Table, read_back: ReadBack) -> None:
    """Check that a source failing half-way leaves no row visible or committed, and a retry works."""
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
    """Check that a chunk is stored once if a later attempt writes and publishes it again."""
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    batch, chunk = awkward_batch(table), chunk_of(table)
    first = deliver(sink, table, chunk, 1, batch)
    sink.publish(table, chunk, first)
    again = deliver(sink, table, chunk, 2, batch)
    assert again.adopted or again.rows == first.rows
    assert read_back(sink, table) == as_rows([batch])


def check_rivals_leave_one(sink: Sink, table: Table, read_back: ReadBack) -> None:
    """Check that a chunk is stored once if two attempts write it and the stale one publishes last."""
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
    """Check that ``committed`` returns None before a chunk is written, and the chunk's receipt afterwards.

    A new instance of the sink must give the same receipt, and None for chunks that were not written.
    """
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    batch, chunk = awkward_batch(table), chunk_of(table)
    assert sink.committed(table, chunk, Mode.APPEND) is None
    deliver(sink, table, chunk, 1, batch)
    another = fresh(sink)
    held = another.committed(table, chunk, Mode.APPEND)
    assert held is not None
    assert held.rows == batch.num_rows
    assert another.committed(table, chunk_of(table, 1), Mode.APPEND) is None


def check_ledger_lists_the_chunk(sink: Sink, table: Table) -> None:
    """Check that ``ledger`` yields exactly the committed chunks of the job."""
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
    """Check that a second ``prepare`` keeps the existing rows."""
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    batch = awkward_batch(table)
    deliver(sink, table, chunk_of(table), 1, batch)
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    assert read_back(sink, table) == as_rows([batch])


def check_discard_spares_the_winner(sink: Sink, table: Table, read_back: ReadBack) -> None:
    """Check that discarding a dead attempt does not change the published one."""
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    batch, chunk = awkward_batch(table), chunk_of(table)
    sink.write(table, chunk, Attempt(1), payload_of(table, batch), Mode.APPEND)
    deliver(sink, table, chunk, 2, batch)
    sink.discard(table, chunk, 1)
    sink.discard(table, chunk, 1)
    assert read_back(sink, table) == as_rows([batch])
    assert sink.committed(table, chunk, Mode.APPEND) is not None


def check_first_file_is_the_first(sink: Sink, table: Table) -> None:
    """Check that the first file of ``write`` has the name that ``file_names`` gives, in each attempt."""
    for number, mode in ((1, Mode.APPEND), (12, Mode.APPEND), (3, Mode.REPLACE)):
        names = sink.file_names(table, JOB, mode) if mode in sink.modes else None
        if names is None:
            continue
        sink.prepare(table, JOB, EPOCH, mode)
        chunk, told = chunk_of(table, number), list[str]()
        attempt = Attempt(number, will_write=lambda *file, told=told: told.extend(file))
        sink.write(table, chunk, attempt, payload_of(table, awkward_batch(table)), mode)
        assert told[:2] == [names.first(chunk, number), names.format]


def check_empty_chunk_counts(sink: Sink, table: Table, read_back: ReadBack) -> None:
    """Check that a chunk without rows is committed with 0 rows, so that it is not read again."""
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    chunk = chunk_of(table)
    receipt = deliver(sink, table, chunk, 1)
    assert receipt.rows == 0
    assert sink.committed(table, chunk, Mode.APPEND) is not None
    assert read_back(sink, table) == []


def check_replace_swaps_at_the_end(sink: Sink, table: Table, read_back: ReadBack) -> None:
    """Check that mode ``replace`` keeps the old rows until ``finish``, and then has only the new ones."""
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
        assert (sink.newest_epoch(table, JOB), sink.newest_epoch(table, "another job")) == (epoch, 0)


def check_merge_updates_by_key(sink: Sink, table: Table, read_back: ReadBack) -> None:
    """Check that in mode ``merge`` a row replaces the one with its key, and other rows are added."""
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


def check_ledger_keeps_the_counts(sink: Sink, table: Table) -> None:
    """Check that the target's receipt records how many rows the link filtered."""
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    batch, chunk = awkward_batch(table), chunk_of(table)
    payload = payload_of(table, batch)
    payload.tally.filtered = 3
    payload.tally.extracted = batch.num_rows + 3
    receipt = sink.write(table, chunk, Attempt(1), payload, Mode.APPEND)
    sink.publish(table, chunk, payload.tally.complete(receipt))
    held = sink.committed(table, chunk, Mode.APPEND)
    assert held is not None
    assert (held.extracted, held.filtered) == (batch.num_rows + 3, 3)


def check_lost_lease_leaves_nothing(sink: Sink, table: Table, read_back: ReadBack) -> None:
    """Check that a write stops when ``attempt.check`` raises, and leaves no row visible."""
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    chunk = chunk_of(table)

    def lost() -> None:
        raise LeaseLost("another worker holds the chunk")

    with pytest.raises(LeaseLost):
        sink.write(table, chunk, Attempt(1, check=lost), payload_of(table, awkward_batch(table)), Mode.APPEND)
    assert read_back(sink, table) == []
    assert sink.committed(table, chunk, Mode.APPEND) is None


def check_wide_rows_arrive(sink: Sink, table: Table, read_back: ReadBack) -> None:
    """Check that rows of a few megabytes are stored whole."""
    wide: dict[str, Any] = {"words": "wörd \n" * 500_000, "raw": bytes(range(256)) * 12_000}
    names = [column.name for column in table.columns if column.name in wide]
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    rows = [
        {c.name: number if c.name == "id" else wide.get(c.name) for c in table.columns} for number in (1, 2)
    ]
    batch = pa.RecordBatch.from_pylist(rows, schema=table.schema)
    deliver(sink, table, chunk_of(table), 1, batch)
    assert names, "give the table at least one of: words, raw"
    assert read_back(sink, table) == as_rows([batch])


def check_target_is_stable(sink: Sink, table: Table) -> None:
    """Check that two instances return the same ``target`` and ``dataset``, with all columns."""
    target = sink.target(table)
    assert fresh(sink).target(table) == target
    assert target.dataset == sink.dataset(table) == fresh(sink).dataset(table)
    assert len(target.columns) >= len(table.columns)


def check_writing_closes_what_it_opens(sink: Sink, table: Table) -> None:
    """Check that no file, socket or thread stays open after a chunk, or after a failed one."""
    sink.prepare(table, JOB, EPOCH, Mode.APPEND)
    numbers = iter(range(1000))

    def explode() -> Iterator[pa.RecordBatch]:
        yield awkward_batch(table, first_id=900_000)
        raise Exploded

    def work() -> None:
        number = next(numbers)
        deliver(sink, table, chunk_of(table, number), 1, awkward_batch(table, first_id=1 + number * 1000))
        chunk = chunk_of(table, number + 500)
        with pytest.raises(Exploded):
            sink.write(table, chunk, Attempt(1), Payload(table, explode), Mode.APPEND)
        sink.discard(table, chunk, 1)
        sink.committed(table, chunk, Mode.APPEND)
        assert list(sink.ledger(table, JOB))

    work()
    with leaks.nothing_stays_open(work):
        work()


def check_errors_are_classified(unreachable: Sink | None, table: Table, secret: str | None) -> None:
    """Check that ``prepare`` raises an ``HdmError`` without the secret if the system is unreachable."""
    if unreachable is not None:
        sink = unreachable
        leaks.classified(lambda: sink.prepare(table, JOB, EPOCH, Mode.APPEND), secret)


def check_manifests_can_name_it(sink: Sink) -> None:
    """Check that a manifest can name the sink's class, as hdm's own or as a registered plugin."""
    assert registry.find("sink", type(sink).__name__) is type(sink)


def check_unknown_keys_are_refused(sink: Sink) -> None:
    """Check that a misspelt key in the configuration is an error."""
    leaks.misspelt_key_is_refused(sink)


def check_repr_shows_no_secret(sink: Sink, secret: str | None) -> None:
    """Check that neither the sink nor its attributes contain the secret when printed."""
    leaks.no_secret_shows(sink, secret)


def fresh(sink: Sink) -> Sink:
    """Return another instance of the sink with the same configuration, as in another process."""
    return type(sink)(sink.config, sink.profile, name=sink.name)


@dataclass
class Given:
    """The values for the parameters of check functions, by parameter name."""

    sink: Sink
    table: Table
    read_back: ReadBack
    unreachable: Sink | None = None
    secret: str | None = None

    def run(self, check: Callable[..., None]) -> None:
        """Call a check function with the values of this object's attributes that its parameters name."""
        check(*(getattr(self, name) for name in inspect.signature(check).parameters))


CHECKS: tuple[Callable[..., None], ...] = tuple(
    function for name, function in list(globals().items()) if name.startswith("check_")
)


class SinkConformance:
    """Tests a sink: inherit it, define ``subject`` (a sink with an empty target) and ``read_back``.

    Optional fixtures: ``table``, with only the columns that the target can store exactly; ``unreachable``,
    a sink whose system cannot be reached; ``secret``, a password of its profile.
    """

    gaps: ClassVar[Mapping[str, str]] = {}
    """Checks that the sink cannot pass: name without ``check_`` -> reason."""

    @pytest.fixture
    def table(self) -> Table:
        """Return a table with a column of each type; override with ``awkward_table(names)`` for fewer."""
        return awkward_table()

    @pytest.fixture
    def unreachable(self) -> Sink | None:
        """Return None; override it with a sink whose system cannot be reached, if it connects to one."""
        return None

    @pytest.fixture
    def secret(self) -> str | None:
        """Return None; override it with a password of the sink's profile, if it has one."""
        return None

    @pytest.fixture
    def given(
        self, subject: Sink, table: Table, read_back: ReadBack, unreachable: Sink | None, secret: str | None
    ) -> Given:
        """Return the values of the fixtures, for the check functions."""
        return Given(subject, table, read_back, unreachable, secret)

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
    def test_promise(self, given: Given, check: Callable[..., None]) -> None:
        """Run one check function; see the function of that name in ``hdm.testing.sinks``."""
        leaks.judge(check.__name__[6:], self.gaps, lambda: given.run(check))
