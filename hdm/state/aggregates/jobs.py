"""Defines ``Jobs``, the methods of the state database about jobs: their plans, and how they end."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from hdm.model import Chunk, Receipt
from hdm.state.aggregates.base import Aggregate
from hdm.state.chunks import check_results
from hdm.state.jobs import follow, gaps, giving_up, jobs, replacing, sites
from hdm.state.queries import audit
from hdm.state.records import CheckResult, Job, JobInfo
from hdm.state.tx import named_leases


class Jobs(Aggregate):
    """Opens, plans, follows and closes jobs; used as ``StateManager.jobs``."""

    def open(self, run_id: str, info: JobInfo, *, go_past: bool = False) -> Job:
        """Return the job of the pipeline's open epoch; without one, open the next epoch.

        A new job has the status 'planning'. ``go_past``: if only dead chunks are left in the open epoch,
        leave it open and open the next one, if ``Gaps.can_pass`` allows it.
        """
        return jobs.open_job(self._base, run_id, info, gaps.go_past if go_past else None)

    def reread(self, job: Job) -> Job:
        """Return a job as it is recorded now, even if it is closed."""
        return jobs.reread(self._base, job)

    def record_checks(self, job: Job, run_id: str, results: Sequence[CheckResult]) -> None:
        """Record the results of checks about a job's whole table, as an event of the run ``run_id``."""
        check_results.record_of_table(self._base, job, run_id, results)

    def last_closed(self, pipeline_key: str) -> Job | None:
        """Return the pipeline's newest job that was closed with success; None if there is none."""
        return jobs.last_closed(self._base, pipeline_key)

    def plan_lease(self, job: Job) -> AbstractContextManager[bool]:
        """Give the ``with`` block True if only this caller may plan the job meanwhile, else False.

        The right is renewed until the block ends.
        """
        return named_leases.hold(self._base, replacing.plan_resource(job.pipeline_key))

    def finish_lease(self, job: Job) -> AbstractContextManager[bool]:
        """Give the ``with`` block True if only this caller may close the job meanwhile, else False.

        The right is renewed until the block ends.
        """
        return named_leases.hold(self._base, f"finish:{job.job_id}")

    def plan(
        self,
        job: Job,
        chunks: Sequence[Chunk],
        *,
        snapshot: str | None = None,
        wm_low: str | None = None,
        wm_high: str | None = None,
        unless_loading: Collection[str] = (),
        reading: Mapping[str, Any] | None = None,
        target_id: str | None = None,
    ) -> bool:
        """Store the plan of an epoch; return False if the epoch was closed unread instead.

        That happens if links of ``unless_loading`` still load the last epoch. If another process has stored a
        plan already, nothing is changed and True is returned. ``wm_low`` and ``wm_high`` are the limits of
        its window. ``reading`` is what ``reports.last_reading`` returns later; ``target_id`` is the identity
        of the target.
        """
        marks = (snapshot, wm_low, wm_high, unless_loading, reading, target_id)
        return jobs.add_plan(self._base, job, chunks, *marks)

    def retarget(self, job: Job, target_id: str | None) -> None:
        """Record that the rest of a planned epoch goes into another target.

        Nothing of the epoch may be committed yet. ``target_id`` is that target's identity, None if it has
        none.
        """
        jobs.retarget(self._base, job, target_id)

    def close_unread(self, job: Job) -> bool:
        """Close an epoch in mode ``replace`` without reading; return True if it is closed so now.

        False, and no change, if something was read already.
        """
        return self._base.change(job.in_run, lambda tx: replacing.close_unread(tx, job))

    def give_up(self, job: Job, *, short: bool) -> bool:
        """Close an epoch that can never be complete, supersede its open chunks; return True if it was closed.

        That is so if its source changed while it was read, or if it lacks rows (``short``). Otherwise, and
        while a worker has a lease on one of its chunks, nothing is changed and False is returned.
        """
        return giving_up.give_up(self._base, job, short=short)

    def is_behind(self, pipeline_key: str, upstream_key: str, *, whole: bool = False) -> bool:
        """Return True if a pipeline still has receipts to load, chunks to move, or a job to open or close.

        ``upstream_key`` is the pipeline whose receipts it loads; while that one has an open job, only
        receipts and chunks count. With ``whole``, also True if upstream has closed an epoch since the
        pipeline last did.
        """
        return sites.is_behind(self._base, pipeline_key, upstream_key, whole)

    def is_loading(self, pipeline_key: str, links: Collection[str]) -> bool:
        """Return True if an open job of these links reads, directly or not, what the pipeline publishes."""
        return self._base.db.read(lambda conn: replacing.is_loading(conn, pipeline_key, links))

    def pending_receipts(self, job: Job, limit: int = 100) -> list[Receipt]:
        """Return upstream's committed receipts for which this job has no chunks yet, in order.

        At most ``limit``. In mode merge, only those whose turn it is: a later reading waits until the earlier
        one is merged.
        """
        return follow.pending_receipts(self._base, job, limit)

    def add_downstream_chunks(self, job: Job, upstream_chunk_id: str, chunks: Sequence[Chunk]) -> bool:
        """Insert the chunks that were made of an upstream chunk, unless they are there already.

        In mode replace, chunks of a reading for which a newer one is planned are left out. Returns False, and
        inserts nothing, if the job is in mode replace and closed; else True.
        """
        return follow.add_downstream_chunks(self._base, job, upstream_chunk_id, chunks)

    def settled(self, job: Job) -> bool:
        """Return True if the job has nothing left to do, so that it can be closed.

        Upstream is closed and loaded, and every chunk is settled.
        """
        return follow.settled(self._base, job)

    def counts(self, job_id: str) -> dict[str, int]:
        """Return how many chunks of the job are in each status; a status without chunks is left out."""
        return jobs.counts(self._base, job_id)

    def staged(self, job: Job) -> int:
        """Return how many of the job's committed chunks are not yet loaded by the run's downstream jobs.

        0 if the run has no downstream job.
        """
        return follow.staged(self._base, job)

    def close(self, job_id: str) -> str:
        """Close a job; return 'success', or 'failure' if a chunk is dead.

        With a dead chunk, the epoch stays open until ``operators.retry`` or ``operators.waive``. Raises
        ``IllegalTransition`` while a chunk is unfinished or nothing is planned.
        """
        return jobs.close_job(self._base, job_id)

    def note_failure(self, run_id: str, pipeline_key: str, text: str) -> None:
        """Record in a run why a pipeline's job could not be planned."""
        jobs.note_failure(self._base, run_id, pipeline_key, text)

    def skip_epochs(self, job: Job, epoch: int, snapshot: str | None) -> Job:
        """Give an unplanned job an epoch number above those that only the target's ledger knows.

        ``epoch`` is the number, which is taken if it is greater than the job's own. ``snapshot`` is the one
        under which the chunks of the ledger were read, None if not known. Returns the job as it is then.
        """
        return jobs.skip_epochs(self._base, job, epoch, snapshot)

    def failed_checks(self, job_id: str) -> int:
        """Return how many checks on the job's chunks did not pass."""
        return audit.failed_checks(self._base, job_id)
