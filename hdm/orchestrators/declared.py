"""The orchestrator of manifests that declare each of their links."""

from __future__ import annotations

from collections.abc import Iterator

from hdm.model import LinkSpec
from hdm.orchestrators.base import Orchestrator
from hdm.planning.plan import Plan


class DeclaredOrchestrator(Orchestrator):
    """Runs the links that the manifest declares."""

    def links(self, plan: Plan) -> Iterator[LinkSpec]:
        """Yield the plan's links in its order: each after all links to which it is chained."""
        yield from plan.links
