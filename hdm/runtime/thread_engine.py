"""Runs worker threads in this process, and the planner in the calling thread; the default engine."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hdm._version import __version__
from hdm.errors import HdmError, StateError, StateUnavailable, unexpected
from hdm.planning.breaker import MAX_WAIT, Breaker, Outage
from hdm.planning.planner import Planner
from hdm.runtime.back_pressure import BackPressure
from hdm.runtime.host import host_identity, start_token
from hdm.runtime.lease_keeper import Pulse
from hdm.runtime.worker import Outcome, Worker

if TYPE_CHECKING:
    from hdm.state import Lease, StateManager

log = logging.getLogger("hdm.engine")

IDLE_FIRST, IDLE_LAST = 0.02, 1.0
"""Shortest and longest wait, in seconds, between two claims while there is nothing to claim."""


@dataclass(slots=True)
class Observer:
    """Functions that the engine calls to report progress; each may be called from any thread."""

    started: Callable[[Lease], None] = lambda lease: None
    progress: Callable[[Lease, int, int], None] = lambda lease, rows, size: None
    settled: Callable[[Outcome], None] = lambda outcome: None
    said: Callable[[str, str], None] = lambda event, text: None
    ticked: Callable[[Planner], None] = lambda planner: None


@dataclass(slots=True)
class ThreadEngine:
    """Runs the jobs of one run to their end, or until ``stop`` is set and the workers have stopped.

    ``workers`` threads claim chunks. ``back_pressure`` is how many chunks of one table may be staged and not
    loaded yet; a source table with as many is not read further for now (None: no bound). ``grace`` is how
    many seconds chunks in work may continue after ``stop`` before they are handed back. ``max_wait`` is how
    many seconds the state database may be unreachable before the run ends, and another system, before the
    tables that need it are left for the next run.
    """

    state: StateManager
    run_id: str
    planner: Planner
    workers: int = 4
    back_pressure: int | None = 10
    site: str | None = None
    lease_ttl: float = 30.0
    grace: float = 10.0
    max_wait: float = MAX_WAIT
    keep_running: Callable[[], bool] = lambda: False
    stop: threading.Event = field(default_factory=threading.Event)
    observer: Observer = field(default_factory=Observer)
    breaker: Breaker = field(default_factory=Breaker)
    _over: threading.Event = field(default_factory=threading.Event)
    _hurry: threading.Event = field(default_factory=threading.Event)
    _trouble: list[HdmError] = field(default_factory=list)
    _outage: Outage = field(default_factory=Outage)
    _pressure: BackPressure = field(init=False)

    def __post_init__(self) -> None:
        self._pressure = BackPressure(self.planner, self.workers, self.back_pressure)

    def run(self) -> None:
        """Run until every job is closed, or until told to stop.

        Raises the error that ended the run, if there was one.
        """
        self.breaker = self.planner.breaker = Breaker(self.max_wait, self.observer.said)
        self._outage = Outage(self.max_wait, self.observer.said)
        worker_id = self.state.workers.register(
            self.run_id, host_identity(), os.getpid(), start_token(os.getpid()), __version__, self.site
        )
        pulse = Pulse(self.state, worker_id, self.lease_ttl)
        pulse.start()
        threads = [
            threading.Thread(target=self._work, args=(worker_id, pulse), name=f"hdm-{n}", daemon=True)
            for n in range(self.workers)
        ]
        for thread in threads:
            thread.start()
        try:
            self._plan()
        finally:
            self._over.set()
            self.breaker.close()
            self._drain(threads)
            pulse.stop()
            self.planner.close()
            self._retire(worker_id)
        if self._trouble:
            raise self._trouble[0]

    def _retire(self, worker_id: str) -> None:
        try:
            self.state.workers.retire(worker_id)
        except StateError as trouble:
            log.debug("the worker is left to be found dead: %s", trouble.message)

    def _drain(self, threads: list[threading.Thread]) -> None:
        until = time.monotonic() + self.grace
        for thread in threads:
            thread.join(timeout=max(0.0, until - time.monotonic()))
        self._hurry.set()
        for thread in threads:
            thread.join(timeout=self.grace)

    def _plan(self) -> None:
        wait = IDLE_FIRST
        while not self.stop.is_set() and not self._trouble:
            try:
                busy = self.planner.tick() or self.keep_running()
                self._pressure.recount()
                self._outage.over()
                self.observer.ticked(self.planner)
            except StateUnavailable as away:
                busy = self._goes_on_without_state(away)
            if (late := self.breaker.overdue()) is not None:
                self.planner.leave_for_now(*late)
            if not busy:
                return
            self._pressure.wait_for_change(wait)
            wait = min(wait * 1.5, IDLE_LAST / 4)

    def _goes_on_without_state(self, away: StateUnavailable) -> bool:
        """Return whether to continue without the state database; record the error after ``max_wait``."""
        if self._outage.may_continue(away):
            return True
        self._trouble.append(self._outage.ended(away))
        return False

    def _work(self, worker_id: str, pulse: Pulse) -> None:
        worker = Worker(
            self.state,
            self.run_id,
            worker_id,
            self.planner.links,
            pulse,
            self._hurry,
            self._pressure,
            self.site,
            self.planner.file_names,
            may_continue=lambda: not self._ends(),
            started=self.observer.started,
            observe=self.observer.settled,
            progress=self.observer.progress,
            breaker=self.breaker,
        )
        try:
            self._steps(worker)
        finally:
            worker.release_unstarted()

    def _ends(self) -> bool:
        return self.stop.is_set() or self._over.is_set() or bool(self._trouble)

    def _steps(self, worker: Worker) -> None:
        wait = IDLE_FIRST
        while not self._ends():
            try:
                outcome = worker.step()
            except StateUnavailable as away:
                if not self._goes_on_without_state(away):
                    return
                outcome = None
            except HdmError as trouble:
                self._trouble.append(trouble)
                return
            except Exception as defect:
                log.debug("a worker thread ended", exc_info=True)
                self._trouble.append(unexpected(defect))
                return
            if outcome is not None:
                wait = IDLE_FIRST
                continue
            self._over.wait(wait)
            wait = min(wait * 2, IDLE_LAST)
