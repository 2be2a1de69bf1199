"""Defines ``Operators``, the methods of the state database about people's decisions on gaps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hdm.state.aggregates.base import Aggregate
from hdm.state.jobs import operators, quarantine, repairs


class Operators(Aggregate):
    """Records what people decide about dead chunks and differing tables, as ``StateManager.operators``."""

    def retry(
        self,
        *,
        run_id: str | None = None,
        job_id: str | None = None,
        chunk_id: str | None = None,
        by: str | None = None,
    ) -> int:
        """Make dead chunks pending again; return how many.

        These are the dead chunks of one run, of one job, or one chunk; without any id, all. ``by`` is the
        person who asked. One transaction for each job.
        """
        return operators.retry(self._base, run_id, job_id, chunk_id, by)

    def waive(self, chunk_id: str, by: str, reason: str) -> None:
        """Record that the person ``by`` accepts a dead chunk's missing rows, and the ``reason``.

        The watermark may then pass the chunk. Raises ``IllegalTransition`` if the chunk is not dead.
        """
        operators.waive(self._base, chunk_id, by, reason)

    def decide_rows(
        self, job_id: str, chunk_id: str, what: str, by: str, reason: str | None, rows: int
    ) -> bool:
        """Record that rows of a chunk that were set aside were ``replayed`` or ``waived``, by whom and why.

        ``lost``: that rows which were replayed are not in the target any more. Returns False if that is
        known. Raises ``IllegalTransition`` if the chunk is not committed.
        """
        return quarantine.decide(self._base, job_id, chunk_id, what, by, reason, rows)

    def dead(self, *, run_id: str | None = None, job_id: str | None = None) -> list[dict[str, Any]]:
        """Return dead chunks with their errors, as dictionaries: those of one run, of one job, or all."""
        return operators.dead(self._base, run_id, job_id)

    def synced(self, run_id: str, facts: Mapping[str, Any], *, begins: bool = False) -> None:
        """Record what a sync of two tables found and did: counts and names, never values.

        With ``begins``, record that it begins.
        """
        repairs.synced(self._base, run_id, facts, begins=begins)

    def repair(self, job_id: str, facts: Mapping[str, Any], *, begins: bool = False) -> None:
        """Record what a repair of a job's target found and did: counts and names, never values.

        With ``begins``, record that it begins. The event belongs to the run that last worked on the job.
        """
        repairs.repair(self._base, job_id, facts, begins=begins)

    def newest_job(self, pipeline_key: str) -> str | None:
        """Return the id of the newest job of a pipeline; None if it has none."""
        return repairs.newest_job(self._base, pipeline_key)
