"""Keeps watermarks: the cursor value up to which all chunks are committed, without a gap."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    true,
    union_all,
)

from hdm import failpoints
from hdm.model import Chunk, Receipt
from hdm.model.json import type_text
from hdm.model.values import UNPLACED
from hdm.state.db.database import among, by_claim_index, locked
from hdm.state.db.statements import Prepared, Query, Values
from hdm.state.db.tables import boundary, chunk, job, watermark
from hdm.state.records import DEAD, DONE, SUPERSEDED, UNFINISHED, Job, JobInfo, Watermark
from hdm.state.tx.context import Base
from hdm.state.tx.seals import WATERMARK, seal
from hdm.state.tx.transaction import Tx

_LOCK_JOB = Prepared(
    locked(select(job.c.planned, job.c.snapshot_token).where(job.c.job_id == bindparam("job")), job)
)


def _lowest(status: str) -> Any:
    query = (
        select(chunk.c.chunk_no.label("n"))
        .where(
            chunk.c.job_id == bindparam("job"),
            chunk.c.status == status,
            chunk.c.chunk_id != bindparam("mine"),
        )
        .order_by(chunk.c.chunk_no)
        .limit(1)
    )
    return by_claim_index(query, chunk).subquery()


_LOWEST = union_all(*(select(_lowest(status).c.n) for status in (*UNFINISHED, DEAD))).subquery()
_OPEN = select(func.coalesce(func.min(_LOWEST.c.n), bindparam("end")).label("n")).cte("first_open")


def _highest(*which: ColumnElement[bool]) -> Select[Any]:
    return (
        select(chunk.c.chunk_no, chunk.c.upto)
        .where(
            *which,
            chunk.c.chunk_no < bindparam("end"),
            chunk.c.chunk_no < select(_OPEN.c.n).scalar_subquery(),
            chunk.c.upto.is_not(None),
        )
        .order_by(chunk.c.chunk_no.desc())
        .limit(1)
    )


def _highest_of(status: str) -> Select[Any]:
    return by_claim_index(_highest(chunk.c.job_id == bindparam("job"), chunk.c.status == status), chunk)


# One query per status, so that each uses the same index: a job may be long, and its statistics old.
_DONE = [
    query.subquery() for query in (*map(_highest_of, DONE), _highest(chunk.c.chunk_id == bindparam("mine")))
]
_ENDS = union_all(*(select(one) for one in _DONE)).subquery()
_REACHED = select(_ENDS).order_by(_ENDS.c.chunk_no.desc()).limit(1).subquery()
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
_LAST = _NEWEST.where(watermark.c.dataset_id == bindparam("of")).subquery()
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
_NULLS = (boundary.c.pipeline_key == bindparam("key"), boundary.c.kind == "null")
_POINT = (
    boundary.c.pipeline_key == bindparam("key"),
    boundary.c.kind == "point",
    boundary.c.value == bindparam("at"),
)
_FORGET = {True: Prepared(delete(boundary).where(*_NULLS)), False: Prepared(delete(boundary).where(*_POINT))}

_NEWEST_VALUE = Prepared(_NEWEST.with_only_columns(watermark.c.value))
_FORGET_LEFT = Prepared(
    delete(boundary).where(
        boundary.c.pipeline_key == bindparam("key"),
        boundary.c.kind == "point",
        boundary.c.value != bindparam("at"),
    )
)


def growth(of: Job, chunk_id: str) -> Query:
    """Return the query for how far the watermark may move once a chunk is committed.

    ``advance`` takes its answer.
    """
    return _GROWTH, _reach(of.job_id, of.info, _END, chunk_id)


def advance(tx: Tx, job_id: str, info: JobInfo, growth: Sequence[Any] | None = None) -> None:
    """Move the watermark if all chunks up to a greater cursor value are committed or waived now.

    Does nothing without a cursor, or if the watermark is a later epoch's. ``growth`` is the answer to the
    query of the function ``growth``, sent as the transaction began, with the chunk and its job locked.
    Without it, or if the epoch is not wholly planned, the query is sent here.
    """
    failpoints.point("L7")
    if info.source.cursor is not None:
        _append(tx, job_id, info, growth)
    failpoints.point("L8")


def pass_dead(tx: Tx, job_id: str, info: JobInfo) -> None:
    """Move the watermark past the dead chunks of an epoch whose other chunks are all done.

    The dead letters keep a record of the rows that were passed.
    """
    ends = select(func.max(chunk.c.chunk_no)).where(
        chunk.c.job_id == job_id, among(chunk.c.status, (*DONE, DEAD)), chunk.c.upto.is_not(None)
    )
    number = tx.conn.execute(ends).scalar()
    if number is None:
        return
    upto = tx.conn.execute(
        select(chunk.c.upto).where(
            chunk.c.job_id == job_id, chunk.c.chunk_no == number, chunk.c.status != SUPERSEDED
        )
    ).scalar()
    last: Any = tx.conn.execute(_NEWEST, {"key": info.pipeline_key}).first()
    if last is not None and last.job_id == job_id and last.chunk_no >= number:
        return
    token = tx.first(_LOCK_JOB, {"job": job_id}).snapshot_token
    _put(tx, job_id, info, 0 if last is None else last.seq, number, upto, token)


def _put(
    tx: Tx, job_id: str, info: JobInfo, last_seq: int, chunk_no: int, upto: Any, token: str | None
) -> None:
    cursor = info.source.cursor or ""
    row = {
        "pipeline_key": info.pipeline_key,
        "dataset_id": info.source.dataset.dataset_id,
        "seq": last_seq + 1,
        "column_name": cursor,
        "value_type": type_text(info.source.column(cursor).type),
        "value": upto,
        "snapshot_token": token,
        "job_id": job_id,
        "chunk_no": chunk_no,
        "committed_at": tx.now,
    }
    tx.queue(_ADD, row)
    tx.event(
        "watermark.advanced", job=job_id, column=cursor, chunk_no=chunk_no, seq=row["seq"],
        seal=seal("watermark", WATERMARK, row),
    )  # fmt: skip


def _is_passed(tx: Tx, job_id: str, by: str) -> bool:
    """Return whether the watermark is a later epoch's, so that repairs in an earlier one do not move it."""
    mine, its = (
        tx.conn.execute(select(job.c.epoch).where(job.c.job_id == one)).scalar() for one in (job_id, by)
    )
    return mine is not None and its is not None and its > mine


def _reach(job_id: str, info: JobInfo, end: int, chunk_id: str = "") -> Values:
    dataset = info.source.dataset.dataset_id
    return {"job": job_id, "end": end, "key": info.pipeline_key, "of": dataset, "mine": chunk_id}


def _append(tx: Tx, job_id: str, info: JobInfo, growth: Sequence[Any] | None) -> None:
    state = tx.chunk_row or tx.first(_LOCK_JOB, {"job": job_id})
    if growth is None or tx.chunk_row is None or not state.planned:
        end = _END if state.planned else _unbroken(tx.conn, job_id)
        found = tx.first(_GROWTH, _reach(job_id, info, end))
    else:
        found = growth[0] if growth else None
    if found is None or (found.last_job == job_id and found.last_no >= found.chunk_no):
        return
    if found.last_job not in (None, job_id) and _is_passed(tx, job_id, found.last_job):
        return
    _put(tx, job_id, info, found.last_seq or 0, found.chunk_no, found.upto, state.snapshot_token)


def _unbroken(conn: Connection, job_id: str) -> int:
    """Return the first missing chunk number, for a job whose plan is not known."""
    expected = 0
    for number in conn.execute(_NUMBERS, {"job": job_id}).scalars():
        if number > expected:
            break
        expected = number + 1
    return expected


def forget_left(tx: Tx, pipeline_key: str) -> None:
    """Delete the digests of the rows at older values of the cursor than the newest watermark.

    The digests tell which rows with the watermark's own value were moved already, so those of older values
    are not needed any more. Called when an epoch has ended with success.
    """
    newest = tx.first(_NEWEST_VALUE, {"key": pipeline_key})
    if newest is not None:
        tx.queue(_FORGET_LEFT, {"key": pipeline_key, "at": newest.value})


def keep_boundary(tx: Tx, owner: Job, part: Chunk, receipt: Receipt) -> None:
    """Record digests of a chunk's rows at the window's end, or of its rows without a cursor value.

    A later reading tells by them which rows with these values are new. For a ``counted`` chunk, only the
    number of rows is recorded. A chunk that reads all of these rows again replaces the record.
    """
    counted = part.boundary and part.counted
    if not counted and not receipt.boundary_digests:
        return
    null = any(c.op in UNPLACED and c.column == owner.info.source.cursor for c in part.conditions)
    point = part.upto or next((c.value for c in part.conditions if c.op == "="), None)
    rows = len(receipt.boundary_digests)
    if counted:
        rows = receipt.extracted or receipt.rows + receipt.filtered + receipt.rejected
    merged = part.subtracts_its_own and (part.again or not owner.info.mode.rules.only_adds)
    if part.seen_key and (counted or merged):
        tx.queue(_FORGET[null], {"key": owner.pipeline_key, **({} if null else {"at": point})})
    tx.queue(
        _KEEP,
        {
            "pipeline_key": owner.pipeline_key,
            "kind": "null" if null else "point",
            "value": None if null else point,
            "chunk_id": part.chunk_id,
            "digests": " ".join(receipt.boundary_digests),
            "row_count": rows,
        },
    )


def current(base: Base, pipeline_key: str) -> Watermark | None:
    """Return a pipeline's newest watermark; None if nothing is committed.

    Its value is None if only rows with a NULL cursor are committed.
    """

    def work(conn: Connection) -> Watermark | None:
        row = conn.execute(_NEWEST, {"key": pipeline_key}).first()
        nulls, nulls_counted = _counted(conn, pipeline_key, "null", None)
        if row is None:
            return _nulls_only(base, conn, pipeline_key, nulls, nulls_counted) if nulls else None
        ties, ties_counted = _counted(conn, pipeline_key, "point", row.value)
        return Watermark(
            column=row.column_name,
            type=row.value_type,
            value=row.value,
            ties=ties,
            nulls=nulls,
            snapshot=row.snapshot_token,
            ties_counted=ties_counted,
            nulls_counted=nulls_counted,
            schemas=_schemas(conn, pipeline_key),
        )

    return base.db.read(work)


def _schemas(conn: Connection, pipeline_key: str) -> frozenset[str]:
    """Return the schemas under which the recorded digests were taken: another schema gives other digests."""
    query = (
        select(chunk.c.body)
        .join(boundary, boundary.c.chunk_id == chunk.c.chunk_id)
        .where(boundary.c.pipeline_key == pipeline_key)
    )
    return frozenset(str(json.loads(body)["schema_sha"]) for body in conn.execute(query).scalars())


def _nulls_only(base: Base, conn: Connection, pipeline_key: str, nulls: int, counted: bool) -> Watermark:
    newest = (
        select(job.c.job_id).where(job.c.pipeline_key == pipeline_key).order_by(job.c.epoch.desc()).limit(1)
    )
    source = base.info(conn, conn.execute(newest).scalar_one()).source
    cursor = source.cursor or ""
    kept = type_text(source.column(cursor).type) if cursor else ""
    schemas = _schemas(conn, pipeline_key)
    return Watermark(cursor, kept, None, 0, nulls, nulls_counted=counted, schemas=schemas)


def _of(pipeline_key: str, kind: str, value: str | None) -> list[Any]:
    wanted = [boundary.c.pipeline_key == pipeline_key, boundary.c.kind == kind]
    return [*wanted, boundary.c.value == value] if kind == "point" else wanted


def _counted(conn: Connection, pipeline_key: str, kind: str, value: str | None) -> tuple[int, bool]:
    """Return how many rows are recorded, and whether some are known by their number only."""
    bare = case((boundary.c.digests == "", 1), else_=0)
    query = select(func.sum(boundary.c.row_count), func.max(bare)).where(*_of(pipeline_key, kind, value))
    rows, counted = conn.execute(query).one()
    return int(rows or 0), bool(counted)


def seen(base: Base, pipeline_key: str, kind: str) -> Counter[str]:
    """Return the recorded digests of committed rows, each with its number of rows.

    ``kind`` chooses the rows: 'point' are those at the watermark, 'null' those without a place in the
    cursor's order. New rows may have the same cursor values, and are told from these by their digests.
    """

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
