"""Gives up a reading whose chunks saw different rows, so that the next run reads the table again."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, select, update

from hdm.errors import SnapshotLost, SourceChanged
from hdm.state.db import clock
from hdm.state.db.database import among
from hdm.state.db.tables import chunk, dead_letter
from hdm.state.records import DEAD, HELD, OPEN_JOB, PENDING, SUPERSEDED, Job
from hdm.state.tx import job_rows
from hdm.state.tx.context import Base
from hdm.state.tx.transaction import Tx

_TORN = (SourceChanged.__name__, SnapshotLost.__name__)


def _open_chunks(job_id: str) -> tuple[ColumnElement[bool], ...]:
    return chunk.c.job_id == job_id, among(chunk.c.status, (PENDING, DEAD, *HELD))


def is_torn(conn: Connection, job_id: str, *, short: bool) -> bool:
    """Return True if an epoch must be given up.

    That is so if its source changed while it was read, or if rows are missing (``short``). False while a
    worker has a lease on one of its chunks.
    """
    held = select(chunk.c.chunk_id).where(
        chunk.c.job_id == job_id, among(chunk.c.status, HELD), chunk.c.lease_expires_at > clock.now
    )
    if conn.execute(held.limit(1)).first() is not None:
        return False
    torn = select(chunk.c.chunk_id).where(*_open_chunks(job_id), chunk.c.error_class.in_(_TORN)).limit(1)
    return short or conn.execute(torn).first() is not None


def give_up(base: Base, of: Job, *, short: bool) -> bool:
    """Close an open epoch as unread if ``is_torn``; return True if it was closed.

    Its chunks that are not settled, and the dead ones, are superseded.
    """

    def work(tx: Tx) -> bool:
        now = job_rows.hold(tx, of.job_id)
        if now["status"] not in OPEN_JOB or not now["planned"]:
            return False
        if not is_torn(tx.conn, of.job_id, short=short):
            return False
        open_now = _open_chunks(of.job_id)
        left = tx.conn.execute(select(chunk.c.chunk_id, chunk.c.status).where(*open_now)).all()
        letters = dead_letter.c.chunk_id.in_(select(chunk.c.chunk_id).where(*open_now))
        tx.conn.execute(
            update(dead_letter)
            .where(letters, dead_letter.c.state == "open")
            .values(state="replayed", resolved_at=tx.now, reason="superseded")
        )
        tx.conn.execute(
            update(chunk)
            .where(*open_now)
            .values(status=SUPERSEDED, lease_owner=None, lease_expires_at=None, updated_on=tx.now)
        )
        values = {"planned": 0, "status": "success", "ended_at": tx.now}
        for one in left:
            tx.event("chunk.superseded", job=of.job_id, chunk=one.chunk_id, was=one.status, now=SUPERSEDED)
        sealed = job_rows.change(tx, now, values)
        tx.event(
            "job.given_up", job=of.job_id, was=now["status"], now="success", superseded=len(left), seal=sealed
        )
        return True

    return base.change(of.in_run, work)
