"""Queries about runs: rows as they are, the trail, the lineage. Read only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hdm.state.chunks import lineage, transitions
from hdm.state.queries import anchors, audit, verify
from hdm.state.queries.anchors import Anchor
from hdm.state.queries.verify import Verdict
from hdm.state.records import Lease
from hdm.state.tx.context import Base


class Questions:
    """The reading half of ``StateManager``."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def run_row(self, run_id: str) -> dict[str, Any] | None:
        """Return the run as a dictionary; None if it does not exist."""
        return audit.run_row(self._base, run_id)

    def status(self, run_id: str) -> list[dict[str, Any]]:
        """Return one dictionary per job of the run: chunks by status, rows, bytes."""
        return audit.status(self._base, run_id)

    def workers_of(self, run_id: str) -> list[dict[str, Any]]:
        """Return the run's workers as dictionaries."""
        return audit.workers_of(self._base, run_id)

    def failed_checks(self, job_id: str) -> int:
        """Return how many checks of the job did not pass."""
        return audit.failed_checks(self._base, job_id)

    def failures(self, lease: Lease) -> int:
        """Return how many failures of the chunk count since it was planned or retried."""
        return transitions.failures(self._base, lease)

    def events(self, run_id: str, after: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        """Return the run's events after that number, as dictionaries."""
        return audit.events_after(self._base, run_id, after, limit)

    def lineage(self, name: str) -> list[dict[str, Any]]:
        """Return where the dataset's rows came from (``hops`` < 0) and went to (> 0), as dictionaries."""
        return lineage.of_table(self._base, name)

    def column_lineage(self, name: str) -> list[dict[str, Any]]:
        """Return where the columns of that dataset came from and went to, as dictionaries."""
        return lineage.of_columns(self._base, name)

    def chunk_lineage(self, chunk_id: str) -> list[dict[str, Any]]:
        """Return the chunk and all chunks that it was made of, nearest first."""
        return lineage.of_chunk(self._base, chunk_id)

    def verify_chain(self, run_id: str) -> list[str]:
        """Return every break in the run's trail; empty if there is none."""
        return audit.verify_chain(self._base, run_id)

    def verify(self, known: Sequence[Anchor] = ()) -> Verdict:
        """Recompute every chain, compare every table with its events, and both with the anchors."""
        return verify.verify(self._base, known)

    def make_anchor(self) -> dict[str, Any]:
        """Return an anchor of every chain, to be stored outside by ``hdm.state.queries.anchors.spell``."""
        return anchors.make(self._base)

    def record_anchor(self, made: Mapping[str, Any], location: str) -> None:
        """Record where an anchor is stored."""
        anchors.record(self._base, made, location)
