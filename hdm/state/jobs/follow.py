"""Makes downstream chunks from each committed upstream chunk, exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, exists, func, insert, or_, select, union_all

from hdm.model import Chunk, Receipt
from hdm.model.json import receipt_from_json
from hdm.state.db.database import among, by_claim_index, locked
from hdm.state.db.tables import chunk, follow, job, job_upstream, run_job
from hdm.state.jobs import replacing
from hdm.state.jobs.jobs import insert_pending
from hdm.state.jobs.turns import in_turn
from hdm.state.records import COMMITTED, DONE, OPEN_JOB, STATUSES, SUPERSEDED, UNFINISHED, VERIFIED, Job
from hdm.state.tx import job_rows
from hdm.state.tx.context import Base
from hdm.state.tx.transaction import Tx


def _waiting(of: Job) -> Select[Any]:
    """Return the query for receipts of upstream chunks that this job has not turned into chunks yet."""
    return (
        select(chunk.c.receipt, chunk.c.chunk_id, chunk.c.chunk_no, job.c.epoch)
        .join(job, job.c.job_id == chunk.c.job_id)
        .where(
            job.c.pipeline_key.in_(of.info.upstream_keys),
            among(chunk.c.status, (COMMITTED, VERIFIED)),
            chunk.c.receipt.is_not(None),
            ~exists().where(
                follow.c.pipeline_key == of.pipeline_key, follow.c.upstream_chunk_id == chunk.c.chunk_id
            ),
        )
    )


def pending_receipts(base: Base, of: Job, limit: int) -> list[Receipt]:
    """Return upstream's committed receipts for which this job has no chunks yet, in order.

    At most ``limit``. In mode merge, only those whose turn it is: a later reading waits until the earlier one
    is merged.
    """
    if not of.info.upstream_keys:
        return []
    query = _waiting(of).order_by(job.c.epoch, chunk.c.chunk_no, chunk.c.chunk_id).limit(limit)

    def work(conn: Connection) -> Sequence[Any]:
        rows = conn.execute(query).all()
        return in_turn(conn, of, rows) if rows and of.info.mode.rules.merges_by_key else rows

    return [receipt_from_json(row.receipt) for row in base.db.read(work)]


def add_downstream_chunks(base: Base, of: Job, upstream_chunk_id: str, chunks: Sequence[Chunk]) -> bool:
    """Insert the chunks that were made of one upstream chunk, unless they are there already; return True.

    In modes that read everything again, chunks of a reading for which a newer one is planned are left out.
    Returns False, and inserts nothing, if this epoch is in mode replace and closed: its table is already
    swapped, so the receipt belongs to the next epoch.
    """

    def work(tx: Tx) -> bool:
        state = tx.conn.execute(
            locked(select(job.c.status).where(job.c.job_id == of.job_id), job)
        ).scalar_one()
        done = tx.conn.execute(
            select(follow.c.job_id).where(
                follow.c.pipeline_key == of.pipeline_key, follow.c.upstream_chunk_id == upstream_chunk_id
            )
        ).first()
        if done is not None:
            return True
        if state == "success" and of.info.mode.rules.swaps_at_end:
            return False
        start = _next_number(tx.conn, of.job_id)
        outdated = of.info.mode.rules.reads_everything and replacing.is_outdated(tx.conn, upstream_chunk_id)
        ordered = [] if outdated else sorted(chunks, key=lambda one: one.number)
        added = insert_pending(tx, of.job_id, [one.at(number=start + n) for n, one in enumerate(ordered)])
        tx.conn.execute(
            insert(follow),
            {
                "pipeline_key": of.pipeline_key,
                "upstream_chunk_id": upstream_chunk_id,
                "job_id": of.job_id,
                "chunks": len(ordered),
                "followed_at": tx.now,
            },
        )
        sealed: dict[str, Any] = {"plan": added.told()} if added.number else {}
        if state != "in_progress":
            sealed["seal"] = job_rows.change(
                tx, job_rows.hold(tx, of.job_id), {"status": "in_progress", "planned": 1}
            )
        tx.event(
            "job.followed", job=of.job_id, was=state, now="in_progress", upstream=upstream_chunk_id,
            chunks=len(ordered), **sealed,
        )  # fmt: skip
        return True

    return base.change(of.in_run, work)


def _next_number(conn: Connection, job_id: str) -> int:
    """Return the job's first free chunk number.

    One indexed query per status, as a job may have many chunks.
    """
    highest = [
        by_claim_index(
            select(func.max(chunk.c.chunk_no).label("n")).where(
                chunk.c.job_id == job_id, chunk.c.status == status
            ),
            chunk,
        )
        for status in STATUSES
    ]
    return max((n for n in conn.execute(union_all(*highest)).scalars() if n is not None), default=-1) + 1


def settled(base: Base, of: Job) -> bool:
    """Return True if a job has nothing left to do, so that it can be closed.

    Upstream is closed and loaded, every chunk is settled. In mode replace, dead chunks of upstream also count
    as unfinished: without them the table is not whole.
    """

    def work(conn: Connection) -> bool:
        mine = conn.execute(select(job.c.planned, job.c.status).where(job.c.job_id == of.job_id)).one()
        if not mine.planned and mine.status != "success":
            return False
        if of.info.upstream_keys:
            waits_for = OPEN_JOB if of.info.mode.rules.reads_everything else ("planning", "in_progress")
            busy = select(job.c.job_id).where(
                job.c.pipeline_key.in_(of.info.upstream_keys), among(job.c.status, waits_for)
            )
            if conn.execute(busy.limit(1)).first() is not None:
                return False
            if conn.execute(_waiting(of).limit(1)).first() is not None:
                return False
        left = select(chunk.c.chunk_id).where(chunk.c.job_id == of.job_id, among(chunk.c.status, UNFINISHED))
        return conn.execute(left.limit(1)).first() is None

    return base.db.read(work)


def staged(base: Base, of: Job) -> int:
    """Return how many of the job's committed chunks are not yet loaded by the run's downstream jobs.

    0 if the run has no downstream job.
    """
    below = job.alias()
    downstream = (
        select(below.c.pipeline_key)
        .join(job_upstream, job_upstream.c.job_id == below.c.job_id)
        .join(run_job, run_job.c.job_id == below.c.job_id)
        .where(run_job.c.run_id == of.in_run, job_upstream.c.upstream_key == of.pipeline_key)
    )

    def work(conn: Connection) -> int:
        keys = sorted(set(conn.execute(downstream).scalars()))
        if not keys:
            return 0
        taken = [
            exists().where(follow.c.pipeline_key == key, follow.c.upstream_chunk_id == chunk.c.chunk_id)
            for key in keys
        ]
        part = chunk.alias()
        moving = exists().where(
            part.c.corr_in == chunk.c.chunk_id, part.c.status.not_in((*DONE, SUPERSEDED, "dead"))
        )
        query = (
            select(func.count())
            .select_from(chunk)
            .where(
                chunk.c.job_id == of.job_id,
                among(chunk.c.status, (COMMITTED, VERIFIED)),
                or_(~and_(*taken), moving),
            )
        )
        return int(conn.execute(query).scalar_one())

    return base.db.read(work)
