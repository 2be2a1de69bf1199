"""Claiming: the one statement that gives a worker the right to try a chunk."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    String,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
    union_all,
    update,
)  # fmt: skip

from hdm import failpoints
from hdm.errors import LeaseLost
from hdm.model.json import chunk_from_json, receipt_from_json
from hdm.state.chunks import artifacts
from hdm.state.db import clock
from hdm.state.db.database import among, by_claim_index, locked
from hdm.state.db.statements import Prepared, Query, Values, together
from hdm.state.db.tables import chunk, job, run_job
from hdm.state.records import DEAD, HELD, IN_ORDER, PENDING, ClaimRequest, Lease
from hdm.state.tx.context import JOB_COLUMNS, Base
from hdm.state.tx.transaction import Tx

_CHUNK = (
    chunk.c.chunk_id, chunk.c.chunk_no, chunk.c.attempt, chunk.c.status, chunk.c.body,
    chunk.c.receipt, job.c.stage_no, job.c.max_parallel,
)  # fmt: skip
_LOOK_AGAIN = 1.0
"""At most so many seconds pass between two looks for leases that have run out."""
_READY = or_(chunk.c.not_before.is_(None), chunk.c.not_before <= clock.now)
_EXPIRED = chunk.c.lease_expires_at <= clock.now


def _live() -> Any:
    """How many of the job's chunks are held. By ``=`` alone, so that the index of all databases,
    with statistics or without, is the one that has the status in it: a job may be long."""
    other = chunk.alias()
    return [
        by_claim_index(
            select(func.count())
            .select_from(other)
            .where(
                other.c.job_id == job.c.job_id, other.c.status == held, other.c.lease_expires_at > clock.now
            ),
            other,
        )
        .correlate(job)
        .scalar_subquery()
        for held in HELD
    ]


def _nothing_before(expired: bool) -> list[Any]:
    """Of a job whose chunks go in order: none is held, waits for its next try, or is dead; but one
    whose lease ran out, which goes first, is what ``expired`` looks for."""
    other = chunk.alias()
    live = (other.c.lease_expires_at > clock.now,) if expired else ()
    kinds = [and_(other.c.status == status, *live) for status in HELD]
    kinds += [and_(other.c.status == PENDING, other.c.not_before > clock.now), other.c.status == DEAD]
    return [~exists().where(other.c.job_id == job.c.job_id, kind).correlate(job) for kind in kinds]


@lru_cache(maxsize=16)
def _candidate(
    expired: bool, sited: bool = False, skipping: bool = False, hold: bool = True, plain: bool = False
) -> Select[Any]:
    """The next chunk for a worker of a run: downstream first, then by number. ``expired``: of those
    whose lease ran out, which go first when they are looked for; else of those that nobody holds.
    ``hold`` locks it. ``plain``: of jobs without ``max_parallel``."""
    wanted: list[Any] = [
        run_job.c.run_id == bindparam("run"),
        among(job.c.status, ("in_progress", "failure")),
        job.c.max_parallel.is_(None)
        if plain
        else or_(
            job.c.max_parallel.is_(None),
            sum(_live()) < job.c.max_parallel,
            and_(job.c.max_parallel == IN_ORDER, *_nothing_before(expired)),
        ),
    ]
    if sited:
        wanted.append(or_(job.c.site.is_(None), job.c.site == bindparam("site", type_=String())))
    if skipping:
        wanted.append(job.c.job_id.not_in(bindparam("skip", expanding=True)))
    free = _EXPIRED if expired else _READY
    firsts = union_all(*(_first_of(status, free, wanted) for status in (HELD if expired else (PENDING,))))
    found = firsts.subquery()
    best = (
        select(found)
        .where(found.c.no.is_not(None))
        .order_by(found.c.stage_no.desc(), found.c.no, found.c.job_id)
        .limit(1)
        .subquery()
    )
    query = (
        select(*_CHUNK, *JOB_COLUMNS)
        .join(job, job.c.job_id == chunk.c.job_id)
        .join(best, (best.c.job_id == chunk.c.job_id) & (best.c.no == chunk.c.chunk_no))
        .where(chunk.c.status == best.c.status, free)
        .limit(1)
    )
    return locked(query, chunk) if hold else query


def _first_of(status: str, free: Any, wanted: Sequence[Any]) -> Select[Any]:
    """Each job's lowest number of that status that is free."""
    first = (
        by_claim_index(
            select(chunk.c.chunk_no)
            .where(chunk.c.job_id == job.c.job_id, chunk.c.status == status, free)
            .order_by(chunk.c.chunk_no)
            .limit(1),
            chunk,
        )
        .correlate(job)
        .scalar_subquery()
    )
    return (
        select(job.c.job_id, job.c.stage_no, first.label("no"), literal_column(f"'{status}'").label("status"))
        .join(run_job, run_job.c.job_id == job.c.job_id)
        .where(*wanted)
    )


@lru_cache(maxsize=8)
def _usual(expired: bool, sited: bool, hold: bool) -> Prepared:
    return Prepared(_candidate(expired, sited, hold=hold))


@lru_cache(maxsize=2)
def _plain(sited: bool) -> Prepared:
    return Prepared(_candidate(False, sited, plain=True))


_MINE = Prepared(select(chunk.c.attempt, chunk.c.lease_owner).where(chunk.c.chunk_id == bindparam("id")))
_TAKE = Prepared(
    update(chunk)
    .where(
        chunk.c.chunk_id == bindparam("id"),
        chunk.c.attempt == bindparam("seen"),
        chunk.c.status == bindparam("was"),
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
_LOCK_JOB = Prepared(locked(select(job.c.job_id).where(job.c.job_id == bindparam("job")), job))
_IN_WORK = Prepared(
    select(sum(_live()).label("live")).select_from(job).where(job.c.job_id == bindparam("job"))
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


def claim(base: Base, worker_id: str, run_id: str, wish: ClaimRequest, skip: frozenset[str]) -> Lease | None:
    """The next chunk that this worker may try, or None if there is nothing to do just now."""
    site = wish.site
    wanted = _wanted(run_id, site)

    def look(conn: Connection, expired: bool, hold: bool) -> Any:
        if skip:
            query = _candidate(expired, site is not None, True, hold)
            return conn.execute(query, {**wanted, "skip": sorted(skip)}).first()
        return _usual(expired, site is not None, hold).first(conn, wanted)

    if base.idle and base.db.read(lambda conn: look(conn, False, False) or look(conn, True, False)) is None:
        return None
    due = _is_due(base, run_id, site)
    if due:
        base.looked[run_id, site] = time.monotonic()
    ask = {} if skip else {"next": (_usual(due, site is not None, True), wanted)}

    def work(tx: Tx) -> Lease:
        row: Any = next(iter(tx.answers["next"]), None) if ask else look(tx.conn, due, True)
        # The last look is for one who lost a race with another run: there may be more.
        row = row or look(tx.conn, not due, True) or look(tx.conn, due, True)
        return _take(base, tx, row, worker_id, wish)

    lease: Lease | None = None
    try:
        lease = base.change(run_id, work, ask=ask)
    except _NothingToDo:
        lease = None
    base.idle = lease is None
    return lease


def asking(base: Base, run_id: str, site: str | None) -> dict[str, Query]:
    """Asks for a worker's next chunk in the transaction that ends its last, for ``found``; nothing
    when it is time to look for leases that have run out as well."""
    if _is_due(base, run_id, site):
        return {}
    return {"next": (_plain(site is not None), _wanted(run_id, site))}


def found(base: Base, tx: Tx, worker_id: str, wish: ClaimRequest) -> Lease | None:
    """The lease of what was asked for. None says nothing: ``claim`` looks more closely, also at jobs
    with ``max_parallel``, whose chunks at work are to be counted."""
    row = next(iter(tx.answers.get("next", ())), None)
    return None if row is None else _take(base, tx, row, worker_id, wish)


def still_held(tx: Tx, lease: Lease | None) -> Lease | None:
    """The lease, if it was given and nobody has claimed its chunk since."""
    if lease is None:
        return None
    row = _MINE.first(tx.conn, {"id": lease.chunk_id})
    return lease if (row.attempt, row.lease_owner) == (lease.attempt, lease.worker_id) else None


def _wanted(run_id: str, site: str | None) -> Values:
    return {"run": run_id} if site is None else {"run": run_id, "site": site}


def _is_due(base: Base, run_id: str, site: str | None) -> bool:
    """Whether leases that have run out are to be looked for."""
    since = time.monotonic() - base.looked.get((run_id, site), 0.0)
    return since > min(_LOOK_AGAIN, base.lease_ttl / 10)


class _NothingToDo(Exception):
    """Ends the transaction without a trace."""


def _take(base: Base, tx: Tx, row: Any, worker_id: str, wish: ClaimRequest) -> Lease:
    """Take the chunk, which the row's lock keeps as it was read."""
    if row is None or (row.max_parallel is not None and _is_full(tx, row)):
        raise _NothingToDo
    if row.status != PENDING:
        failpoints.point("H2")
    becomes = "written" if row.status == "written" else "leased"
    tx.queue(
        _TAKE,
        {
            "id": row.chunk_id, "seen": row.attempt, "was": row.status, "becomes": becomes,
            "next": row.attempt + 1, "worker": worker_id, "later_ms": base.ttl_ms, "at": tx.now,
        },
    )  # fmt: skip
    tx.event(
        "chunk.claimed", job=row.job_id, chunk=row.chunk_id, worker=worker_id,
        attempt=row.attempt + 1, was=row.status, now=becomes,
    )  # fmt: skip
    lease = _lease(base, tx.conn, row, worker_id, tx.run_id)
    artifacts.preregister(tx, lease, wish.preregister(lease))
    return lease


def _is_full(tx: Tx, row: Any) -> bool:
    """Whether other runs, of which the look could not know, have filled the job meanwhile."""
    job_id = {"job": row.job_id}
    _, in_work = together(tx.conn, [(_LOCK_JOB, job_id), (_IN_WORK, job_id)])
    return bool(in_work.rows[0].live >= max(row.max_parallel, 1))


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
    failpoints.point("H1")
    mine = {
        "id": lease.chunk_id, "mine": lease.attempt, "worker": lease.worker_id,
        "later_ms": base.ttl_ms, "rows": rows, "moved": moved,
    }  # fmt: skip
    if base.db.run(lambda conn: _RENEW.run(conn, mine)) != 1:
        raise LeaseLost(f"chunk {lease.chunk_id[:12]} attempt {lease.attempt}: the lease is lost")
    lease.progress.rows, lease.progress.bytes = rows, moved
