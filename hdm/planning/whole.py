"""Compares the number of rows that a job read with its plan; gives up readings that cannot be complete."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hdm.errors import SourceChanged

if TYPE_CHECKING:
    from hdm.state import Job, StateManager


READ_ANEW = "it changed while it was read last: read anew"
COMPARED_ANEW = "its last sync did not reach its end: compared anew"


def missing(state: StateManager, job: Job) -> Iterator[str]:
    """Yield a note if a settled job read another number of rows than its plan counted; otherwise nothing.

    Raises ``SourceChanged`` if the rows were counted and read in one snapshot, so that none can have come or
    gone.
    """
    if job.info.upstream_keys:
        return
    found, name = state.reports.row_count(job.job_id), job.info.source.dataset.name
    if found.counted is None or found.counted == found.read:
        return
    said = f"{name}: {found.counted:,} rows were counted when it was planned, {found.read:,} were read"
    if not found.held:
        yield f"{said}: rows came or went meanwhile, and its chunks share no snapshot"
        return
    raise SourceChanged(
        f"{said}, though all under one snapshot: it is not complete",
        hint="compare the table with its target; run again: modes replace and merge then read it anew",
    )


def deleted(state: StateManager, job: Job) -> Iterator[str]:
    """Yield a note if a job in mode sync has deleted rows of its target; otherwise nothing."""
    count = state.reports.filtered(job.job_id) if job.info.mode.rules.compares else 0
    if count:
        yield f"{job.info.source.dataset.name}: {count:,} rows that its source has not were deleted"


def begin_anew(state: StateManager, job: Job, notes: list[str], *, feeds: bool) -> bool:
    """Give up an unfinished reading that can never be complete; return True if it was given up.

    A new reading can begin then, and ``notes`` get a line. False for a job that was opened only now, in mode
    append, where rows would be loaded twice, and if other links load what it staged (``feeds``).
    """
    if not job.adopted or not _may_begin_anew(job, feeds=feeds):
        return False
    given_up = state.jobs.give_up(job, short=_is_short(state, job))
    if given_up:
        why = COMPARED_ANEW if job.info.mode.rules.compares else READ_ANEW
        notes.append(f"{job.info.source.dataset.name}: {why}")
    return given_up


def begins_anew(state: StateManager, job: Job, *, feeds: bool) -> bool:
    """Return True if the next run would give up an open job because its reading can never be complete.

    ``feeds``: other links load what it staged. Writes nothing.
    """
    return _may_begin_anew(job, feeds=feeds) and state.gaps.is_torn(job, short=_is_short(state, job))


def _may_begin_anew(job: Job, *, feeds: bool) -> bool:
    return job.planned and not job.info.upstream_keys and not feeds and not job.info.mode.rules.only_adds


def _is_short(state: StateManager, job: Job) -> bool:
    if job.info.mode.rules.compares:  # what is left of a sync is found by comparing again
        return bool(state.jobs.counts(job.job_id).get("dead"))
    found = state.reports.row_count(job.job_id)
    return found.held and found.counted is not None and found.counted != found.read
