"""Brings the state database into line with the targets' ledgers, which are the truth."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, insert, select, update

from hdm import failpoints
from hdm.model import Chunk, Receipt
from hdm.state.chunks import commit_effects
from hdm.state.db import clock
from hdm.state.db.database import locked
from hdm.state.db.tables import chunk, dead_letter, job
from hdm.state.records import COMMITTED, DEAD, HELD, SUPERSEDED, VERIFIED, Job
from hdm.state.tx.chunk_rows import pending_row, receipt_values
from hdm.state.tx.context import JOB_COLUMNS, Base
from hdm.state.tx.seals import PLANNED, Sum, text_seal
from hdm.state.tx.transaction import Tx


def import_committed(base: Base, of: Job, part: Chunk, receipt: Receipt) -> bool:
    """Record as committed a chunk that the target's ledger names; return True if the state changed.

    ``of`` gets the chunk if no job has it; a chunk of another epoch stays in that epoch's job. The attempt
    number grows, so that a worker whose lease expired is fenced off. False, and no change, if the chunk was
    recorded as committed or is superseded, or while its lease is live: its worker commits it then.
    """
    of = base.db.read(lambda conn: _owner(base, conn, of, part))

    def work(tx: Tx) -> bool:
        busy = (chunk.c.lease_expires_at > clock.now).label("busy")
        columns = (chunk.c.status, chunk.c.attempt, busy)
        row = tx.conn.execute(
            locked(select(*columns).where(chunk.c.chunk_id == part.chunk_id), chunk)
        ).one_or_none()
        if row is not None and row.status in (COMMITTED, VERIFIED, SUPERSEDED):
            return False
        if row is not None and row.status in HELD and row.busy:
            return False
        plan = Sum()
        if row is None:
            planned = pending_row(part, of.job_id, tx.now)
            tx.conn.execute(insert(chunk), planned)
            plan.add("chunk", PLANNED, planned)
        values = receipt_values(replace(receipt, boundary_digests=()))
        attempt = max(receipt.attempt, 1 if row is None else row.attempt + 1)
        tx.conn.execute(
            update(chunk)
            .where(chunk.c.chunk_id == part.chunk_id)
            .values(
                status=COMMITTED,
                attempt=attempt,
                lease_owner=None,
                lease_expires_at=None,
                not_before=None,
                error_class=None,
                error_msg=None,
                sinking_end_time=tx.now,
                updated_on=tx.now,
                **values,
            )
        )
        failpoints.point("Z1")
        if row is not None and row.status == DEAD:
            tx.conn.execute(
                update(dead_letter)
                .where(dead_letter.c.chunk_id == part.chunk_id, dead_letter.c.state == "open")
                .values(state="replayed", resolved_at=tx.now, reason="found in the target")
            )
        tx.event(
            "chunk.adopted", job=of.job_id, chunk=part.chunk_id, attempt=attempt,
            was=None if row is None else row.status, now=COMMITTED, rows=receipt.rows,
            receipt=text_seal(values["receipt"]), plan=plan.told(),
        )  # fmt: skip
        commit_effects.apply_commit_effects(tx, of, part, part.chunk_id, receipt)
        return True

    return base.change(of.in_run, work, ask=commit_effects.commit_lookups(of, part, part.chunk_id, receipt))


def _owner(base: Base, conn: Connection, of: Job, part: Chunk) -> Job:
    """Return the job that has the chunk, ``of`` if none has."""
    query = select(*JOB_COLUMNS).join(chunk, chunk.c.job_id == job.c.job_id)
    row = conn.execute(query.where(chunk.c.chunk_id == part.chunk_id)).first()
    return of if row is None or row.job_id == of.job_id else base.job_of(conn, row, of.in_run)
