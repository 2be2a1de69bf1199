"""Both ends of a job: what its target knows of it before it is planned, and how it is closed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from hdm.model import Chunk, LinkSpec, Mode, Table
from hdm.planning.preflight import Pipeline
from hdm.planning.recovery import Recovered, take_over, verify_rest
from hdm.planning.windows import UNFINISHED
from hdm.state.records import IN_ORDER

if TYPE_CHECKING:
    from hdm.runtime.link import DataLink
    from hdm.state import Job, StateManager

FAILED = "failed"
"""How a job ended that could not be planned; the others end as ``StateManager.close_job`` says."""
FINISHES_FIRST = "this run finishes what the last one read; run again to read anew"
READ_ONCE = (
    "moved before and not read again: it has no watermark to tell new rows by "
    "(mode replace or merge would read all of it)"
)


def prepare(state: StateManager, job: Job, link: DataLink, notes: list[str]) -> Recovered:
    """Ready the sink for an unplanned job. The target is the truth: chunks that only it knows of are
    taken over; what replaces has no use for them, and is read anew past their epochs."""
    outgoing, key, mode = link.outgoing(job.info.source), job.pipeline_key, job.info.mode
    name = job.info.source.dataset.name
    if link.grows:
        link.sink.grow(outgoing)
    if mode is Mode.REPLACE:
        ready = skip_lost(state, job, link, outgoing)
        if ready.epoch != job.epoch:
            notes.append(f"{name}: the state database knows less than the target: read anew")
        link.sink.prepare(outgoing, key, ready.epoch, mode)
        return Recovered(ready)
    link.sink.prepare(outgoing, key, job.epoch, mode)
    taken = take_over(state, job, link, outgoing)
    if taken.count:
        notes.append(f"{name}: took over {taken.count} chunk(s) from the target's ledger")
    return taken


def plan_warnings(table: Table, mode: Mode, link: DataLink, chunks: Sequence[Chunk]) -> Iterator[str]:
    """What of its configuration is not carried out in a plan of ``chunks``."""
    if mode is Mode.APPEND and link.source.window().offset:
        yield (
            "offset is not used: in mode append it would double rows. For rows that come "
            "later, below the watermark, write lag:, or mode: merge"
        )
    if said := link.source.why_not_split(table, chunks):
        yield said


def skip_lost(state: StateManager, job: Job, link: DataLink, table: Table) -> Job:
    """The unplanned job of what replaces, moved past the epochs that only the target knows of: it
    would take their chunks, and their swap, for its own."""
    newest = link.sink.newest_epoch(table, job.pipeline_key)
    return job if newest < job.epoch else state.skip_epochs(job, newest + 1, None)


def close(state: StateManager, job: Job, link: DataLink, *, swap: bool) -> str:
    """End a settled job; how. Nothing is swapped in for an epoch for which nothing was read."""
    if job.info.mode is Mode.REPLACE and job.info.upstream_keys and state.close_unread(job):
        return "success"
    counts = state.counts(job.job_id)
    verify_rest(state, job, link, counts)
    if swap and not counts.get("dead"):
        link.sink.finish(link.outgoing(job.info.source), job.pipeline_key, job.epoch, job.info.mode)
    return state.close_job(job.job_id)


def holds_back(state: StateManager, job: Job) -> bool:
    """Whether nothing is left to do for what is merged but what a dead chunk keeps waiting: rows that
    were read after its own, or whose order its own are part of."""
    if job.info.mode is not Mode.MERGE:
        return False
    counts = state.counts(job.job_id)
    in_order = job.info.max_parallel == IN_ORDER
    busy = counts.get("leased") or counts.get("written") or (counts.get("pending") and not in_order)
    return bool(counts.get("dead")) and not busy and not state.pending_receipts(job, 1)


def is_merged(one: Pipeline, specs: Mapping[str, LinkSpec]) -> bool:
    """Whether a root of ``specs`` is read for a link that merges what it stages."""
    below = (spec for spec in specs.values() if one.link.key in spec.upstream)
    return not one.upstream_keys and any(spec.mode is Mode.MERGE for spec in below)


def goes_past(one: Pipeline, specs: Mapping[str, LinkSpec]) -> bool:
    """Whether a table goes on past its dead chunks: not where ``specs`` merge what it stages, since what
    was read later must be merged later."""
    return one.link.on_dead == "continue" and not is_merged(one, specs)


def waits_for_chain(state: StateManager, one: Pipeline, specs: Mapping[str, LinkSpec]) -> bool:
    """Whether a table that is replaced is not read anew, since its last reading is still being loaded."""
    return not state.reports.is_open(one.pipeline_key) and is_loading(state, one, specs)


def is_loading(state: StateManager, one: Pipeline, specs: Mapping[str, LinkSpec]) -> bool:
    """Whether links of ``specs`` still load what was read of a table that is replaced."""
    if one.link.mode is not Mode.REPLACE or one.upstream_keys:
        return False
    return state.is_loading(one.pipeline_key, list(specs))


def waits_for_dead(state: StateManager, job: Job) -> Iterator[str]:
    """A word on what is not moved because of that."""
    if holds_back(state, job):
        said = "what was read later waits for its dead chunk: retry or waive it"
        yield f"{job.info.source.dataset.name}: {said}"


def note(job: Job, texts: Sequence[str], notes: list[str], differing: list[str] | None = None) -> None:
    """Say something of a job's table, and that it differs."""
    name = job.info.source.dataset.name
    notes.extend(f"{name}: {text}" for text in texts)
    if differing is not None and texts:
        differing.append(name)


def surplus(state: StateManager, job: Job, link: DataLink, ended: str) -> Sequence[str]:
    """What is to be said of a table that was merged whole, if the target holds another number of rows than
    its source did: only so are deletions seen where a change moves a row up. Looks only."""
    if (
        ended != "success"
        or job.info.mode is not Mode.MERGE
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
    # A row that is held back may be there as it was before.
    more, later = held - total, int(last.kept.get("held_back", 0))
    if more > later:
        least = "at least " if later else ""
        return [f"{counts}: {least}{more - later:,} were deleted there, or put into the target by others"]
    return [f"{counts}: some have one key, or are gone from it"] if more < 0 else ()


def can_never_finish(state: StateManager, job: Job, above: Sequence[str | None]) -> bool:
    """Whether a job that is not settled waits for jobs ``above``, which ended so (None: not yet), of
    which one has failed, and has moved all that they gave; or for its own dead chunks."""
    if None in above:
        return False
    if holds_back(state, job):
        return True
    if not {FAILED, "failure"} & set(above):
        return False
    return not (any(map(state.counts(job.job_id).get, UNFINISHED)) or state.pending_receipts(job, 1))
