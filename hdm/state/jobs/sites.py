"""Finds out what sites of one manifest must know of each other: who is alive, what is left to load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Select, and_, exists, or_, select, union_all

from hdm.state.db import clock
from hdm.state.db.database import among
from hdm.state.db.tables import chunk, follow, job, run, run_job, worker
from hdm.state.records import COMMITTED, HELD, OPEN_JOB, UNFINISHED, VERIFIED
from hdm.state.tx.context import Base

_BUSY = ("planning", "in_progress")


def _live(base: Base) -> tuple[Any, dict[str, int]]:
    """Return the condition that a worker's heartbeat is fresh, and its parameters."""
    beats = and_(worker.c.state == "alive", worker.c.heartbeat_at > clock.later)
    return beats, {"later_ms": -base.ttl_ms}


def at_work(base: Base, run_id: str, sites: Collection[str], links: Collection[str]) -> bool:
    """Return True if a live worker of these sites still has one of these links to do.

    Workers of any run of the manifest of ``run_id`` count, and so do workers without a site.
    """
    beats, late = _live(base)
    mine = select(run.c.manifest_name, run.c.env).where(run.c.run_id == run_id).subquery()
    others = (
        select(worker.c.run_id)
        .join(run, run.c.run_id == worker.c.run_id)
        .join(mine, (mine.c.manifest_name == run.c.manifest_name) & (mine.c.env == run.c.env))
        .where(beats, or_(worker.c.site.is_(None), worker.c.site.in_(sorted(sites))))
        .distinct()
    )

    def work(conn: Connection) -> bool:
        for other in conn.execute(others, late).scalars().all():
            rows = conn.execute(
                select(job.c.link_key, job.c.status)
                .join(run_job, run_job.c.job_id == job.c.job_id)
                .where(run_job.c.run_id == other, job.c.link_key.in_(sorted(links)))
            ).all()
            if {row.link_key for row in rows} != set(links) or any(row.status in _BUSY for row in rows):
                return True
        return False

    return base.db.read(work)


def joinable(base: Base, manifest_name: str, env: str, site: str | None) -> str | None:
    """Return the id of a manifest's newest run in progress in an environment; None if there is none.

    With ``site``, the run must have a live worker of that site, or without a site.
    """
    query: Select[Any] = (
        select(run.c.run_id)
        .where(run.c.manifest_name == manifest_name, run.c.env == env, run.c.status == "in_progress")
        .order_by(run.c.started_at.desc())
        .limit(1)
    )
    late: dict[str, int] = {}
    if site is not None:
        beats, late = _live(base)
        here = or_(worker.c.site.is_(None), worker.c.site == site)
        query = query.where(exists().where(worker.c.run_id == run.c.run_id, beats, here))
    return base.db.read(lambda conn: conn.execute(query, late).scalar())


def is_behind(base: Base, pipeline_key: str, upstream_key: str, whole: bool) -> bool:
    """Return True if a pipeline still has receipts to load, chunks to move, or a job to open or close.

    While upstream has an open job, only receipts and chunks count. ``whole``: also if upstream has closed an
    epoch since the pipeline last did.
    """
    above, own = job.alias(), job.alias()
    pending_receipts = (
        select(chunk.c.chunk_id)
        .join(above, above.c.job_id == chunk.c.job_id)
        .where(
            above.c.pipeline_key == upstream_key,
            among(chunk.c.status, (COMMITTED, VERIFIED)),
            ~exists().where(
                follow.c.pipeline_key == pipeline_key, follow.c.upstream_chunk_id == chunk.c.chunk_id
            ),
        )
    )
    unmoved = (
        select(chunk.c.chunk_id)
        .join(own, own.c.job_id == chunk.c.job_id)
        .where(own.c.pipeline_key == pipeline_key, among(chunk.c.status, UNFINISHED))
    )
    unclosed = select(own.c.job_id).where(own.c.pipeline_key == pipeline_key, among(own.c.status, _BUSY))
    busy_above = select(above.c.job_id).where(
        above.c.pipeline_key == upstream_key, among(above.c.status, OPEN_JOB if whole else _BUSY)
    )

    def any_of(conn: Connection, query: Select[Any]) -> bool:
        return conn.execute(query.limit(1)).first() is not None

    def work(conn: Connection) -> bool:
        if any_of(conn, pending_receipts) or any_of(conn, unmoved):
            return True
        if any_of(conn, busy_above):
            return False
        if any_of(conn, unclosed):
            return True
        ended, above_ended = _ended(conn, pipeline_key), _ended(conn, upstream_key, read=True)
        return above_ended is not None and (ended is None or (whole and above_ended > ended))

    return base.db.read(work)


def held_by_others(base: Base, host: str, links: Collection[str]) -> dict[str, int]:
    """Return how many chunks of these links processes of other hosts have leased, by host.

    Processes that died count until their leases expire.
    """
    held = union_all(
        *(
            select(worker.c.host)
            .join(chunk, chunk.c.lease_owner == worker.c.worker_id)
            .join(job, job.c.job_id == chunk.c.job_id)
            .where(
                chunk.c.status == status,
                chunk.c.lease_expires_at > clock.now,
                worker.c.host != host,
                job.c.link_key.in_(sorted(links)),
                job.c.status.in_(OPEN_JOB),
            )
            for status in HELD
        )
    )
    hosts = base.db.read(lambda conn: conn.execute(held).scalars().all())
    return dict(sorted(Counter(hosts).items()))


def _ended(conn: Connection, pipeline_key: str, *, read: bool = False) -> str | None:
    """Return when the newest epoch was closed with success; '' if it was not, None if there is none.

    ``read``: the newest epoch that was not closed unread; an empty table counts as read.
    """
    query = select(job.c.status, job.c.ended_at).where(job.c.pipeline_key == pipeline_key)
    if read:
        query = query.where(or_(job.c.planned == 1, job.c.status != "success"))
    row = conn.execute(query.order_by(job.c.epoch.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    return str(row.ended_at) if row.status == "success" else ""
