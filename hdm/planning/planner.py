"""Carries the pipelines of one run forward.

Opens and plans their jobs, adds downstream chunks, closes settled jobs. Any number of processes may plan one
run at once: leases and unique keys in the state make each step happen once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from hdm.errors import HdmError, StateUnavailable
from hdm.model import FileNames, LinkSpecs
from hdm.planning.breaker import Breaker
from hdm.planning.job_lifecycle import can_never_finish, close, holds_back, note, surplus, waits_for_dead
from hdm.planning.open_gaps import OpenGaps
from hdm.planning.opening import Opening
from hdm.planning.other_sites import OtherSites
from hdm.planning.pipeline_run import FAILED, SUCCESS, Phase, PipelineRun
from hdm.planning.preflight import Pipeline, pipeline_of
from hdm.planning.tries import attempt
from hdm.planning.whole import deleted, missing
from hdm.planning.windows import progress
from hdm.sql.sessions import kept
from hdm.state.records import UNFINISHED

if TYPE_CHECKING:
    from hdm.runtime.link import DataLink
    from hdm.state import Job, StateManager

LOOKAHEAD = 8
"""How many root jobs may be planned and not settled at once: each may hold a snapshot open at its source."""


@dataclass(slots=True)
class Planner:
    """Carries the jobs of one run forward; the engine calls ``tick`` again and again.

    ``links`` are carried out by this process, ``specs`` are all links of the manifest. ``joined``: another
    process started the run, and jobs that it closed are not opened again. ``refresh``: keys of pipelines that
    are read as a whole, whatever their watermark. ``differing`` collects names of tables whose source has
    changed below the watermark. ``file_names`` says, by pipeline key, how sinks name their files. What is
    known of a pipeline is in its ``PipelineRun``.
    """

    state: StateManager
    run_id: str
    links: Mapping[str, DataLink]
    site: str | None = None
    specs: LinkSpecs = field(default_factory=LinkSpecs)
    joined: bool = False
    refresh: frozenset[str] = frozenset()
    breaker: Breaker = field(default_factory=Breaker)
    notes: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    file_names: dict[str, FileNames] = field(default_factory=dict)
    _runs: dict[str, PipelineRun] = field(default_factory=dict)
    _after: Mapping[str, frozenset[str]] = field(default_factory=dict)
    _lost: StateUnavailable | None = None
    _other_sites: OtherSites | None = None
    _counted: dict[str, tuple[int, int]] = field(default_factory=dict)
    _gaps: OpenGaps = field(init=False)
    _opening: Opening = field(init=False)

    def __post_init__(self) -> None:
        self._gaps = OpenGaps(self.state, self.run_id, self.links)
        if not self.specs:
            self.specs = LinkSpecs(link.spec for link in self.links.values())
        if set(self.specs) != set(self.links):
            self._other_sites = OtherSites(self.state, self.run_id, self.links, self.specs)
        self._opening = Opening(
            self.state, self.run_id, self.links, self.specs, self._gaps, self.notes, self.differing,
            joined=self.joined, refresh=self.refresh,
        )  # fmt: skip

    def begin(self, pipelines: Sequence[Pipeline], after: Mapping[str, frozenset[str]] | None = None) -> None:
        """Set the pipelines to move.

        ``after`` says, by pipeline key, which pipelines' jobs must end first.
        """
        for one in pipelines:
            self._let_wait(one)
        self._after = after or {}

    def refuse(self, reasons: Mapping[str, str]) -> None:
        """Give up pipelines or links that the run cannot carry out.

        ``reasons`` says why, by their keys.
        """
        for key, why in reasons.items():
            self._run(key).fail(why)

    def tick(self) -> bool:
        """Do every planning step that is possible now; return False once this process has nothing left to do.

        That is so if each of its jobs is closed, given up or postponed, or waits for another site, and no
        other site may publish more. Raises ``StateUnavailable`` at the end if the state database could not be
        reached for one of the steps.
        """
        with kept():
            return self._tick()

    def _tick(self) -> bool:
        self._lost = None
        more = self._other_sites is not None and self._look_at_other_sites(self._other_sites)
        self._open_waiting()
        # Each tick goes through all pipelines: so the loops call no function for those that are over.
        for run in [one for one in self._runs.values() if one.phase is Phase.OPEN]:
            if run.job is None:
                continue
            if not run.job.planned:
                self._try(run, partial(self._opening.plan, run, run.job))
            else:
                self._follow(run, run.job)
                self._try(run, partial(self._finish, run, run.job))
        mending = self._gaps.finish(lambda gap, act: self._try(self._run_of(gap), act))
        if self._lost is not None:
            raise self._lost
        return more or mending or not all(map(self._is_done, self._unfinished()))

    def close(self) -> None:
        """Close all snapshots of sources that are still open."""
        for run in self._runs.values():
            run.release_snapshot()

    @property
    def jobs(self) -> dict[str, Job]:
        """The newest job that this process opened for each pipeline, by pipeline key. Any thread may ask."""
        return {run.key: job for run in list(self._runs.values()) if (job := run.job) is not None}

    def jobs_of(self, links: Collection[str]) -> frozenset[str]:
        """Return the ids of the newest jobs of the links with these keys, but for those that are complete.

        Any thread may ask, at each claim.
        """
        runs = list(self._runs.values())
        open_now = [run for run in runs if run.link_key in links and run.outcome != SUCCESS]
        return frozenset([job.job_id for run in open_now if (job := run.job) is not None])

    @property
    def failed(self) -> dict[str, str]:
        """Why pipelines were given up in this run, by pipeline key."""
        return {run.key: run.why for run in self._runs.values() if run.phase is Phase.FAILED}

    def closed(self) -> dict[str, str]:
        """Return how each closed job ended, by pipeline key."""
        runs = (run for run in self._runs.values() if run.phase is Phase.CLOSED)
        return {run.key: run.outcome for run in runs if run.outcome is not None}

    def progress(self) -> dict[str, tuple[str, int, int]]:
        """Return for each link key a title, how many chunks are settled, and how many are known.

        The title is the table and the sink, or the source and the sink if the link moves several tables.
        """
        done = [run.job for run in self._runs.values() if run.outcome == SUCCESS]
        complete = {job.job_id for job in done if job is not None}
        return progress(self.state, self.jobs.values(), complete, self._counted)

    def feeds(self, job: Job) -> bool:
        """Return True if another link of the manifest reads what the job's sink publishes."""
        return self.specs.feeds(job.link_key)

    def feeding(self) -> list[tuple[Job, bool]]:
        """Return the newest jobs of links that feed others, each with whether it is complete.

        A complete job was closed with success, and so publishes nothing more.
        """
        feeding = self.specs.feeding
        runs = [run for run in self._runs.values() if run.link_key in feeding]
        return [(run.job, run.outcome == SUCCESS) for run in runs if run.job is not None]

    def succeeded(self) -> bool:
        """Return True if every job of this process ended with success or waits for another site.

        False while a job is still to be opened, or if an earlier epoch with dead chunks is not closed with
        success.
        """
        runs = self._runs.values()
        return all(run.is_good and self._is_done(run) for run in runs) and self._gaps.are_closed

    def closing_notes(self) -> list[str]:
        """Return the notes about other sites for the end of the run; none if the manifest has no sites."""
        if self._other_sites is None:
            return []
        jobs = self.jobs
        resting = [jobs[run.key] for run in self._runs.values() if not run.is_over and self._is_done(run)]
        return self._other_sites.closing_notes(bool(jobs), resting)

    def leave_for_now(self, links: frozenset[str], why: HdmError) -> None:
        """Give up the unfinished jobs of these links in this run, with the error ``why``.

        A system was unreachable for too long; the next run goes on with them.
        """
        for run in self._runs.values():
            if run.link_key in links and not run.is_over:
                run.fail(f"{run.name}: {why.in_one_line}")

    def _unfinished(self) -> list[PipelineRun]:
        """Return the pipelines that are not over: see ``PipelineRun.is_over``."""
        runs = self._runs.values()
        return [one for one in runs if one.phase is Phase.OPEN or one.phase is Phase.WAITING]

    def _is_done(self, run: PipelineRun) -> bool:
        """Return whether nothing is to be done for a pipeline now: it is over, or waits for another site."""
        if run.is_over:
            return True
        return run.phase is Phase.OPEN and run.job is not None and self.is_waiting_for_other_site(run.job)

    def is_waiting_for_other_site(self, job: Job) -> bool:
        """Return True if all that is published for a job is loaded, and the rest must come from another site.

        Otherwise False.
        """
        if self._other_sites is None or job.link_key not in self._other_sites.fed or not job.planned:
            return False
        unfinished = any(map(self.state.jobs.counts(job.job_id).get, UNFINISHED))
        if unfinished or self.state.jobs.pending_receipts(job, 1) or holds_back(self.state, job):
            return False  # in this order: chunks that wait for one in work show only once that one is settled
        above = [self._runs[key] for key in job.info.upstream_keys if key in self._runs]
        rest = all(self._is_done(one) for one in above if one.is_unfinished)
        return rest and not self.state.jobs.settled(job)

    def _run(self, key: str) -> PipelineRun:
        return self._runs.setdefault(key, PipelineRun(key))

    def _run_of(self, job: Job) -> PipelineRun:
        """Return the pipeline of a job, which may be an earlier one or another site's."""
        run = self._run(job.pipeline_key)
        run.link_key, run.name = job.link_key, job.info.source.dataset.name
        return run

    def _look_at_other_sites(self, other_sites: OtherSites) -> bool:
        """Let wait what other sites have published for since; return whether they may publish more."""
        more = other_sites.may_publish()
        if other_sites.is_time(now=not more):
            runs = list(self._runs.values())
            for run in runs:
                if run.phase is Phase.CLOSED and run.job is not None and other_sites.has_more(run.job):
                    run.rest()
            known = {run.key for run in runs if run.phase is not Phase.IDLE}
            busy = {run.key for run in runs if run.is_unfinished}
            for link, above in other_sites.news(known, busy):
                self._try(self._run_of(above), partial(self._wait_below, link, above))
        return more

    def _wait_below(self, link: DataLink, above: Job) -> None:
        self._let_wait(pipeline_of(link, above.info.target, (above.pipeline_key,)))

    def _let_wait(self, one: Pipeline) -> None:
        if one.file_names is not None:
            self.file_names[one.pipeline_key] = one.file_names  # before any of its chunks can be claimed
        self._run(one.pipeline_key).wait(one)

    def _open_waiting(self) -> None:
        runs = self._unfinished()
        to_come = {run.key for run in runs if not self._is_done(run)} if self._after else set()
        busy = len([run for run in runs if run.snapshot is not None])
        for run in [one for one in runs if one.phase is Phase.WAITING]:
            if run.pipeline is None:
                continue
            above = run.pipeline.upstream_keys
            first = self._runs.get(above[0]) if above else None
            if first is not None and first.job is None and first.phase is Phase.WAITING:
                continue  # most that are chained wait for a table that waits itself
            if not above and busy >= LOOKAHEAD and run.snapshot is None:
                continue
            held = run.needs_snapshot
            is_free = bool(above) or busy - held < LOOKAHEAD
            is_early = not self._after.get(run.key, frozenset()).isdisjoint(to_come)
            if any(self._run(key).phase is Phase.FAILED for key in above):
                run.fail(f"{run.name}: its upstream failed")
            elif is_free and not is_early and all(map(self._is_known, above)):
                self._try(run, partial(self._opening.open, run, run.pipeline))
            busy += run.needs_snapshot - held

    def _is_known(self, upstream_key: str) -> bool:
        foreign = self._other_sites is not None and upstream_key in self._other_sites.published
        return foreign or self._run(upstream_key).is_known

    def _try(self, run: PipelineRun, act: Callable[[], None]) -> bool:
        """Run ``act`` for a pipeline; return whether it is over, even if it failed for good."""
        try:
            return attempt(run, act, self.links.get(run.link_key), self.breaker)
        except StateUnavailable as error:
            self._lost = error
            return False

    def _follow(self, run: PipelineRun, job: Job) -> None:
        link = self.links[run.link_key]
        epoch = job.info.mode.rules.followers_epoch(job.epoch)
        for receipt in self.state.jobs.pending_receipts(job):
            followers = link.source.follow(job.info.source, receipt, job.pipeline_key)
            chunks = [replace(chunk, epoch=epoch) for chunk in followers]
            if not self.state.jobs.add_downstream_chunks(job, receipt.chunk_id, chunks):
                run.close(SUCCESS)  # closed unread by another process
                return

    def _finish(self, run: PipelineRun, job: Job) -> None:
        if not self.state.jobs.settled(job):
            self._give_up(run, job)
            return
        run.release_snapshot()
        link = self.links[run.link_key]
        with self.state.jobs.finish_lease(job) as mine:
            if not mine:
                return
            self.notes.extend(missing(self.state, job))
            self.notes.extend(deleted(self.state, job))
            ended = close(self.state, job, link, swap=not run.is_exhausted, feeds=self.feeds(job))
            run.close(ended)
            note(job, surplus(self.state, job, link, ended), self.notes, self.differing)
        if run.reads_on and ended == SUCCESS and run.pipeline is not None:
            run.reads_on = False
            run.wait(run.pipeline)  # what an earlier run planned is moved; newer rows are read at once
            self._opening.open(run, run.pipeline)

    def _give_up(self, run: PipelineRun, job: Job) -> None:
        """Stop waiting for a job that can never finish; it stays open for the run that mends it."""
        found = map(self._run, job.info.upstream_keys)
        above = [one.outcome for one in found if one.job is not None]
        if can_never_finish(self.state, job, above):
            if FAILED in above:
                run.fail(f"{run.name}: its upstream failed")
            else:
                run.close("failure")
                self.notes.extend(waits_for_dead(self.state, job))
