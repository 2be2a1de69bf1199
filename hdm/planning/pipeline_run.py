"""Keeps what one process knows about one pipeline in one run: how far it has come, and how it ended."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from hdm.errors import HdmError

if TYPE_CHECKING:
    from hdm.planning.preflight import Pipeline
    from hdm.state import Job

log = logging.getLogger("hdm.planner")

SUCCESS = "success"
"""Outcome of a job that moved everything; the other outcomes are ``failure`` and ``FAILED``."""
FAILED = "failed"
"""Outcome of a pipeline whose job could not be planned or closed."""


class Phase(StrEnum):
    """How far a pipeline has come in this run."""

    IDLE = "idle"
    """There is nothing to do here: another site carries the pipeline out, or has published nothing new for
    it.
    """
    WAITING = "waiting"
    """The pipeline's job, or the job of its next epoch, is still to be opened."""
    OPEN = "open"
    """The pipeline's job is open: chunks are planned and moved until all are settled."""
    CLOSED = "closed"
    """The pipeline's job is closed; ``outcome`` says how."""
    FAILED = "failed"
    """The pipeline was given up in this run; ``why`` gives the reason."""
    POSTPONED = "postponed"
    """The pipeline is left to the next run, since downstream links still load its last reading."""


@dataclass(slots=True)
class PipelineRun:
    """One pipeline in one run: its phase and all that the planner of this process knows about it.

    Only the planner's thread changes it. ``job`` is the newest job that was opened here; it is set before the
    phase becomes ``OPEN``, and opening may be tried again until then. ``reads_on``: rows that are newer than
    an adopted epoch are read once that epoch is closed. ``is_exhausted``: the source is known to have nothing
    to read. ``started_over``: the gaps of a refreshed pipeline were dropped. ``tries`` counts failed tries;
    ``not_before`` is when the next one is allowed, on the monotonic clock.
    """

    key: str
    link_key: str = ""
    name: str = ""
    pipeline: Pipeline | None = None
    job: Job | None = None
    phase: Phase = Phase.IDLE
    outcome: str | None = None
    why: str = ""
    reads_on: bool = False
    is_exhausted: bool = False
    started_over: bool = False
    tries: int = 0
    not_before: float = 0.0
    snapshot: ExitStack | None = None

    @property
    def is_over(self) -> bool:
        """True if nothing more is to be done for the pipeline in this run, as far as this process knows."""
        return self.phase not in (Phase.WAITING, Phase.OPEN)

    @property
    def is_unfinished(self) -> bool:
        """True if the pipeline has a job that is neither closed nor given up in this run."""
        return self.job is not None and not self.is_over

    @property
    def is_known(self) -> bool:
        """True if pipelines that load from this one may be opened.

        That is so once this one's job was opened, or if none is opened in this run.
        """
        return self.job is not None or self.phase is Phase.POSTPONED

    @property
    def is_good(self) -> bool:
        """True unless the pipeline has failed, or its job was closed with dead chunks."""
        return self.outcome in (None, SUCCESS)

    @property
    def needs_snapshot(self) -> bool:
        """True if the pipeline has an open snapshot of its source that is still read."""
        return self.snapshot is not None and not self.is_over

    def wait(self, pipeline: Pipeline) -> None:
        """Put ``pipeline`` in phase waiting, until its job is opened.

        A pipeline that waits already, below another upstream pipeline, waits for both.
        """
        if self.phase is Phase.WAITING and self.pipeline is not None:
            above = dict.fromkeys((*self.pipeline.upstream_keys, *pipeline.upstream_keys))
            pipeline = replace(pipeline, upstream_keys=tuple(above))
        self.pipeline, self.link_key, self.name = pipeline, pipeline.link.key, pipeline.source.dataset.name
        self.phase, self.outcome = Phase.WAITING, None

    def opened(self) -> None:
        """Record that opening the pipeline's job is complete.

        A job that was closed meanwhile stays closed.
        """
        if self.phase is Phase.WAITING:
            self.phase = Phase.OPEN

    def postpone(self) -> None:
        """Leave the pipeline to the next run."""
        self.phase = Phase.POSTPONED

    def close(self, outcome: str) -> None:
        """Record that the pipeline's job is closed, with the outcome 'success' or 'failure'."""
        self.phase, self.outcome = Phase.CLOSED, outcome

    def fail(self, why: str) -> None:
        """Give the pipeline up in this run, with the reason ``why``.

        Its job, if it has one, stays open for the next run.
        """
        self.phase, self.outcome, self.why = Phase.FAILED, FAILED, why

    def rest(self) -> None:
        """Put the pipeline in phase idle and forget its closed job.

        Another site has published more, for which a job is opened again.
        """
        self.phase, self.outcome, self.job = Phase.IDLE, None, None

    def release_snapshot(self) -> None:
        """Close the snapshot, if one is open; a connection that is lost meanwhile does no harm."""
        held, self.snapshot = self.snapshot, None
        if held is not None:
            try:
                held.close()
            except HdmError as trouble:
                log.debug("closing a snapshot: %s", trouble.message)
