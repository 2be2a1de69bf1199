"""What the state database tells of runs: rows as they are, the trail, the lineage. Reads only."""

from __future__ import annotations

from typing import Any

from hdm.state.chunks import lineage
from hdm.state.queries import audit
from hdm.state.tx.context import Base


class Questions:
    """The reading half of ``StateManager``."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def run_row(self, run_id: str) -> dict[str, Any] | None:
        """The run as a plain row."""
        return audit.run_row(self._base, run_id)

    def status(self, run_id: str) -> list[dict[str, Any]]:
        """One plain row per job of the run: chunks by status, rows, bytes."""
        return audit.status(self._base, run_id)

    def workers_of(self, run_id: str) -> list[dict[str, Any]]:
        """The run's workers as plain rows."""
        return audit.workers_of(self._base, run_id)

    def failed_checks(self, job_id: str) -> int:
        """How many checks of the job did not pass."""
        return audit.failed_checks(self._base, job_id)

    def events(self, run_id: str, after: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        """The run's events after that number, as plain rows."""
        return audit.events_after(self._base, run_id, after, limit)

    def lineage(self, name: str) -> list[dict[str, Any]]:
        """Where the dataset's rows came from (``hops`` < 0) and went to (> 0), as plain rows."""
        return lineage.of_table(self._base, name)

    def column_lineage(self, name: str) -> list[dict[str, Any]]:
        """Where the columns of that source dataset went."""
        return lineage.of_columns(self._base, name)

    def chunk_lineage(self, chunk_id: str) -> list[dict[str, Any]]:
        """The chunk and all that it was made from, nearest first."""
        return lineage.of_chunk(self._base, chunk_id)

    def verify_chain(self, run_id: str) -> list[str]:
        """Every break in the run's trail; empty if there is none."""
        return audit.verify_chain(self._base, run_id)
