"""Predicts what a run that begins now would do with one table; changes nothing.

It decides by the same functions as a run. A run writes between its decisions: it opens jobs, moves the
watermark past dead chunks, takes over chunks of a ledger. What depends on such a write is reported as
unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hdm.errors import HdmError, Recovery, UsageError
from hdm.model import Chunk, LinkSpecs
from hdm.planning import presence
from hdm.planning.epoch_plan import cut_epoch
from hdm.planning.job_lifecycle import (
    FINISHES_FIRST,
    READ_ONCE,
    goes_past,
    is_merged,
    plan_warnings,
    waits_for_chain,
)
from hdm.planning.preflight import Pipeline
from hdm.planning.sync_links import forecast, one_chunk
from hdm.planning.whole import COMPARED_ANEW, READ_ANEW, begins_anew
from hdm.planning.windows import feeds_merges, is_complete
from hdm.state.records import OPEN_JOB, UNFINISHED

if TYPE_CHECKING:
    from hdm.runtime.link import DataLink
    from hdm.state import StateManager

PASSES = "the run goes on past its dead chunks; what is new is known once it has"
READS_ON = "the run finishes what was staged before it reads what is new since"


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a run would do with one table that it reads from its source.

    ``left``: how many chunks of unfinished plans are still to be moved. ``chunks``: those that the run would
    plan anew; None if only the run can tell. ``refused``: why the table would not be moved.
    """

    chunks: tuple[Chunk, ...] | None = ()
    left: int = 0
    notes: tuple[str, ...] = ()
    refused: str | None = None


def look_ahead(
    state: StateManager | None,
    one: Pipeline,
    link: DataLink,
    specs: LinkSpecs,
    *,
    whole: bool = False,
) -> Outlook:
    """Return what a run would do with a table that is read from its source.

    ``whole``: as if all of its rows were to be read again. ``state`` is None if nothing was ever run. Errors
    of the source are raised.
    """
    if state is None:
        return _cut(None, one, link, specs, 1, whole=whole)
    if waits_for_chain(state, one, specs):
        return Outlook(notes=(FINISHES_FIRST,))
    refilled = whole and one.link.mode.rules.swaps_at_end
    if not refilled and (said := _is_gone(state, one, link, specs)):
        return said
    found = _look(state, one, link, specs, whole=whole)
    older = 0 if whole else state.gaps.left_of_older(one.pipeline_key)
    return replace(found, left=found.left + older)


def _look(state: StateManager, one: Pipeline, link: DataLink, specs: LinkSpecs, *, whole: bool) -> Outlook:
    newest = state.reports.newest_job(one.pipeline_key)
    if newest is None:
        return _cut(state, one, link, specs, 1, whole=whole)
    if newest.status not in OPEN_JOB or whole:
        return _cut(state, one, link, specs, newest.epoch + 1, whole=whole)
    if not newest.planned:
        return _cut(state, one, link, specs, newest.epoch)
    if goes_past(one, specs) and state.gaps.can_pass(newest):
        return Outlook(chunks=None, notes=(PASSES,))
    if begins_anew(state, newest, feeds=specs.feeds(newest.link_key)):
        found = _cut(state, one, link, specs, newest.epoch + 1)
        why = COMPARED_ANEW if one.link.mode.rules.compares else READ_ANEW
        return replace(found, notes=(why, *found.notes))
    counts = state.jobs.counts(newest.job_id)
    left = sum(counts.get(status, 0) for status in UNFINISHED)
    if one.source.cursor and is_merged(one, specs):
        return Outlook(chunks=None, left=left, notes=(READS_ON,))
    return Outlook(left=left)


def _is_gone(state: StateManager, one: Pipeline, link: DataLink, specs: LinkSpecs) -> Outlook | None:
    """Return the refusal of a run whose target lost committed rows; None if nothing is lost.

    None, too, if the target is away: a run would wait for it.
    """
    try:
        presence.look(state, one, link, specs)
    except HdmError as error:
        if error.recovery is Recovery.RETRY:
            return None
        if error.recovery is not Recovery.BURY:
            raise
        return Outlook(refused=error.in_one_line)
    return None


def _compared(one: Pipeline, link: DataLink, epoch: int) -> Outlook:
    """Return what a sync of a table and its target would do, by comparing them now."""
    try:
        said, stopped = forecast(link, one.source)
    except UsageError as error:  # the run would make the chunk dead, and go on with other tables
        said, stopped = (), error.in_one_line
    return Outlook((one_chunk(one.pipeline_key, one.source, epoch),), notes=said, refused=stopped)


def _cut(
    state: StateManager | None,
    one: Pipeline,
    link: DataLink,
    specs: LinkSpecs,
    epoch: int,
    *,
    whole: bool = False,
) -> Outlook:
    """Return the chunks of the epoch that a run would open."""
    key, mode, table = one.pipeline_key, one.link.mode, one.source
    if state is not None and not whole and is_complete(epoch, one, link):
        if not state.reports.moved_nothing(key):
            return Outlook(notes=(READ_ONCE,))
        if link.source.is_empty(table):
            return Outlook()
    if mode.rules.compares:
        return _compared(one, link, epoch)
    with link.source.snapshot() as token:
        merged = feeds_merges(one.link.key, specs)
        cut = cut_epoch(state, key, mode, epoch, table, link, token, whole=whole, merged=merged)
    found = cut.window.findings
    limits = () if mode.rules.reads_everything else found.limits
    said = (*plan_warnings(table, mode, link, cut.chunks), *found.differs, *found.notes, *limits)
    return Outlook(tuple(cut.chunks), notes=said)
