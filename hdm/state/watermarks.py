"""Watermarks: the end of the contiguous committed prefix, appended in the commit's transaction."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, true, union_all

from hdm import _fail
from hdm.model import Chunk, Receipt, Watermark
from hdm.state.base import Base
from hdm.state.engine import among, locked
from hdm.state.events import Tx
from hdm.state.models import boundary, chunk, job, watermark
from hdm.state.prepared import Prepared
from hdm.state.words import DEAD, DONE, SUPERSEDED, UNFINISHED, Job, JobInfo
from hdm.wire import type_text

_LOCK_JOB = Prepared(
    locked(select(job.c.planned, job.c.snapshot_token).where(job.c.job_id == bindparam("job")), job)
)


def _lowest(status: str) -> Any:
    return (
        select(chunk.c.chunk_no.label("n"))
        .where(chunk.c.job_id == bindparam("job"), chunk.c.status == status)
        .order_by(chunk.c.chunk_no)
        .limit(1)
        .subquery()
    )


_OPEN = union_all(*(select(_lowest(status).c.n) for status in (*UNFINISHED, DEAD))).subquery()
_FIRST_OPEN = func.coalesce(select(func.min(_OPEN.c.n)).scalar_subquery(), bindparam("end"))
_REACHED = (
    select(chunk.c.chunk_no, chunk.c.upto)
    .where(
        chunk.c.job_id == bindparam("job"),
        chunk.c.chunk_no < bindparam("end"),
        chunk.c.chunk_no < _FIRST_OPEN,
        among(chunk.c.status, DONE),
        chunk.c.upto.is_not(None),
    )
    .order_by(chunk.c.chunk_no.desc())
    .limit(1)
    .subquery()
)
_NUMBERS = (
    select(chunk.c.chunk_no)
    .where(chunk.c.job_id == bindparam("job"), chunk.c.status != SUPERSEDED)
    .order_by(chunk.c.chunk_no)
)
_NEWEST = (
    select(watermark)
    .where(watermark.c.pipeline_key == bindparam("key"))
    .order_by(watermark.c.seq.desc())
    .limit(1)
)
_LAST = _NEWEST.subquery()
_GROWTH = Prepared(
    select(
        _REACHED.c.chunk_no,
        _REACHED.c.upto,
        _LAST.c.seq.label("last_seq"),
        _LAST.c.job_id.label("last_job"),
        _LAST.c.chunk_no.label("last_no"),
    ).select_from(_REACHED.outerjoin(_LAST, true()))
)
_END = 2**31 - 1
_ADD = Prepared(insert(watermark))
_KEEP = Prepared(insert(boundary))


def advance(tx: Tx, job_id: str, info: JobInfo) -> None:
    """Append a watermark if the prefix of committed chunks now reaches further."""
    _fail.point("L7")
    if info.source.cursor is not None:
        _append(tx, job_id, info)
    _fail.point("L8")


def _append(tx: Tx, job_id: str, info: JobInfo) -> None:
    state = tx.held or tx.first(_LOCK_JOB, {"job": job_id})
    end = _END if state.planned else _unbroken(tx.conn, job_id)
    found = tx.first(_GROWTH, {"job": job_id, "end": end, "key": info.pipeline_key})
    if found is None or (found.last_job == job_id and found.last_no >= found.chunk_no):
        return
    cursor = info.source.cursor or ""
    tx.do(
        _ADD,
        {
            "pipeline_key": info.pipeline_key,
            "dataset_id": info.source.dataset.dataset_id,
            "seq": (found.last_seq or 0) + 1,
            "column_name": cursor,
            "value_type": type_text(info.source.column(cursor).type),
            "value": found.upto,
            "snapshot_token": state.snapshot_token,
            "job_id": job_id,
            "chunk_no": found.chunk_no,
            "committed_at": tx.now,
        },
    )
    tx.event("watermark.advanced", job=job_id, column=cursor, chunk_no=found.chunk_no)


def _unbroken(conn: Connection, job_id: str) -> int:
    """For a job whose plan is not known: the first number from 0 that is missing."""
    expected = 0
    for number in conn.execute(_NUMBERS, {"job": job_id}).scalars():
        if number > expected:
            break
        expected = number + 1
    return expected


def keep_boundary(tx: Tx, owner: Job, part: Chunk, receipt: Receipt) -> None:
    """Keep the digests of the rows that share the window's end, or have no cursor value."""
    if not receipt.boundary_digests:
        return
    null = any(c.op == "null" for c in part.conditions)
    point = part.upto or next((c.value for c in part.conditions if c.op == "="), None)
    tx.do(
        _KEEP,
        {
            "pipeline_key": owner.pipeline_key,
            "kind": "null" if null else "point",
            "value": None if null else point,
            "chunk_id": part.chunk_id,
            "digests": " ".join(receipt.boundary_digests),
            "row_count": len(receipt.boundary_digests),
        },
    )


def current(base: Base, pipeline_key: str) -> Watermark | None:
    """The newest watermark; its value is None where only NULL cursors are committed."""

    def work(conn: Connection) -> Watermark | None:
        row = conn.execute(_NEWEST, {"key": pipeline_key}).first()
        nulls = _counted(conn, pipeline_key, "null", None)
        if row is None:
            return _nulls_only(base, conn, pipeline_key, nulls) if nulls else None
        return Watermark(
            column=row.column_name,
            type=row.value_type,
            value=row.value,
            ties=_counted(conn, pipeline_key, "point", row.value),
            nulls=nulls,
            snapshot=row.snapshot_token,
        )

    return base.db.read(work)


def _nulls_only(base: Base, conn: Connection, pipeline_key: str, nulls: int) -> Watermark:
    newest = (
        select(job.c.job_id).where(job.c.pipeline_key == pipeline_key).order_by(job.c.epoch.desc()).limit(1)
    )
    source = base.info(conn, conn.execute(newest).scalar_one()).source
    cursor = source.cursor or ""
    return Watermark(cursor, type_text(source.column(cursor).type) if cursor else "", None, 0, nulls)


def _of(pipeline_key: str, kind: str, value: str | None) -> list[Any]:
    wanted = [boundary.c.pipeline_key == pipeline_key, boundary.c.kind == kind]
    return [*wanted, boundary.c.value == value] if kind == "point" else wanted


def _counted(conn: Connection, pipeline_key: str, kind: str, value: str | None) -> int:
    total = select(func.sum(boundary.c.row_count)).where(*_of(pipeline_key, kind, value))
    return int(conn.execute(total).scalar() or 0)


def seen(base: Base, pipeline_key: str, kind: str) -> Counter[str]:
    """Digests of rows committed at the watermark ('point') or without a cursor value ('null')."""

    def work(conn: Connection) -> Counter[str]:
        row = conn.execute(_NEWEST, {"key": pipeline_key}).first()
        if kind == "point" and row is None:
            return Counter()
        wanted = _of(pipeline_key, kind, row.value if row is not None else None)
        found: Counter[str] = Counter()
        for text in conn.execute(select(boundary.c.digests).where(*wanted)).scalars():
            found.update(text.split())
        return found

    return base.db.read(work)
