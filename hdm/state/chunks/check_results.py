"""Records the results of a link's checks on the rows of one chunk."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlalchemy import insert

from hdm.state.chunks.transitions import fenced, held
from hdm.state.db.tables import validation
from hdm.state.records import CheckResult, Lease
from hdm.state.tx.context import Base
from hdm.state.tx.seals import CHECK, sum_of
from hdm.state.tx.transaction import Tx


def record(base: Base, lease: Lease, results: Sequence[CheckResult]) -> None:
    """Record the result of each check on a chunk; raise ``LeaseLost`` if its lease is lost.

    The results are rows of ``hdm_validation``.
    """

    def work(tx: Tx) -> None:
        held(tx, lease)
        rows = [
            {
                "validation_id": uuid.uuid4().hex,
                "job_id": lease.job.job_id,
                "chunk_id": lease.chunk_id,
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
        failed = sorted({one.kind for one in results if one.found})
        tx.event(
            "chunk.checked", job=lease.job.job_id, chunk=lease.chunk_id, worker=lease.worker_id,
            attempt=lease.attempt, checks=len(results), failed=failed,
            results=sum_of("validation", CHECK, rows).told(),
        )  # fmt: skip

    if results:
        fenced(base, lease, "checked", work)
