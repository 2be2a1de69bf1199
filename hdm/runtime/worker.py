"""The loop of a worker: claim a chunk, move it, record the outcome. The same in every engine.

A worker works on one chunk at a time. A ``Pulse`` renews the leases of all workers of the process from a
thread of its own. A worker stops writing once its lease is lost or it made no progress for too long.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hdm import failpoints
from hdm.components import back_off
from hdm.errors import (
    ConnectionLost,
    Drained,
    HdmError,
    LeaseLost,
    Recovery,
    StateUnavailable,
    Throttled,
    unexpected,
)
from hdm.model import Attempt, FileNames, Receipt
from hdm.planning.breaker import Breaker
from hdm.runtime.lease_keeper import ActiveLease, Pulse
from hdm.state.records import ClaimRequest

if TYPE_CHECKING:
    from hdm.runtime.back_pressure import BackPressure
    from hdm.runtime.link import DataLink, Published
    from hdm.state import Lease, StateManager

log = logging.getLogger("hdm.worker")

MAX_ATTEMPTS = 5
"""Transient failures of one chunk before it is buried; those of a system that is away do not count."""
MAX_OUTAGES = 25
"""Attempts at one chunk after which lost connections count, even if a system is away."""


@dataclass(slots=True)
class Outcome:
    """What happened to one claimed chunk: committed, failed or handed back, with its error if any."""

    lease: Lease
    receipt: Receipt | None = None
    error: HdmError | None = None
    buried: bool = False
    waits: bool = False
    """Whether the chunk was put back without blame, as a system is away or asks to slow down."""


@dataclass(slots=True)
class Worker:
    """Claims chunks of one run and carries them through their links, which are given by link key.

    ``file_names`` says how sinks name their files, by pipeline key: see ``Sink.file_names``. Once ``stop`` is
    set, a chunk in work is handed back at the next batch. ``pressure`` tells which jobs are full. ``started``
    is called with every lease, ``observe`` with every outcome. While ``may_continue`` returns True and no job
    is full, the next chunk is claimed in the transaction that commits the last one; ``release_unstarted``
    hands that claim back.
    """

    state: StateManager
    run_id: str
    worker_id: str
    links: Mapping[str, DataLink]
    pulse: Pulse
    stop: threading.Event
    pressure: BackPressure
    site: str | None = None
    file_names: Mapping[str, FileNames] = field(default_factory=dict)
    may_continue: Callable[[], bool] = lambda: True
    started: Callable[[Lease], None] = lambda lease: None
    observe: Callable[[Outcome], None] = lambda outcome: None
    progress: Callable[[Lease, int, int], None] = lambda lease, rows, size: None
    breaker: Breaker = field(default_factory=Breaker)
    _next: ActiveLease | None = None

    def step(self) -> Outcome | None:
        """Claim one chunk, move it, record and return the outcome; None if there is nothing to claim now.

        An error of the chunk is in the outcome, not raised.
        """
        held, self._next = self._next or self._claim(), None
        if held is None:
            return None
        outcome = self._settle(held)
        self._tell(outcome)
        return outcome

    def release_unstarted(self) -> None:
        """Hand back a chunk that was claimed together with the last commit and was not started.

        Without such a chunk, nothing is done.
        """
        held, self._next = self._next, None
        if held is None:
            return
        self.pulse.drop(held)
        try:
            self.state.chunks.release(held.lease)
        except HdmError as trouble:
            log.warning("chunk %s is left to its lease: %s", held.lease.chunk_id[:12], trouble.message)
        self._tell(Outcome(held.lease, error=Drained("told to stop")))

    def _tell(self, outcome: Outcome) -> None:
        self.pressure.settled(outcome.lease.job)
        self.observe(outcome)

    def _claim(self) -> ActiveLease | None:
        with self.pressure.claim_lock:
            skip = self.pressure.full_jobs()
            lease = self.state.chunks.claim(
                self.worker_id, self.run_id, site=self.site, skip_jobs=skip, file_names=self.file_names
            )
            if lease is None:
                return None
            self.pressure.started(lease.job)
            self.started(lease)
            return self.pulse.hold(lease)

    def _commit(self, lease: Lease, done: Published) -> None:
        """Commit the chunk, and claim the next one in the same transaction unless a job is full."""
        with self.pressure.claim_lock:
            claim_next = (
                ClaimRequest(self.site, self.file_names)
                if self.may_continue() and not self.pressure.full_jobs()
                else None
            )
            following = self.state.chunks.commit(
                lease, done.receipt, target_rows=done.target_rows, claim_next=claim_next
            )
            if following is not None:
                self._next = self.pulse.hold(following)
                self.pressure.started(following.job)
                self.started(following)
        failpoints.point("V2")
        self.state.chunks.record_checks(lease, done.checks)

    def _settle(self, held: ActiveLease) -> Outcome:
        lease = held.lease
        attempt = self._attempt(lease, held)
        try:
            link = self.links[lease.job.link_key]
            done = link.attempt(lease, attempt, self.state)
            self._commit(lease, done)
            self.breaker.succeeded(link)
            return Outcome(lease, done.receipt)
        except HdmError as error:
            return self._failed(lease, error)
        except (ConnectionError, TimeoutError) as error:
            return self._failed(lease, ConnectionLost(f"{type(error).__name__}: {error}"))
        except OSError as error:
            return self._failed(lease, ConnectionLost(f"{error.strerror or error}"))
        except Exception as error:
            level = logging.WARNING if os.environ.get("HDM_DEBUG") else logging.DEBUG
            log.log(level, "unexpected %s", type(error).__name__, exc_info=True)
            return self._failed(lease, unexpected(error))
        finally:
            self.pulse.drop(held)

    def _attempt(self, lease: Lease, held: ActiveLease) -> Attempt:
        def check() -> None:
            self.pulse.check(held)
            if self.stop.is_set():
                raise Drained("told to stop")

        def count(rows: int, size: int) -> None:
            held.rows += rows
            held.bytes += size
            self.progress(lease, rows, size)

        return Attempt(
            number=lease.attempt,
            worker=self.worker_id,
            run_id=self.run_id,
            will_write=lambda uri, kind: self.state.files.begin(lease, uri, kind),
            check=check,
            count=count,
        )

    def _failed(self, lease: Lease, error: HdmError) -> Outcome:
        """Settle a failed attempt as the error's ``recovery`` says."""
        buried = waits = False
        try:
            if error.recovery is Recovery.YIELD:
                self._hand_back(lease, error)
            elif isinstance(error, StateUnavailable):
                waits = True
                log.debug("the state database is away; chunk left to its lease: %s", error.message)
            else:
                waits = self._waits(lease, error)
                failures = 0 if waits else self.state.chunks.failures(lease) + 1
                again = error.recovery is Recovery.RETRY and failures < MAX_ATTEMPTS
                buried = not again
                wait = (0.0 if waits else self._wait(failures, error)) if again else None
                name = type(error).__name__
                if not self.state.chunks.fail(lease, error, retry_in=wait, phase=name, counts=not waits):
                    self._clean(lease)
        except LeaseLost:
            log.warning("chunk %s went to another worker", lease.chunk.chunk_id[:12])
        return Outcome(lease, error=error, buried=buried, waits=waits)

    def _waits(self, lease: Lease, error: HdmError) -> bool:
        """Return whether a system is to blame and not the chunk.

        False if the chunk has met very many lost connections: it may be what breaks them.
        """
        if isinstance(error, ConnectionLost) and lease.attempt > MAX_OUTAGES:
            return False
        return self.breaker.failed(self.links[lease.job.link_key], error)

    def _hand_back(self, lease: Lease, error: HdmError) -> None:
        if isinstance(error, Drained) and not self.state.chunks.release(lease):
            self._clean(lease)

    def _clean(self, lease: Lease) -> None:
        """Remove what the attempt wrote. Call it only once the state rules out that it is published."""
        link = self.links[lease.job.link_key]
        try:
            link.sink.discard(link.outgoing(lease.job.info.source), lease.chunk, lease.attempt)
        except Exception as trouble:  # noqa: BLE001 -- a plugin may raise anything; the chunk must be settled
            log.warning("what attempt %d left is for hdm gc: %s", lease.attempt, trouble)

    def _wait(self, attempt: int, error: HdmError) -> float:
        """Return the seconds until the next try: full jitter, and never less than the other side asks for."""
        asked = error.retry_after if isinstance(error, Throttled) else 0.0
        return max(back_off.CHUNK.seconds(attempt), asked)
