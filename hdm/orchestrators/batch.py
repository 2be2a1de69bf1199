"""The orchestrator of manifests whose templates are filled from a list of scenarios."""

from __future__ import annotations

from collections.abc import Iterator

from hdm.model import LinkSpec
from hdm.orchestrators.base import Orchestrator
from hdm.planning.plan import Plan


class BatchOrchestrator(Orchestrator):
    """Runs the links that the manifest declares, and one link for each scenario of each template."""

    def links(self, plan: Plan) -> Iterator[LinkSpec]:
        """Yield the plan's links, upstream first: one per scenario of a template, and the declared ones."""
        yield from plan.links
