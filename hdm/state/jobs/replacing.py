"""Keeps two readings of a table in mode ``replace`` apart when several links load the table.

Two transactions decide, even if they belong to two sites: the one that plans a new reading, and the one that
turns a chunk of the old reading into downstream chunks. Both lock one row of the pipeline that reads the
table, so the later one sees what the earlier did. A new reading is not planned while the last one is being
loaded, and the last one is not loaded once a new one is planned.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sqlalchemy import Connection, and_, exists, func, or_, select

from hdm.model.modes import READ_EVERYTHING
from hdm.state.db.database import among, locked
from hdm.state.db.tables import chunk, follow, job, job_upstream, lease
from hdm.state.records import OPEN_JOB, SUPERSEDED, Job
from hdm.state.tx import job_rows
from hdm.state.tx.transaction import Tx


def plan_resource(pipeline_key: str) -> str:
    """Return the name of the lease that lets one process alone plan a pipeline (one link over one table)."""
    return f"plan:{pipeline_key}"


def hold(conn: Connection, pipeline_key: str) -> None:
    """Lock a pipeline against transactions that plan or load it, until this transaction ends."""
    query = select(lease.c.token).where(lease.c.resource == plan_resource(pipeline_key))
    conn.execute(locked(query, lease)).first()


def is_loading(conn: Connection, pipeline_key: str, links: Collection[str], *, begun: bool = False) -> bool:
    """Return True if an open job of these links reads, directly or not, what the pipeline publishes.

    ``begun``: only a job that already has chunks counts. The links are compared here and not in the query,
    since a manifest may have thousands of them, and this is asked for each.
    """
    seen: set[str] = set()
    todo = {pipeline_key}
    part = exists().where(chunk.c.job_id == job.c.job_id, chunk.c.status != SUPERSEDED)
    while todo:
        seen |= todo
        below = (
            select(job.c.pipeline_key, job.c.link_key)
            .join(job_upstream, job_upstream.c.job_id == job.c.job_id)
            .where(job_upstream.c.upstream_key.in_(sorted(todo)))
            .distinct()
        )
        open_now = below.where(among(job.c.status, OPEN_JOB))
        if any(row.link_key in links for row in conn.execute(open_now.where(part) if begun else open_now)):
            return True
        todo = {row.pipeline_key for row in conn.execute(below) if row.link_key in links} - seen
    return False


def is_outdated(conn: Connection, chunk_id: str) -> bool:
    """Return True if a newer reading is planned of the table from which a chunk was read.

    False also if the chunk is not recorded. Locks that table's pipeline, so that the answer stays true until
    the transaction ends.
    """
    line = list(_line(conn, chunk_id))
    if not line:
        return False
    hold(conn, line[-1][1])
    return any(
        _is_followed(conn, key, epoch)
        for step, (mode, key, epoch) in enumerate(line)
        if step == 0 or mode in READ_EVERYTHING
    )


def _line(conn: Connection, chunk_id: str) -> Iterator[tuple[str, str, int]]:
    """Yield mode, pipeline and epoch of the chunk and of each chunk upstream that it was made of."""
    at: str | None = chunk_id
    while at is not None:
        row = conn.execute(
            select(job.c.mode, job.c.pipeline_key, job.c.epoch, chunk.c.corr_in)
            .join(chunk, chunk.c.job_id == job.c.job_id)
            .where(chunk.c.chunk_id == at)
        ).one_or_none()
        if row is None:
            return
        yield row.mode, row.pipeline_key, row.epoch
        at = row.corr_in


def _is_followed(conn: Connection, pipeline_key: str, epoch: int) -> bool:
    """Return whether the pipeline has a later epoch that has chunks, or that read an empty table."""
    chunks = exists().where(chunk.c.job_id == job.c.job_id)
    chained = exists().where(job_upstream.c.job_id == job.c.job_id)
    later = select(job.c.job_id).where(
        job.c.pipeline_key == pipeline_key,
        job.c.epoch > epoch,
        or_(chunks, and_(job.c.planned == 1, ~chained)),
    )
    return conn.execute(later.limit(1)).first() is not None


def close_unread(tx: Tx, of: Job) -> bool:
    """Close an epoch without reading, unless something was read already; return True if it is closed so now.

    False if something was read, or if the epoch was closed after reading.
    """
    found = job_rows.hold(tx, of.job_id)
    if found["status"] == "success":
        return not found["planned"]
    if _is_fed(tx.conn, of) if of.info.upstream_keys else found["planned"]:
        return False
    sealed = job_rows.change(tx, found, {"planned": 0, "status": "success", "ended_at": tx.now})
    tx.event("job.left", job=of.job_id, was=found["status"], now="success", seal=sealed)
    return True


def _is_fed(conn: Connection, of: Job) -> bool:
    """Return whether a chained job's epoch has anything to load, or upstream was read since and was empty.

    An empty upstream table publishes no receipts, but must still replace this job's table.
    """
    followed = select(follow.c.job_id).where(follow.c.job_id == of.job_id)
    if conn.execute(followed.limit(1)).first() is not None:
        return True
    read = (job.c.status == "success", job.c.planned == 1)
    before = select(func.max(job.c.ended_at)).where(job.c.pipeline_key == of.pipeline_key, *read)
    last = conn.execute(before).scalar()
    above = select(job.c.job_id).where(job.c.pipeline_key.in_(of.info.upstream_keys), *read)
    if last is not None:
        above = above.where(among(job.c.mode, READ_EVERYTHING), job.c.ended_at > last)
    return conn.execute(above.limit(1)).first() is not None
