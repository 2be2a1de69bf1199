"""Queries about runs: rows, events and lineage; they change nothing."""

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
    """The methods of ``StateManager`` that only read."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def run_row(self, run_id: str) -> dict[str, Any] | None:
        """Return the run as a dictionary; None if it does not exist."""
        return audit.run_row(self._base, run_id)

    def status(self, run_id: str) -> list[dict[str, Any]]:
        """Return each job of a run as a dictionary: chunks by status, rows, bytes."""
        return audit.status(self._base, run_id)

    def workers_of(self, run_id: str) -> list[dict[str, Any]]:
        """Return the workers of a run as dictionaries."""
        return audit.workers_of(self._base, run_id)

    def failed_checks(self, job_id: str) -> int:
        """Return how many checks on the job's chunks did not pass."""
        return audit.failed_checks(self._base, job_id)

    def failures(self, lease: Lease) -> int:
        """Return how often the chunk has failed since it was planned or retried, as far as it counts."""
        return transitions.failures(self._base, lease)

    def events(self, run_id: str, after: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        """Return a run's events after number ``after``, as dictionaries."""
        return audit.events_after(self._base, run_id, after, limit)

    def lineage(self, name: str) -> list[dict[str, Any]]:
        """Return the datasets that a dataset's rows came from and went to, as dictionaries.

        ``hops`` is below 0 for where they came from, above 0 for where they went.
        """
        return lineage.of_table(self._base, name)

    def column_lineage(self, name: str) -> list[dict[str, Any]]:
        """Return the columns that a dataset's columns came from and went to, as dictionaries."""
        return lineage.of_columns(self._base, name)

    def chunk_lineage(self, chunk_id: str) -> list[dict[str, Any]]:
        """Return a chunk and all chunks from which its rows were made, nearest first."""
        return lineage.of_chunk(self._base, chunk_id)

    def verify_chain(self, run_id: str) -> list[str]:
        """Verify one run's events; return a text for each fault, none if all is in order."""
        return audit.verify_chain(self._base, run_id)

    def verify(self, known: Sequence[Anchor] = ()) -> Verdict:
        """Verify every event chain, and compare tables with events, and both with the anchors ``known``."""
        return verify.verify(self._base, known)

    def make_anchor(self) -> dict[str, Any]:
        """Return the ends of all event chains; ``hdm.state.queries.anchors.spell`` makes text of them."""
        return anchors.make(self._base)

    def record_anchor(self, made: Mapping[str, Any], location: str) -> None:
        """Record in the database where an anchor is stored."""
        anchors.record(self._base, made, location)
