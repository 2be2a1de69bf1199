"""Plans a run: opens a job for each table, cuts it into chunks, closes it when all are settled.

A chained job gets its chunks from upstream receipts. Any number of processes may plan one run at once: leases
and unique keys in the state make each step happen once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from hdm.errors import HdmError
from hdm.model import LinkSpec, Mode
from hdm.planning import presence
from hdm.planning.breaker import Breaker
from hdm.planning.epoch_plan import plan_root
from hdm.planning.job_lifecycle import (
    FAILED,
    FINISHES_FIRST,
    READ_ONCE,
    can_never_finish,
    close,
    goes_past,
    holds_back,
    is_loading,
    is_merged,
    note,
    prepare,
    prepare_another,
    surplus,
    waits_for_chain,
    waits_for_dead,
)
from hdm.planning.open_gaps import OpenGaps
from hdm.planning.other_sites import OtherSites
from hdm.planning.preflight import Pipeline, pipeline_of
from hdm.planning.tries import Tries
from hdm.planning.whole import begin_anew, missing
from hdm.planning.windows import UNFINISHED, depth, feeds_merges, is_complete, job_info, progress
from hdm.sql.sessions import kept

if TYPE_CHECKING:
    from hdm.runtime.link import DataLink
    from hdm.state import Job, StateManager

log = logging.getLogger("hdm.planner")

LOOKAHEAD = 8
"""How many root jobs may be planned and not settled at once: each may hold a snapshot open at its source."""


@dataclass(slots=True)
class Planner:
    """Opens, plans and closes the jobs of one run; the engine calls ``tick`` again and again.

    ``links`` are carried out by this process, ``specs`` are all links of the manifest. ``joined``: another
    process started the run, and jobs that it closed are not opened again. ``refresh``: pipelines that are
    read whole, whatever their watermark. ``differing`` collects names of tables whose source has changed
    below the watermark.
    """

    state: StateManager
    run_id: str
    links: Mapping[str, DataLink]
    site: str | None = None
    specs: Mapping[str, LinkSpec] = field(default_factory=dict)
    joined: bool = False
    refresh: frozenset[str] = frozenset()
    breaker: Breaker = field(default_factory=Breaker)
    notes: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    jobs: dict[str, Job] = field(default_factory=dict)
    _waiting: list[Pipeline] = field(default_factory=list)
    _snapshots: dict[str, ExitStack] = field(default_factory=dict)
    _closed: dict[str, str] = field(default_factory=dict)
    _empty: set[str] = field(default_factory=set)
    _held_back: set[str] = field(default_factory=set)
    _failed: dict[str, str] = field(default_factory=dict)
    _tries: Tries = field(default_factory=Tries)
    _other_sites: OtherSites | None = None
    _after: Mapping[str, frozenset[str]] = field(default_factory=dict)
    _resumed: dict[str, Pipeline] = field(default_factory=dict)
    _refreshed: set[str] = field(default_factory=set)
    _gaps: OpenGaps = field(init=False)

    def __post_init__(self) -> None:
        self._gaps = OpenGaps(self.state, self.run_id, self.links)
        if not self.specs:
            self.specs = {key: link.spec for key, link in self.links.items()}
        if set(self.specs) != set(self.links):
            self._other_sites = OtherSites(self.state, self.run_id, self.links, self.specs)

    def begin(self, pipelines: Sequence[Pipeline], after: Mapping[str, frozenset[str]] | None = None) -> None:
        """Set the pipelines to move; ``after`` maps each to those whose jobs must end first."""
        self._waiting, self._after = list(pipelines), after or {}

    def tick(self) -> bool:
        """Do every planning step that is possible now; return True while any job of this run is not closed.

        Raises ``StateUnavailable`` at the end if the state database was away for one of the steps.
        """
        with kept():
            return self._tick()

    def _tick(self) -> bool:
        self._tries.lost = None
        more = self._other_sites is not None and self._look_at_other_sites(self._other_sites)
        self._open_waiting()
        for job in list(self.jobs.values()):
            if job.pipeline_key in self._closed or job.pipeline_key in self._failed:
                continue
            if not job.planned:
                self._try(job, partial(self._plan, job, self.links[job.link_key]))
            else:
                self._follow(job)
                self._try(job, partial(self._finish, job))
        mending = self._gaps.finish(self._try)
        if self._tries.lost is not None:
            raise self._tries.lost
        return (
            more
            or mending
            or bool(self._waiting)
            or any(not self.is_waiting_for_other_site(job) for job in self._unclosed())
        )

    def close(self) -> None:
        """Close all snapshots of sources that are still open."""
        while self._snapshots:
            self._snapshots.popitem()[1].close()

    def progress(self) -> dict[str, tuple[str, int, int]]:
        """Return for each link key: its table (or link name, if several), chunks settled, chunks known."""
        return progress(self.state, list(self.jobs.values()))

    def feeds(self, job: Job) -> bool:
        """Return whether another link of this plan reads what the job's sink publishes."""
        return any(job.link_key in spec.upstream for spec in self.specs.values())

    def closed(self) -> Mapping[str, str]:
        """Return how each closed job ended, by pipeline key."""
        return self._closed

    def is_waiting_for_other_site(self, job: Job) -> bool:
        """Return whether all that is published is loaded, and the rest must come from another site."""
        if self._other_sites is None or job.link_key not in self._other_sites.fed or not job.planned:
            return False
        unfinished = any(map(self.state.counts(job.job_id).get, UNFINISHED))
        if unfinished or self.state.pending_receipts(job, 1) or holds_back(self.state, job):
            return False  # in this order: chunks that wait for one in work show only once that one is settled
        above = (one for one in self._unclosed() if one.pipeline_key in job.info.upstream_keys)
        return all(self.is_waiting_for_other_site(one) for one in above) and not self.state.settled(job)

    def succeeded(self) -> bool:
        """Return whether every job of this process ended with success or waits for another site.

        False while a job is still to be opened.
        """
        resting = {job.pipeline_key for job in self._unclosed() if self.is_waiting_for_other_site(job)}
        done = all(key in resting or self._closed.get(key) == "success" for key in self.jobs)
        return done and not self._failed and not self._waiting and self._gaps.are_closed

    def closing_notes(self) -> list[str]:
        """Return the notes about other sites for the end of the run."""
        resting = [job for job in self._unclosed() if self.is_waiting_for_other_site(job)]
        return [] if self._other_sites is None else self._other_sites.closing_notes(bool(self.jobs), resting)

    def _unclosed(self) -> list[Job]:
        over = {*self._closed, *self._failed}
        return [job for key, job in self.jobs.items() if key not in over]

    def _look_at_other_sites(self, other_sites: OtherSites) -> bool:
        """Queue what other sites have published since; return whether they may publish more."""
        more = other_sites.may_publish()
        if other_sites.is_time(now=not more):
            for key in [key for key in self._closed if other_sites.has_more(self.jobs[key])]:
                del self.jobs[key], self._closed[key]
            known = {*self.jobs, *self._failed, *(one.pipeline_key for one in self._waiting)}
            busy = {job.pipeline_key for job in self._unclosed()}
            for link, above in other_sites.news(known, busy):
                self._try(above, partial(self._await, link, above))
        return more

    def _await(self, link: DataLink, above: Job) -> None:
        self._waiting.append(pipeline_of(link, above.info.target, (above.pipeline_key,)))

    def _open_waiting(self) -> None:
        rest = []
        moving = {job.pipeline_key for job in self._unclosed() if not self.is_waiting_for_other_site(job)}
        to_come = moving | {one.pipeline_key for one in self._waiting}
        for one in self._waiting:
            busy = sum(1 for key in self._snapshots if key not in self._closed)
            root, parents = not one.upstream_keys, self._after.get(one.pipeline_key, frozenset())
            if any(key in self._failed for key in one.upstream_keys):
                self.failed[one.pipeline_key] = f"{one.source.dataset.name}: its upstream failed"
            elif (root and busy >= LOOKAHEAD) or any(map(self._is_unknown, one.upstream_keys)):
                rest.append(one)
            elif parents & to_come or not self._try(one, partial(self._open, one)):
                rest.append(one)
        self._waiting = rest

    def _is_unknown(self, upstream_key: str) -> bool:
        foreign = self._other_sites is not None and upstream_key in self._other_sites.published
        return not (foreign or upstream_key in self.jobs or upstream_key in self._held_back)

    def _try(self, what: Job | Pipeline, act: Callable[[], None]) -> bool:
        """Run ``act`` for a pipeline; return whether it is over, even if it failed for good."""
        return self._tries.attempt(what, act, self.links, self.breaker, self.failed)

    @property
    def failed(self) -> dict[str, str]:
        """The reasons why jobs could not even be planned, by pipeline key."""
        return self._failed

    def leave_for_now(self, links: frozenset[str], why: HdmError) -> None:
        """Leave the unfinished jobs of these links to the next run; a system was away too long."""
        left = {job.pipeline_key: job.info.source for job in self._unclosed() if job.link_key in links}
        left |= {one.pipeline_key: one.source for one in self._waiting if one.link.key in links}
        self._waiting = [one for one in self._waiting if one.pipeline_key not in left]
        self.failed.update({key: f"{table.dataset.name}: {why.in_one_line}" for key, table in left.items()})

    def _open(self, one: Pipeline) -> None:
        if self.joined and self._opened_before(one.pipeline_key):
            return
        link = self.links[one.link.key]
        if self._waits_for_chain(one):
            self._held_back.add(one.pipeline_key)
            self.notes.append(f"{one.source.dataset.name}: {FINISHES_FIRST}")
            return
        refreshed = one.pipeline_key in self.refresh
        anew = False
        if not (refreshed and one.link.mode is Mode.REPLACE):
            anew = presence.look(self.state, one, link, self.specs)
        if anew:
            prepare_another(self.state, one, link)
        if refreshed and one.pipeline_key not in self._refreshed:
            self.state.gaps.start_over(self.run_id, one.pipeline_key)
            self._refreshed.add(one.pipeline_key)
        past = goes_past(one, self.specs) and not self.joined
        info = job_info(one, depth(one.link, self.specs))
        job = self.state.open_job(self.run_id, info, go_past=past)
        if begin_anew(self.state, job, self.notes, feeds=self.feeds(job)):
            job = self.state.open_job(self.run_id, info, go_past=past)
        self.jobs[one.pipeline_key] = job
        if anew and job.planned:
            self.state.retarget(job, link.sink.identity(link.outgoing(one.source)))
        if not one.upstream_keys:
            self.notes.extend(self._gaps.take_up(job))
        if job.planned and job.run_id != self.run_id and one.source.cursor and is_merged(one, self.specs):
            self._resumed[one.pipeline_key] = one
        if not job.planned and self._consider(job, one, link):
            self._plan(job, link)

    def _opened_before(self, pipeline_key: str) -> bool:
        """Adopt the joined run's job of a pipeline; return False if a new one must be opened.

        That is so if there is no such job, or it is closed and more was published for it since.
        """
        mine = [job for job in self.state.run_jobs(self.run_id) if job.pipeline_key == pipeline_key]
        if not mine:
            return False
        job = max(mine, key=lambda one: one.epoch)
        if job.status == "success":
            if self.state.pending_receipts(job, 1):
                return False
            self._closed[pipeline_key] = job.status
        self.jobs[pipeline_key] = job
        return True

    def _consider(self, job: Job, one: Pipeline, link: DataLink) -> bool:
        """Return whether to plan the open job's epoch.

        Asked only once the epoch is open: another process may have closed the last one.
        """
        name = one.source.dataset.name
        if one.pipeline_key not in self.refresh and is_complete(job.epoch, one, link):
            if not self.state.reports.moved_nothing(one.pipeline_key):
                self.notes.append(f"{name}: {READ_ONCE}")
            elif not link.source.is_empty(one.source):
                return True
            self._empty.add(one.pipeline_key)
        elif not job.adopted and self._is_loading(one):
            self.state.close_unread(job)
            job = self.state.reread(job)
        return not self._has_left(job)

    def _has_left(self, job: Job) -> bool:
        """Record the job as it is now; return whether it was closed unread."""
        self.jobs[job.pipeline_key] = job
        if job.closed_unread and job.pipeline_key not in self._closed:
            if not job.info.upstream_keys:
                said = "another process still loads what it read; run again to read anew"
                self.notes.append(f"{job.info.source.dataset.name}: {said}")
            self._closed[job.pipeline_key] = "success"
            self._release_snapshot(job.pipeline_key)
        return job.closed_unread

    def _waits_for_chain(self, one: Pipeline) -> bool:
        """Return whether a table in mode replace waits for links that still load its last reading."""
        return waits_for_chain(self.state, one, self.specs)

    def _is_loading(self, one: Pipeline) -> bool:
        return is_loading(self.state, one, self.specs)

    def _plan(self, job: Job, link: DataLink) -> None:
        with self.state.plan_lease(job) as mine:
            if not mine:
                return
            job = self.state.reread(job)
            if job.status == "planning":  # no other process was first
                taken = prepare(self.state, job, link, self.notes)
                if taken.complete:
                    self._empty.add(job.pipeline_key)
                if job.info.upstream_keys:
                    self.state.add_plan(taken.job, [], target_id=taken.target_id)
                else:
                    key, links = job.pipeline_key, list(self.specs)
                    words = {"empty": key in self._empty, "whole": key in self.refresh,
                             "merged": feeds_merges(job.link_key, self.specs)}  # fmt: skip
                    self._snapshots[key] = plan_root(
                        self.state, taken, link, links, self.notes, self.differing, **words
                    )
        self._has_left(self.state.reread(job))  # reread: add_plan may have closed this epoch unread

    def _follow(self, job: Job) -> None:
        link = self.links[job.link_key]
        replaces = job.info.mode is Mode.REPLACE
        for receipt in self.state.pending_receipts(job):
            followers = link.source.follow(job.info.source, receipt, job.pipeline_key)
            chunks = [replace(chunk, epoch=job.epoch if replaces else 1) for chunk in followers]
            if not self.state.add_downstream_chunks(job, receipt.chunk_id, chunks):
                self._closed[job.pipeline_key] = "success"  # closed unread by another process
                return

    def _finish(self, job: Job) -> None:
        if not self.state.settled(job):
            self._give_up(job)
            return
        with self.state.finish_lease(job) as mine:
            if not mine:
                return
            self.notes.extend(missing(self.state, job))
            swap = job.pipeline_key not in self._empty
            link = self.links[job.link_key]
            self._closed[job.pipeline_key] = ended = close(self.state, job, link, swap=swap)
            note(job, surplus(self.state, job, link, ended), self.notes, self.differing)
        self._release_snapshot(job.pipeline_key)
        more = self._resumed.pop(job.pipeline_key, None)
        if more is not None and self._closed[job.pipeline_key] == "success":
            del self._closed[job.pipeline_key]
            self._open(more)  # the chunks that an earlier run planned are moved; newer rows are read at once

    def _release_snapshot(self, pipeline_key: str) -> None:
        held = self._snapshots.pop(pipeline_key, None)
        if held is not None:
            try:
                held.close()
            except HdmError as trouble:
                log.debug("closing a snapshot: %s", trouble.message)

    def _give_up(self, job: Job) -> None:
        """Stop waiting for a job that can never finish; it stays open for the run that mends it."""
        ended = {**self._closed, **dict.fromkeys(self._failed, FAILED)}
        above = [ended.get(key) for key in job.info.upstream_keys if key in self.jobs]
        if can_never_finish(self.state, job, above):
            if FAILED in above:
                self._failed[job.pipeline_key] = f"{job.info.source.dataset.name}: its upstream failed"
            else:
                self._closed[job.pipeline_key] = "failure"
                self.notes.extend(waits_for_dead(self.state, job))
