"""Writes the plan of an epoch that is read from a source."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from hdm import failpoints
from hdm.model import Chunk, Mode, Window
from hdm.planning.job_lifecycle import note, remarks
from hdm.planning.recovery import Taken
from hdm.planning.windows import reading_of, unread, window_of

if TYPE_CHECKING:
    from hdm.runtime.link import DataLink
    from hdm.state import StateManager

log = logging.getLogger("hdm.planner")


def plan_root(
    state: StateManager, taken: Taken, link: DataLink, links: Sequence[str], notes: list[str],
    differing: list[str], *, empty: bool, whole: bool = False, merged: bool = False,
) -> ExitStack:  # fmt: skip
    """Cut the window of the job that was ``taken`` over and write its chunks ahead, none if it is known
    to be ``empty``, all rows whatever the watermark if ``whole``. The snapshot that it is read under, to be
    closed with the job; ``links`` are all of the manifest. ``merged``: as for ``window_of``. What is found
    below the watermark goes to ``notes``, and a table whose source differs there to ``differing``."""
    job, held = taken.job, ExitStack()
    try:
        token = held.enter_context(link.source.snapshot())
        table, window = job.info.source, window_of(job, link, state, merged=merged)
        if whole:
            window = replace(link.source.window(), again=True)
        failpoints.point("R3")
        chunks = [] if empty else list(_cut(state, taken, link, window, token))
        notes.extend(remarks(job, link, chunks))
        note(job, window.findings.notes, notes)
        note(job, window.findings.differs, notes, differing)
        taken.admit(chunks)
        high = next((c.upto for c in reversed(chunks) if c.upto is not None), window.after)
        words = {"snapshot": token, "wm_low": window.after, "wm_high": high}
        waits_for = links if job.info.mode is Mode.REPLACE else []
        kept = reading_of(window, chunks)
        state.add_plan(job, chunks, **words, unless_loading=waits_for, reading=kept)
        log.debug("planned %s: %d chunks", table.dataset.name, len(chunks))
    except BaseException:
        held.close()
        raise
    return held


def _cut(
    state: StateManager, taken: Taken, link: DataLink, window: Window, token: str | None
) -> Iterator[Chunk]:
    job = taken.job
    fixed = link.source.chunks_are_content and job.info.mode is not Mode.REPLACE
    chunks = link.source.split(job.info.source, window, job.pipeline_key, token)
    if fixed:
        chunks = unread(state, job.pipeline_key, job.info.mode, link, chunks)
    for chunk in chunks:
        yield replace(taken.numbered(chunk), epoch=1 if fixed else job.epoch)
