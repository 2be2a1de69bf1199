"""Defines ``Chunks``, the methods of the state database about chunks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from hdm.model import Chunk, FileNames, Receipt
from hdm.state.aggregates.base import Aggregate
from hdm.state.chunks import check_results, claims, reconcile, transitions
from hdm.state.jobs import operators, reload
from hdm.state.records import CheckResult, ClaimRequest, Job, Lease


class Chunks(Aggregate):
    """Records what happens to chunks from claim to commit; used as ``StateManager.chunks``."""

    def claim(
        self,
        worker_id: str,
        run_id: str,
        *,
        site: str | None = None,
        skip_jobs: frozenset[str] = frozenset(),
        file_names: Mapping[str, FileNames] = MappingProxyType({}),
    ) -> Lease | None:
        """Claim the next chunk of a run for a worker; return its lease, or None if there is none now.

        Chunks of later links come first. A worker with a ``site`` gets only chunks of that site and
        chunks that have no site. Chunks of the jobs in ``skip_jobs`` are left out. ``file_names`` says how
        sinks name their files, by pipeline key: the attempt's first file is then recorded together with the
        claim.
        """
        return claims.claim(self._base, worker_id, run_id, ClaimRequest(site, file_names), skip_jobs)

    def renew(self, lease: Lease, *, rows: int = 0, bytes: int = 0) -> None:  # noqa: A002
        """Extend a lease by its full time and record its chunk's progress; raise ``LeaseLost`` if it is lost.

        ``rows`` and ``bytes`` are what the attempt has moved so far.
        """
        claims.renew(self._base, lease, rows, bytes)

    def wrote(self, lease: Lease, receipt: Receipt) -> None:
        """Record that a chunk's content is written but not visible yet.

        Raises ``LeaseLost``, or ``BrokenContract`` if the receipt does not fit the lease.
        """
        transitions.wrote(self._base, lease, receipt)

    def commit(
        self,
        lease: Lease,
        receipt: Receipt,
        *,
        target_rows: int | None = None,
        claim_next: ClaimRequest | None = None,
    ) -> Lease | None:
        """Record that a chunk's content is visible, and return the lease on the worker's next chunk.

        None without ``claim_next``, or if no next chunk is easily found: ``claim`` may still find one.
        ``target_rows`` is how many rows of the chunk the target says it stores (-1: it does not know the
        chunk; None: it cannot tell). Raises ``LeaseLost``, or ``BrokenContract`` if the receipt does not fit
        the lease.
        """
        return transitions.commit(self._base, lease, receipt, target_rows, claim_next)

    def record_checks(self, lease: Lease, results: Sequence[CheckResult]) -> None:
        """Record the results of a chunk's checks; raise ``LeaseLost`` if the lease is lost."""
        check_results.record(self._base, lease, results)

    def verify_late(self, job: Job, chunk_id: str, source_rows: int, target_rows: int) -> None:
        """Record whether source and target have equally many rows of a chunk that was committed uncompared.

        Equal counts make the chunk 'verified'; they change nothing if it is no longer 'committed'.
        """
        operators.verify_late(self._base, job, chunk_id, source_rows, target_rows)

    def fail(
        self, lease: Lease, error: BaseException, *, retry_in: float | None, phase: str, counts: bool = True
    ) -> bool:
        """Record a failed attempt at a chunk, to be tried again in ``retry_in`` seconds.

        If that is None, the chunk becomes dead. ``phase`` says what was done when it failed. ``counts``: the
        failure is the chunk's own, not that of a system which is unreachable. Returns True if the next try
        will publish what was written, so that the caller must not remove it; else False. Raises
        ``LeaseLost``.
        """
        return transitions.fail(self._base, lease, error, retry_in, phase, counts)

    def failures(self, lease: Lease) -> int:
        """Return how often the chunk has failed since it was planned or retried; 0 if never.

        Failures of an unreachable system do not count.
        """
        return transitions.failures(self._base, lease)

    def release(self, lease: Lease) -> bool:
        """Hand a leased chunk back, so that any worker may claim it now.

        Returns True if the next try will publish what was written, so that the caller must not remove it;
        else False. Raises ``LeaseLost``.
        """
        return transitions.release(self._base, lease)

    def supersede(self, job: Job, chunk_ids: Sequence[str], new_chunks: Sequence[Chunk]) -> None:
        """Replace the chunks ``chunk_ids`` of a job by ``new_chunks``.

        Raises ``IllegalTransition`` if a worker has a lease on one of the former, or one is settled.
        """
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
        """Plan committed chunks that a target has lost to be loaded again; return how many were lost.

        ``job`` is the pipeline's newest job, which gets copies of them; the lost chunks are superseded.
        Chunks whose ids are in ``uncopied`` get no copy, as upstream publishes their rows again, but are
        counted. ``by`` is who asked. ``target_id`` is the identity of the target; None if it has none.
        """
        return reload.reload(self._base, job, chunks, by, uncopied, target_id)

    def import_committed(self, job: Job, chunk: Chunk, receipt: Receipt) -> bool:
        """Record as committed a chunk that the target's ledger names; return True if the state changed.

        False if the chunk was recorded as committed before or is superseded, or if a worker has a live lease
        on it.
        """
        return reconcile.import_committed(self._base, job, chunk, receipt)
