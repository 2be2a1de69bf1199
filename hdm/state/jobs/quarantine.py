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
    """Record that the rows were ``replayed``, ``waived`` or ``lost`` again; return False if that is known.

    Only what was replayed can be lost: the target does not hold it any more. Raises ``IllegalTransition``
    unless the chunk is committed.
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
        known = (
            select(event.c.event_type)
            .where(event.c.chunk_id == chunk_id, event.c.event_type.like("quarantine.%"))
            .order_by(event.c.at_db.desc(), event.c.seq.desc())
        )
        last = tx.conn.execute(known.limit(1)).scalar_one_or_none() or "quarantine.lost"
        if (last == "quarantine.replayed") is not (what == "lost") or last == "quarantine.waived":
            return False
        why = tx.mask(reason) if reason else None
        tx.event(f"quarantine.{what}", job=job_id, chunk=chunk_id, by=tx.mask(by), rows=rows, reason=why)
        return True

    return base.change(base.db.read(lambda conn: base.run_of(conn, job_id)), work)
