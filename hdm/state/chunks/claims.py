"""Gives a worker the lease on the next chunk, in one statement."""

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
"""Longest time, in seconds, between two searches for expired leases."""
_READY = or_(chunk.c.not_before.is_(None), chunk.c.not_before <= clock.now)
_EXPIRED = chunk.c.lease_expires_at <= clock.now
_IN_RUN = (
    select(run_job.c.job_id)
    .where(run_job.c.run_id == bindparam("run"), run_job.c.job_id == job.c.job_id)
    .correlate(job)
    .scalar_subquery()
    .is_not(None)
)
"""Whether a job belongs to the run. Neither a join nor EXISTS, which databases would turn round: the few open
jobs must be found first, by their status, since a run may have thousands of closed ones."""


def _live() -> Any:
    """Return one subquery per leased status that counts the job's leases which have not expired.

    Each compares the status by ``=`` alone, so that every database uses the index on job and status, with or
    without statistics: a job may have many chunks.
    """
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
    """Return conditions for a job whose chunks go in order: no chunk is leased, waiting or dead.

    With ``expired`` a chunk whose lease has expired does not count: it is the one to be claimed.
    """
    other = chunk.alias()
    live = (other.c.lease_expires_at > clock.now,) if expired else ()
    kinds = [and_(other.c.status == status, *live) for status in HELD]
    kinds += [and_(other.c.status == PENDING, other.c.not_before > clock.now), other.c.status == DEAD]
    return [~exists().where(other.c.job_id == job.c.job_id, kind).correlate(job) for kind in kinds]


@lru_cache(maxsize=16)
def _candidate(
    expired: bool, sited: bool = False, skipping: bool = False, hold: bool = True, plain: bool = False
) -> Select[Any]:
    """Return the query for a worker's next chunk: downstream jobs first, then by number.

    ``expired``: among chunks whose lease has expired, else among pending ones. ``hold`` locks the row.
    ``plain``: only of jobs without ``max_parallel``.
    """
    wanted: list[Any] = [
        among(job.c.status, ("in_progress", "failure")),
        _IN_RUN,
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
    """Return the query for each job's lowest number among free chunks of that status."""
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
    return select(
        job.c.job_id, job.c.stage_no, first.label("no"), literal_column(f"'{status}'").label("status")
    ).where(*wanted)


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
    """Claim the next chunk that this worker may try; return its lease, or None if there is none now.

    ``wish`` says which site's chunks it takes, ``skip`` has the ids of jobs to leave out.
    """
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
        # A worker that lost a race with another run looks once more: there may be other chunks.
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
    """Return the query for a worker's next chunk, to be sent with the commit of its last one.

    ``found`` takes its answer. Empty if it is time to look for expired leases as well, which ``claim`` does.
    """
    if _is_due(base, run_id, site):
        return {}
    return {"next": (_plain(site is not None), _wanted(run_id, site))}


def found(base: Base, tx: Tx, worker_id: str, wish: ClaimRequest) -> Lease | None:
    """Claim the chunk that the query of ``asking`` found; return its lease, or None if it found none.

    ``claim`` may still find one then: it also looks at jobs with ``max_parallel``, whose leased chunks must
    be counted.
    """
    row = next(iter(tx.answers.get("next", ())), None)
    return None if row is None else _take(base, tx, row, worker_id, wish)


def still_held(tx: Tx, lease: Lease | None) -> Lease | None:
    """Return the lease if it was recorded and no other worker has claimed the chunk since; else None."""
    if lease is None:
        return None
    row = _MINE.first(tx.conn, {"id": lease.chunk_id})
    return lease if (row.attempt, row.lease_owner) == (lease.attempt, lease.worker_id) else None


def _wanted(run_id: str, site: str | None) -> Values:
    return {"run": run_id} if site is None else {"run": run_id, "site": site}


def _is_due(base: Base, run_id: str, site: str | None) -> bool:
    """Return whether it is time to look for expired leases."""
    since = time.monotonic() - base.looked.get((run_id, site), 0.0)
    return since > min(_LOOK_AGAIN, base.lease_ttl / 10)


class _NothingToDo(Exception):
    """Raised to roll the transaction back if there is nothing to claim."""


def _take(base: Base, tx: Tx, row: Any, worker_id: str, wish: ClaimRequest) -> Lease:
    """Lease the chunk to the worker; the lock on its row keeps it as it was read."""
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
    artifacts.preregister(tx, lease, wish.file_names.get(lease.job.pipeline_key))
    return lease


def _is_full(tx: Tx, row: Any) -> bool:
    """Return whether other runs have filled the job since the chunk was selected."""
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
    """Extend a lease by its full time from now; raise ``LeaseLost`` if another worker has the chunk.

    Records that the attempt has moved ``rows`` rows and ``moved`` bytes so far.
    """
    failpoints.point("H1")
    mine = {
        "id": lease.chunk_id, "mine": lease.attempt, "worker": lease.worker_id,
        "later_ms": base.ttl_ms, "rows": rows, "moved": moved,
    }  # fmt: skip
    if base.db.run(lambda conn: _RENEW.run(conn, mine)) != 1:
        raise LeaseLost(f"chunk {lease.chunk_id[:12]} attempt {lease.attempt}: the lease is lost")
    lease.progress.rows, lease.progress.bytes = rows, moved
