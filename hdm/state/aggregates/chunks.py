"""The chunks in the state database."""

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
        """Claim the next chunk of a run, downstream first; return its lease, or None if there is none now.

        With ``site``, only from jobs of that site or without a site. ``file_names`` says how sinks name their
        files, by pipeline key: the attempt's first file is recorded with the claim, as by ``files.begin``.
        """
        return claims.claim(self._base, worker_id, run_id, ClaimRequest(site, file_names), skip_jobs)

    def renew(self, lease: Lease, *, rows: int = 0, bytes: int = 0) -> None:  # noqa: A002
        """Extend a lease and record its chunk's progress; raise ``LeaseLost`` if the lease is lost."""
        claims.renew(self._base, lease, rows, bytes)

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

    def failures(self, lease: Lease) -> int:
        """Return how often the chunk has failed since it was planned or retried, as far as it counts."""
        return transitions.failures(self._base, lease)

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
        ``jobs.plan``.
        """
        return reload.reload(self._base, job, chunks, by, uncopied, target_id)

    def import_committed(self, job: Job, chunk: Chunk, receipt: Receipt) -> bool:
        """Record a chunk that the target's ledger names as committed; return whether the state lacked it."""
        return reconcile.import_committed(self._base, job, chunk, receipt)
