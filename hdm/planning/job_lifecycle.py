"""Prepares a job's target before the job is planned, and closes the job when all chunks are settled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hdm.model import Chunk, LinkSpecs, Mode, Table
from hdm.planning import presence
from hdm.planning.pipeline_run import FAILED
from hdm.planning.preflight import Pipeline
from hdm.planning.recovery import Recovered, take_over, verify_rest
from hdm.state.records import DONE, IN_ORDER, UNFINISHED

if TYPE_CHECKING:
    from hdm.runtime.link import DataLink
    from hdm.state import Job, StateManager

FINISHES_FIRST = "this run finishes what the last one read; run again to read anew"
READ_ONCE = (
    "moved before and not read again: it has no watermark to tell new rows by "
    "(mode replace or merge would read all of it)"
)


def prepare(state: StateManager, job: Job, link: DataLink, notes: list[str]) -> Recovered:
    """Prepare the sink for an unplanned job; record as committed chunks that only the target's ledger has.

    Returns what was recovered so. A table in mode replace recovers nothing: it is read again, in an epoch
    after all epochs that the ledger names. What a person should know is appended to ``notes``.
    """
    outgoing, key, mode = link.outgoing(job.info.source), job.pipeline_key, job.info.mode
    name = job.info.source.dataset.name
    if link.grows:
        link.sink.grow(outgoing)
    if mode.rules.reads_everything:
        ready = skip_lost(state, job, link, outgoing)
        if ready.epoch != job.epoch:
            notes.append(f"{name}: the state database knows less than the target: read anew")
        link.sink.prepare(outgoing, key, ready.epoch, mode)
        return Recovered(ready, target_id=link.sink.identity(outgoing))
    link.sink.prepare(outgoing, key, job.epoch, mode)
    taken = take_over(state, job, link, outgoing)
    if taken.count:
        notes.append(f"{name}: took over {taken.count} chunk(s) from the target's ledger")
    return replace(taken, target_id=link.sink.identity(outgoing))


def prepare_another(state: StateManager, one: Pipeline, link: DataLink) -> None:
    """Prepare the sink of an open epoch for a target other than the one that the epoch was planned for.

    Nothing may be committed to the first target yet. Called before the job is opened, since workers begin
    then. Without an open epoch, nothing is done.
    """
    planned = state.reports.open_epoch(one.pipeline_key)
    if planned is not None:
        link.sink.prepare(link.outgoing(one.source), one.pipeline_key, planned, one.link.mode)


def plan_warnings(table: Table, mode: Mode, link: DataLink, chunks: Sequence[Chunk]) -> Iterator[str]:
    """Yield a warning for each setting that a plan with these ``chunks`` does not follow."""
    if mode.rules.only_adds and link.source.window().offset:
        yield (
            "offset is not used: in mode append it would double rows. For rows that come "
            "later, below the watermark, write lag:, or mode: merge"
        )
    if said := link.source.why_not_split(table, chunks):
        yield said
    yield from link.source.notes(table, chunks)


def skip_lost(state: StateManager, job: Job, link: DataLink, table: Table) -> Job:
    """Give an unplanned job in mode replace an epoch number after all those in the target's ledger.

    Returns the job, unchanged if its number is already greater. Otherwise the job would reuse such an epoch,
    and take the chunks and the table swap of that epoch for its own.
    """
    newest = link.sink.newest_epoch(table, job.pipeline_key)
    return job if newest < job.epoch else state.jobs.skip_epochs(job, newest + 1, None)


def close(state: StateManager, job: Job, link: DataLink, *, swap: bool, feeds: bool) -> str:
    """Close a settled job; return 'success', or 'failure' if a chunk is dead.

    In mode replace, the target's new table is put in place first if ``swap`` is set and no chunk is dead;
    never for an epoch that was closed unread. Raises ``PermanentError`` if the target lost committed chunks
    since the run began.
    """
    if job.info.mode.rules.swaps_at_end and job.info.upstream_keys and state.jobs.close_unread(job):
        return "success"
    counts = state.jobs.counts(job.job_id)
    verify_rest(state, job, link, counts)
    is_whole = swap and not counts.get("dead")
    if is_whole if job.info.mode.rules.swaps_at_end else any(map(counts.get, DONE)):
        presence.still_there(state, job, link, feeds=feeds)
    if is_whole:
        link.sink.finish(link.outgoing(job.info.source), job.pipeline_key, job.epoch, job.info.mode)
    return state.jobs.close(job.job_id)


def holds_back(state: StateManager, job: Job) -> bool:
    """Return True if a job in mode merge can do nothing more until a person decides about its dead chunk.

    In that case all other chunks are settled, or wait for the dead one because rows are loaded in order. The
    person retries or waives the chunk. False in other modes.
    """
    if not job.info.mode.rules.merges_by_key:
        return False
    counts = state.jobs.counts(job.job_id)
    in_order = job.info.max_parallel == IN_ORDER
    busy = counts.get("leased") or counts.get("written") or (counts.get("pending") and not in_order)
    return bool(counts.get("dead")) and not busy and not state.jobs.pending_receipts(job, 1)


def is_merged(one: Pipeline, specs: LinkSpecs) -> bool:
    """Return True if the rows that a pipeline stages from its source are merged by a later link of ``specs``.

    False for a pipeline that itself loads staged rows.
    """
    below = specs.readers(one.link.key)
    return not one.upstream_keys and any(spec.mode.rules.merges_by_key for spec in below)


def goes_past(one: Pipeline, specs: LinkSpecs) -> bool:
    """Return True if a table is read on although it has dead chunks (``on_dead: continue``).

    False if links of ``specs`` merge the staged rows: rows that were read later must be merged later.
    """
    return one.link.on_dead == "continue" and not is_merged(one, specs)


def waits_for_chain(state: StateManager, one: Pipeline, specs: LinkSpecs) -> bool:
    """Return True if a table in mode replace must not be read yet.

    That is so while links of ``specs`` still load its last reading, unless it has an open epoch itself.
    """
    return not state.reports.is_open(one.pipeline_key) and is_loading(state, one, specs)


def is_loading(state: StateManager, one: Pipeline, specs: LinkSpecs) -> bool:
    """Return True if links of ``specs`` still load the last reading of a table in mode replace.

    False in other modes, and for a pipeline that itself loads staged rows.
    """
    if not one.link.mode.rules.reads_everything or one.upstream_keys:
        return False
    return state.jobs.is_loading(one.pipeline_key, specs.keys())


def waits_for_dead(state: StateManager, job: Job) -> Iterator[str]:
    """Yield a note if rows that were read later wait until a person decides about the job's dead chunk.

    Otherwise nothing.
    """
    if holds_back(state, job):
        said = "what was read later waits for its dead chunk: retry or waive it"
        yield f"{job.info.source.dataset.name}: {said}"


def note(job: Job, texts: Sequence[str], notes: list[str], differing: list[str] | None = None) -> None:
    """Append ``texts`` to ``notes``, each preceded by the name of the job's source table.

    If there are any texts, the name is also appended to ``differing``.
    """
    name = job.info.source.dataset.name
    notes.extend(f"{name}: {text}" for text in texts)
    if differing is not None and texts:
        differing.append(name)


def surplus(state: StateManager, job: Job, link: DataLink, ended: str) -> Sequence[str]:
    """Return a note if a table in mode merge has another number of rows in the target than in the source.

    Otherwise nothing: also if ``ended`` is not success, if a transform changes rows, or if a number is not
    known. Rows that were deleted at the source show only here. Writes nothing.
    """
    if (
        ended != "success"
        or not job.info.mode.rules.merges_by_key
        or job.info.upstream_keys
        or link.makes_rows_of_its_own
    ):
        return ()
    last = state.reports.last_reading(job.pipeline_key)
    total = None if last is None or job.info.source.cursor is None else last.total
    held = None if total is None else link.sink.rows(link.outgoing(job.info.source))
    if last is None or total is None or held is None:
        return ()
    counts = f"the target holds {held:,} rows, the source {total:,}"
    # A row whose update is held back may still be in the target as it was before.
    more, later = held - total, int(last.kept.get("held_back", 0))
    if more > later:
        least = "at least " if later else ""
        return [f"{counts}: {least}{more - later:,} were deleted there, or put into the target by others"]
    return [f"{counts}: some have one key, or are gone from it"] if more < 0 else ()


def can_never_finish(state: StateManager, job: Job, above: Sequence[str | None]) -> bool:
    """Return True if an open job can never finish in this run.

    ``above`` are the outcomes of its upstream jobs, None for one that is still open. True if none is open,
    one failed, and all chunks that they published are loaded. In mode merge also if none is open and the job
    can do nothing more because of its own dead chunk (``holds_back``).
    """
    if None in above:
        return False
    if holds_back(state, job):
        # A job whose last chunk was settled after the caller asked is closed in the next tick, so that the
        # next run may pass its dead chunks.
        return not state.jobs.settled(job)
    if not {FAILED, "failure"} & set(above):
        return False
    return not (
        any(map(state.jobs.counts(job.job_id).get, UNFINISHED)) or state.jobs.pending_receipts(job, 1)
    )
