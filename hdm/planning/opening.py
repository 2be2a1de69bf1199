"""Opens the job of a pipeline, and plans its next epoch unless nothing is to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hdm.model import LinkSpecs
from hdm.planning import presence
from hdm.planning.epoch_plan import plan_root
from hdm.planning.job_lifecycle import (
    FINISHES_FIRST,
    READ_ONCE,
    goes_past,
    is_loading,
    is_merged,
    prepare,
    prepare_another,
    waits_for_chain,
)
from hdm.planning.open_gaps import OpenGaps
from hdm.planning.pipeline_run import SUCCESS, Phase, PipelineRun
from hdm.planning.preflight import Pipeline
from hdm.planning.whole import begin_anew
from hdm.planning.windows import depth, feeds_merges, is_complete, job_info

if TYPE_CHECKING:
    from hdm.runtime.link import DataLink
    from hdm.state import Job, StateManager


@dataclass(frozen=True, slots=True)
class Opening:
    """Opens a pipeline's next job, or takes up the open one, and plans it; for one ``Planner``.

    The pipeline may be postponed, or its job closed unread, instead. The fields are the planner's own
    objects; what a person should know is appended to ``notes``.
    """

    state: StateManager
    run_id: str
    links: Mapping[str, DataLink]
    specs: LinkSpecs
    gaps: OpenGaps
    notes: list[str]
    differing: list[str]
    joined: bool = False
    refresh: frozenset[str] = frozenset()

    def open(self, run: PipelineRun, one: Pipeline) -> None:
        """Open the pipeline's job, and plan it unless another process has; ``run`` keeps what was done.

        A pipeline whose last reading is still being loaded is postponed instead. May be called again after an
        error.
        """
        if self.joined and self._opened_before(run):
            return
        link = self.links[run.link_key]
        if waits_for_chain(self.state, one, self.specs):
            run.postpone()
            self.notes.append(f"{run.name}: {FINISHES_FIRST}")
            return
        refreshed = run.key in self.refresh
        anew = False
        if not (refreshed and one.link.mode.rules.swaps_at_end):
            anew = presence.look(self.state, one, link, self.specs)
        if anew:
            prepare_another(self.state, one, link)
        if refreshed and not run.started_over:
            self.state.gaps.start_over(self.run_id, run.key)
            run.started_over = True
        past = goes_past(one, self.specs) and not self.joined
        info = job_info(one, depth(one.link, self.specs))
        job = self.state.jobs.open(self.run_id, info, go_past=past)
        if begin_anew(self.state, job, self.notes, feeds=self.specs.feeds(job.link_key)):
            job = self.state.jobs.open(self.run_id, info, go_past=past)
        run.job = job
        if anew and job.planned:
            self.state.jobs.retarget(job, link.sink.identity(link.outgoing(one.source)))
        if not one.upstream_keys:
            self.notes.extend(self.gaps.take_up(job))
        if job.planned and job.run_id != self.run_id and one.source.cursor and is_merged(one, self.specs):
            run.reads_on = True
        if not job.planned:
            self.plan(run, job)
        run.opened()

    def _opened_before(self, run: PipelineRun) -> bool:
        """Adopt the joined run's job of a pipeline; return False if a new one must be opened.

        That is so if there is no such job, or it is closed and more was published for it since.
        """
        mine = [job for job in self.state.runs.jobs(self.run_id) if job.pipeline_key == run.key]
        if not mine:
            return False
        job = max(mine, key=lambda one: one.epoch)
        if job.status == SUCCESS:
            if self.state.jobs.pending_receipts(job, 1):
                return False
            run.close(job.status)
        run.job = job
        run.opened()
        return True

    def plan(self, run: PipelineRun, job: Job) -> None:
        """Write the plan of an open job, unless another process has done so, or does so now.

        If the epoch was closed unread instead, ``run`` is closed, too.
        """
        with self.state.jobs.plan_lease(job) as mine:
            if not mine:
                return
            job = self.state.jobs.reread(job)
            if job.status == "planning" and self._is_to_be_planned(run, job):  # no other process was first
                self._write_plan(run, job, self.links[run.link_key])
        self._is_closed_unread(run, self.state.jobs.reread(job))  # reread: the plan may have closed it unread

    def _write_plan(self, run: PipelineRun, job: Job, link: DataLink) -> None:
        taken = prepare(self.state, job, link, self.notes)
        run.is_exhausted |= taken.complete
        if job.info.upstream_keys:
            self.state.jobs.plan(taken.job, [], target_id=taken.target_id)
            return
        words = {"empty": run.is_exhausted, "whole": run.key in self.refresh,
                 "merged": feeds_merges(run.link_key, self.specs)}  # fmt: skip
        run.snapshot = plan_root(
            self.state, taken, link, self.specs.keys(), self.notes, self.differing, **words
        )

    def _is_to_be_planned(self, run: PipelineRun, job: Job) -> bool:
        """Return whether to plan the open job's epoch.

        Asked by the process that plans it, under its lease: the one that opened the job may be gone, and
        another one may have closed the last epoch.
        """
        one, link = run.pipeline, self.links[run.link_key]
        if one is None:
            return False
        if run.key not in self.refresh and is_complete(job.epoch, one, link):
            if not self.state.reports.moved_nothing(run.key):
                self.notes.append(f"{run.name}: {READ_ONCE}")
            elif not link.source.is_empty(one.source):
                return True
            run.is_exhausted = True
        elif not job.adopted and is_loading(self.state, one, self.specs):
            self.state.jobs.close_unread(job)
            job = self.state.jobs.reread(job)
        return not self._is_closed_unread(run, job)

    def _is_closed_unread(self, run: PipelineRun, job: Job) -> bool:
        """Record the job as it is now; return whether it was closed unread."""
        run.job = job
        if job.closed_unread and run.phase is not Phase.CLOSED:
            if not job.info.upstream_keys:
                said = "another process still loads what it read; run again to read anew"
                self.notes.append(f"{run.name}: {said}")
            run.close(SUCCESS)
            run.release_snapshot()
        return job.closed_unread
