"""A link from source to sink, with transform and checks, and the path of each chunk through it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import pyarrow as pa

from hdm import failpoints
from hdm.arrow.batches import KnownRows, row_tokens
from hdm.components.check import Check, make_checks
from hdm.components.sink import Sink
from hdm.components.source import Source
from hdm.errors import BrokenContract
from hdm.model import Attempt, Chunk, LinkSpec, Origin, Payload, Receipt, Table
from hdm.runtime import column_lineage
from hdm.runtime.bisecting import ABOUT_ROWS, load_others
from hdm.runtime.checking import Sieve, must_apply
from hdm.runtime.rate_limit import Pace
from hdm.runtime.transform import Transform
from hdm.sql.sink import SqlSink

if TYPE_CHECKING:
    from hdm.files.sink import FileSink
    from hdm.proof.side import Side
    from hdm.state import Lease, StateManager
    from hdm.state.records import CheckResult


@dataclass(frozen=True, slots=True)
class Published:
    """What an attempt has made visible in the target, for the worker to commit.

    ``target_rows`` is how many rows of the chunk the target says it stores: -1 if it does not know the chunk,
    None if it cannot be asked. ``checks`` are the results of the link's checks, empty if nothing was read.
    """

    receipt: Receipt
    target_rows: int | None
    checks: Sequence[CheckResult] = ()


class DataLink:
    """One source and one sink, with transform and checks between them.

    Subclass it and override ``transform`` to change rows.
    """

    def __init__(
        self, spec: LinkSpec, source: Source, sink: Sink, checks: Mapping[str, type[Check]] | None = None
    ) -> None:
        self.spec = spec
        self._found: dict[str, list[CheckResult]] = {}
        self.source = source
        self.sink = sink
        self.grows = False
        """Whether to add columns to the target that the source has gained."""
        self.quarantine: FileSink | None = None
        """The file sink into whose store rows are set aside; None if none are."""
        self._checks = checks or {}
        self.pace = Pace(spec.limits)
        """The rate limit of the source, shared by all its links: see ``shares.share_pace``."""

    def transform(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return a batch's rows as the sink shall get them; override this to change or drop rows.

        The default returns the batch unchanged. The result has the same columns of the same types, and as
        many rows or fewer; else the attempt fails with ``BrokenContract``.
        """
        return batch

    def outgoing(self, table: Table) -> Table:
        """Return the table with the columns that the sink gets.

        These are the source's, or what ``transform:`` makes of them. Raises ``UsageError`` for a
        ``transform:`` that is refused.
        """
        return Transform(self.spec.transform, table).table if self.spec.transform else table

    def origins(self, given: Table) -> Sequence[Origin] | None:
        """Declare, for a class that overrides ``transform``, an ``Origin`` for each column that it changes.

        The default returns None: the lineage of a link that overrides ``transform`` is then unknown.
        """
        return None

    @final
    def column_lineage(self, table: Table) -> tuple[Origin, ...]:
        """Return an ``Origin`` for each of the link's columns: the source columns that it is made of.

        It is unknown if the link overrides ``transform`` and declares no origins.
        """
        made = self.outgoing(table)
        own = type(self).transform is not DataLink.transform or type(self).outgoing is not DataLink.outgoing
        if self.spec.transform:
            found = column_lineage.of_statement(self.spec.transform, table, made)
        else:
            found = column_lineage.as_they_are(made)
        said = self.origins(made)
        if said is not None:
            return column_lineage.declared(found, said)
        why = f"{type(self).__name__} transforms rows and does not declare origins"
        return column_lineage.unknown(made, why) if own else found

    def checks(self, table: Table) -> list[Check]:
        """Return new instances of the link's checks, for a chunk of the table that leaves the link.

        Raises ``UsageError`` for a rule that does not fit the table's columns, or the sink.
        """
        made = make_checks(self._checks, table, self.spec.checks)
        must_apply(made, self.sink, table, self.quarantine)
        return made

    @final
    def side(self, table: Table, moved: str | None = None) -> Side:
        """Return the rows that the link gives its sink of a source table, ready to be compared.

        ``moved`` is the watermark up to which they were moved; None: all rows.
        """
        from hdm.proof.side import side_of
        from hdm.runtime.syncing import through

        return through(self, side_of(self.source, table, moved=moved))

    @property
    def passes_files(self) -> bool:
        """True if staged files may be copied as bytes, because nothing in the link looks at their rows.

        False with a limit of rows or bytes a second, which is applied batch by batch.
        """
        own = type(self).transform is not DataLink.transform
        looks = self.spec.transform or self.spec.checks or own or self.quarantine is not None
        return not (looks or self.pace.is_set)

    @property
    def makes_rows_of_its_own(self) -> bool:
        """True if the stored rows may differ from those read, because a transform changes them."""
        return bool(self.spec.transform) or type(self).transform is not DataLink.transform

    @property
    def verifies(self) -> bool:
        """True if the link's sink can tell which rows of a chunk the target has."""
        return type(self.sink).committed is not Sink.committed

    @final
    def attempt(self, lease: Lease, attempt: Attempt, state: StateManager) -> Published:
        """Read, write and publish one leased chunk, and count it in the target; the caller commits it.

        A chunk whose status is ``written`` is only published and counted. Raises what source, sink or state
        raise; the worker decides by the error's ``recovery``.
        """
        job, chunk, mode = lease.job, lease.chunk, lease.job.info.mode
        table = self.outgoing(job.info.source)
        receipt = lease.receipt
        if receipt is None:
            receipt = self.sink.committed(table, chunk, mode)
            if receipt is not None:
                receipt = replace(receipt, attempt=lease.attempt, adopted=True)
            else:
                receipt = self._carry(lease, table, attempt, state)
            state.chunks.wrote(lease, receipt)
            failpoints.point("C7")
        failpoints.point("L6")
        attempt.check()
        receipt = self.sink.publish(table, chunk, receipt)
        failpoints.point("U4")
        rows = self._held(lease, table)
        return Published(receipt, rows, self._found.pop(lease.chunk_id, ()))

    def _carry(self, lease: Lease, table: Table, attempt: Attempt, state: StateManager) -> Receipt:
        if lease.job.info.mode.rules.compares:
            from hdm.runtime.syncing import sync_chunk

            return sync_chunk(self, lease, table, attempt, state)
        mode, store = lease.job.info.mode, self.quarantine.store if self.quarantine is not None else None
        sieve = Sieve(lambda: self.checks(table), store, table, lease.chunk, attempt.number)
        payload = self._read(lease, table, attempt, state, sieve)
        try:
            receipt = self.sink.write(table, lease.chunk, attempt, payload, mode)
        except ABOUT_ROWS:
            if store is None or not isinstance(self.sink, SqlSink):
                raise
            sieve.finishes = False
            payload = self._read(lease, table, attempt, state, sieve)
            receipt = load_others(self.sink, table, lease.chunk, attempt, mode, payload, sieve)
        finally:
            sieve.drop()
        if receipt.adopted:
            return receipt
        return payload.tally.complete(receipt)

    def _read(
        self, lease: Lease, table: Table, attempt: Attempt, state: StateManager, sieve: Sieve
    ) -> Payload:
        """Return the chunk's rows as the sink gets them, to be read once."""
        payload = self.source.read(lease.job.info.source, lease.chunk)
        info = lease.job.info
        # Appending a row that was changed in place would store it twice; a merge needs the new version.
        again = not info.mode.rules.only_adds or lease.chunk.again
        key = () if again else info.source.key
        seen: KnownRows | None = None
        if lease.chunk.seen_key:
            own = lease.chunk.subtracts_its_own
            seen = KnownRows(
                state.watermarks.seen(lease.job.pipeline_key, lease.chunk.seen_key), key if own else ()
            )
        return self._through(payload, table, lease.chunk, attempt, seen, key, sieve=sieve, again=again)

    def _through(
        self,
        payload: Payload,
        table: Table,
        chunk: Chunk,
        attempt: Attempt,
        seen: KnownRows | None,
        key: Sequence[str] = (),
        *,
        sieve: Sieve | None = None,
        again: bool = False,
    ) -> Payload:
        """Return the payload with its batches counted, compared with the schema, transformed and checked."""
        sieve = sieve or Sieve(lambda: self.checks(table), None, table, chunk, attempt.number)
        keeps_files = payload.files and self.passes_files and seen is None and not chunk.boundary
        through = Payload(
            table,
            lambda: self._batches(payload, through, chunk, attempt, seen, key, sieve, again=again),
            files=payload.files if keeps_files else (),
            open=payload.open if keeps_files else None,
            confirm=payload.confirm if keeps_files else None,
        )
        return through

    def _batches(
        self,
        payload: Payload,
        out: Payload,
        chunk: Chunk,
        attempt: Attempt,
        seen: KnownRows | None,
        key: Sequence[str],
        sieve: Sieve,
        *,
        again: bool = False,
    ) -> Iterator[pa.RecordBatch]:
        tally = out.tally
        tally.extracted = tally.filtered = tally.rejected = tally.bytes = 0
        tally.anew = False
        tally.digests.clear()
        transform = Transform(self.spec.transform, payload.table) if self.spec.transform else None
        checks = sieve.begin()
        schema = payload.table.schema
        adds = chunk.subtracts_its_own and not again  # else the digests kept for the boundary are replaced
        for batch in payload.batches():
            attempt.check()
            if not batch.schema.equals(schema):
                raise BrokenContract(
                    f"{type(self.source).__name__} gave a batch of {_names(batch.schema, schema)} "
                    f"for {payload.table.dataset.name}",
                    hint="describe() and read() must agree on names, order and types",
                )
            tally.extracted += batch.num_rows
            tally.bytes += batch.nbytes
            attempt.count(batch.num_rows, batch.nbytes)
            self.pace.keep(batch.num_rows, batch.nbytes, attempt.check)
            kept = batch
            if seen:
                kept, gone = seen.take_out(kept)
                tally.filtered += gone
            if chunk.boundary and not chunk.counted:
                tally.digests.extend(row_tokens(kept if adds else batch, key))
            given = transform(kept) if transform else kept
            moved = self._promised(self.transform(given), given, out.table)
            tally.filtered += kept.num_rows - moved.num_rows
            going = checks.look(moved)
            tally.rejected += moved.num_rows - going.num_rows
            if going.num_rows:
                yield going
        tally.anew = payload.tally.anew
        if results := checks.judged(out.table, chunk):
            self._found[chunk.chunk_id] = results
        tally.quarantine = sieve.end(attempt.check)
        if tally.quarantine is not None:
            failpoints.point("Q1")

    def _promised(self, moved: pa.RecordBatch, given: pa.RecordBatch, table: Table) -> pa.RecordBatch:
        """Return the batch that ``transform`` made of ``given``, if it has the promised columns and types.

        Raises ``BrokenContract`` otherwise: codecs go by the table's types, and would misread other bytes.
        """
        if moved is given:
            return given
        wrong = _broken(moved, given, table.schema)
        if wrong is not None:
            gave = f"{type(self).__name__}.transform gave {wrong[0]} for {table.dataset.name}"
            raise BrokenContract(gave, hint=wrong[1])
        return pa.RecordBatch.from_arrays(moved.columns, schema=table.schema)

    def _held(self, lease: Lease, table: Table) -> int | None:
        """Ask the target, in a new database session, how many rows of the chunk it stores.

        -1 if it does not know the chunk, None if it cannot be asked.
        """
        if not self.verifies:
            return None
        failpoints.point("V1")
        held = self.sink.committed(table, lease.chunk, lease.job.info.mode)
        return held.rows if held is not None else -1


def _broken(moved: pa.RecordBatch, given: pa.RecordBatch, schema: pa.Schema) -> tuple[str, str] | None:
    """Return what is wrong with a batch that a transform made of ``given``, and a hint; else None."""
    if not isinstance(moved, pa.RecordBatch):
        return f"a {type(moved).__name__}", "return a pyarrow.RecordBatch"
    if [(f.name, f.type) for f in moved.schema] != [(f.name, f.type) for f in schema]:
        hint = "return the columns it was given, in their order, each of its type: pc.cast(array, field.type)"
        return f"a batch of {_names(moved.schema, schema)}", hint
    if moved.num_rows > given.num_rows:
        hint = "return the same rows or fewer; only a source may give more"
        return f"{moved.num_rows:,} rows of {given.num_rows:,}", hint
    empty = [f.name for n, f in enumerate(schema) if not f.nullable and moved.column(n).null_count]
    if empty:
        return (
            f"NULL in {', '.join(empty)}",
            "give each row of a NOT NULL column a value, or leave the row out",
        )
    return None


def _names(got: pa.Schema, want: pa.Schema) -> str:
    wrong = [
        f"{g.name} {g.type} (described as {w.name} {w.type})"
        for g, w in zip(got, want, strict=False)
        if (g.name, g.type) != (w.name, w.type)
    ]
    if wrong:
        return ", ".join(wrong)
    return f"{len(got)} columns (described as {len(want)})" if len(got) != len(want) else "other nullability"
