"""All that follows from a committed chunk, in the transaction that commits it."""

from __future__ import annotations

from hdm.model import Chunk, Receipt
from hdm.state import artifacts, lineage, watermarks
from hdm.state.events import Tx
from hdm.state.prepared import Prepared, Values
from hdm.state.words import Job


def question(chunk_id: str) -> tuple[Prepared, Values]:
    """What ``follow_up`` must know: to be asked as the transaction begins."""
    return artifacts.known(chunk_id)


def follow_up(tx: Tx, of: Job, part: Chunk, chunk_id: str, receipt: Receipt) -> None:
    """Files published and used up, lineage edge, kept digests, and the watermark."""
    artifacts.published(tx, chunk_id, receipt)
    lineage.add_edge(tx, of, part, chunk_id, receipt.rows)
    if part.upstream is not None:
        artifacts.consumed(tx, part.upstream)
    watermarks.keep_boundary(tx, of, part, receipt)
    watermarks.advance(tx, of.job_id, of.info)
