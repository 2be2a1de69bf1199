"""Records what an operator decides: retry, waive or supersede chunks.

Also records comparisons of row counts that are made later than the commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, case, or_, select, update

from hdm.errors import IllegalTransition
from hdm.model import Chunk
from hdm.state.chunks import commit_effects, watermarks
from hdm.state.db import clock
from hdm.state.db.database import among, locked
from hdm.state.db.tables import chunk, dead_letter, job, run_job
from hdm.state.jobs.jobs import insert_pending
from hdm.state.records import COMMITTED, DEAD, HELD, PENDING, SUPERSEDED, VERIFIED, WAIVED, Job
from hdm.state.tx import job_rows
from hdm.state.tx.context import Base
from hdm.state.tx.transaction import Tx


def _dead(run_id: str | None, job_id: str | None, chunk_id: str | None) -> Select[Any]:
    query = select(chunk.c.chunk_id, chunk.c.job_id, chunk.c.chunk_no).where(chunk.c.status == DEAD)
    if run_id is not None:
        mine = select(run_job.c.job_id).where(run_job.c.run_id == run_id)
        query = query.where(chunk.c.job_id.in_(mine))
    if job_id is not None:
        query = query.where(chunk.c.job_id == job_id)
    if chunk_id is not None:
        query = query.where(chunk.c.chunk_id == chunk_id)
    return query.order_by(chunk.c.job_id, chunk.c.chunk_no, chunk.c.chunk_id)


def retry(base: Base, run_id: str | None, job_id: str | None, chunk_id: str | None, by: str | None) -> int:
    """Make dead chunks pending again, and mark their dead letters 'replayed'; return how many chunks.

    These are the dead chunks of one run, of one job, or one chunk; without any id, all. One transaction for
    each job. ``by`` is the person who asked.
    """
    found = base.db.read(lambda conn: conn.execute(_dead(run_id, job_id, chunk_id)).all())
    jobs: dict[str, list[str]] = {}
    for row in found:
        jobs.setdefault(row.job_id, []).append(row.chunk_id)
    total = 0
    for one, chunks in jobs.items():

        def work(tx: Tx, of: str = one, ids: list[str] = chunks) -> int:
            return _revive(tx, of, ids, by)

        total += base.change(_run_of(base, one), work)
    return total


def _run_of(base: Base, job_id: str) -> str:
    return base.db.read(lambda conn: base.run_of(conn, job_id))


def _revive(tx: Tx, job_id: str, ids: list[str], by: str | None) -> int:
    was = tx.conn.execute(locked(select(job.c.status).where(job.c.job_id == job_id), job)).scalar_one()
    revived = 0
    for one in ids:
        done = tx.conn.execute(
            update(chunk)
            .where(chunk.c.chunk_id == one, chunk.c.status == DEAD)
            .values(status=PENDING, not_before=None, lease_expires_at=None, failures=0, updated_on=tx.now)
        )
        if done.rowcount:
            revived += 1
            _resolve(tx, one, "replayed", by, None)
            tx.event("chunk.retried", job=job_id, chunk=one, was=DEAD, now=PENDING, by=by)
    if revived:
        _reopen(tx, job_id, was)
    return revived


def _reopen(tx: Tx, job_id: str, was: str) -> None:
    """Set a job that was closed with dead chunks back in progress."""
    if was == "failure":
        sealed = job_rows.change(tx, job_rows.hold(tx, job_id), {"status": "in_progress"})
        tx.event("job.reopened", job=job_id, was=was, now="in_progress", seal=sealed)


def _resolve(tx: Tx, chunk_id: str, state: str, by: str | None, reason: str | None) -> None:
    tx.conn.execute(
        update(dead_letter)
        .where(dead_letter.c.chunk_id == chunk_id, dead_letter.c.state == "open")
        .values(state=state, resolved_by=tx.mask(by) if by else by, resolved_at=tx.now, reason=reason)
    )


def waive(base: Base, chunk_id: str, by: str, reason: str) -> None:
    """Record that the person ``by`` accepts a dead chunk's missing rows; the watermark may then pass it.

    Raises ``IllegalTransition`` unless the chunk is dead.
    """
    row = base.db.read(
        lambda conn: conn.execute(select(chunk.c.job_id).where(chunk.c.chunk_id == chunk_id)).one_or_none()
    )
    if row is None:
        raise IllegalTransition(f"there is no chunk {chunk_id}", hint="list the dead ones with: hdm status")
    job_id = row.job_id

    def work(tx: Tx) -> None:
        status = tx.conn.execute(
            locked(select(chunk.c.status).where(chunk.c.chunk_id == chunk_id), chunk)
        ).scalar_one()
        if status != DEAD:
            raise IllegalTransition(
                f"chunk {chunk_id[:12]} is {status}; only a dead chunk can be waived",
                hint="list the dead ones with: hdm status",
            )
        tx.conn.execute(
            update(chunk).where(chunk.c.chunk_id == chunk_id).values(status=WAIVED, updated_on=tx.now)
        )
        _resolve(tx, chunk_id, "waived", by, tx.mask(reason))
        tx.event("chunk.waived", job=job_id, chunk=chunk_id, was=DEAD, now=WAIVED, by=by, reason=reason)
        watermarks.advance(tx, job_id, base.info(tx.conn, job_id))

    base.change(_run_of(base, job_id), work)


def verify_late(base: Base, of: Job, chunk_id: str, source_rows: int, target_rows: int) -> None:
    """Record whether source and target have equal row counts, for a chunk committed without a comparison.

    Equal counts make the chunk 'verified'; they change nothing if it is no longer 'committed'.
    """

    def work(tx: Tx) -> None:
        if source_rows == target_rows:
            found = tx.conn.execute(
                update(chunk)
                .where(chunk.c.chunk_id == chunk_id, chunk.c.status == COMMITTED)
                .values(status=VERIFIED, updated_on=tx.now)
            )
            if not found.rowcount:
                return
        commit_effects.compared(tx, of.job_id, chunk_id, source_rows, target_rows)

    base.change(of.in_run, work)


def dead(base: Base, run_id: str | None, job_id: str | None) -> list[dict[str, Any]]:
    """Return dead chunks with their errors, as dictionaries: those of one run, of one job, or all."""
    ids = _dead(run_id, job_id, None).subquery()
    query = (
        select(
            chunk.c.chunk_id,
            chunk.c.job_id,
            job.c.pipeline_key,
            chunk.c.chunk_no,
            chunk.c.attempt,
            chunk.c.source_filter,
            dead_letter.c.error_class,
            dead_letter.c.error_msg,
            dead_letter.c.context,
            dead_letter.c.created_on,
        )
        .join(ids, ids.c.chunk_id == chunk.c.chunk_id)
        .join(job, job.c.job_id == chunk.c.job_id)
        .outerjoin(dead_letter, (dead_letter.c.chunk_id == chunk.c.chunk_id) & (dead_letter.c.row_no == -1))
        .order_by(job.c.pipeline_key, chunk.c.chunk_no, chunk.c.chunk_id)
    )
    return base.db.read(lambda conn: [dict(row) for row in conn.execute(query).mappings().all()])


def supersede(base: Base, of: Job, chunk_ids: Sequence[str], new_chunks: Sequence[Chunk]) -> None:
    """Replace the chunks ``chunk_ids`` of a job by ``new_chunks``, in one transaction.

    Raises ``IllegalTransition`` if a worker has a lease on one of the former, or one is settled.
    """

    def work(tx: Tx) -> None:
        was = tx.conn.execute(locked(select(job.c.status).where(job.c.job_id == of.job_id), job)).scalar_one()
        held = case((chunk.c.lease_expires_at > clock.now, 1), else_=0)
        for one in sorted(set(chunk_ids)):
            status = _status(tx.conn, one)
            done = tx.conn.execute(
                update(chunk)
                .where(
                    chunk.c.chunk_id == one,
                    chunk.c.job_id == of.job_id,
                    or_(
                        among(chunk.c.status, (PENDING, DEAD)),
                        among(chunk.c.status, HELD) & (held == 0),
                    ),
                )
                .values(status=SUPERSEDED, lease_owner=None, lease_expires_at=None, updated_on=tx.now)
            )
            if done.rowcount != 1:
                raise IllegalTransition(f"chunk {one[:12]} is {status} and cannot be superseded")
            _resolve(tx, one, "replayed", None, "superseded")
            tx.event("chunk.superseded", job=of.job_id, chunk=one, was=status, now=SUPERSEDED)
        added = insert_pending(tx, of.job_id, new_chunks)
        tx.event(
            "job.replanned", job=of.job_id, superseded=len(set(chunk_ids)), added=added.number,
            plan=added.told(),
        )  # fmt: skip
        _reopen(tx, of.job_id, was)

    base.change(of.in_run, work)


def _status(conn: Connection, chunk_id: str) -> str | None:
    found: str | None = conn.execute(
        locked(select(chunk.c.status).where(chunk.c.chunk_id == chunk_id), chunk)
    ).scalar()
    return found
