"""Turns prospects into jobs and jobs into written-ahead chunks; closes what is settled.

``Planner`` opens jobs, freezes windows, writes plans, follows receipts down the chain, finishes.
Any number of processes may do so at once; leases and keys in the state keep it once.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hdm import _fail
from hdm.errors import HdmError, Recovery
from hdm.model import Chunk, LinkSpec, Mode, Table, Window
from hdm.survey import Prospect, pipeline_key, prospect

if TYPE_CHECKING:
    from hdm.link import DataLink
    from hdm.state import Job, StateManager

log = logging.getLogger("hdm.planner")

MAX_TRIES = 5
"""How often opening one job is tried when its systems cannot be reached."""
LOOKAHEAD = 8
"""Root jobs planned but not settled at once: each may hold a snapshot open at its source."""


@dataclass(slots=True)
class Planner:
    """Keeps the jobs of one run moving; ``tick`` is called again and again by the engine."""

    state: StateManager
    run_id: str
    links: Mapping[str, DataLink]
    site: str | None = None
    notes: list[str] = field(default_factory=list)
    jobs: dict[str, Job] = field(default_factory=dict)
    _waiting: list[Prospect] = field(default_factory=list)
    _snapshots: dict[str, ExitStack] = field(default_factory=dict)
    _closed: dict[str, str] = field(default_factory=dict)
    _empty: set[str] = field(default_factory=set)
    _held_back: set[str] = field(default_factory=set)
    _prospects: tuple[Prospect, ...] = ()
    _failed: dict[str, str] = field(default_factory=dict)
    _tries: dict[str, tuple[int, float]] = field(default_factory=dict)

    def begin(self, prospects: list[Prospect]) -> None:
        """Take in what a survey found."""
        self._waiting = list(prospects)
        self._prospects = tuple(prospects)

    def tick(self) -> bool:
        """Do what can be done now. True while anything of this run is not closed."""
        self._open_waiting()
        self._open_from_state()
        for job in list(self.jobs.values()):
            if job.pipeline_key in self._closed:
                continue
            if not job.planned:
                self._plan(job, self.links[job.link_key])
            elif job.info.upstream_keys:
                self._follow(job)
            self._finish(job)
        return bool(self._waiting) or len(self._closed) < len(self.jobs)

    def close(self) -> None:
        """Let go of the snapshots."""
        for held in self._snapshots.values():
            held.close()
        self._snapshots.clear()

    def progress(self) -> dict[str, tuple[str, int, int]]:
        """Link key -> (its name, chunks settled, chunks known so far)."""
        sums: dict[str, tuple[str, int, int]] = {}
        for job in list(self.jobs.values()):
            counts = self.state.counts(job.job_id)
            total = sum(counts.values()) - counts.get("superseded", 0)
            open_now = sum(counts.get(status, 0) for status in ("pending", "leased", "written"))
            name, done, known = sums.get(job.link_key, ("", 0, 0))
            name = f"{job.info.source_name} -> {job.info.sink_name}"
            sums[job.link_key] = (name, done + total - open_now, known + total)
        return sums

    def feeds(self, job: Job) -> bool:
        """Whether another link of this plan reads what ``job`` publishes."""
        return any(job.link_key in link.spec.upstream for link in self.links.values())

    def closed(self) -> Mapping[str, str]:
        """Pipeline key -> how its job ended, for those that are closed."""
        return self._closed

    def _open_waiting(self) -> None:
        rest = []
        for one in self._waiting:
            busy = sum(1 for key in self._snapshots if key not in self._closed)
            root = not one.upstream_keys
            if any(key in self._failed for key in one.upstream_keys):
                self.failed[one.pipeline_key] = f"{one.source.dataset.name}: its upstream failed"
            elif (root and busy >= LOOKAHEAD) or any(
                up not in self.jobs and up not in self._held_back for up in one.upstream_keys
            ):
                rest.append(one)
            elif not self._try_open(one):
                rest.append(one)
        self._waiting = rest

    def _try_open(self, one: Prospect) -> bool:
        """Open a job; True when it is done with, be it failed for good."""
        tries, not_before = self._tries.get(one.pipeline_key, (0, 0.0))
        if time.monotonic() < not_before:
            return False
        try:
            self._open(one)
        except HdmError as error:
            if error.recovery is Recovery.RETRY and tries + 1 < MAX_TRIES:
                wait = time.monotonic() + random.uniform(0, 2.0**tries)  # noqa: S311 -- jitter
                self._tries[one.pipeline_key] = (tries + 1, wait)
                return False
            if error.recovery is Recovery.ABORT:
                raise
            self.failed[one.pipeline_key] = f"{one.source.dataset.name}: {error}"
        return True

    @property
    def failed(self) -> dict[str, str]:
        """Pipeline key -> why its job could not even be planned."""
        return self._failed

    def _open_from_state(self) -> None:
        """Chained links whose upstream runs at another site: its jobs are found in the state."""
        if self.site is None:
            return
        for link in self.links.values():
            if link.spec.site not in (None, self.site):
                continue
            for upstream in link.spec.upstream:
                if self.links[upstream].spec.site in (None, self.site):
                    continue
                for above in self.state.reports.link_jobs(upstream):
                    key = pipeline_key(link.spec, above.info.target.dataset)
                    if key not in self.jobs:
                        self._open(prospect(link, above.info.target, (above.pipeline_key,)))

    def _open(self, one: Prospect) -> None:
        from hdm.state import JobInfo

        link = self.links[one.link.key]
        if self._waits_for_chain(one):
            self._held_back.add(one.pipeline_key)
            name = one.source.dataset.name
            self.notes.append(f"{name}: this run finishes what the last one read; run again to read anew")
            return
        job = self.state.open_job(
            self.run_id,
            JobInfo(
                pipeline_key=one.pipeline_key,
                link_key=one.link.key,
                stage_no=self._depth(one.link),
                source_name=one.link.source.name,
                source_type=one.link.source.type,
                sink_name=one.link.sink.name,
                sink_type=one.link.sink.type,
                source=one.source,
                target=one.target,
                mode=one.link.mode,
                site=one.link.site,
                upstream_keys=one.upstream_keys,
                max_parallel=_parallel(one.link),
                losses=list(one.losses),
                first_epoch=self._first_epoch(one, link),
            ),
        )
        self.jobs[one.pipeline_key] = job
        if not job.planned:
            self._consider(job, one, link)
            self._plan(job, link)

    def _consider(self, job: Job, one: Prospect, link: DataLink) -> None:
        """Whether a new epoch has anything to read. Asked after it was opened, since another
        process may have finished the one before in the meantime."""
        name = one.source.dataset.name
        if self._is_complete(job, one, link):
            self.notes.append(f"{name}: moved before and complete; it has no watermark to tell newer rows by")
            self._empty.add(one.pipeline_key)
        elif self._is_loading(one):
            self.notes.append(f"{name}: another process still loads what it read; run again to read anew")
            self._empty.add(one.pipeline_key)

    def _waits_for_chain(self, one: Prospect) -> bool:
        """A table that is replaced is not read anew while its last reading is still being loaded."""
        return not self.state.reports.is_open(one.pipeline_key) and self._is_loading(one)

    def _is_loading(self, one: Prospect) -> bool:
        if one.link.mode is not Mode.REPLACE or one.upstream_keys:
            return False
        below = {one.pipeline_key}
        for other in self._prospects:
            if below.intersection(other.upstream_keys):
                below.add(other.pipeline_key)
        below.remove(one.pipeline_key)
        return any(self.state.reports.is_open(key) for key in below)

    @staticmethod
    def _is_complete(job: Job, one: Prospect, link: DataLink) -> bool:
        """A second epoch is only opened once the first is closed, with every chunk committed."""
        if one.upstream_keys or one.link.mode is not Mode.APPEND or one.source.cursor:
            return False
        return job.epoch > 1 and not link.source.chunks_are_content

    def _first_epoch(self, one: Prospect, link: DataLink) -> int:
        """What replaces must not take a lost epoch's chunks, which the ledger holds, for its own."""
        if one.link.mode is not Mode.REPLACE or self.state.reports.is_known(one.pipeline_key):
            return 1
        ledger = link.sink.ledger(link.outgoing(one.source), one.pipeline_key)
        return 1 + max((chunk.epoch for chunk, _ in ledger), default=0)

    def _depth(self, spec: LinkSpec) -> int:
        return 1 + max((self._depth(self.links[up].spec) for up in spec.upstream), default=0)

    def _plan(self, job: Job, link: DataLink) -> None:
        with self.state.plan_lease(job) as mine:
            if not mine:
                return
            outgoing = link.outgoing(job.info.source)
            link.sink.prepare(outgoing, job.pipeline_key, job.epoch, job.info.mode)
            self._reconcile(job, link, outgoing)
            if job.info.upstream_keys:
                self.state.add_plan(job, [], snapshot=None, wm_low=None, wm_high=None)
            else:
                self._plan_root(job, link)
        self.jobs[job.pipeline_key] = self.state.open_job(self.run_id, job.info)

    def _reconcile(self, job: Job, link: DataLink, outgoing: Table) -> None:
        """The target is the truth: chunks that only it knows of are taken over first."""
        if job.info.mode is not Mode.REPLACE:
            for chunk, receipt in link.sink.ledger(outgoing, job.pipeline_key):
                if self.state.import_committed(job, chunk, receipt):
                    self.notes.append(f"{job.info.source.dataset.name}: took over a chunk from the ledger")

    def _plan_root(self, job: Job, link: DataLink) -> None:
        held = ExitStack()
        try:
            token = held.enter_context(link.source.snapshot())
            table, window = job.info.source, self._window(job, link)
            _fail.point("R3")
            chunks = list(self._cut(job, link, window, token))
            high = next((c.upto for c in reversed(chunks) if c.upto is not None), window.after)
            self.state.add_plan(job, chunks, snapshot=token, wm_low=window.after, wm_high=high)
            log.debug("planned %s: %d chunks", table.dataset.name, len(chunks))
        except BaseException:
            held.close()
            raise
        self._snapshots[job.pipeline_key] = held

    def _cut(self, job: Job, link: DataLink, window: Window, token: str | None) -> Iterator[Chunk]:
        fixed = link.source.chunks_are_content and job.info.mode is not Mode.REPLACE
        if job.pipeline_key in self._empty:
            return
        for chunk in link.source.split(job.info.source, window, job.pipeline_key, token):
            yield replace(chunk, epoch=1 if fixed else job.epoch)

    def _window(self, job: Job, link: DataLink) -> Window:
        window = link.source.window()
        if window.offset and job.info.mode is Mode.APPEND:
            self.notes.append(
                f"{job.info.source.dataset.name}: offset is not used: in mode append it would double rows, "
                "and ties and late rows arrive without it"
            )
            window = replace(window, offset=None)
        mark = self.state.watermark(job.pipeline_key)
        if mark is None or window.column is None or job.info.mode is Mode.REPLACE:
            return window
        return replace(window, after=mark.value, ties=mark.ties, nulls=mark.nulls, snapshot=mark.snapshot)

    def _follow(self, job: Job) -> None:
        link = self.links[job.link_key]
        replaces = job.info.mode is Mode.REPLACE
        for receipt in self.state.unfollowed(job):
            chunks: list[Chunk] = []
            if not (replaces and self.state.reports.is_outdated(receipt.chunk_id)):
                followers = link.source.follow(job.info.source, receipt, job.pipeline_key)
                chunks = [replace(chunk, epoch=job.epoch if replaces else 1) for chunk in followers]
            self.state.add_followers(job, receipt.chunk_id, chunks)

    def _finish(self, job: Job) -> None:
        if not job.planned or not self.state.settled(job):
            return
        link = self.links[job.link_key]
        with self.state.finish_lease(job) as mine:
            if not mine:
                return
            counts = self.state.counts(job.job_id)
            self._verify_rest(job, link, counts)
            if not counts.get("dead") and job.pipeline_key not in self._empty:
                outgoing = link.outgoing(job.info.source)
                link.sink.finish(outgoing, job.pipeline_key, job.epoch, job.info.mode)
            self._closed[job.pipeline_key] = self.state.close_job(job.job_id)
        held = self._snapshots.pop(job.pipeline_key, None)
        if held is not None:
            try:
                held.close()
            except HdmError as trouble:
                log.debug("closing a snapshot: %s", trouble.message)

    def _verify_rest(self, job: Job, link: DataLink, counts: Mapping[str, int]) -> None:
        """Chunks whose worker ended between its commit and its check are checked now."""
        if counts.get("committed") and link.verifies:
            for chunk, rows in self.state.reports.unverified(job.job_id):
                held = link.sink.committed(link.outgoing(job.info.source), chunk, job.info.mode)
                found = held.rows if held is not None else -1
                self.state.verify_late(job, chunk.chunk_id, found == rows, rows, found)


def _parallel(link: LinkSpec) -> int | None:
    limit = link.limits.get("connections")
    bounds = [n for n in (link.threads, limit) if n]
    return min(bounds) if bounds else None
