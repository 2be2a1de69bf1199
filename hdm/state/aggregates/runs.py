"""Defines ``Runs``, the methods of the state database about runs."""

from __future__ import annotations

from typing import Any

from hdm.state.aggregates.base import Aggregate
from hdm.state.jobs import runs, sites
from hdm.state.queries import audit
from hdm.state.records import Job, RunInfo


class Runs(Aggregate):
    """Records runs, and returns them with their jobs and events; used as ``StateManager.runs``."""

    def open(self, info: RunInfo) -> str:
        """Record a new run; return its id.

        The manifest's last run in this environment is recorded as aborted if it is still in progress and has
        no live worker. Call ``workers.take_over`` for dead workers first.
        """
        return runs.open_run(self._base, info)

    def close(
        self, run_id: str, status: str, error_class: str | None = None, error_msg: str | None = None
    ) -> None:
        """Record the end of a run with ``status``: 'success', 'failure' or 'aborted'.

        ``error_class`` and ``error_msg`` tell the error that ended it, if there was one.
        """
        runs.close_run(self._base, run_id, status, error_class, error_msg)

    def asked_for(self, run_id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the patterns of the tables that a run moves, and of those that it reads as a whole.

        Both are empty if it moves all tables.
        """
        return runs.asked_for(self._base, run_id)

    def latest(self, manifest_name: str, env: str) -> str | None:
        """Return the id of the newest run of a manifest in an environment; None if there is none."""
        return runs.latest_run(self._base, manifest_name, env)

    def jobs(self, run_id: str) -> list[Job]:
        """Return the jobs that take part in a run, upstream before downstream."""
        return runs.run_jobs(self._base, run_id)

    def row(self, run_id: str) -> dict[str, Any] | None:
        """Return the run as a dictionary; None if it does not exist."""
        return audit.run_row(self._base, run_id)

    def status(self, run_id: str) -> list[dict[str, Any]]:
        """Return each job of a run as a dictionary: its chunks by status, its rows and bytes."""
        return audit.status(self._base, run_id)

    def events(self, run_id: str, after: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        """Return at most ``limit`` of a run's events after number ``after``, in order, as dictionaries."""
        return audit.events_after(self._base, run_id, after, limit)

    def joinable(self, manifest_name: str, env: str, site: str | None = None) -> str | None:
        """Return the id of a manifest's newest run in progress in an environment; None if there is none.

        With ``site``, the run must have a live worker of that site, or without a site.
        """
        return sites.joinable(self._base, manifest_name, env, site)
