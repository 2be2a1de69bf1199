"""Every link is fully written out in the manifest."""

from __future__ import annotations

from collections.abc import Iterator

from hdm.model import LinkSpec
from hdm.orchestrators.base import Orchestrator
from hdm.planning.plan import Plan


class DeclaredOrchestrator(Orchestrator):
    """Takes the links as the manifest says them."""

    def links(self, plan: Plan) -> Iterator[LinkSpec]:
        """The links in stage order."""
        yield from plan.links
