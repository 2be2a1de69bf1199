"""Claiming: the one statement that gives a worker the right to try a chunk."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Select, String, bindparam, case, func, or_, select, union_all, update

from hdm import _fail
from hdm.errors import LeaseLost
from hdm.state import clock
from hdm.state.base import JOB_COLUMNS, Base
from hdm.state.engine import among
from hdm.state.events import Tx
from hdm.state.models import chunk, job, run_job
from hdm.state.prepared import Prepared, Values
from hdm.state.words import HELD, PENDING, Lease
from hdm.wire import chunk_from_json, receipt_from_json

_CHUNK = (
    chunk.c.chunk_id, chunk.c.chunk_no, chunk.c.attempt, chunk.c.status, chunk.c.body,
    chunk.c.receipt, job.c.stage_no,
)  # fmt: skip


@lru_cache(maxsize=8)
def _candidate(sited: bool, skipping: bool) -> Select[Any]:
    """The next chunk for a worker of a run: downstream first, then by number."""
    other = chunk.alias()
    live = (
        select(func.count())
        .select_from(other)
        .where(
            other.c.job_id == job.c.job_id, among(other.c.status, HELD), other.c.lease_expires_at > clock.now
        )
        .correlate(job)
        .scalar_subquery()
    )
    wanted: list[Any] = [
        run_job.c.run_id == bindparam("run"),
        among(job.c.status, ("in_progress", "failure")),
        or_(job.c.max_parallel.is_(None), live < job.c.max_parallel),
    ]
    if sited:
        wanted.append(or_(job.c.site.is_(None), job.c.site == bindparam("site", type_=String())))
    if skipping:
        wanted.append(job.c.job_id.not_in(bindparam("skip", expanding=True)))
    ready = [chunk.c.status == PENDING, or_(chunk.c.not_before.is_(None), chunk.c.not_before <= clock.now)]
    first = (
        select(chunk.c.chunk_no)
        .where(chunk.c.job_id == job.c.job_id, *ready)
        .order_by(chunk.c.chunk_no)
        .limit(1)
        .correlate(job)
        .scalar_subquery()
    )
    jobs = (
        select(job.c.job_id, job.c.stage_no, first.label("first_no"))
        .join(run_job, run_job.c.job_id == job.c.job_id)
        .where(*wanted)
        .subquery()
    )
    best = (
        select(jobs)
        .where(jobs.c.first_no.is_not(None))
        .order_by(jobs.c.stage_no.desc(), jobs.c.first_no, jobs.c.job_id)
        .limit(1)
        .subquery()
    )
    fresh = (
        select(*_CHUNK, *JOB_COLUMNS)
        .join(job, job.c.job_id == chunk.c.job_id)
        .join(best, (best.c.job_id == chunk.c.job_id) & (best.c.first_no == chunk.c.chunk_no))
        .where(*ready)
        .limit(1)
        .subquery()
    )
    expired = (
        select(*_CHUNK, *JOB_COLUMNS)
        .join(job, job.c.job_id == chunk.c.job_id)
        .join(run_job, run_job.c.job_id == job.c.job_id)
        .where(among(chunk.c.status, HELD), chunk.c.lease_expires_at <= clock.now, *wanted)
        .order_by(job.c.stage_no.desc(), chunk.c.chunk_no)
        .limit(1)
        .subquery()
    )
    both = union_all(select(fresh), select(expired)).subquery()
    return select(both).order_by(both.c.stage_no.desc(), both.c.chunk_no).limit(1)


@lru_cache(maxsize=2)
def _usual_candidate(sited: bool) -> Prepared:
    return Prepared(_candidate(sited, False))


_TAKE = Prepared(
    update(chunk)
    .where(
        chunk.c.chunk_id == bindparam("id"),
        chunk.c.attempt == bindparam("seen"),
        chunk.c.status == bindparam("was"),
        or_(chunk.c.lease_expires_at.is_(None), chunk.c.lease_expires_at <= clock.now),
    )
    .values(
        status=bindparam("becomes"),
        attempt=bindparam("next"),
        lease_owner=bindparam("worker"),
        lease_expires_at=clock.later,
        not_before=None,
        progress_rows=0,
        progress_bytes=0,
        sourcing_start_time=case(
            (chunk.c.status == "written", chunk.c.sourcing_start_time), else_=bindparam("at", type_=String())
        ),
        updated_on=bindparam("at", type_=String()),
    )
)
_RENEW = Prepared(
    update(chunk)
    .where(
        chunk.c.chunk_id == bindparam("id"),
        chunk.c.attempt == bindparam("mine"),
        chunk.c.lease_owner == bindparam("worker"),
        among(chunk.c.status, HELD),
    )
    .values(lease_expires_at=clock.later, progress_rows=bindparam("rows"), progress_bytes=bindparam("moved"))
)


def claim(base: Base, worker_id: str, run_id: str, site: str | None, skip: frozenset[str]) -> Lease | None:
    """The next chunk that this worker may try, or None if there is nothing to do just now."""
    wanted: Values = {"run": run_id} if site is None else {"run": run_id, "site": site}
    usual = _usual_candidate(site is not None)

    def look(conn: Connection) -> Any:
        if skip:
            query = _candidate(site is not None, True)
            return conn.execute(query, {**wanted, "skip": sorted(skip)}).first()
        return usual.first(conn, wanted)

    if base.idle and base.db.read(look) is None:
        return None
    found: Lease | None = None
    try:
        found = base.change(
            run_id, lambda tx: _claim(base, tx, look, worker_id), ask=None if skip else (usual, wanted)
        )
    except _NothingToDo:
        found = None
    base.idle = found is None
    return found


class _NothingToDo(Exception):
    """Ends the transaction without a trace."""


def _claim(base: Base, tx: Tx, look: Callable[[Connection], Any], worker_id: str) -> Lease:
    asked = tx.asked
    while True:
        row = asked.pop() if asked else look(tx.conn)
        if row is None:
            raise _NothingToDo
        if row.status != PENDING:
            _fail.point("H2")
        becomes = "written" if row.status == "written" else "leased"
        taken = _TAKE.run(
            tx.conn,
            {
                "id": row.chunk_id, "seen": row.attempt, "was": row.status, "becomes": becomes,
                "next": row.attempt + 1, "worker": worker_id, "later_ms": base.ttl_ms, "at": tx.now,
            },
        )  # fmt: skip
        if taken == 1:
            tx.event(
                "chunk.claimed", job=row.job_id, chunk=row.chunk_id, worker=worker_id,
                attempt=row.attempt + 1, was=row.status, now=becomes,
            )  # fmt: skip
            return _lease(base, tx.conn, row, worker_id, tx.run_id)


def _lease(base: Base, conn: Connection, row: Any, worker_id: str, run_id: str) -> Lease:
    return Lease(
        chunk=chunk_from_json(row.body),
        chunk_id=row.chunk_id,
        job=base.job_of(conn, row, run_id),
        attempt=row.attempt + 1,
        worker_id=worker_id,
        ttl=base.lease_ttl,
        run_id=run_id,
        receipt=receipt_from_json(row.receipt) if row.status == "written" else None,
    )


def renew(base: Base, lease: Lease, rows: int, moved: int) -> None:
    """Extend the lease from now on; raises ``LeaseLost`` if it is another's."""
    _fail.point("H1")
    mine = {
        "id": lease.chunk_id, "mine": lease.attempt, "worker": lease.worker_id,
        "later_ms": base.ttl_ms, "rows": rows, "moved": moved,
    }  # fmt: skip
    if base.db.run(lambda conn: _RENEW.run(conn, mine)) != 1:
        raise LeaseLost(f"chunk {lease.chunk_id[:12]} attempt {lease.attempt}: the lease is lost")
    lease.progress.rows, lease.progress.bytes = rows, moved
