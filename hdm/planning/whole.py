"""Holds what a job's chunks gave against what its plan counted; gives up what cannot be whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hdm.errors import SourceChanged
from hdm.model import Mode

if TYPE_CHECKING:
    from hdm.state import Job, StateManager


def missing(state: StateManager, job: Job) -> Iterator[str]:
    """What is to be said if a settled job read other rows than were counted.

    Raises ``SourceChanged`` where both saw the same view of the source, so that no row can have come or gone.
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


def begin_anew(state: StateManager, job: Job, notes: list[str], *, feeds: bool) -> bool:
    """Give up an adopted reading that can never be whole, if another may be begun in its place; whether
    that was done. Not in mode append, where rows would come twice, nor where others load what it staged."""
    if not job.adopted or not job.planned or job.info.upstream_keys or feeds:
        return False
    if job.info.mode is Mode.APPEND:
        return False
    found = state.reports.row_count(job.job_id)
    short = found.held and found.counted is not None and found.counted != found.read
    given_up = state.give_up(job, short=short)
    if given_up:
        notes.append(f"{job.info.source.dataset.name}: it changed while it was read last: read anew")
    return given_up
