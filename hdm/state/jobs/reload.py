"""Chunks whose rows the target does not hold any more are loaded again, as new chunks."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import func, select, update

from hdm.model import Chunk
from hdm.state.db.database import among, locked
from hdm.state.db.tables import chunk, job
from hdm.state.jobs.jobs import insert_pending
from hdm.state.records import COMMITTED, SUPERSEDED, VERIFIED, Job
from hdm.state.tx.context import Base
from hdm.state.tx.transaction import Tx


def reload(base: Base, of: Job, gone: Sequence[Chunk], by: str, uncopied: Collection[str]) -> int:
    """Supersede the chunks and add copies, in their order, to the pipeline's newest epoch ``of``, which
    is open again; how many. They move no watermark and keep no ties: that was done the first time."""

    def work(tx: Tx) -> int:
        query = select(job.c.status).where(job.c.job_id == of.job_id)
        before = tx.conn.execute(locked(query, job)).scalar_one()
        highest = select(func.max(chunk.c.chunk_no)).where(chunk.c.job_id == of.job_id)
        start = (tx.conn.execute(highest).scalar() or 0) + 1
        copies: list[Chunk] = []
        superseded = 0
        for one in gone:
            done = tx.conn.execute(
                update(chunk)
                .where(chunk.c.chunk_id == one.chunk_id, among(chunk.c.status, (COMMITTED, VERIFIED)))
                .values(status=SUPERSEDED, updated_on=tx.now)
            )
            if done.rowcount:
                superseded += 1
                tx.event(
                    "chunk.gone", job=of.job_id, chunk=one.chunk_id, was=COMMITTED, now=SUPERSEDED, by=by
                )
                if one.chunk_id not in uncopied:
                    copies.append(_again(one, of, start + len(copies)))
        added = insert_pending(tx, of.job_id, copies)
        values = {"status": "in_progress", "planned": 1, "ended_at": None}
        tx.conn.execute(update(job).where(job.c.job_id == of.job_id).values(values))
        tx.event("job.reloading", job=of.job_id, was=before, now="in_progress", added=added, by=by)
        return superseded

    return base.change(base.db.read(lambda conn: base.run_of(conn, of.job_id)), work)


def _again(one: Chunk, of: Job, number: int) -> Chunk:
    return one.at(
        number=number,
        first_number=0,
        epoch=one.epoch if one.upstream else of.epoch,
        generation=one.generation + 1,
        snapshot=None,
        seen_key=None,
        upto=None,
        boundary=False,
        counted=False,
    )
