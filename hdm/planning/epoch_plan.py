"""Cuts what an epoch (one planned reading) covers into chunks, stored before any is read."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hdm import failpoints
from hdm.model import Chunk, Mode, Table, Window
from hdm.planning.job_lifecycle import note, plan_warnings
from hdm.planning.recovery import Recovered
from hdm.planning.sync_links import one_chunk
from hdm.planning.windows import reading_of, unread, window_of

if TYPE_CHECKING:
    from hdm.runtime.link import DataLink
    from hdm.state import StateManager

log = logging.getLogger("hdm.planner")


@dataclass(frozen=True, slots=True)
class Cut:
    """A range of rows to read, and the chunks that it was cut into, numbered from 0."""

    window: Window
    chunks: Sequence[Chunk]


def cut_epoch(
    state: StateManager | None, pipeline_key: str, mode: Mode, epoch: int, table: Table, link: DataLink,
    token: str | None, *, empty: bool = False, whole: bool = False, merged: bool = False,
) -> Cut:  # fmt: skip
    """Cut what an epoch of a pipeline must read into chunks; return the window and these chunks.

    Writes nothing: a run and ``hdm plan`` both call this. ``token`` names the snapshot of the source, None if
    there is none. ``state`` is None if nothing was ever run. ``empty``: the source is known to have nothing.
    ``whole``: read all rows, whatever the watermark. ``merged``: all links that load the staged rows merge
    them.
    """
    if mode.rules.compares:
        return Cut(link.source.window(), [one_chunk(pipeline_key, table, epoch)])
    window = window_of(pipeline_key, mode, link, state, table, merged=merged)
    if whole:
        window = replace(link.source.window(), again=True)
    if empty:
        return Cut(window, ())
    fixed = link.source.chunks_are_content and mode.rules.plans_by_content
    chunks = link.source.split(table, window, pipeline_key, token)
    if fixed and state is not None:
        chunks = unread(state, pipeline_key, mode, link, chunks)
    return Cut(window, [replace(chunk, epoch=1 if fixed else epoch) for chunk in chunks])


def plan_root(
    state: StateManager, taken: Recovered, link: DataLink, links: Collection[str], notes: list[str],
    differing: list[str], *, empty: bool, whole: bool = False, merged: bool = False,
) -> ExitStack:  # fmt: skip
    """Cut what the job ``taken.job`` must read into chunks and store these; return the open snapshot.

    The caller closes the snapshot when it closes the job. ``links`` are the keys of all links of the
    manifest. ``empty``: the source is known to have nothing, so no chunks are planned. ``whole``: read all
    rows, whatever the watermark. ``merged``: see ``window_of``. Findings about rows below the watermark are
    appended to ``notes``, and the table's name to ``differing`` if its source has changed there.
    """
    job, held = taken.job, ExitStack()
    try:
        table, mode = job.info.source, job.info.mode
        token = None if mode.rules.compares else held.enter_context(link.source.snapshot())
        failpoints.point("R3")
        words = {"empty": empty, "whole": whole, "merged": merged}
        cut = cut_epoch(state, job.pipeline_key, mode, job.epoch, table, link, token, **words)
        window, chunks = cut.window, [taken.numbered(chunk) for chunk in cut.chunks]
        note(job, list(plan_warnings(table, mode, link, chunks)), notes)
        note(job, window.findings.notes, notes)
        note(job, window.findings.differs, notes, differing)
        taken.admit(chunks)
        high = next((c.upto for c in reversed(chunks) if c.upto is not None), window.after)
        marks = {"snapshot": token, "wm_low": window.after, "wm_high": high, "target_id": taken.target_id}
        waits_for = links if mode.rules.reads_everything else ()
        kept = reading_of(window, chunks, taken.numbers)
        state.jobs.plan(job, chunks, **marks, unless_loading=waits_for, reading=kept)
        log.debug("planned %s: %d chunks", table.dataset.name, len(chunks))
    except BaseException:
        held.close()
        raise
    return held
