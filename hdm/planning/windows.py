"""Functions about one epoch (one planned reading): its job record, rows to read, completeness, progress."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from hdm.errors import PermanentError
from hdm.model import Chunk, LinkSpec, LinkSpecs, Mode, Table, Window
from hdm.planning.preflight import Pipeline
from hdm.state.records import IN_ORDER, UNFINISHED

if TYPE_CHECKING:
    from hdm.runtime.link import DataLink
    from hdm.state import Job, JobInfo, StateManager
    from hdm.state.records import Watermark


def depth(spec: LinkSpec, specs: Mapping[str, LinkSpec]) -> int:
    """Return the number of links in a chain from its root down to this link, itself included."""
    return 1 + max((depth(specs[up], specs) for up in spec.upstream), default=0)


def job_info(one: Pipeline, depth: int) -> JobInfo:
    """Return the description of a pipeline's job, as it is recorded in the state database.

    ``depth`` is the number of links in its chain down to this one.
    """
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
        max_parallel=IN_ORDER if one.in_order else _parallel(one.link, one.source),
        losses=list(one.losses),
        origins=one.origins,
    )


def progress(
    state: StateManager, jobs: Iterable[Job], complete: Collection[str], counted: dict[str, tuple[int, int]]
) -> dict[str, tuple[str, int, int]]:
    """Return for each link key a title, how many chunks are settled, and how many are known.

    The title is the table and the sink, or the source and the sink if the link moves several tables. The
    state is asked about each job, but only once about those with ids in ``complete``, which nothing changes
    any more: their counts are kept in ``counted``.
    """
    sums: dict[str, tuple[str, int, int]] = {}
    for job in jobs:
        settled, total = counted.get(job.job_id) or _settled(state.jobs.counts(job.job_id))
        if job.job_id in complete:
            counted[job.job_id] = settled, total
        name, done, known = sums.get(job.link_key, ("", 0, 0))
        left = job.info.source_name if name else job.info.source.dataset.name
        name = f"{left} -> {job.info.sink_name}"
        sums[job.link_key] = (name, done + settled, known + total)
    return sums


def _settled(counts: Mapping[str, int]) -> tuple[int, int]:
    """Return how many of a job's chunks are settled, and how many there are, from the counts by status."""
    total = sum(counts.values()) - counts.get("superseded", 0)
    return total - sum(counts.get(status, 0) for status in UNFINISHED), total


def unread(
    state: StateManager, pipeline_key: str, mode: Mode, link: DataLink, chunks: Iterable[Chunk]
) -> Iterator[Chunk]:
    """Yield the chunks of files whose content no earlier plan has, numbered from 0.

    Of a file that has grown, the new part is yielded, if the source can tell. Such a chunk stands for a
    file's bytes, not for a range of values.
    """
    planned = [chunk.at(epoch=1) for chunk in chunks]
    known = state.reports.statuses([chunk.chunk_id for chunk in planned])
    news = [chunk for chunk in planned if chunk.chunk_id not in known]
    before = state.reports.file_chunks(pipeline_key) if news else []
    parts = (part for chunk in news for part in link.source.rest_of(chunk, before, mode))
    yield from (part.at(number=number) for number, part in enumerate(parts))


def is_complete(epoch: int, one: Pipeline, link: DataLink) -> bool:
    """Return True if a table was read completely, so that no further epoch is read.

    That is so for a table without a cursor in mode append after its first epoch, which is closed only once
    every chunk is committed. ``epoch`` is the number of the next epoch.
    """
    if one.upstream_keys or not one.link.mode.rules.only_adds or one.source.cursor:
        return False
    return epoch > 1 and not link.source.chunks_are_content


def feeds_merges(key: str, specs: LinkSpecs) -> bool:
    """Return True if every link of ``specs`` that loads the files of the link ``key`` merges the rows.

    False if no link loads them.
    """
    below = [spec.mode for spec in specs.readers(key)]
    return bool(below) and all(mode.rules.merges_by_key for mode in below)


def window_of(
    pipeline_key: str,
    mode: Mode,
    link: DataLink,
    state: StateManager | None,
    table: Table,
    *,
    merged: bool = False,
) -> Window:
    """Return the window to read next: what lies above the watermark, or the whole table.

    It is the whole table in mode replace, without a cursor, and while no watermark of this cursor is
    recorded; ``state`` is None if nothing was ever run. In mode merge the source's ``offset`` goes below the
    watermark; in mode append it does not. ``merged``: all links that load the staged rows merge them, so that
    mode append may move changed rows again. Raises ``PermanentError`` if mode append has moved rows by
    another cursor, or by none.
    """
    window = link.source.window()
    if state is None:
        return window
    if mode.rules.merges_by_key or (merged and mode.rules.only_adds):
        window = replace(window, again=True)
    if window.column is None or not mode.rules.keeps_watermark:
        return window
    mark = state.watermarks.current(pipeline_key)
    if mark is None or mark.column != window.column:
        _refuse_another_cursor(pipeline_key, mode, window.column, mark, state)
        return window
    if mode.rules.only_adds:
        # Appending would double what an offset reads again; ties are found without it.
        window = replace(window, offset=None)
    reshaped = bool(mark.schemas - {table.schema_sha})
    # Digests of another schema cannot be compared; keys, which appending keeps beside them, can.
    counted = reshaped and not (mode.rules.only_adds and table.key)
    last = state.reports.last_reading(pipeline_key)
    window = replace(
        window,
        after=mark.value,
        ties=mark.ties,
        nulls=mark.nulls,
        ties_counted=mark.ties_counted or counted,
        nulls_counted=mark.nulls_counted or counted,
        snapshot=mark.snapshot,
        recall=partial(state.watermarks.seen, pipeline_key),
        reshaped=reshaped,
    )
    if last is None or last.kept.get("mark") != mark.value:
        return window
    return replace(
        window,
        moved=last.moved,
        exact=last.is_exact,
        last=last.kept,
        snapshot=last.snapshot or mark.snapshot,
        unclear=last.unclear,
    )


def _refuse_another_cursor(
    pipeline_key: str, mode: Mode, column: str, mark: Watermark | None, state: StateManager
) -> None:
    """Refuse to append by another cursor than before, which could load rows twice."""
    before = state.jobs.last_closed(pipeline_key)
    was = mark.column if mark is not None else before.info.source.cursor if before is not None else column
    if mode.rules.only_adds and was != column and not state.reports.moved_nothing(pipeline_key):
        raise PermanentError(
            f"its watermark is now {column}, and its rows were moved with {was or 'none'}: "
            "which of them are new cannot be told",
            hint=f"write {'watermark: {column: ' + was + '}' if was else 'no watermark'} as before, or mode "
            "merge or replace, or empty the target and give the source another name",
        )


def reading_of(window: Window, chunks: Sequence[Chunk], used: int = 0) -> dict[str, Any] | None:
    """Return what the state must remember about a reading, for the next one; None if there is nothing.

    ``used`` numbers of the job's chunks belong to chunks of earlier readings, which the ledger knew.
    """
    kept = window.findings.kept
    if not kept:
        return None
    apart = [chunk.number for chunk in chunks if chunk.boundary]
    first = chunks[0].number if chunks else used
    return {**kept, "said": window.findings.differs, "first": first, "apart": apart}


WIDE_ROW = 4 * 1024 * 1024
"""Mean bytes per row above which one worker at a time moves a table, to bound memory."""


def _parallel(link: LinkSpec, table: Table) -> int | None:
    if table.rows and (table.bytes or 0) / table.rows > WIDE_ROW:
        return 1
    limit = link.limits.get("connections")
    bounds = [n for n in (link.threads, limit) if n]
    return min(bounds) if bounds else None
