"""Renews the leases of all workers of a process from one thread, and notices when a lease is lost."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hdm.errors import (
    HdmError,
    LeaseLost,
)
from hdm.state.records import LEASE_SAFE_FRACTION

if TYPE_CHECKING:
    from hdm.state import Lease, StateManager

log = logging.getLogger("hdm.worker")


STALL_FACTOR = 20
"""Lease times without progress after which a chunk is given up (a driver call that hangs)."""


@dataclass(slots=True)
class ActiveLease:
    """A chunk's lease that a worker of this process has now.

    ``renewed`` and ``moved`` are the times of the last renewal and of the last progress, by
    ``time.monotonic``.
    """

    lease: Lease
    renewed: float
    moved: float
    rows: int = 0
    bytes: int = 0
    lost: bool = False


class Pulse:
    """Renews every active lease each third of its duration, and marks those that are lost."""

    def __init__(self, state: StateManager, worker_id: str, ttl: float) -> None:
        self._state = state
        self._worker_id = worker_id
        self._ttl = ttl
        self._held: dict[str, ActiveLease] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hdm-pulse", daemon=True)

    def start(self) -> None:
        """Start the thread that renews leases."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread that renews leases; the leases themselves stay as they are."""
        self._stop.set()
        self._thread.join(timeout=self._ttl)

    def hold(self, lease: Lease) -> ActiveLease:
        """Begin to renew a lease, and return it as an active one."""
        now = time.monotonic()
        held = ActiveLease(lease, now, now)
        with self._lock:
            self._held[lease.chunk.chunk_id] = held
        return held

    def drop(self, held: ActiveLease) -> None:
        """Stop renewing a lease; the lease itself stays as it is."""
        with self._lock:
            self._held.pop(held.lease.chunk.chunk_id, None)

    def check(self, held: ActiveLease) -> None:
        """Record progress; raise ``LeaseLost`` if the lease may have ended.

        Another worker may have the chunk then. A lease is taken to last from the moment before its last
        renewal was sent, and for a little less than its time. An ended lease is therefore never taken for a
        valid one, even if this process was stopped or the state database was unreachable.
        """
        held.moved = time.monotonic()
        if held.lost or held.moved - held.renewed > self._ttl * LEASE_SAFE_FRACTION:
            raise LeaseLost(f"the lease of chunk {held.lease.chunk.chunk_id[:12]} ran out")

    def _run(self) -> None:
        while not self._stop.wait(self._ttl / 3):
            with self._lock:
                held = list(self._held.values())
            try:
                self._state.workers.heartbeat(self._worker_id)
            except HdmError as trouble:
                log.debug("heartbeat failed: %s", trouble.message)
            for one in held:
                self._renew(one)

    def _renew(self, held: ActiveLease) -> None:
        sent = time.monotonic()
        if held.lost or sent - held.moved > self._ttl * STALL_FACTOR:
            held.lost = True
            return
        try:
            self._state.chunks.renew(held.lease, rows=held.rows, bytes=held.bytes)
            held.renewed = sent
        except LeaseLost:
            held.lost = True
        except HdmError as trouble:
            log.debug("renewing a lease failed: %s", trouble.message)
