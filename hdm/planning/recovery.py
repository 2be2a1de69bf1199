"""Recovers chunks that the target has but the state database does not know, after a crash or a restore.

The target's ledger is the truth. Epochs that it has as a whole are taken over in order, so that the watermark
ends where they end, and new chunks get an epoch number that the ledger does not use. The plan of an
unfinished epoch is lost: reading goes on only if the same chunks are planned again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hdm.errors import PermanentError
from hdm.model import Chunk, Receipt, Table
from hdm.model.values import UNPLACED

if TYPE_CHECKING:
    from hdm.runtime.link import DataLink
    from hdm.state import Job, StateManager

SETTLED = ("committed", "verified", "superseded")
LedgerEntry = tuple[Chunk, Receipt]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was recovered of ``job`` from its target; the job's epoch number may have grown.

    ``complete``: the target contains all of a table that has no cursor. ``unfinished``: the chunks of an
    epoch of which the ledger names only a part. ``numbers``: how many chunk numbers are already used.
    ``target_id``: the identity of the target, from its ledger.
    """

    job: Job
    count: int = 0
    numbers: int = 0
    complete: bool = False
    unfinished: Sequence[Chunk] = ()
    target_id: str | None = None

    def numbered(self, chunk: Chunk) -> Chunk:
        """Return a newly planned chunk with a number after those of the recovered chunks."""
        return chunk.at(number=self.numbers + chunk.number, first_number=self.numbers)

    def admit(self, planned: Iterable[Chunk]) -> None:
        """Raise ``PermanentError`` unless the new plan has every recovered chunk of the unfinished epoch.

        Mode merge may go on without them. A chunk that ended the window must still end it, since otherwise it
        may have grown.
        """
        found = {chunk.chunk_id: chunk for chunk in planned}
        merges = not self.job.info.mode.rules.only_adds
        way_out = "" if merges else "; or use mode merge"
        for held in self.unfinished:
            again = found.get(held.chunk_id, held if merges else None)
            if again is None or (again.boundary, again.counted) != (held.boundary, held.counted):
                raise PermanentError(
                    f"the target holds {len(self.unfinished)} chunk(s) of a reading that was not finished "
                    "and that the state database does not know: going on could load rows twice, or leave "
                    "some out",
                    hint="restore a newer state database; or empty the table and the ledger "
                    f"(_hdm_load_ledger, or the files) and run again{way_out}",
                )


def take_over(state: StateManager, job: Job, link: DataLink, table: Table) -> Recovered:
    """Record as committed the chunks that only the target's ledger has; return what was recovered.

    ``job`` is not planned yet. ``table`` is the source's table as the sink gets it.
    """
    held = sorted(link.sink.ledger(table, job.pipeline_key), key=lambda one: (one[0].epoch, _place(one[0])))
    known = state.reports.statuses([chunk.chunk_id for chunk, _ in held])
    count = record_known(state, job, held, known)
    lost = [one for one in held if known.get(one[0].chunk_id, (job.job_id, ""))[0] == job.job_id]
    if not lost:
        return Recovered(job, count)
    if job.info.upstream_keys or link.source.chunks_are_content:
        return Recovered(job, count + sum(state.chunks.import_committed(job, *one) for one in lost))
    last = lost[-1][0].epoch
    newest = [chunk for chunk, _ in lost if chunk.epoch == last]
    finished = _is_finished(newest, link, job.info.source.cursor)
    whole = [one for one in lost if finished or one[0].epoch < last]
    snapshot = whole[-1][0].snapshot if whole else None
    job = state.jobs.skip_epochs(job, last + 1 if finished else last, snapshot)
    for number, (chunk, receipt) in enumerate(whole):
        numbered = chunk.at(number=number, first_number=number - _place(chunk))
        count += state.chunks.import_committed(job, numbered, receipt)
    return Recovered(
        job,
        count,
        len(whole),
        complete=finished and _is_all_there_is(job, whole),
        unfinished=() if finished else newest,
    )


def record_known(
    state: StateManager, job: Job, held: Iterable[LedgerEntry], known: dict[str, tuple[str, str]]
) -> int:
    """Record as committed the planned chunks that the target's ledger names; return how many were recorded.

    ``held`` are the ledger's chunks, ``known`` is the job and status of each by chunk id. Chunks that the
    state does not know, and chunks that it calls committed, verified or superseded, are left out.
    """
    news = (one for one in held if known.get(one[0].chunk_id, ("", SETTLED[0]))[1] not in SETTLED)
    return sum(state.chunks.import_committed(job, *one) for one in news)


def verify_rest(state: StateManager, job: Job, link: DataLink, counts: Mapping[str, int]) -> None:
    """Compare row counts with the target for chunks that were recorded as committed without that.

    The state database records each result. Nothing is done if the sink cannot tell which rows the target has.
    """
    if counts.get("committed") and link.verifies:
        for chunk, rows in state.reports.unverified(job.job_id):
            held = link.sink.committed(link.outgoing(job.info.source), chunk, job.info.mode)
            found = held.rows if held is not None else -1
            state.chunks.verify_late(job, chunk.chunk_id, rows, found)


def _place(chunk: Chunk) -> int:
    """Return the chunk's position in its epoch, from 0."""
    return chunk.number - chunk.first_number


def _is_all_there_is(job: Job, held: Iterable[LedgerEntry]) -> bool:
    """Return whether a table without a cursor was read whole: then nothing is left; see ``is_complete``."""
    had_rows = any(receipt.rows or receipt.extracted for _, receipt in held)
    return had_rows and job.info.source.cursor is None and job.info.mode.rules.only_adds


def _is_finished(chunks: Sequence[Chunk], link: DataLink, cursor: str | None) -> bool:
    """Return whether a recovered epoch ends so that the next one can begin there.

    Every row that was read must lie below the watermark, or be recognisable by digests or by a snapshot.
    """
    if [_place(chunk) for chunk in chunks] != list(range(len(chunks))):
        return False
    end = chunks[-1]
    if cursor is None:  # the last range is open at its upper end
        return all(condition.op in (">", ">=") for condition in end.conditions)
    if link.source.is_ranged:
        return True
    if end.boundary and end.upto is not None and not end.seen_key:
        return True
    if any(chunk.seen_key and not chunk.boundary for chunk in chunks):
        return False  # ties below newer rows: nothing tells them apart until the watermark passes them
    if end.boundary:
        return end.upto is not None or any(
            one.op in UNPLACED and one.column == cursor for one in end.conditions
        )
    late = len(end.conditions) == 2 and end.conditions[0].op in ("<", "<=")
    return late and end.upto is not None
