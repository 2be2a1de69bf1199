"""Defines ``Workers``, the methods of the state database about worker processes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from hdm.state.aggregates.base import Aggregate
from hdm.state.jobs import runs, sites
from hdm.state.queries import audit


class Workers(Aggregate):
    """Records the workers of runs, and returns which are alive; used as ``StateManager.workers``."""

    def register(
        self, run_id: str, host: str, pid: int, start_token: str, version: str, site: str | None = None
    ) -> str:
        """Record a worker process of a run; return the worker's id.

        ``start_token`` tells the process from a later one with the same pid. ``site`` is the site whose links
        it takes, None for all.
        """
        return runs.register_worker(self._base, run_id, host, pid, start_token, version, site)

    def heartbeat(self, worker_id: str) -> None:
        """Record that a worker is alive now."""
        runs.heartbeat(self._base, worker_id)

    def retire(self, worker_id: str) -> None:
        """Record that a worker has ended normally."""
        runs.retire_worker(self._base, worker_id)

    def on(self, host: str) -> list[tuple[str, int, str, str]]:
        """Return ``(worker_id, pid, start_token, state)`` of each worker of a host that is recorded as alive.

        Such a process may still have died.
        """
        return runs.workers(self._base, host)

    def take_over(self, worker_ids: Sequence[str]) -> int:
        """Record that these workers are dead and end their leases; return how many chunks are free again.

        One transaction for each worker.
        """
        return runs.take_over(self._base, list(worker_ids))

    def at_work(self, run_id: str, at: Collection[str], links: Collection[str]) -> bool:
        """Return True if a live worker of a site in ``at`` still has one of the links to do.

        Workers without a site, and those of other runs of the same manifest, count too.
        """
        return sites.at_work(self._base, run_id, at, links)

    def held_by_others(self, host: str, links: Collection[str]) -> dict[str, int]:
        """Return how many chunks of these links processes of other hosts have leased, by host.

        Processes that died count until their leases expire.
        """
        return sites.held_by_others(self._base, host, links)

    def of_run(self, run_id: str) -> list[dict[str, Any]]:
        """Return the workers of a run as dictionaries."""
        return audit.workers_of(self._base, run_id)
