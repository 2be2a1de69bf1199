"""``StateManager``: the one door to the state database. Nobody else writes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import URL

from hdm.model import Chunk, Dataset, Receipt, Table
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
    FirstArtifact,
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
    """Every run, job, chunk and watermark. Safe for threads; after a fork it reconnects.

    Every method is one transaction, and may raise ``StateUnavailable`` or ``StateError``.
    """

    def __init__(self, base: Base) -> None:
        super().__init__(base)
        self.reports = Reports(base)
        self.gaps = gaps.Gaps(base)
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
        """Connect; an empty database gets its tables if ``create``.

        Raises ``SchemaOutOfDate`` for one that is older or newer than this hdm. ``lease_ttl``
        in seconds. ``mask`` takes secrets out of all text that is stored.
        """
        db = Database(url)
        try:
            schema.check(db, create=create)
        except BaseException:
            db.close()
            raise
        return cls(Base(db, mask, lease_ttl))

    def import_legacy(self, url: str | URL) -> dict[str, int]:
        """Take over an old ``state_manager`` table: rows ``read``, ``imported``, ``success``."""
        return import_original.import_old(self._base, url)

    def close(self) -> None:
        """Give all connections back."""
        self._base.db.close()

    def __enter__(self) -> StateManager:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # -- catalogues ----------------------------------------------------------

    def record_crawl(
        self,
        run_id: str,
        tables: list[tuple[Table, dict[str, Any]]],
        views: Mapping[Dataset, dict[str, Any]] | None = None,
    ) -> dict[str, int]:
        """Keep what a crawl found as dataset versions; how many are new, changed, the same."""
        return crawled_objects.record(self._base, run_id, tables, views or {})

    def keep_objects(self, run_id: str, kind: str, objects: Mapping[Dataset, dict[str, Any]]) -> None:
        """Keep objects of a catalogue as versions of their own kind."""
        crawled_objects.keep(self._base, run_id, kind, objects)

    def objects(self, kind: str, namespace: str) -> dict[str, dict[str, Any]]:
        """Name -> the newest version of every object of that kind (``relation``, ``view``, ...)."""
        return crawled_objects.known(self._base, namespace, kind)

    def throughput(self) -> float | None:
        """Rows per second of the newest runs that moved something; None if none did."""
        return crawled_objects.throughput(self._base)

    # -- runs and workers ----------------------------------------------------

    def open_run(self, info: RunInfo) -> str:
        """A new run's id. Take over dead workers first, so that their run is seen as over."""
        return runs.open_run(self._base, info)

    def close_run(
        self, run_id: str, status: str, error_class: str | None = None, error_msg: str | None = None
    ) -> None:
        """End the run: 'success', 'failure' or 'aborted'."""
        runs.close_run(self._base, run_id, status, error_class, error_msg)

    def latest_run(self, manifest_name: str, env: str) -> str | None:
        """The newest run of that manifest in that environment."""
        return runs.latest_run(self._base, manifest_name, env)

    def run_jobs(self, run_id: str) -> list[Job]:
        """The run's jobs, upstream first."""
        return runs.run_jobs(self._base, run_id)

    def register_worker(
        self, run_id: str, host: str, pid: int, start_token: str, version: str, site: str | None = None
    ) -> str:
        """A new worker's id. ``start_token`` tells the process from a later one with its pid."""
        return runs.register_worker(self._base, run_id, host, pid, start_token, version, site)

    def heartbeat(self, worker_id: str) -> None:
        """Say that the worker lives."""
        runs.heartbeat(self._base, worker_id)

    def retire_worker(self, worker_id: str) -> None:
        """The worker has left of its own accord."""
        runs.retire_worker(self._base, worker_id)

    def workers(self, host: str) -> list[tuple[str, int, str, str]]:
        """``(worker_id, pid, start_token, state)`` of that host's workers thought alive."""
        return runs.workers(self._base, host)

    def take_over(self, worker_ids: Sequence[str]) -> int:
        """End the leases of workers known to be dead; how many chunks that frees."""
        return runs.take_over(self._base, list(worker_ids))

    def joinable(self, manifest_name: str, env: str, site: str | None = None) -> str | None:
        """The newest run in progress; with ``site``, one at which that site, or all, is at work."""
        return sites.joinable(self._base, manifest_name, env, site)

    def at_work(self, run_id: str, at: Collection[str], links: Collection[str]) -> bool:
        """Whether a live worker at these sites, on that run's manifest, has one of the links to do."""
        return sites.at_work(self._base, run_id, at, links)

    def held_by_others(self, host: str, links: Collection[str]) -> dict[str, int]:
        """Other hosts and how many chunks of the links their processes, dead or not, hold."""
        return sites.held_by_others(self._base, host, links)

    # -- jobs ----------------------------------------------------------------

    def open_job(self, run_id: str, info: JobInfo, *, go_past: bool = False) -> Job:
        """The job whose epoch is open, adopted, or the next epoch's job, to be planned. ``go_past``: an
        epoch that has nothing left but dead chunks stays as it is, and the next one opens."""
        return jobs.open_job(self._base, run_id, info, gaps.go_past if go_past else None)

    def reread(self, job: Job) -> Job:
        """The same epoch's job as it stands now, be it closed."""
        return jobs.reread(self._base, job)

    def last_closed(self, pipeline_key: str) -> Job | None:
        """The newest job of that key that was closed with success."""
        return jobs.last_closed(self._base, pipeline_key)

    def plan_lease(self, job: Job) -> AbstractContextManager[bool]:
        """Yields True if the caller alone may plan the job while the block lasts."""
        return named_leases.hold(self._base, replacing.plan_resource(job.pipeline_key))

    def finish_lease(self, job: Job) -> AbstractContextManager[bool]:
        """Yields True if the caller alone may finish the job while the block lasts."""
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
    ) -> bool:
        """Write the epoch's chunks ahead, unless it is planned. False, and left, if ``unless_loading``.
        ``reading`` is for ``reports.last_reading``."""
        return jobs.add_plan(self._base, job, chunks, snapshot, wm_low, wm_high, unless_loading, reading)

    def close_unread(self, job: Job) -> bool:
        """Close an epoch of mode ``replace`` for which nothing was read; False if something was."""
        return self._base.change(job.in_run, lambda tx: replacing.close_unread(tx, job))

    def give_up(self, job: Job, *, short: bool) -> bool:
        """Close an epoch whose source changed under it, or that is ``short``; False if it is neither."""
        return giving_up.give_up(self._base, job, short=short)

    def is_behind(self, pipeline_key: str, upstream_key: str, *, whole: bool = False) -> bool:
        """Whether it has receipts to follow, chunks to move, a job (``whole``: an epoch) to close."""
        return sites.is_behind(self._base, pipeline_key, upstream_key, whole)

    def is_loading(self, pipeline_key: str, links: Collection[str]) -> bool:
        """Whether any job of these links that reads what the pipeline publishes is open."""
        return self._base.db.read(lambda conn: replacing.is_loading(conn, pipeline_key, links))

    def pending_receipts(self, job: Job, limit: int = 100) -> list[Receipt]:
        """What upstream committed and this job has not turned into chunks yet, in order."""
        return follow.pending_receipts(self._base, job, limit)

    def add_downstream_chunks(self, job: Job, upstream_chunk_id: str, chunks: Sequence[Chunk]) -> bool:
        """Insert what is made of one upstream chunk, once. False if the job replaces and is closed."""
        return follow.add_downstream_chunks(self._base, job, upstream_chunk_id, chunks)

    def settled(self, job: Job) -> bool:
        """Nothing is left to do but to close the job."""
        return follow.settled(self._base, job)

    def counts(self, job_id: str) -> dict[str, int]:
        """How many chunks of the job are in each status."""
        return jobs.counts(self._base, job_id)

    def staged(self, job: Job) -> int:
        """How many of the job's committed chunks wait for the jobs downstream in its run."""
        return follow.staged(self._base, job)

    def close_job(self, job_id: str) -> str:
        """'success' closes the epoch; 'failure' leaves it open for ``retry`` or ``waive``."""
        return jobs.close_job(self._base, job_id)

    # -- chunks --------------------------------------------------------------

    def claim(
        self,
        worker_id: str,
        run_id: str,
        *,
        site: str | None = None,
        skip_jobs: frozenset[str] = frozenset(),
        preregister: FirstArtifact = lambda lease: None,
    ) -> Lease | None:
        """The next chunk to try, downstream first; None if there is nothing just now. With ``site``,
        only jobs of that site or of none; without, all. The file that ``preregister`` names goes on
        record with the claim, as by ``begin_artifact``."""
        return claims.claim(self._base, worker_id, run_id, ClaimRequest(site, preregister), skip_jobs)

    def renew(self, lease: Lease, *, rows: int = 0, bytes: int = 0) -> None:  # noqa: A002
        """Extend the lease and note progress; raises ``LeaseLost``."""
        claims.renew(self._base, lease, rows, bytes)

    def begin_artifact(self, lease: Lease, uri: str, format: str) -> None:  # noqa: A002
        """Record a file before its first byte; raises ``LeaseLost``."""
        artifacts.begin(self._base, lease, uri, format)

    def wrote(self, lease: Lease, receipt: Receipt) -> None:
        """The content is written but not visible; raises ``LeaseLost``, ``BrokenContract``."""
        transitions.wrote(self._base, lease, receipt)

    def commit(
        self,
        lease: Lease,
        receipt: Receipt,
        *,
        target_rows: int | None = None,
        claim_next: ClaimRequest | None = None,
    ) -> Lease | None:
        """The content is visible, and ``target_rows`` is what the target itself says it holds (-1:
        nothing; None: it cannot say); raises ``LeaseLost``, ``BrokenContract``. With ``claim_next`` the
        worker's next lease, claimed along with it; None then, too, if ``claim`` has to look."""
        return transitions.commit(self._base, lease, receipt, target_rows, claim_next)

    def record_checks(self, lease: Lease, results: Sequence[CheckResult]) -> None:
        """Keep what the chunk's in-flight checks found; raises ``LeaseLost``."""
        check_results.record(self._base, lease, results)

    def verify_late(self, job: Job, chunk_id: str, source_rows: int, target_rows: int) -> None:
        """Record the comparison for a chunk that was committed without one."""
        operators.verify_late(self._base, job, chunk_id, source_rows, target_rows)

    def fail(
        self, lease: Lease, error: BaseException, *, retry_in: float | None, phase: str, counts: bool = True
    ) -> bool:
        """Try again ``retry_in`` seconds from now; None buries the chunk. ``counts``: as its failure. Raises
        ``LeaseLost``. True if the next try will publish what was written, which must not be removed."""
        return transitions.fail(self._base, lease, error, retry_in, phase, counts)

    def release(self, lease: Lease) -> bool:
        """Hand the chunk back at once; raises ``LeaseLost``. True as for ``fail``."""
        return transitions.release(self._base, lease)

    def supersede(self, job: Job, chunk_ids: Sequence[str], new_chunks: Sequence[Chunk]) -> None:
        """Replace chunks that nobody holds by others."""
        operators.supersede(self._base, job, chunk_ids, new_chunks)

    def reload(self, job: Job, chunks: Sequence[Chunk], by: str, *, uncopied: Collection[str] = ()) -> int:
        """Load the rows of committed chunks again, in the job, a pipeline's newest; how many chunks. Of
        ``uncopied``, which upstream gives again, no copy is made."""
        return reload.reload(self._base, job, chunks, by, uncopied)

    def import_committed(self, job: Job, chunk: Chunk, receipt: Receipt) -> bool:
        """Record what the target's ledger says it holds; True if that was news."""
        return reconcile.import_committed(self._base, job, chunk, receipt)

    def note_failure(self, run_id: str, pipeline_key: str, text: str) -> None:
        """Record why a pipeline's job could not be planned in this run."""
        jobs.note_failure(self._base, run_id, pipeline_key, text)

    def skip_epochs(self, job: Job, epoch: int, snapshot: str | None) -> Job:
        """Move an unplanned job past the epochs that only the target's ledger knows."""
        return jobs.skip_epochs(self._base, job, epoch, snapshot)

    # -- watermarks ----------------------------------------------------------

    def watermark(self, pipeline_key: str) -> Watermark | None:
        """The end of the committed prefix; None if nothing is committed."""
        return watermarks.current(self._base, pipeline_key)

    def seen(self, pipeline_key: str, kind: str) -> Counter[str]:
        """Digests of committed rows at the watermark ('point') or with a NULL cursor ('null')."""
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
        """Make dead chunks pending again; how many."""
        return operators.retry(self._base, run_id, job_id, chunk_id, by)

    def waive(self, chunk_id: str, by: str, reason: str) -> None:
        """A named person accepts a dead chunk; raises ``IllegalTransition`` for any other."""
        operators.waive(self._base, chunk_id, by, reason)

    def dead(self, *, run_id: str | None = None, job_id: str | None = None) -> list[dict[str, Any]]:
        """The dead chunks with their errors, as plain rows."""
        return operators.dead(self._base, run_id, job_id)

    def stale_artifacts(self) -> list[StaleArtifact]:
        """Files that dead attempts may have left."""
        return artifacts.stale(self._base)

    def expendable_artifacts(
        self, link_key: str, readers: frozenset[str], days: float = 0
    ) -> list[StaleArtifact]:
        """Staged files of that link, at least so old, of which everything that the links
        ``readers`` and all others made is verified."""
        return retention.expendable(self._base, link_key, readers, days)

    def artifact_deleted(self, artifact_id: str) -> None:
        """The file is gone."""
        artifacts.deleted(self._base, artifact_id)

    # -- the trail -----------------------------------------------------------

    def anchor(self, run_id: str, location: str) -> tuple[int, str]:
        """Record where the chain's head is kept outside; its number and hash."""
        return audit.put_anchor(self._base, run_id, location)
