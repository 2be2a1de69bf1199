"""Queries about jobs and chunks that the planner makes; they change nothing."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, case, func, or_, select

from hdm.model import Chunk, Holding, Table
from hdm.model.json import chunk_from_json
from hdm.state.db.database import among
from hdm.state.db.statements import Prepared
from hdm.state.db.tables import artifact, chunk, job
from hdm.state.records import COMMITTED, OPEN_JOB, SUPERSEDED, VERIFIED, WAIVED, Job, Reading, RowCount
from hdm.state.tx.context import JOB_COLUMNS, Base

_PIPELINE = job.c.pipeline_key == bindparam("key")
_NEWEST = Prepared(select(*JOB_COLUMNS).where(_PIPELINE).order_by(job.c.epoch.desc()).limit(1))
_OPEN = Prepared(select(job.c.job_id).where(_PIPELINE, among(job.c.status, OPEN_JOB)).limit(1))
_OPEN_EPOCH = Prepared(
    select(func.max(job.c.epoch).label("epoch")).where(
        _PIPELINE, job.c.planned == 1, among(job.c.status, OPEN_JOB)
    )
)
_WRITTEN_TO = Prepared(
    select(job.c.target_id)
    .where(_PIPELINE, job.c.target_id.is_not(None))
    .order_by(job.c.epoch.desc())
    .limit(1)
)
_COUNTS: tuple[ColumnElement[Any], ...] = (
    func.count(chunk.c.chunk_id).label("chunks"), func.min(chunk.c.chunk_id).label("least"),
    func.max(chunk.c.chunk_id).label("greatest"), func.sum(chunk.c.rows_loaded).label("loaded"),
)  # fmt: skip
_COMMITTED = (
    select(*_COUNTS)
    .join(job, job.c.job_id == chunk.c.job_id)
    .where(_PIPELINE, among(chunk.c.status, (COMMITTED, VERIFIED)))
)
_COMMITTED_EVER = Prepared(_COMMITTED)
_COMMITTED_IN = Prepared(_COMMITTED.where(job.c.epoch == bindparam("epoch")))
_MOVED = Prepared(
    select(chunk.c.chunk_id)
    .select_from(chunk.join(job, job.c.job_id == chunk.c.job_id))
    .where(_PIPELINE, or_(chunk.c.rows_extracted > 0, among(chunk.c.status, (WAIVED,))))
    .limit(1)
)


class PlannerReports:
    """Returns what is recorded of jobs and chunks, in whatever run; part of ``StateManager.reports``."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def link_jobs(self, link_key: str) -> list[Job]:
        """Return the newest job of every pipeline of a link, open or closed, whichever run opened it."""
        newest = (
            select(job.c.pipeline_key, func.max(job.c.epoch).label("epoch"))
            .where(job.c.link_key == link_key)
            .group_by(job.c.pipeline_key)
            .subquery()
        )
        query = select(*JOB_COLUMNS).join(
            newest, (newest.c.pipeline_key == job.c.pipeline_key) & (newest.c.epoch == job.c.epoch)
        )
        return self._jobs(query)

    def newest_job(self, pipeline_key: str) -> Job | None:
        """Return a pipeline's newest job, open or closed, whichever run opened it; None if it has none."""

        def work(conn: Connection) -> Job | None:
            row = _NEWEST.first(conn, {"key": pipeline_key})
            return None if row is None else self._base.job_of(conn, row, row.run_id)

        return self._base.db.read(work)

    def last_sources(self, pipeline_keys: Sequence[str]) -> dict[str, Table]:
        """Return the source table of each pipeline's newest job that was closed with success.

        A pipeline without such a job is left out.
        """
        found: dict[str, Table] = {}
        for start in range(0, len(pipeline_keys), 500):
            newest = (
                select(job.c.pipeline_key, func.max(job.c.epoch).label("epoch"))
                .where(job.c.pipeline_key.in_(pipeline_keys[start : start + 500]), job.c.status == "success")
                .group_by(job.c.pipeline_key)
                .subquery()
            )
            query = select(*JOB_COLUMNS).join(
                newest, (newest.c.pipeline_key == job.c.pipeline_key) & (newest.c.epoch == job.c.epoch)
            )
            found |= {one.pipeline_key: one.info.source for one in self._jobs(query)}
        return found

    def open_jobs(self, link_keys: Collection[str]) -> list[Job]:
        """Return the newest job of every pipeline of these links, open or closed."""
        return [found for key in sorted(link_keys) for found in self.link_jobs(key)]

    def job(self, job_id: str) -> Job:
        """Return one job; raise ``IndexError`` if it does not exist."""
        return self._jobs(select(*JOB_COLUMNS).where(job.c.job_id == job_id))[0]

    def statuses(self, chunk_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Return for each of these chunks the id of its job and its status.

        A chunk that is not recorded is left out.
        """

        def work(conn: Connection) -> dict[str, tuple[str, str]]:
            found: dict[str, tuple[str, str]] = {}
            for start in range(0, len(chunk_ids), 500):
                batch = list(chunk_ids[start : start + 500])
                query = select(chunk.c.chunk_id, chunk.c.job_id, chunk.c.status)
                rows = conn.execute(query.where(chunk.c.chunk_id.in_(batch))).all()
                found |= {row.chunk_id: (row.job_id, row.status) for row in rows}
            return found

        return self._base.db.read(work)

    def committed(self, pipeline_key: str, epoch: int | None = None) -> Holding:
        """Return counts of a pipeline's committed chunks and rows, to compare with a target's counts.

        Those of one ``epoch``, or of all. The result includes the identity of the target that the pipeline
        recorded last, in whatever epoch.
        """
        of = {"key": pipeline_key}

        def work(conn: Connection) -> Holding:
            found = (
                _COMMITTED_EVER.first(conn, of)
                if epoch is None
                else _COMMITTED_IN.first(conn, of | {"epoch": epoch})
            )
            into = _WRITTEN_TO.first(conn, of)
            target = into.target_id if into is not None else None
            return Holding(
                int(found.chunks), found.least, found.greatest, int(found.loaded or 0), target=target
            )

        return self._base.db.read(work)

    def committed_chunks(self, pipeline_key: str, epoch: int | None = None) -> list[tuple[Chunk, int]]:
        """Return a pipeline's committed chunks with their numbers of rows, in the order of their plans.

        Those of one ``epoch``, or of all.
        """
        query = (
            select(chunk.c.body, chunk.c.rows_loaded)
            .join(job, job.c.job_id == chunk.c.job_id)
            .where(job.c.pipeline_key == pipeline_key, among(chunk.c.status, (COMMITTED, VERIFIED)))
            .order_by(job.c.epoch, chunk.c.chunk_no)
        )
        if epoch is not None:
            query = query.where(job.c.epoch == epoch)
        rows = self._base.db.read(lambda conn: conn.execute(query).all())
        return [(chunk_from_json(row[0]), int(row[1] or 0)) for row in rows]

    def open_epoch(self, pipeline_key: str) -> int | None:
        """Return the number of a pipeline's newest epoch that is planned and not closed.

        None if there is none.
        """
        row = self._base.db.read(lambda conn: _OPEN_EPOCH.first(conn, {"key": pipeline_key}))
        found: int | None = row.epoch
        return found

    def unstaged(self, chunk_ids: Collection[str]) -> set[str]:
        """Return the ids of those chunks that had a staged file which was removed."""
        query = select(artifact.c.chunk_id).where(
            artifact.c.chunk_id.in_(sorted(chunk_ids)), artifact.c.state == "DELETED"
        )
        return self._base.db.read(lambda conn: set(conn.execute(query.distinct()).scalars()))

    def file_chunks(self, pipeline_key: str) -> list[Chunk]:
        """Return every chunk that stands for files and was planned for a pipeline, oldest first.

        Superseded chunks are left out.
        """
        query = (
            select(chunk.c.body)
            .select_from(chunk.join(job, job.c.job_id == chunk.c.job_id))
            .where(
                job.c.pipeline_key == pipeline_key,
                chunk.c.bound_kind == "file",
                chunk.c.status != "superseded",
            )
            .order_by(job.c.epoch, chunk.c.created_on, chunk.c.chunk_no)
        )
        bodies = self._base.db.read(lambda conn: conn.execute(query).scalars().all())
        return [chunk_from_json(body) for body in bodies]

    def chunk(self, chunk_id: str) -> Chunk:
        """Return one chunk as it was planned; raise an error if it is not recorded."""
        query = select(chunk.c.body).where(chunk.c.chunk_id == chunk_id)
        return chunk_from_json(self._base.db.read(lambda conn: str(conn.execute(query).scalar_one())))

    def unverified(self, job_id: str) -> list[tuple[Chunk, int]]:
        """Return the job's committed chunks that are not verified, each with its number of loaded rows."""
        query = select(chunk.c.body, chunk.c.rows_loaded).where(
            chunk.c.job_id == job_id, chunk.c.status == "committed"
        )
        rows = self._base.db.read(lambda conn: conn.execute(query).all())
        return [(chunk_from_json(row[0]), int(row[1] or 0)) for row in rows]

    def row_count(self, job_id: str) -> RowCount:
        """Return how many rows the job's newest plan counted, and how many rows its chunks read."""
        mine = select(chunk.c.body).where(chunk.c.job_id == job_id, chunk.c.status != SUPERSEDED)
        sums = select(
            func.coalesce(func.sum(chunk.c.rows_extracted), 0),
            func.coalesce(func.sum(case((chunk.c.status.in_((COMMITTED, VERIFIED)), 0), else_=1)), 0),
            func.coalesce(func.sum(case((chunk.c.receipt.like('%"anew":true%'), 1), else_=0)), 0),
        ).where(chunk.c.job_id == job_id, chunk.c.status != SUPERSEDED)

        def work(conn: Connection) -> RowCount:
            body = conn.execute(mine.order_by(chunk.c.chunk_no.desc()).limit(1)).scalar()
            last = chunk_from_json(body) if body is not None else None
            if last is None or last.rows_in_all is None:
                return RowCount(None, 0, held=False)
            rows, other, anew = conn.execute(sums.where(chunk.c.chunk_no >= last.first_number)).one()
            if other:
                return RowCount(None, int(rows), held=False)
            return RowCount(last.rows_in_all, int(rows), held=last.snapshot is not None and not anew)

        return self._base.db.read(work)

    def filtered(self, job_id: str) -> int:
        """Return how many rows the job's committed chunks left out; in mode sync, how many they deleted."""
        query = select(func.coalesce(func.sum(chunk.c.rows_filtered), 0)).where(
            chunk.c.job_id == job_id, among(chunk.c.status, (COMMITTED, VERIFIED))
        )
        return int(self._base.db.read(lambda conn: conn.execute(query).scalar()) or 0)

    def last_reading(self, pipeline_key: str) -> Reading | None:
        """Return what a pipeline's newest planned and ended epoch found and read.

        None if nothing is recorded. With chunks that are dead, waived or replaced by others (``hdm reload``),
        all that was planned counts as read: dead letters and the other chunks record the rest.
        """
        query = (
            select(job.c.job_id, job.c.epoch, job.c.reading, job.c.snapshot_token, job.c.started_at)
            .where(job.c.pipeline_key == pipeline_key, job.c.planned == 1)
            .where(job.c.status.in_(("success", "failure")))
            .order_by(job.c.epoch.desc())
            .limit(1)
        )

        def work(conn: Connection) -> Reading | None:
            row = conn.execute(query).one_or_none()
            if row is None or row.reading is None:
                return None
            kept = json.loads(row.reading)
            apart = set(kept["apart"])
            mine = select(chunk.c.chunk_no, chunk.c.status, chunk.c.rows_extracted).where(
                chunk.c.job_id == row.job_id, chunk.c.generation == 0, chunk.c.chunk_no >= kept["first"]
            )
            parts = [one for one in conn.execute(mine) if one.chunk_no not in apart]
            read = sum(int(one.rows_extracted or 0) for one in parts)
            if any(one.status not in (COMMITTED, VERIFIED) for one in parts):
                read = int(kept.get("again", 0)) + int(kept.get("ranges", 0))
            return Reading(kept, row.snapshot_token, read, _is_unclear(conn, pipeline_key, row))

        return self._base.db.read(work)

    def is_open(self, pipeline_key: str) -> bool:
        """Return True if a pipeline has an epoch that is not closed, else False."""
        return self._base.db.read(lambda conn: _OPEN.first(conn, {"key": pipeline_key})) is not None

    def moved_nothing(self, pipeline_key: str) -> bool:
        """Return True if no chunk of the pipeline ever had a row, and none was waived."""
        return self._base.db.read(lambda conn: _MOVED.first(conn, {"key": pipeline_key})) is None

    def _jobs(self, query: Select[Any]) -> list[Job]:
        def work(conn: Connection) -> list[Job]:
            return [self._base.job_of(conn, row, row.run_id) for row in conn.execute(query).all()]

        return self._base.db.read(work)


def _is_unclear(conn: Connection, pipeline_key: str, newest: Any) -> bool:
    """Return whether chunks may have read rows that came below the watermark after the ``newest`` plan.

    That is so while chunks of the pipeline are unread, or were read after that plan was made.
    """
    later = or_(
        chunk.c.status.not_in((COMMITTED, VERIFIED, WAIVED)),
        and_(job.c.epoch < newest.epoch, chunk.c.updated_on >= newest.started_at),
        and_(job.c.epoch == newest.epoch, chunk.c.generation > 0),
    )
    query = (
        select(func.count())
        .join(job, job.c.job_id == chunk.c.job_id)
        .where(job.c.pipeline_key == pipeline_key, chunk.c.status != SUPERSEDED, later)
    )
    return bool(conn.execute(query).scalar())
