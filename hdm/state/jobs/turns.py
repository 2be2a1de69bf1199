"""Decides, in mode ``merge``, which chunks may be merged now: rows read later are merged later.

See decision 0011. A reading is one epoch of the table at the root of the chain. Its chunks are merged side by
side; those of the next reading wait until each of them is settled. So a dead chunk holds back all later
readings until it is retried or waived.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, exists, select

from hdm.state.db.database import among
from hdm.state.db.tables import chunk, job, job_upstream
from hdm.state.records import DEAD, IN_ORDER, UNFINISHED, Job

_OPEN = (*UNFINISHED, DEAD)


def in_turn(conn: Connection, of: Job, waiting: Sequence[Any]) -> Sequence[Any]:
    """Return those of the published chunks ``waiting`` that job ``of`` may merge now, in order.

    These are the chunks of the earliest reading that is not settled; chunks of later readings wait until all
    of it is merged. A reading with a dead chunk is not settled. ``waiting`` are rows with ``chunk_id``,
    ``epoch`` and ``chunk_no``.
    """
    rows = _before_gaps(conn, of, waiting)
    if not rows:
        return []
    newest = _at_work(conn, of)
    ids = [row.chunk_id for row in rows] + ([newest] if newest else [])
    readings = _readings(conn, ids)
    last = readings[newest] if newest else readings[rows[0].chunk_id]
    return [row for row in rows if readings[row.chunk_id] <= last]


def _at_work(conn: Connection, of: Job) -> str | None:
    """Return the upstream chunk that this job loaded last if a chunk of the job is not settled; else None."""
    mine = select(chunk.c.corr_in).where(chunk.c.job_id == of.job_id)
    if conn.execute(mine.where(among(chunk.c.status, _OPEN)).limit(1)).first() is None:
        return None
    found: str | None = conn.execute(mine.order_by(chunk.c.chunk_no.desc()).limit(1)).scalar()
    return found


def _before_gaps(conn: Connection, of: Job, rows: Sequence[Any]) -> Sequence[Any]:
    """Return only the rows before the first unsettled upstream chunk, if later chunks may be newer readings.

    That is so if upstream is chained itself, or if everything must be loaded in order.
    """
    gap = (
        select(job.c.epoch, chunk.c.chunk_no)
        .join(chunk, chunk.c.job_id == job.c.job_id)
        .where(job.c.pipeline_key.in_(of.info.upstream_keys), among(chunk.c.status, _OPEN))
        .order_by(job.c.epoch, chunk.c.chunk_no)
        .limit(1)
    )
    if of.info.max_parallel != IN_ORDER:
        gap = gap.where(exists().where(job_upstream.c.job_id == job.c.job_id))
    first = conn.execute(gap).first()
    return rows if first is None else [row for row in rows if (row.epoch, row.chunk_no) < tuple(first)]


def _readings(conn: Connection, chunk_ids: Iterable[str]) -> dict[str, int]:
    """Return each chunk's reading: the epoch of the job at the root of its chain."""
    at = {one: one for one in chunk_ids}
    found: dict[str, int] = {}
    while at:
        query = (
            select(chunk.c.chunk_id, chunk.c.corr_in, job.c.epoch)
            .join(job, job.c.job_id == chunk.c.job_id)
            .where(chunk.c.chunk_id.in_(sorted(set(at.values()))))
        )
        above = {row.chunk_id: row for row in conn.execute(query)}
        found |= {one: above[up].epoch if up in above else 0 for one, up in at.items()}
        at = {one: above[up].corr_in for one, up in at.items() if up in above and above[up].corr_in}
    return found
