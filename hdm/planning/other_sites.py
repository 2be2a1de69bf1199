"""Tells the workers of one site what other sites have published, and whether more may come.

A site is a label on links; a worker started with ``--site`` takes only those.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from hdm.model import LinkSpec
from hdm.planning.preflight import pipeline_key

if TYPE_CHECKING:
    from hdm.runtime.link import DataLink
    from hdm.state import Job, StateManager

LOOK_EVERY = 1.0
"""Seconds between two queries of the state database for news of other sites."""


class OtherSites:
    """Looks for what other sites do with the links on which links of this site depend.

    ``fed`` are the links of this site that depend on another site, directly or through other links;
    ``published`` are the known pipelines of other sites.
    """

    def __init__(
        self, state: StateManager, run_id: str, links: Mapping[str, DataLink], specs: Mapping[str, LinkSpec]
    ) -> None:
        self._state = state
        self._run_id = run_id
        self._links = links
        self._above = {up for link in links.values() for up in link.spec.upstream if up not in links}
        self._sites = {str(specs[up].site) for up in self._above}
        self._looked = 0.0
        self.published: set[str] = set()
        self.fed: set[str] = set()
        for key, link in links.items():
            if any(up not in links or up in self.fed for up in link.spec.upstream):
                self.fed.add(key)

    def may_publish(self) -> bool:
        """Return True if a live process of another site has yet to run a link that this site depends on.

        Otherwise False: nothing more will be published for this site.
        """
        return bool(self._above) and self._state.workers.at_work(self._run_id, self._sites, self._above)

    def is_time(self, *, now: bool) -> bool:
        """Return True if it is time to look for news of other sites, and count from now to the next time.

        That is every ``LOOK_EVERY`` seconds, or at once if ``now``.
        """
        if not now and time.monotonic() - self._looked < LOOK_EVERY:
            return False
        self._looked = time.monotonic()
        return True

    def has_more(self, job: Job) -> bool:
        """Return True if chunks were published for a job that was closed here, and are not loaded yet.

        False for a job that does not depend on another site.
        """
        return job.link_key in self.fed and bool(self._state.jobs.pending_receipts(job, 1))

    def news(self, known: Collection[str], busy: Collection[str]) -> Iterator[tuple[DataLink, Job]]:
        """Yield pairs of a link of this site and an upstream job of which the link has not loaded all.

        Upstream jobs whose pipelines are ``busy`` are yielded in any case. Pipelines of this site that are
        ``known`` are left out. Adds the pipelines of all upstream jobs to ``published``.
        """
        for key in (key for key in self._links if key in self.fed):
            link = self._links[key]
            for upstream in link.spec.upstream:
                for above in self._state.reports.link_jobs(upstream):
                    self.published.add(above.pipeline_key)
                    mine = pipeline_key(link.spec, above.info.target.dataset)
                    if mine not in known and (
                        above.pipeline_key in busy or self._is_behind(link, mine, above)
                    ):
                        yield link, above

    def is_behind(self) -> bool:
        """Return True if other sites have published chunks that this site has not loaded yet."""
        return any(self.news((), ()))

    def _is_behind(self, link: DataLink, mine: str, above: Job) -> bool:
        whole = link.spec.mode.rules.reads_everything
        return self._state.jobs.is_behind(mine, above.pipeline_key, whole=whole)

    def closing_notes(self, any_job: bool, resting: Sequence[Job]) -> list[str]:
        """Return notes about other sites for the end of a run.

        ``any_job``: this process had a job. ``resting``: jobs whose source another site must finish.
        """
        if not any_job and self.fed:
            return ["nothing new was published for this site"]
        said = "all that was published is loaded; its source is not finished"
        return [f"{job.info.source.dataset.name}: {said}" for job in resting]
