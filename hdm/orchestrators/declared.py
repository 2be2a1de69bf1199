"""Every link is fully written out in the manifest."""

from __future__ import annotations

from collections.abc import Iterator

from hdm.errors import UsageError
from hdm.model import LinkSpec
from hdm.orchestrators.base import Orchestrator
from hdm.plan import Plan


class DeclaredOrchestrator(Orchestrator):
    """Takes the links as ``declared_data_links`` says them; templates are not for it."""

    def links(self, plan: Plan) -> Iterator[LinkSpec]:
        """The declared links in the order of the manifest."""
        if plan.has_templates:
            raise UsageError(
                f"{plan.manifest_name}: DeclaredOrchestrator does not expand template_data_links",
                hint="write orchestrator: {type: BatchOrchestrator}",
            )
        yield from plan.links
