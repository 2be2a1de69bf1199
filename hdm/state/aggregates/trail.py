"""Defines ``Trail``, the methods of the state database about the trail of events and its anchors."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hdm.state.aggregates.base import Aggregate
from hdm.state.jobs import comparisons
from hdm.state.queries import anchors, audit, evidence, outbox, verify
from hdm.state.queries.anchors import Anchor
from hdm.state.queries.verify import Verdict


class Trail(Aggregate):
    """Verifies the trail of events, and records its anchors; used as ``StateManager.trail``."""

    def verify_chain(self, run_id: str) -> list[str]:
        """Verify one run's events; return a text for each fault, none if all is in order."""
        return audit.verify_chain(self._base, run_id)

    def verify(self, known: Sequence[Anchor] = ()) -> Verdict:
        """Compare all event chains and tables with each other; return what was verified and what is wrong.

        Chains are also compared with the anchors ``known``, which were stored outside the database.
        """
        return verify.verify(self._base, known)

    def make_anchor(self) -> dict[str, Any]:
        """Return the ends of all event chains, as a dictionary.

        ``hdm.state.queries.anchors.spell`` turns it into a line of text.
        """
        return anchors.make(self._base)

    def record_anchor(self, made: Mapping[str, Any], location: str) -> None:
        """Record in the database that an anchor is stored at ``location``.

        ``made`` is the anchor, as ``make_anchor`` returned it.
        """
        anchors.record(self._base, made, location)

    def anchor_run(self, run_id: str, location: str) -> tuple[int, str]:
        """Record that the end of a run's event chain is stored outside, at ``location``.

        Returns the number and the hash of the last event.
        """
        return audit.put_anchor(self._base, run_id, location)

    def evidence(self, run_id: str, known: Sequence[Anchor] = ()) -> dict[str, Any]:
        """Verify the trail, and return all that is on record about one run, as of the same moment.

        See ``hdm.state.queries.evidence.of_run`` for what the dictionary holds.
        """
        return evidence.of_run(self._base, run_id, known)

    def newest_jobs(self, pipelines: Collection[str]) -> dict[str, str]:
        """Return the id of each pipeline's newest job, by pipeline key."""
        return comparisons.newest_jobs(self._base, pipelines)

    def record_comparison(self, job_id: str, facts: Mapping[str, Any]) -> None:
        """Record that the target of a job was compared with its source, and what was found.

        ``facts`` must hold no value of a row.
        """
        comparisons.record(self._base, job_id, facts)

    def untold(self, told: Mapping[str, int]) -> list[tuple[str, int]]:
        """Return each run whose chain is longer than ``told`` says, with its length; oldest run first."""
        return outbox.waiting(self._base, told)

    def told_of(self, run_id: str, upto: int) -> dict[str, Any]:
        """Return a run, and what its events up to number ``upto`` say of the work of each link.

        See ``hdm.state.queries.outbox.of_run``.
        """
        return outbox.of_run(self._base, run_id, upto)

    def identity(self) -> str:
        """Return a text that tells this state database from others; empty if no run is on record."""
        return outbox.first_of(self._base)
