"""The trail of events in the state database, and its anchors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hdm.state.aggregates.base import Aggregate
from hdm.state.queries import anchors, audit, verify
from hdm.state.queries.anchors import Anchor
from hdm.state.queries.verify import Verdict


class Trail(Aggregate):
    """Verifies the trail of events, and records its anchors; used as ``StateManager.trail``."""

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

    def anchor_run(self, run_id: str, location: str) -> tuple[int, str]:
        """Record where the last hash of a run's chain is stored outside; return its number and the hash."""
        return audit.put_anchor(self._base, run_id, location)
