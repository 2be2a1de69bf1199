"""All that follows from a committed chunk, in the transaction that commits it."""

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
    """Give the queries whose answers ``apply_commit_effects`` needs; they are sent as the transaction begins.

    ``begun``: ids of files that are known to be on record.
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
    """Files published and used up, lineage edge, kept digests, and the watermark; in a transaction
    that asked ``commit_lookups`` of the same."""
    on_record = {row.artifact_id for row in tx.answers.get("files", ())}
    artifacts.published(tx, chunk_id, receipt, on_record.union(begun))
    lineage.add_edge(tx, of, part, chunk_id, receipt.rows, tx.answers.get("origin"))
    if part.upstream is not None:
        artifacts.consumed(tx, part.upstream)
    watermarks.keep_boundary(tx, of, part, receipt)
    watermarks.advance(tx, of.job_id, of.info, tx.answers.get("growth"))


def compared(tx: Tx, job_id: str, chunk_id: str, source_rows: int, target_rows: int, **who: Any) -> None:
    """Put on record that both sides of a chunk were counted; ``who`` did it, as events say it."""
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
