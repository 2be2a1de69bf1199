"""Records the results of a link's checks, on the rows of one chunk or on a whole table of the target."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert

from hdm.state.chunks.transitions import fenced, held
from hdm.state.db.tables import validation
from hdm.state.records import CheckResult, Job, Lease
from hdm.state.tx.context import Base
from hdm.state.tx.seals import CHECK, sum_of
from hdm.state.tx.transaction import Tx


def record(base: Base, lease: Lease, results: Sequence[CheckResult]) -> None:
    """Record the result of each check on a chunk; raise ``LeaseLost`` if its lease is lost.

    The results are rows of ``hdm_validation``.
    """

    def work(tx: Tx) -> None:
        held(tx, lease)
        told = _inserted(base, tx, lease.job.job_id, lease.chunk_id, results)
        tx.event(
            "chunk.checked", job=lease.job.job_id, chunk=lease.chunk_id, worker=lease.worker_id,
            attempt=lease.attempt, **told,
        )  # fmt: skip

    if results:
        fenced(base, lease, "checked", work)


def record_of_table(base: Base, job: Job, run_id: str, results: Sequence[CheckResult]) -> None:
    """Record the results of the checks that the target of a job was asked about, as an event of a run."""

    def work(tx: Tx) -> None:
        tx.event("job.checked", job=job.job_id, **_inserted(base, tx, job.job_id, None, results))

    if results:
        base.change(run_id, work)


def _inserted(
    base: Base, tx: Tx, job_id: str, chunk_id: str | None, results: Sequence[CheckResult]
) -> dict[str, Any]:
    """Insert the rows of ``hdm_validation``; return what the event says of them."""
    rows = [
        {
            "validation_id": uuid.uuid4().hex,
            "job_id": job_id,
            "chunk_id": chunk_id,
            "kind": one.kind[:32],
            "column_name": one.column,
            "predicate": one.rule,
            "target_value": base.mask(one.found) if one.found else None,
            "status": "fail" if one.found else "pass",
            "severity": one.severity,
            "executed_at": tx.now,
        }
        for one in results
    ]
    tx.conn.execute(insert(validation), rows)
    return {
        "checks": len(results),
        "failed": sorted({one.kind for one in results if one.found}),
        "results": sum_of("validation", CHECK, rows).told(),
    }
