"""Records what follows from a chunk's commit (files, lineage, watermark), in the same transaction."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

from sqlalchemy import insert

from hdm.model import Chunk, Receipt
from hdm.state.chunks import artifacts, lineage, watermarks
from hdm.state.db.statements import Prepared, Query
from hdm.state.db.tables import validation
from hdm.state.records import COMMITTED, VERIFIED, Job
from hdm.state.tx.transaction import Tx

_COMPARED = Prepared(insert(validation))


def commit_lookups(
    of: Job, part: Chunk, chunk_id: str, receipt: Receipt, begun: Collection[str] = ()
) -> dict[str, Query]:
    """Return the queries whose answers ``apply_commit_effects`` needs.

    They are sent as the commit's transaction begins. ``begun``: ids of files that are known to be recorded.
    """
    ask = {}
    if any(artifacts.artifact_key(chunk_id, file.uri) not in begun for file in receipt.files):
        ask["files"] = artifacts.known(chunk_id)
    if part.upstream is not None:
        ask["origin"] = lineage.origin(part.upstream)
    if of.info.source.cursor is not None:
        ask["growth"] = watermarks.growth(of, chunk_id)
    return ask


def apply_commit_effects(
    tx: Tx, of: Job, part: Chunk, chunk_id: str, receipt: Receipt, begun: Collection[str] = ()
) -> None:
    """Record what follows from a commit: published and consumed files, lineage, row digests, watermark.

    The transaction must have been started with the queries of ``commit_lookups``.
    """
    on_record = {row.artifact_id for row in tx.answers.get("files", ())}
    artifacts.published(tx, chunk_id, receipt, on_record.union(begun))
    lineage.add_edge(tx, of, part, chunk_id, receipt.rows, tx.answers.get("origin"))
    if part.upstream is not None:
        artifacts.consumed(tx, part.upstream)
    watermarks.keep_boundary(tx, of, part, receipt)
    watermarks.advance(tx, of.job_id, of.info, tx.answers.get("growth"))


def compared(tx: Tx, job_id: str, chunk_id: str, source_rows: int, target_rows: int, **who: Any) -> None:
    """Record whether a chunk's number of rows in the target equals the number that was written.

    ``target_rows`` is -1 if the target does not know the chunk. ``who`` are the event's worker and attempt.
    """
    same = source_rows == target_rows
    tx.queue(
        _COMPARED,
        {
            "validation_id": uuid.uuid4().hex,
            "job_id": job_id,
            "chunk_id": chunk_id,
            "kind": "row_count",
            "source_value": str(source_rows),
            "target_value": str(target_rows),
            "status": "pass" if same else "fail",
            "severity": "error",
            "executed_at": tx.now,
        },
    )
    tx.event(
        "chunk.verified" if same else "chunk.mismatch", job=job_id, chunk=chunk_id, was=COMMITTED,
        now=VERIFIED if same else COMMITTED, source_rows=source_rows, target_rows=target_rows, **who,
    )  # fmt: skip
