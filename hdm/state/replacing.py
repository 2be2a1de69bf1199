"""Mode ``replace`` over several links: what two readings of a table hold is never loaded together.

Two transactions decide, be they of two sites: the one that plans a new reading, and the one that
turns a chunk of the old reading into chunks downstream. Both hold one row of the pipeline that
reads the table, so that the later of the two sees what the earlier did: a new reading is not
planned while the last one is being loaded, and the last one is not loaded once a new one is planned.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sqlalchemy import Connection, exists, func, select

from hdm.model import Mode
from hdm.state.engine import among, locked
from hdm.state.models import chunk, job, job_upstream, lease
from hdm.state.words import OPEN_JOB, SUPERSEDED


def plan_resource(pipeline_key: str) -> str:
    """The name of the lease of those who plan a pipeline."""
    return f"plan:{pipeline_key}"


def hold(conn: Connection, pipeline_key: str) -> None:
    """Let no other transaction decide on this pipeline until this one ends."""
    query = select(lease.c.token).where(lease.c.resource == plan_resource(pipeline_key))
    conn.execute(locked(query, lease)).first()


def is_loading(conn: Connection, pipeline_key: str, links: Collection[str], *, begun: bool = False) -> bool:
    """Whether a job of these links that reads what the pipeline publishes, directly or not, is open;
    with ``begun``, one that has chunks already."""
    seen: set[str] = set()
    todo = {pipeline_key}
    part = exists().where(chunk.c.job_id == job.c.job_id, chunk.c.status != SUPERSEDED)
    while todo:
        seen |= todo
        below = (
            select(job.c.pipeline_key, job.c.status)
            .join(job_upstream, job_upstream.c.job_id == job.c.job_id)
            .where(job_upstream.c.upstream_key.in_(sorted(todo)), job.c.link_key.in_(sorted(links)))
        )
        open_now = below.where(among(job.c.status, OPEN_JOB))
        if conn.execute((open_now.where(part) if begun else open_now).limit(1)).first() is not None:
            return True
        todo = set(conn.execute(below.distinct()).scalars()) - seen
    return False


def is_outdated(conn: Connection, chunk_id: str) -> bool:
    """Whether the table that a chunk was read from, be it some links up, is planned to be read anew.
    Holds that table's pipeline, so that the answer stays true until the transaction ends."""
    line = list(_line(conn, chunk_id))
    if not line:
        return False
    hold(conn, line[-1][1])
    return any(
        _is_followed(conn, key, epoch)
        for step, (mode, key, epoch) in enumerate(line)
        if step == 0 or mode == Mode.REPLACE.value
    )


def _line(conn: Connection, chunk_id: str) -> Iterator[tuple[str, str, int]]:
    """Of the chunk and those it was made of, up to where it was read: mode, pipeline, epoch."""
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
    later = (
        select(func.count())
        .select_from(job)
        .join(chunk, chunk.c.job_id == job.c.job_id)
        .where(job.c.pipeline_key == pipeline_key, job.c.epoch > epoch)
    )
    return bool(conn.execute(later).scalar())
