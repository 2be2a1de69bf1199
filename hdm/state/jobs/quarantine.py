"""Records what became of a chunk's rows that were set aside; the events are the only record."""

from __future__ import annotations

from sqlalchemy import select

from hdm.errors import IllegalTransition
from hdm.state.db.database import locked
from hdm.state.db.tables import chunk, event
from hdm.state.records import COMMITTED, VERIFIED
from hdm.state.tx.context import Base
from hdm.state.tx.transaction import Tx


def decide(base: Base, job_id: str, chunk_id: str, what: str, by: str, reason: str | None, rows: int) -> bool:
    """Record that the rows were ``replayed`` or ``waived``; return False if that was decided before.

    Raises ``IllegalTransition`` unless the chunk is committed.
    """

    def work(tx: Tx) -> bool:
        status = tx.conn.execute(
            locked(select(chunk.c.status).where(chunk.c.chunk_id == chunk_id), chunk)
        ).scalar_one_or_none()
        if status not in (COMMITTED, VERIFIED):
            raise IllegalTransition(
                f"chunk {chunk_id[:12]} is {status}: no rows of it are set aside",
                hint="hdm quarantine list shows the chunks that have some",
            )
        types = ("quarantine.replayed", "quarantine.waived")
        known = select(event.c.seq).where(event.c.chunk_id == chunk_id, event.c.event_type.in_(types))
        if tx.conn.execute(known.limit(1)).first() is not None:
            return False
        why = tx.mask(reason) if reason else None
        tx.event(f"quarantine.{what}", job=job_id, chunk=chunk_id, by=tx.mask(by), rows=rows, reason=why)
        return True

    return base.change(base.db.read(lambda conn: base.run_of(conn, job_id)), work)
