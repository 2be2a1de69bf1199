"""Handles gaps: dead chunks that are left behind while reading goes on, and chunks to be read again.

An epoch that has only dead chunks left stays open as a gap, and the next one begins at its end. The watermark
passes the dead rows, their dead letters record them, and no run is a success until each is retried with
success or waived. ``read_again`` replaces a chunk, and all that was made of it, by a new generation.
``start_over`` closes a table's epochs so that it can be read whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from hdm.errors import UsageError
from hdm.model.json import chunk_from_json
from hdm.state.chunks import watermarks
from hdm.state.db import clock
from hdm.state.db.database import among, locked
from hdm.state.db.statements import Prepared
from hdm.state.db.tables import boundary, chunk, dead_letter, job, run_job
from hdm.state.jobs import giving_up
from hdm.state.jobs.jobs import insert_pending
from hdm.state.records import (
    COMMITTED,
    DEAD,
    DONE,
    HELD,
    IN_ORDER,
    OPEN_JOB,
    SUPERSEDED,
    UNFINISHED,
    VERIFIED,
    WAIVED,
    Job,
    JobInfo,
)
from hdm.state.tx import job_rows
from hdm.state.tx.context import JOB_COLUMNS, Base
from hdm.state.tx.transaction import Tx

_of, _newest = job.alias(), job.alias()
_LEFT = Prepared(
    select(func.count().label("left"))
    .select_from(chunk.join(_of, _of.c.job_id == chunk.c.job_id))
    .where(
        _of.c.pipeline_key == bindparam("key"),
        _of.c.epoch
        < select(func.max(_newest.c.epoch))
        .where(_newest.c.pipeline_key == bindparam("key"))
        .scalar_subquery(),
        _of.c.planned == 1,
        among(_of.c.status, OPEN_JOB),
        among(chunk.c.status, UNFINISHED),
    )
)


def passable(conn: Connection, job_id: str, info: JobInfo) -> list[str] | None:
    """Return the ids of the dead chunks that the next epoch may leave behind as a gap.

    None if the next epoch must wait: while chunks are unfinished, if chunks are merged in order, if a dead
    chunk decides which rows share the window's end, or if the table has no cursor, loads from upstream or is
    read as a whole.
    """
    if info.source.cursor is None or info.upstream_keys or info.mode.rules.reads_everything:
        return None
    if info.mode.rules.merges_by_key and info.max_parallel == IN_ORDER:
        return None
    rows = conn.execute(
        select(chunk.c.chunk_id, chunk.c.body).where(
            chunk.c.job_id == job_id, among(chunk.c.status, (*UNFINISHED, DEAD))
        )
    ).all()
    parts = {row.chunk_id: chunk_from_json(row.body) for row in rows}
    left = select(func.count()).where(chunk.c.job_id == job_id, among(chunk.c.status, UNFINISHED))
    if conn.execute(left).scalar() or any(one.boundary or one.seen_key for one in parts.values()):
        return None
    return sorted(parts)


def go_past(tx: Tx, job_id: str, info: JobInfo) -> bool:
    """Move the watermark past the dead chunks of a failed epoch; return True if the next epoch may open now.

    False, and no change, if it must wait; see ``passable``.
    """
    parts = passable(tx.conn, job_id, info)
    if parts is None:
        return False
    watermarks.pass_dead(tx, job_id, info)
    tx.event("job.passed", job=job_id, was="failure", now="failure", gap=parts)
    return True


def older(base: Base, run_id: str, pipeline_key: str, epoch: int) -> list[Job]:
    """Make a pipeline's open epochs before ``epoch`` part of the run, and return their jobs.

    Empty if there is none.
    """
    query = (
        select(*JOB_COLUMNS)
        .where(
            job.c.pipeline_key == pipeline_key,
            job.c.epoch < epoch,
            job.c.planned == 1,
            among(job.c.status, OPEN_JOB),
        )
        .order_by(job.c.epoch)
    )
    if not base.db.read(lambda conn: conn.execute(query).all()):
        return []

    def work(tx: Tx) -> list[Job]:
        found = tx.conn.execute(query).all()
        for row in found:
            known = select(run_job.c.job_id).where(run_job.c.run_id == run_id, run_job.c.job_id == row.job_id)
            if tx.conn.execute(known).first() is None:
                values = {"run_id": run_id, "job_id": row.job_id, "joined_at": tx.now}
                tx.conn.execute(insert(run_job), values)
                sealed = job_rows.seal(job_rows.hold(tx, row.job_id))
                tx.event("job.adopted", job=row.job_id, pipeline=pipeline_key, seal=sealed)
        return [base.job_of(tx.conn, row, run_id) for row in found]

    return base.change(run_id, work)


def left_of_older(base: Base, pipeline_key: str) -> int:
    """Return how many chunks are still to be moved in a pipeline's open epochs before the newest."""
    found = base.db.read(lambda conn: _LEFT.first(conn, {"key": pipeline_key}))
    return int(found.left)


def read_again(base: Base, chunk_ids: Sequence[str], by: str | None) -> list[str]:
    """Plan chunks to be read from their source again; return the ids of the new chunks.

    Each id may name a source chunk or any chunk that was made of one. The source chunk is read again, and
    every chunk that was made of the old one is superseded. ``by`` is the person who asked. One transaction
    for each source chunk. Raises ``UsageError`` if rows would be loaded twice, if the table is replaced as a
    whole, if the chunk's rows have no range of their own, or if a worker has a lease on one of the chunks.
    """
    roots = base.db.read(lambda conn: sorted({_root(conn, one) for one in chunk_ids}))
    made: list[str] = []
    for root in roots:

        def run_of(conn: Connection, of: str = root) -> str:
            return _run_of(base, conn, of)

        def work(tx: Tx, of: str = root) -> str:
            return _reread(base, tx, of, by)

        made.append(base.change(base.db.read(run_of), work))
    return made


def _run_of(base: Base, conn: Connection, chunk_id: str) -> str:
    found = conn.execute(select(chunk.c.job_id).where(chunk.c.chunk_id == chunk_id)).scalar_one()
    return base.run_of(conn, str(found))


def _root(conn: Connection, chunk_id: str) -> str:
    """Return the chunk at the source that this one was made of, which may be itself."""
    at: str | None = chunk_id
    while at is not None:
        chunk_id = at
        at = conn.execute(select(chunk.c.corr_in).where(chunk.c.chunk_id == at)).scalar()
    return chunk_id


def _reread(base: Base, tx: Tx, root: str, by: str | None) -> str:
    head = _read(tx, root)
    part = chunk_from_json(head.body)
    if any(one.column.startswith("@") for one in part.conditions) or part.files:
        raise UsageError(
            f"chunk {root[:12]} cannot be read again by itself: its rows have no range of their own",
            hint="hdm run --full-refresh TABLE reads the whole table again",
        )
    line = _made_of(tx, root)
    for row in (head, *line):
        _refuse_doubling(base, tx, row, is_last=not any(one.corr_in == row.chunk_id for one in line))
    for row in (head, *line):
        _supersede(tx, row, by)
    new = part.at(generation=part.generation + 1, snapshot=None)
    if head.status in (COMMITTED, VERIFIED):
        # Numbered last and without an end: the watermark neither waits for it nor moves with it.
        last = tx.conn.execute(select(func.max(chunk.c.chunk_no)).where(chunk.c.job_id == head.job_id))
        new = new.at(number=int(last.scalar_one()) + 1, upto=None, seen_key=None)
        tx.conn.execute(delete(boundary).where(boundary.c.chunk_id == root))
    added = insert_pending(tx, head.job_id, [new])
    before = job_rows.hold(tx, head.job_id)
    sealed = job_rows.change(tx, before, {"status": "in_progress", "ended_at": None})
    tx.event("chunk.reread", job=head.job_id, chunk=new.chunk_id, by=by, of=root)
    tx.event(
        "job.reopened", job=head.job_id, was=before["status"], now="in_progress", added=added.number,
        plan=added.told(), seal=sealed,
    )  # fmt: skip
    return new.chunk_id


def _read(tx: Tx, chunk_id: str) -> Any:
    columns = (chunk.c.chunk_id, chunk.c.job_id, chunk.c.status, chunk.c.body, chunk.c.corr_in)
    expired = (chunk.c.lease_expires_at.is_(None)) | (chunk.c.lease_expires_at <= clock.now)
    return tx.conn.execute(
        locked(select(*columns, expired.label("free")).where(chunk.c.chunk_id == chunk_id), chunk)
    ).one()


def _made_of(tx: Tx, root: str) -> list[Any]:
    """Return every chunk that was made of this one, directly or not."""
    found: list[Any] = []
    todo = [root]
    while todo:
        below = select(chunk.c.chunk_id).where(chunk.c.corr_in.in_(todo), chunk.c.status != SUPERSEDED)
        ids = list(tx.conn.execute(below.order_by(chunk.c.chunk_id)).scalars())
        found += [_read(tx, one) for one in ids]
        todo = ids
    return found


def _refuse_doubling(base: Base, tx: Tx, row: Any, *, is_last: bool) -> None:
    if row.status in HELD and not row.free:
        raise UsageError(
            f"chunk {row.chunk_id[:12]} is being worked on", hint="wait for the run to end, or stop it"
        )
    info = base.info(tx.conn, row.job_id)
    name = info.source.dataset.name
    if info.mode.rules.reads_everything:
        raise UsageError(
            f"{name} is replaced as a whole: a part of it cannot be read again",
            hint="hdm run --full-refresh TABLE reads the whole table again",
        )
    if is_last and info.mode.rules.only_adds and row.status in (COMMITTED, VERIFIED):
        raise UsageError(
            f"{name}: chunk {row.chunk_id[:12]} is in the target already; mode append would double it",
            hint="write mode: merge (with a key) on the link, then reload",
        )


def _supersede(tx: Tx, row: Any, by: str | None) -> None:
    values = {"status": SUPERSEDED, "lease_owner": None, "lease_expires_at": None, "updated_on": tx.now}
    tx.conn.execute(update(chunk).where(chunk.c.chunk_id == row.chunk_id).values(values))
    if row.status == DEAD:
        letters = (dead_letter.c.chunk_id == row.chunk_id) & (dead_letter.c.state == "open")
        told = {
            "state": "replayed", "resolved_by": tx.mask(by) if by else by, "resolved_at": tx.now,
            "reason": "read again",
        }  # fmt: skip
        tx.conn.execute(update(dead_letter).where(letters).values(told))
    tx.event(
        "chunk.superseded", job=row.job_id, chunk=row.chunk_id, was=row.status, now=SUPERSEDED, by=by,
        reason="read again",
    )  # fmt: skip


def start_over(base: Base, run_id: str, pipeline_key: str) -> int:
    """Close a pipeline's open epochs and forget its boundary rows, so that its table can be read whole.

    Returns how many chunks were left undone. The watermark stays; the planner ignores it for that reading.
    Raises ``UsageError`` if a worker has a lease on one of the chunks.
    """

    def work(tx: Tx) -> int:
        jobs = tx.conn.execute(
            locked(select(job).where(job.c.pipeline_key == pipeline_key, among(job.c.status, OPEN_JOB)), job)
        ).mappings()
        undone = 0
        for one in [dict(found) for found in jobs]:
            rows = tx.conn.execute(
                select(chunk.c.chunk_id).where(
                    chunk.c.job_id == one["job_id"], chunk.c.status.not_in((*DONE, SUPERSEDED, WAIVED))
                )
            ).scalars()
            for row in [_read(tx, found) for found in rows]:
                if row.status in HELD and not row.free:
                    raise UsageError(
                        f"chunk {row.chunk_id[:12]} is being worked on",
                        hint="wait for the run to end, or stop it",
                    )
                _supersede(tx, row, None)
                undone += 1
            if one["planned"]:
                sealed = job_rows.change(tx, one, {"status": "success", "ended_at": tx.now})
                tx.event("job.given_up", job=one["job_id"], was=one["status"], now="success", seal=sealed)
        tx.conn.execute(delete(boundary).where(boundary.c.pipeline_key == pipeline_key))
        tx.event("pipeline.refreshed", pipeline=pipeline_key, undone=undone)
        return undone

    return base.change(run_id, work)


class Gaps:
    """Methods about dead chunks that are left behind; used as ``StateManager.gaps``."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def left_of_older(self, pipeline_key: str) -> int:
        """Return how many chunks are still to be moved in a pipeline's open epochs before the newest."""
        return left_of_older(self._base, pipeline_key)

    def can_pass(self, of: Job) -> bool:
        """Return True if the next run may leave a failed epoch's dead chunks behind as a gap.

        False if the next epoch must wait (see ``passable``), or if the epoch has not failed. Writes nothing.
        """
        if of.status != "failure":
            return False
        return self._base.db.read(lambda conn: passable(conn, of.job_id, of.info)) is not None

    def is_torn(self, of: Job, *, short: bool) -> bool:
        """Return True if ``StateManager.jobs.give_up`` would close an open epoch, else False.

        ``short``: rows are missing in it. Writes nothing.
        """
        if of.status not in OPEN_JOB or not of.planned:
            return False
        return self._base.db.read(lambda conn: giving_up.is_torn(conn, of.job_id, short=short))

    def older(self, run_id: str, of: Job) -> list[Job]:
        """Make the earlier open epochs of the job's pipeline part of the run, and return their jobs.

        Empty if there is none.
        """
        return older(self._base, run_id, of.pipeline_key, of.epoch)

    def read_again(self, chunk_ids: Sequence[str], by: str | None = None) -> list[str]:
        """Plan chunks to be read from their source again; return the ids of the new chunks.

        Each id may name a source chunk or any chunk that was made of one. ``by`` is the person who asked. One
        transaction for each source chunk. Raises ``UsageError`` if rows would be loaded twice, if the table
        is replaced as a whole, if the chunk's rows have no range of their own, or if a worker has a lease on
        one of the chunks.
        """
        return read_again(self._base, chunk_ids, by)

    def start_over(self, run_id: str, pipeline_key: str) -> int:
        """Close a pipeline's open epochs and forget its boundary rows, so that its table can be read whole.

        Returns how many of their chunks were left undone; these are superseded. Raises ``UsageError`` if a
        worker has a lease on one of them.
        """
        return start_over(self._base, run_id, pipeline_key)
