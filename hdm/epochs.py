"""What a new epoch of a job is: its plan's words, its window, and whether there is anything in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hdm.model import LinkSpec, Mode, Table, Window
from hdm.survey import Prospect

if TYPE_CHECKING:
    from hdm.link import DataLink
    from hdm.state import Job, JobInfo, StateManager


def job_info(one: Prospect, link: DataLink, depth: int, state: StateManager) -> JobInfo:
    """The job as it will be recorded."""
    from hdm.state import JobInfo

    return JobInfo(
        pipeline_key=one.pipeline_key,
        link_key=one.link.key,
        stage_no=depth,
        source_name=one.link.source.name,
        source_type=one.link.source.type,
        sink_name=one.link.sink.name,
        sink_type=one.link.sink.type,
        source=one.source,
        target=one.target,
        mode=one.link.mode,
        site=one.link.site,
        upstream_keys=one.upstream_keys,
        max_parallel=_parallel(one.link, one.source),
        losses=list(one.losses),
        first_epoch=_first_epoch(one, link, state),
    )


def is_complete(job: Job, one: Prospect, link: DataLink) -> bool:
    """A second epoch is only opened once the first is closed, with every chunk committed."""
    if one.upstream_keys or one.link.mode is not Mode.APPEND or one.source.cursor:
        return False
    return job.epoch > 1 and not link.source.chunks_are_content


def window_of(job: Job, link: DataLink, state: StateManager) -> Window:
    """What is to be read: all above the watermark, or, to replace, everything."""
    window = link.source.window()
    if job.info.mode is Mode.MERGE:
        window = replace(window, again=True)
    mark = state.watermark(job.pipeline_key)
    if mark is None or window.column is None or job.info.mode is Mode.REPLACE:
        return window
    if job.info.mode is Mode.APPEND:
        # What is read again would be there twice; ties and late rows arrive without it.
        window = replace(window, offset=None)
    return replace(
        window,
        after=mark.value,
        ties=mark.ties,
        nulls=mark.nulls,
        ties_counted=mark.ties_counted,
        nulls_counted=mark.nulls_counted,
        snapshot=mark.snapshot,
    )


def _first_epoch(one: Prospect, link: DataLink, state: StateManager) -> int:
    """What replaces must not take a lost epoch's chunks, which the ledger holds, for its own."""
    if one.link.mode is not Mode.REPLACE or state.reports.is_known(one.pipeline_key):
        return 1
    ledger = link.sink.ledger(link.outgoing(one.source), one.pipeline_key)
    return 1 + max((chunk.epoch for chunk, _ in ledger), default=0)


WIDE_ROW = 4 * 1024 * 1024
"""Mean bytes per row from which a table is moved by one worker at a time, for memory's sake."""


def _parallel(link: LinkSpec, table: Table) -> int | None:
    if table.rows and (table.bytes or 0) / table.rows > WIDE_ROW:
        return 1
    limit = link.limits.get("connections")
    bounds = [n for n in (link.threads, limit) if n]
    return min(bounds) if bounds else None
