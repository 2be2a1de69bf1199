"""Tracks unfinished earlier epochs of a run's tables: those that have, or had, dead chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from hdm.planning.job_lifecycle import close
from hdm.state.records import UNFINISHED

if TYPE_CHECKING:
    from hdm.runtime.link import DataLink
    from hdm.state import Job, StateManager


@dataclass(slots=True)
class OpenGaps:
    """The unfinished earlier epochs of one run's tables.

    Each is closed once a person has decided about its dead chunks and all chunks are settled.
    """

    state: StateManager
    run_id: str
    links: Mapping[str, DataLink]
    _jobs: dict[str, Job] = field(default_factory=dict)
    _ends: dict[str, str] = field(default_factory=dict)

    def take_up(self, job: Job) -> Iterator[str]:
        """Make a table's unfinished earlier epochs part of this run; yield a note for each with dead chunks.

        ``job`` is the job of the table's newest epoch.
        """
        for gap in self.state.gaps.older(self.run_id, job):
            self._jobs[gap.job_id] = gap
            if dead := self.state.jobs.counts(gap.job_id).get("dead"):
                said = f"{dead} chunk(s) of an earlier reading are dead, and it went on without them"
                yield f"{job.info.source.dataset.name}: {said}: hdm retry or hdm waive"

    def finish(self, attempt: Callable[[Job, Callable[[], None]], bool]) -> bool:
        """Close the earlier epochs whose chunks are all settled; return True if any epoch is still open.

        ``attempt`` runs each closing and returns False if that must be tried again.
        """
        for job_id, gap in self._jobs.items():
            if job_id in self._ends or any(map(self.state.jobs.counts(job_id).get, UNFINISHED)):
                continue
            if attempt(gap, partial(self._close, gap)):
                self._ends.setdefault(job_id, "failure")
        return len(self._ends) < len(self._jobs)

    def _close(self, gap: Job) -> None:
        self._ends[gap.job_id] = close(self.state, gap, self.links[gap.link_key], swap=False, feeds=True)

    @property
    def are_closed(self) -> bool:
        """True if every unfinished earlier epoch was closed with success, and if there was none."""
        return all(self._ends.get(job_id) == "success" for job_id in self._jobs)
