"""Back-pressure: which jobs the workers of a process must not claim from now."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from hdm.runtime.shares import Shares

if TYPE_CHECKING:
    from hdm.planning.planner import Planner
    from hdm.state import Job


class BackPressure:
    """Counts the chunks that are staged or in work, and tells which jobs are full.

    A job is full in one of three cases: ``bound`` of its chunks are in work, or staged and not loaded
    downstream (None: no bound); its link is at a limit of ``threads`` or ``limits``; a system of its link is
    unreachable. The workers report what they have ``started`` and ``settled``; the planner's thread calls
    ``recount``. A worker keeps ``claim_lock`` from asking ``full_jobs`` until it has reported what it
    ``started``, so that two workers cannot both take the last free slot.
    """

    def __init__(self, planner: Planner, workers: int, bound: int | None = None) -> None:
        self.claim_lock = threading.Lock()
        self._planner = planner
        self._bound = bound
        self._shares = Shares({key: link.spec for key, link in planner.links.items()}, workers)
        self._in_work: Counter[str] = Counter()
        self._load: Counter[str] = Counter()
        self._at_bound: frozenset[str] = frozenset()
        self._loaded: set[str] = set()
        """Complete jobs of which all chunks are loaded: the state is not asked about them again."""
        self._count = threading.Lock()
        self._changed = threading.Event()

    def full_jobs(self) -> frozenset[str]:
        """Return the ids of the jobs of which no chunk may be claimed now; mostly none."""
        if not (links := {*self._planner.breaker.barred(), *self._shares.full()}):
            return self._at_bound
        return self._at_bound | self._planner.jobs_of(links)

    def started(self, job: Job) -> None:
        """Count a chunk of the job as in work."""
        self._shares.started(job.link_key)
        with self._count:
            self._in_work[job.job_id] += 1
            if self._bound and self._planner.feeds(job):
                # Counted here, too, as the planner's first round may last long and plan many tables.
                self._load[job.job_id] += 1
                if self._load[job.job_id] >= self._bound:
                    self._at_bound |= {job.job_id}
                    self._changed.set()

    def settled(self, job: Job) -> None:
        """Count a chunk of the job as no longer in work."""
        self._shares.settled(job.link_key)
        with self._count:
            self._in_work[job.job_id] -= 1
        if self._at_bound:
            self._changed.set()

    def recount(self) -> None:
        """Ask the state how many chunks of each job are staged; without a bound, do nothing.

        Raises ``StateUnavailable``.
        """
        if not self._bound:
            return
        for job, complete in self._planner.feeding():
            if job.job_id in self._loaded:
                continue
            staged = self._planner.state.jobs.staged(job)
            with self._count:
                self._load[job.job_id] = load = staged + self._in_work[job.job_id]
                if complete and not load:
                    self._loaded.add(job.job_id)
                    del self._load[job.job_id]
        with self._count:
            self._at_bound = frozenset(key for key, load in self._load.items() if load >= self._bound)

    def wait_for_change(self, timeout: float) -> None:
        """Wait until a recount may free or fill a job, for at most ``timeout`` seconds."""
        self._changed.wait(timeout)
        self._changed.clear()
