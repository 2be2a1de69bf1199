"""All that follows from a committed chunk, in the transaction that commits it."""

from __future__ import annotations

from hdm.model import Chunk, Receipt
from hdm.state import artifacts, lineage, watermarks
from hdm.state.events import Tx
from hdm.state.prepared import Query
from hdm.state.words import Job


def questions(of: Job, chunk_id: str) -> list[Query]:
    """What ``follow_up`` must know: to be asked as the transaction begins."""
    files = artifacts.known(chunk_id)
    return [files] if of.info.source.cursor is None else [files, watermarks.growth(of, chunk_id)]


def follow_up(tx: Tx, of: Job, part: Chunk, chunk_id: str, receipt: Receipt) -> None:
    """Files published and used up, lineage edge, kept digests, and the watermark."""
    files, *growth = tx.asked
    artifacts.published(tx, chunk_id, receipt, {row.artifact_id for row in files})
    lineage.add_edge(tx, of, part, chunk_id, receipt.rows)
    if part.upstream is not None:
        artifacts.consumed(tx, part.upstream)
    watermarks.keep_boundary(tx, of, part, receipt)
    watermarks.advance(tx, of.job_id, of.info, growth[0] if growth else None)
