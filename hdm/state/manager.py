"""Defines ``StateManager``, the only object that reads and writes the state database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any

from sqlalchemy import URL

from hdm.model import Chunk, FileNames, Receipt
from hdm.state import redaction
from hdm.state.chunks import artifacts, check_results, claims, reconcile, transitions, watermarks
from hdm.state.db import upgrade as schema
from hdm.state.db.database import Database
from hdm.state.jobs import (
    crawled_objects,
    follow,
    gaps,
    giving_up,
    import_original,
    jobs,
    operators,
    reload,
    replacing,
    retention,
    runs,
    sites,
)
from hdm.state.queries import audit
from hdm.state.queries.reports import Reports
from hdm.state.queries.run_queries import Questions
from hdm.state.records import (
    CheckResult,
    ClaimRequest,
    Job,
    JobInfo,
    Lease,
    RunInfo,
    StaleArtifact,
    Watermark,
)
from hdm.state.tx import named_leases
from hdm.state.tx.context import Base


class StateManager(Questions):
    """Records and returns every run, job, chunk and watermark. Safe for threads; reconnects after a fork.

    Every method is one transaction, and may raise ``StateUnavailable`` or ``StateError``.
    """

    def __init__(self, base: Base) -> None:
        super().__init__(base)
        self.reports = Reports(base)
        self.gaps = gaps.Gaps(base)
        self.crawls = crawled_objects.Crawls(base)
        self.lease_ttl = base.lease_ttl

    @classmethod
    def open(
        cls,
        url: str | URL,
        *,
        create: bool = True,
        lease_ttl: float = 30.0,
        mask: redaction.Redact = redaction.redact,
    ) -> StateManager:
        """Connect to the state database at ``url``; create tables in an empty one if ``create``.

        Raises ``SchemaOutOfDate`` if its schema is older or newer than this hdm. ``lease_ttl`` is in seconds.
        ``mask`` removes secrets from all text that is stored.
        """
        db = Database(url)
        try:
            schema.check(db, create=create)
        except BaseException:
            db.close()
            raise
        return cls(Base(db, mask, lease_ttl))

    def import_legacy(self, url: str | URL) -> dict[str, int]:
        """Import an old ``state_manager`` table; return how many rows were read, imported, 'success'."""
        return import_original.import_old(self._base, url)

    def close(self) -> None:
        """Close all connections to the state database."""
        self._base.db.close()

    def __enter__(self) -> StateManager:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # -- runs and workers ----------------------------------------------------

    def open_run(self, info: RunInfo) -> str:
        """Record a new run; return its id.

        Call ``take_over`` for dead workers first, so that their unfinished run is recorded as aborted.
        """
        return runs.open_run(self._base, info)

    def close_run(
        self, run_id: str, status: str, error_class: str | None = None, error_msg: str | None = None
    ) -> None:
        """Record the end of a run: 'success', 'failure' or 'aborted'."""
        runs.close_run(self._base, run_id, status, error_class, error_msg)

    def latest_run(self, manifest_name: str, env: str) -> str | None:
        """Return the id of the newest run of a manifest in an environment; None if there is none."""
        return runs.latest_run(self._base, manifest_name, env)

    def run_jobs(self, run_id: str) -> list[Job]:
        """Return the run's jobs, upstream before downstream."""
        return runs.run_jobs(self._base, run_id)

    def register_worker(
        self, run_id: str, host: str, pid: int, start_token: str, version: str, site: str | None = None
    ) -> str:
        """Record a worker process of a run; return the worker's id.

        ``start_token`` tells the process from a later one with the same pid.
        """
        return runs.register_worker(self._base, run_id, host, pid, start_token, version, site)

    def heartbeat(self, worker_id: str) -> None:
        """Record that a worker is alive now."""
        runs.heartbeat(self._base, worker_id)

    def retire_worker(self, worker_id: str) -> None:
        """Record that a worker has ended normally."""
        runs.retire_worker(self._base, worker_id)

    def workers(self, host: str) -> list[tuple[str, int, str, str]]:
        """Return ``(worker_id, pid, start_token, state)`` of each worker of a host that may be alive."""
        return runs.workers(self._base, host)

    def take_over(self, worker_ids: Sequence[str]) -> int:
        """End the leases of dead workers now; return how many chunks are free again."""
        return runs.take_over(self._base, list(worker_ids))

    def joinable(self, manifest_name: str, env: str, site: str | None = None) -> str | None:
        """Return the id of the newest run in progress; with ``site``, one with a live worker for it."""
        return sites.joinable(self._base, manifest_name, env, site)

    def at_work(self, run_id: str, at: Collection[str], links: Collection[str]) -> bool:
        """Return whether a live worker of these sites still has one of the links to do."""
        return sites.at_work(self._base, run_id, at, links)

    def held_by_others(self, host: str, links: Collection[str]) -> dict[str, int]:
        """Return host -> number of the links' chunks that processes of that other host have leased."""
        return sites.held_by_others(self._base, host, links)

    # -- jobs ----------------------------------------------------------------

    def open_job(self, run_id: str, info: JobInfo, *, go_past: bool = False) -> Job:
        """Return the job of the pipeline's open epoch; without one, open the next, in status 'planning'.

        ``go_past``: if only dead chunks are left in the open epoch, leave it open and open the next one.
        """
        return jobs.open_job(self._base, run_id, info, gaps.go_past if go_past else None)

    def reread(self, job: Job) -> Job:
        """Read a job's record again and return it as it is now, even if the job is closed."""
        return jobs.reread(self._base, job)

    def last_closed(self, pipeline_key: str) -> Job | None:
        """Return the pipeline's newest job that was closed with success; None if there is none."""
        return jobs.last_closed(self._base, pipeline_key)

    def plan_lease(self, job: Job) -> AbstractContextManager[bool]:
        """Give the ``with`` block True if this caller alone may plan the job; renew that right meanwhile."""
        return named_leases.hold(self._base, replacing.plan_resource(job.pipeline_key))

    def finish_lease(self, job: Job) -> AbstractContextManager[bool]:
        """Give the ``with`` block True if this caller alone may close the job; renew that right meanwhile."""
        return named_leases.hold(self._base, f"finish:{job.job_id}")

    def add_plan(
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
        """Store the plan of an epoch, once; return False if the epoch was closed unread instead.

        That happens if links of ``unless_loading`` still load the last epoch. ``reading`` is what
        ``reports.last_reading`` returns later; ``target_id`` is the identity of the target.
        """
        marks = (snapshot, wm_low, wm_high, unless_loading, reading, target_id)
        return jobs.add_plan(self._base, job, chunks, *marks)

    def retarget(self, job: Job, target_id: str | None) -> None:
        """Record that a planned epoch, of which nothing is committed, goes into another target."""
        jobs.retarget(self._base, job, target_id)

    def close_unread(self, job: Job) -> bool:
        """Close an epoch in mode ``replace`` without reading; return False if something was read already."""
        return self._base.change(job.in_run, lambda tx: replacing.close_unread(tx, job))

    def give_up(self, job: Job, *, short: bool) -> bool:
        """Close an epoch whose source changed while it was read, or that lacks rows (``short``).

        Returns False, and changes nothing, if neither is so.
        """
        return giving_up.give_up(self._base, job, short=short)

    def is_behind(self, pipeline_key: str, upstream_key: str, *, whole: bool = False) -> bool:
        """Return whether a pipeline still has receipts to load, chunks to move, or a job to close.

        ``whole``: also if upstream has closed an epoch since the pipeline's last.
        """
        return sites.is_behind(self._base, pipeline_key, upstream_key, whole)

    def is_loading(self, pipeline_key: str, links: Collection[str]) -> bool:
        """Return whether an open job of these links reads what the pipeline publishes."""
        return self._base.db.read(lambda conn: replacing.is_loading(conn, pipeline_key, links))

    def pending_receipts(self, job: Job, limit: int = 100) -> list[Receipt]:
        """Return upstream's committed receipts for which this job has no chunks yet, in order."""
        return follow.pending_receipts(self._base, job, limit)

    def add_downstream_chunks(self, job: Job, upstream_chunk_id: str, chunks: Sequence[Chunk]) -> bool:
        """Insert the chunks made of an upstream chunk, once; return False if a replacing job is closed."""
        return follow.add_downstream_chunks(self._base, job, upstream_chunk_id, chunks)

    def settled(self, job: Job) -> bool:
        """Return whether the job's work is all done, so that it can be closed."""
        return follow.settled(self._base, job)

    def counts(self, job_id: str) -> dict[str, int]:
        """Return how many chunks of the job are in each status."""
        return jobs.counts(self._base, job_id)

    def staged(self, job: Job) -> int:
        """Return how many of the job's committed chunks the run's downstream jobs have yet to load."""
        return follow.staged(self._base, job)

    def close_job(self, job_id: str) -> str:
        """Close a job; return 'success', or 'failure' if a chunk is dead (then ``retry`` or ``waive`` it)."""
        return jobs.close_job(self._base, job_id)

    # -- chunks --------------------------------------------------------------

    def claim(
        self,
        worker_id: str,
        run_id: str,
        *,
        site: str | None = None,
        skip_jobs: frozenset[str] = frozenset(),
        file_names: Mapping[str, FileNames] = MappingProxyType({}),
    ) -> Lease | None:
        """Claim the next chunk of a run, downstream first; return its lease, or None if there is none now.

        With ``site``, only from jobs of that site or without a site. ``file_names`` says how sinks name their
        files, by pipeline key: the attempt's first file is recorded with the claim, as by ``begin_artifact``.
        """
        return claims.claim(self._base, worker_id, run_id, ClaimRequest(site, file_names), skip_jobs)

    def renew(self, lease: Lease, *, rows: int = 0, bytes: int = 0) -> None:  # noqa: A002
        """Extend a lease and record its chunk's progress; raise ``LeaseLost`` if the lease is lost."""
        claims.renew(self._base, lease, rows, bytes)

    def begin_artifact(self, lease: Lease, uri: str, format: str) -> None:  # noqa: A002
        """Record a file before its first byte is written; raise ``LeaseLost`` if the lease is lost."""
        artifacts.begin(self._base, lease, uri, format)

    def wrote(self, lease: Lease, receipt: Receipt) -> None:
        """Record that content is written but not visible; raise ``LeaseLost``, ``BrokenContract``."""
        transitions.wrote(self._base, lease, receipt)

    def commit(
        self,
        lease: Lease,
        receipt: Receipt,
        *,
        target_rows: int | None = None,
        claim_next: ClaimRequest | None = None,
    ) -> Lease | None:
        """Record that a chunk's content is visible; with ``claim_next``, return the worker's next lease.

        None if no next chunk is easily found: ``claim`` may still find one. ``target_rows`` is what the
        target says it stores (-1: it does not know the chunk; None: it cannot tell). Raises ``LeaseLost``,
        ``BrokenContract``.
        """
        return transitions.commit(self._base, lease, receipt, target_rows, claim_next)

    def record_checks(self, lease: Lease, results: Sequence[CheckResult]) -> None:
        """Record the results of a chunk's checks; raise ``LeaseLost`` if the lease is lost."""
        check_results.record(self._base, lease, results)

    def verify_late(self, job: Job, chunk_id: str, source_rows: int, target_rows: int) -> None:
        """Record late whether the target's row count of a committed chunk equals the source's."""
        operators.verify_late(self._base, job, chunk_id, source_rows, target_rows)

    def fail(
        self, lease: Lease, error: BaseException, *, retry_in: float | None, phase: str, counts: bool = True
    ) -> bool:
        """Record a failed attempt: next try in ``retry_in`` seconds, or a dead chunk if that is None.

        ``counts``: the failure is the chunk's own. Returns True if the next try will publish what was
        written, so that it must not be removed. Raises ``LeaseLost``.
        """
        return transitions.fail(self._base, lease, error, retry_in, phase, counts)

    def release(self, lease: Lease) -> bool:
        """Hand a leased chunk back at once; raise ``LeaseLost``. Returns the same as ``fail``."""
        return transitions.release(self._base, lease)

    def supersede(self, job: Job, chunk_ids: Sequence[str], new_chunks: Sequence[Chunk]) -> None:
        """Replace chunks by other ones; raise an error if a worker has a lease on one of them."""
        operators.supersede(self._base, job, chunk_ids, new_chunks)

    def reload(
        self,
        job: Job,
        chunks: Sequence[Chunk],
        by: str,
        *,
        uncopied: Collection[str] = (),
        target_id: str | None = None,
    ) -> int:
        """Plan committed chunks to be loaded again, in the pipeline's newest job; return how many.

        Chunks in ``uncopied`` get no copy, as upstream publishes their rows again. ``target_id``: as for
        ``add_plan``.
        """
        return reload.reload(self._base, job, chunks, by, uncopied, target_id)

    def import_committed(self, job: Job, chunk: Chunk, receipt: Receipt) -> bool:
        """Record a chunk that the target's ledger names as committed; return whether the state lacked it."""
        return reconcile.import_committed(self._base, job, chunk, receipt)

    def note_failure(self, run_id: str, pipeline_key: str, text: str) -> None:
        """Record in a run why a pipeline's job could not be planned."""
        jobs.note_failure(self._base, run_id, pipeline_key, text)

    def skip_epochs(self, job: Job, epoch: int, snapshot: str | None) -> Job:
        """Give an unplanned job an epoch number after those that only the target's ledger knows."""
        return jobs.skip_epochs(self._base, job, epoch, snapshot)

    # -- watermarks ----------------------------------------------------------

    def watermark(self, pipeline_key: str) -> Watermark | None:
        """Return the cursor value up to which all rows are committed; None if nothing is committed."""
        return watermarks.current(self._base, pipeline_key)

    def seen(self, pipeline_key: str, kind: str) -> Counter[str]:
        """Return the digests of committed rows at the watermark ('point') or with a NULL cursor ('null')."""
        return watermarks.seen(self._base, pipeline_key, kind)

    # -- operators -----------------------------------------------------------

    def retry(
        self,
        *,
        run_id: str | None = None,
        job_id: str | None = None,
        chunk_id: str | None = None,
        by: str | None = None,
    ) -> int:
        """Make dead chunks pending again; return how many."""
        return operators.retry(self._base, run_id, job_id, chunk_id, by)

    def waive(self, chunk_id: str, by: str, reason: str) -> None:
        """Record that a person accepts a dead chunk's missing rows; ``IllegalTransition`` for any other."""
        operators.waive(self._base, chunk_id, by, reason)

    def dead(self, *, run_id: str | None = None, job_id: str | None = None) -> list[dict[str, Any]]:
        """Return dead chunks with their errors, as dictionaries."""
        return operators.dead(self._base, run_id, job_id)

    def stale_artifacts(self) -> list[StaleArtifact]:
        """Return files that ended attempts may have left behind."""
        return artifacts.stale(self._base)

    def expendable_artifacts(
        self, link_key: str, readers: frozenset[str], days: float = 0
    ) -> list[StaleArtifact]:
        """Return a link's staged files that may be removed, at least ``days`` days old.

        Everything that the links ``readers``, and all others, made of them is verified.
        """
        return retention.expendable(self._base, link_key, readers, days)

    def artifact_deleted(self, artifact_id: str) -> None:
        """Record that a staged file was deleted."""
        artifacts.deleted(self._base, artifact_id)

    # -- the trail -----------------------------------------------------------

    def anchor(self, run_id: str, location: str) -> tuple[int, str]:
        """Record where the last hash of a run's chain is stored outside; return its number and the hash."""
        return audit.put_anchor(self._base, run_id, location)
