"""One source templated over a list of scenarios, the rest of the chain shared."""

from __future__ import annotations

from collections.abc import Iterator

from hdm.model import LinkSpec
from hdm.orchestrators.base import Orchestrator
from hdm.planning.plan import Plan


class BatchOrchestrator(Orchestrator):
    """Takes declared links and the expanded templates alike."""

    def links(self, plan: Plan) -> Iterator[LinkSpec]:
        """Templates, one link per scenario, and declared links, upstream first."""
        yield from plan.links
