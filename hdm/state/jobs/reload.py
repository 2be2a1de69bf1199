"""Plans chunks whose rows the target has lost to be loaded again, as new chunks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import func, select, update

from hdm.model import Chunk
from hdm.state.db.database import among, locked
from hdm.state.db.tables import chunk
from hdm.state.jobs.jobs import insert_pending
from hdm.state.records import COMMITTED, SUPERSEDED, VERIFIED, Job
from hdm.state.tx import job_rows
from hdm.state.tx.context import Base
from hdm.state.tx.transaction import Tx


def reload(
    base: Base, of: Job, gone: Sequence[Chunk], by: str, uncopied: Collection[str], target_id: str | None
) -> int:
    """Add copies of the lost chunks ``gone``, in order, to the epoch of job ``of``; return the number lost.

    ``of`` is the pipeline's newest job, which is opened again. The lost chunks are superseded; those whose
    ids are in ``uncopied`` get no copy, but are counted. The copies move no watermark and record no ties,
    since the first chunks did both. ``target_id`` is the identity of the target that they go into; None if it
    has none. ``by`` is the person who asked.
    """

    def work(tx: Tx) -> int:
        before = job_rows.hold(tx, of.job_id)
        highest = select(func.max(chunk.c.chunk_no)).where(chunk.c.job_id == of.job_id)
        start = (tx.conn.execute(highest).scalar() or 0) + 1
        copies: list[Chunk] = []
        superseded = 0
        for one in gone:
            mine = select(chunk.c.status, chunk.c.job_id).where(chunk.c.chunk_id == one.chunk_id)
            was = tx.conn.execute(locked(mine, chunk)).one()
            done = tx.conn.execute(
                update(chunk)
                .where(chunk.c.chunk_id == one.chunk_id, among(chunk.c.status, (COMMITTED, VERIFIED)))
                .values(status=SUPERSEDED, updated_on=tx.now)
            )
            if done.rowcount:
                superseded += 1
                tx.event(
                    "chunk.gone", job=was.job_id, chunk=one.chunk_id, was=was.status, now=SUPERSEDED, by=by
                )
                if one.chunk_id not in uncopied:
                    copies.append(_again(one, of, start + len(copies)))
        added = insert_pending(tx, of.job_id, copies)
        values: dict[str, Any] = {"status": "in_progress", "planned": 1, "ended_at": None}
        if target_id is not None:
            values["target_id"] = target_id
        sealed = job_rows.change(tx, before, values)
        tx.event(
            "job.reloading", job=of.job_id, was=before["status"], now="in_progress", added=added.number,
            plan=added.told(), by=by, seal=sealed,
        )  # fmt: skip
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
