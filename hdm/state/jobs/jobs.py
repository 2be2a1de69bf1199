"""Jobs: an epoch is opened or adopted, planned once, and closed when everything is settled."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from hdm import failpoints
from hdm.errors import IllegalTransition
from hdm.model import Chunk
from hdm.model.json import table_to_json
from hdm.state.chunks import watermarks
from hdm.state.db.database import among, locked
from hdm.state.db.tables import chunk, column_lineage, job, job_upstream, run_job
from hdm.state.jobs import replacing
from hdm.state.records import DEAD, OPEN_JOB, UNFINISHED, Job, JobInfo
from hdm.state.tx import datasets
from hdm.state.tx.chunk_rows import pending_row
from hdm.state.tx.context import JOB_COLUMNS, Base
from hdm.state.tx.transaction import Tx

_BATCH = 500


def open_job(base: Base, run_id: str, info: JobInfo) -> Job:
    """The job whose epoch is open, adopted, or the next epoch's job, status 'planning'."""

    def work(tx: Tx) -> Job:
        newest = tx.conn.execute(
            locked(
                select(*JOB_COLUMNS)
                .where(job.c.pipeline_key == info.pipeline_key)
                .order_by(job.c.epoch.desc())
                .limit(1),
                job,
            )
        ).one_or_none()
        adopted = newest is not None and newest.job_status in OPEN_JOB
        if adopted and newest is not None:
            job_id: str = newest.job_id
            _adopt(tx, job_id, info, planning=newest.job_status == "planning")
            base.forget(job_id)
        else:
            job_id = _create(tx, info, 1 if newest is None else newest.epoch + 1)
        known = select(run_job.c.job_id).where(run_job.c.run_id == run_id, run_job.c.job_id == job_id)
        if tx.conn.execute(known).first() is None:
            tx.conn.execute(insert(run_job), {"run_id": run_id, "job_id": job_id, "joined_at": tx.now})
            kind = "job.adopted" if adopted else "job.opened"
            tx.event(kind, job=job_id, pipeline=info.pipeline_key, stage=info.stage_no)
        row = tx.conn.execute(select(*JOB_COLUMNS).where(job.c.job_id == job_id)).one()
        return base.job_of(tx.conn, row, run_id, adopted=adopted)

    return base.change(run_id, work)


def reread(base: Base, of: Job) -> Job:
    """The same epoch's job as it stands now, be it closed."""

    def work(conn: Connection) -> Job:
        row = conn.execute(select(*JOB_COLUMNS).where(job.c.job_id == of.job_id)).one()
        return base.job_of(conn, row, of.in_run, adopted=of.adopted)

    return base.db.read(work)


def skip_epochs(base: Base, of: Job, epoch: int, snapshot: str | None) -> Job:
    """Move an unplanned job on to ``epoch``, if that is later; ``snapshot`` is the one under which
    what is taken over from the ledger was read."""

    def work(tx: Tx) -> None:
        now = tx.conn.execute(locked(_state_of(of.job_id), job)).one()
        if now.planned or now.status != "planning":
            return
        values = {"epoch": max(of.epoch, epoch), "snapshot_token": snapshot}
        tx.conn.execute(update(job).where(job.c.job_id == of.job_id).values(values))
        tx.event("job.rebuilt", job=of.job_id, epoch=values["epoch"])

    base.change(of.in_run, work)
    return reread(base, of)


def _tables(tx: Tx, info: JobInfo) -> dict[str, object]:
    return {
        "source_dataset_id": info.source.dataset.dataset_id,
        "sink_dataset_id": info.target.dataset.dataset_id,
        "source_schema_version": datasets.register(tx, info.source),
        "sink_schema_version": datasets.register(tx, info.target),
        "source_table": table_to_json(info.source),
        "target_table": table_to_json(info.target),
        "losses": json.dumps([list(pair) for pair in info.losses]),
        "mode": info.mode.value,
    }


def _set_upstream(tx: Tx, job_id: str, info: JobInfo) -> None:
    tx.conn.execute(delete(job_upstream).where(job_upstream.c.job_id == job_id))
    keys = sorted(set(info.upstream_keys))
    if keys:
        tx.conn.execute(insert(job_upstream), [{"job_id": job_id, "upstream_key": key} for key in keys])


def _create(tx: Tx, info: JobInfo, epoch: int) -> str:
    job_id = uuid.uuid4().hex
    tables = _tables(tx, info)
    tx.conn.execute(
        insert(job),
        {
            "job_id": job_id,
            "run_id": tx.run_id,
            "pipeline_key": info.pipeline_key,
            "epoch": epoch,
            "link_key": info.link_key,
            "stage_no": info.stage_no,
            "source_name": info.source_name,
            "source_type": info.source_type,
            "sink_name": info.sink_name,
            "sink_type": info.sink_type,
            "site": info.site,
            "max_parallel": info.max_parallel,
            "status": "planning",
            "started_at": tx.now,
            **tables,
        },
    )
    _set_upstream(tx, job_id, info)
    datasets.lineage_of_columns(tx, job_id, info)
    return job_id


def _adopt(tx: Tx, job_id: str, info: JobInfo, *, planning: bool) -> None:
    """The manifest's present wishes; the tables only while nothing is planned on them."""
    values: dict[str, object] = {
        "site": info.site,
        "max_parallel": info.max_parallel,
        "stage_no": info.stage_no,
        "link_key": info.link_key,
    }
    if planning:
        values |= _tables(tx, info)
    tx.conn.execute(update(job).where(job.c.job_id == job_id).values(values))
    _set_upstream(tx, job_id, info)
    if planning:
        tx.conn.execute(delete(column_lineage).where(column_lineage.c.job_id == job_id))
        datasets.lineage_of_columns(tx, job_id, info)


def note_failure(base: Base, run_id: str, pipeline_key: str, text: str) -> None:
    """Record in the run why the pipeline's job could not be planned; the text is stored redacted."""

    def work(tx: Tx) -> None:
        mine = select(job.c.job_id).join(run_job, run_job.c.job_id == job.c.job_id)
        mine = mine.where(run_job.c.run_id == run_id, job.c.pipeline_key == pipeline_key)
        newest = tx.conn.execute(mine.order_by(job.c.epoch.desc()).limit(1)).scalar()
        tx.event("job.failed", job=newest, pipeline=pipeline_key, message=text)

    base.change(run_id, work)


def last_closed(base: Base, pipeline_key: str) -> Job | None:
    """The newest job of that key that was closed with success."""
    query = (
        select(*JOB_COLUMNS)
        .where(job.c.pipeline_key == pipeline_key, job.c.status == "success")
        .order_by(job.c.epoch.desc())
        .limit(1)
    )

    def work(conn: Connection) -> Job | None:
        row = conn.execute(query).one_or_none()
        return None if row is None else base.job_of(conn, row, row.run_id)

    return base.db.read(work)


def add_plan(
    base: Base,
    planned: Job,
    chunks: Sequence[Chunk],
    snapshot: str | None,
    low: str | None,
    high: str | None,
    unless_loading: Collection[str] = (),
    reading: Mapping[str, Any] | None = None,
) -> bool:
    """All chunks of the epoch at once; nothing, if another planner was first. False if the epoch is
    left, with nothing read, because links of ``unless_loading`` are still at the last epoch's."""

    def work(tx: Tx) -> bool:
        before = tx.conn.execute(locked(_state_of(planned.job_id), job)).one()
        if before.planned or before.status != "planning":
            return bool(before.planned)
        if unless_loading:
            replacing.hold(tx.conn, planned.pipeline_key)
            if replacing.is_loading(tx.conn, planned.pipeline_key, unless_loading, begun=True):
                return not replacing.leave(tx, planned)
        added = insert_pending(tx, planned.job_id, chunks)
        tx.conn.execute(
            update(job)
            .where(job.c.job_id == planned.job_id)
            .values(
                planned=1,
                status="in_progress",
                snapshot_token=snapshot,
                wm_low=low,
                wm_high_frozen=high,
                reading=None if reading is None else json.dumps(reading),
            )
        )
        said: dict[str, Any] = {"differs": list(reading["said"])} if reading and reading["said"] else {}
        tx.event(
            "job.planned", job=planned.job_id, was="planning", now="in_progress", chunks=len(chunks),
            added=added, **said,
        )  # fmt: skip
        return True

    whole = base.change(planned.in_run, work)
    failpoints.point("R4")
    return whole


def _state_of(job_id: str) -> Select[Any]:
    return select(job.c.planned, job.c.status, job.c.pipeline_key).where(job.c.job_id == job_id)


def insert_pending(tx: Tx, job_id: str, chunks: Sequence[Chunk]) -> int:
    """Insert those chunks that are not known yet; how many."""
    added = 0
    for start in range(0, len(chunks), _BATCH):
        batch = {one.chunk_id: one for one in chunks[start : start + _BATCH]}
        known = set(
            tx.conn.execute(select(chunk.c.chunk_id).where(chunk.c.chunk_id.in_(list(batch)))).scalars()
        )
        rows = [pending_row(one, job_id, tx.now) for key, one in batch.items() if key not in known]
        if rows:
            tx.conn.execute(insert(chunk), rows)
            added += len(rows)
    return added


def counts(base: Base, job_id: str) -> dict[str, int]:
    """How many chunks of the job are in each status."""
    query = select(chunk.c.status, func.count()).where(chunk.c.job_id == job_id).group_by(chunk.c.status)
    return base.db.read(lambda conn: {row[0]: row[1] for row in conn.execute(query).all()})


def close_job(base: Base, job_id: str) -> str:
    """'success' closes the epoch; 'failure' (a dead chunk) leaves it open.

    Raises ``IllegalTransition`` while a chunk is unfinished or nothing is planned.
    """

    def work(tx: Tx) -> str:
        row = tx.conn.execute(locked(_state_of(job_id), job)).one()
        if row.status == "success":
            return "success"
        left = (
            select(chunk.c.status, func.count())
            .where(chunk.c.job_id == job_id, among(chunk.c.status, (*UNFINISHED, DEAD)))
            .group_by(chunk.c.status)
        )
        found: dict[str, int] = {one[0]: one[1] for one in tx.conn.execute(left)}
        if not row.planned or any(found.get(status) for status in UNFINISHED):
            raise IllegalTransition(
                f"job {job_id} cannot be closed: it is not planned or has unfinished chunks",
                hint="run the manifest again to finish them",
            )
        status = "failure" if found.get(DEAD) else "success"
        tx.conn.execute(update(job).where(job.c.job_id == job_id).values(status=status, ended_at=tx.now))
        if status == "success":
            watermarks.forget_left(tx, row.pipeline_key)
        tx.event("job.closed", job=job_id, was=row.status, now=status, dead=found.get(DEAD, 0))
        return status

    run_id = base.db.read(lambda conn: base.run_of(conn, job_id))
    return base.change(run_id, work)
