"""Opens the job of an epoch, stores its plan once, and closes it when all its chunks are settled."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from hdm import failpoints
from hdm.errors import IllegalTransition
from hdm.model import Chunk
from hdm.model.json import table_to_json
from hdm.state.chunks import watermarks
from hdm.state.db.database import among, locked
from hdm.state.db.tables import chunk, column_lineage, job, job_upstream, run_job
from hdm.state.jobs import replacing
from hdm.state.records import DEAD, OPEN_JOB, UNFINISHED, Job, JobInfo
from hdm.state.tx import datasets, job_rows
from hdm.state.tx.chunk_rows import pending_row
from hdm.state.tx.context import JOB_COLUMNS, Base
from hdm.state.tx.seals import PLANNED, Sum
from hdm.state.tx.transaction import Tx

_BATCH = 500


def open_job(
    base: Base, run_id: str, info: JobInfo, go_past: Callable[[Tx, str, JobInfo], bool] | None = None
) -> Job:
    """Return the job of the pipeline's open epoch; without one, open the next epoch.

    A new job has the status 'planning'. ``go_past`` is called for a failed epoch and returns True if the next
    one may open although that one is open; None: it may not.
    """

    def work(tx: Tx) -> Job:
        found = tx.conn.execute(
            locked(
                select(job)
                .where(job.c.pipeline_key == info.pipeline_key)
                .order_by(job.c.epoch.desc())
                .limit(1),
                job,
            )
        ).mappings().one_or_none()  # fmt: skip
        newest = None if found is None else dict(found)
        adopted = newest is not None and newest["status"] in OPEN_JOB
        if newest is not None and newest["status"] == "failure" and go_past is not None:
            adopted = not go_past(tx, newest["job_id"], info)
        is_news = True
        if adopted and newest is not None:
            job_id: str = newest["job_id"]
            sealed = _adopt(tx, newest, info)
            is_news = "columns" in sealed or sealed["seal"] != job_rows.seal(newest)
            base.forget(job_id)
        else:
            job_id, sealed = _create(tx, info, 1 if newest is None else newest["epoch"] + 1)
        known = select(run_job.c.job_id).where(run_job.c.run_id == run_id, run_job.c.job_id == job_id)
        kind = "job.adopted" if adopted else "job.opened"
        if tx.conn.execute(known).first() is None:
            tx.conn.execute(insert(run_job), {"run_id": run_id, "job_id": job_id, "joined_at": tx.now})
        elif is_news:
            kind = "job.altered"
        else:
            kind = ""
        if kind:
            tx.event(
                kind, job=job_id, pipeline=info.pipeline_key, stage=info.stage_no,
                upstream=sorted(set(info.upstream_keys)), schemas=tx.recorded.told(), **sealed,
            )  # fmt: skip
        row = tx.conn.execute(select(*JOB_COLUMNS).where(job.c.job_id == job_id)).one()
        return base.job_of(tx.conn, row, run_id, adopted=adopted)

    return base.change(run_id, work)


def reread(base: Base, of: Job) -> Job:
    """Return a job as it is recorded now, even if it is closed."""

    def work(conn: Connection) -> Job:
        row = conn.execute(select(*JOB_COLUMNS).where(job.c.job_id == of.job_id)).one()
        return base.job_of(conn, row, of.in_run, adopted=of.adopted)

    return base.db.read(work)


def skip_epochs(base: Base, of: Job, epoch: int, snapshot: str | None) -> Job:
    """Give an unplanned job the epoch number ``epoch``, if that is greater than its own; return the job.

    A planned job is returned unchanged. ``snapshot`` is the one under which the chunks taken over from the
    ledger were read, None if not known.
    """

    def work(tx: Tx) -> None:
        now = job_rows.hold(tx, of.job_id)
        if now["planned"] or now["status"] != "planning":
            return
        values = {"epoch": max(of.epoch, epoch), "snapshot_token": snapshot}
        sealed = job_rows.change(tx, now, values)
        tx.event("job.rebuilt", job=of.job_id, epoch=values["epoch"], seal=sealed)

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


def _create(tx: Tx, info: JobInfo, epoch: int) -> tuple[str, dict[str, Any]]:
    """Insert a job; return its id, and the seals of the rows written."""
    job_id = uuid.uuid4().hex
    row = {
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
        "planned": 0,
        "status": "planning",
        "started_at": tx.now,
        **_tables(tx, info),
    }
    tx.conn.execute(insert(job), row)
    _set_upstream(tx, job_id, info)
    columns = datasets.lineage_of_columns(tx, job_id, info)
    return job_id, {"seal": job_rows.seal(row), "columns": columns.told()}


def _adopt(tx: Tx, held: Mapping[str, Any], info: JobInfo) -> dict[str, Any]:
    """Update an adopted job to the present manifest; return the seals.

    Its tables change only while nothing is planned on them.
    """
    job_id, planning = str(held["job_id"]), held["status"] == "planning"
    values: dict[str, object] = {
        "site": info.site,
        "max_parallel": info.max_parallel,
        "stage_no": info.stage_no,
        "link_key": info.link_key,
    }
    if planning:
        values |= _tables(tx, info)
    sealed: dict[str, Any] = {"seal": job_rows.change(tx, held, values)}
    _set_upstream(tx, job_id, info)
    if planning:
        tx.conn.execute(delete(column_lineage).where(column_lineage.c.job_id == job_id))
        sealed["columns"] = datasets.lineage_of_columns(tx, job_id, info).told()
    return sealed


def note_failure(base: Base, run_id: str, pipeline_key: str, text: str) -> None:
    """Record in a run why a pipeline's job could not be planned; secrets in the text are masked."""

    def work(tx: Tx) -> None:
        mine = select(job.c.job_id).join(run_job, run_job.c.job_id == job.c.job_id)
        mine = mine.where(run_job.c.run_id == run_id, job.c.pipeline_key == pipeline_key)
        newest = tx.conn.execute(mine.order_by(job.c.epoch.desc()).limit(1)).scalar()
        tx.event("job.failed", job=newest, pipeline=pipeline_key, message=text)

    base.change(run_id, work)


def last_closed(base: Base, pipeline_key: str) -> Job | None:
    """Return the pipeline's newest job that was closed with success; None if there is none."""
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
    target_id: str | None = None,
) -> bool:
    """Store all chunks of an epoch at once; return True if the epoch is planned then.

    If another process has planned it already, nothing is changed. Returns False if the epoch is closed unread
    instead, because links of ``unless_loading`` still load the last epoch. ``low`` and ``high`` are the
    limits of its window.
    """

    def work(tx: Tx) -> bool:
        before = job_rows.hold(tx, planned.job_id)
        if before["planned"] or before["status"] != "planning":
            return bool(before["planned"])
        if unless_loading:
            replacing.hold(tx.conn, planned.pipeline_key)
            if replacing.is_loading(tx.conn, planned.pipeline_key, unless_loading, begun=True):
                return not replacing.close_unread(tx, planned)
        added = insert_pending(tx, planned.job_id, chunks)
        values = {
            "planned": 1, "status": "in_progress", "snapshot_token": snapshot, "wm_low": low,
            "wm_high_frozen": high, "reading": None if reading is None else json.dumps(reading),
            "target_id": target_id,
        }  # fmt: skip
        sealed = job_rows.change(tx, before, values)
        said: dict[str, Any] = {"differs": list(reading["said"])} if reading and reading["said"] else {}
        tx.event(
            "job.planned", job=planned.job_id, was="planning", now="in_progress", chunks=len(chunks),
            added=added.number, plan=added.told(), seal=sealed, **said,
        )  # fmt: skip
        return True

    whole = base.change(planned.in_run, work)
    failpoints.point("R4")
    return whole


def retarget(base: Base, of: Job, target_id: str | None) -> None:
    """Record that a planned epoch's job writes into another target.

    ``target_id`` is the new target's id. The caller has made sure that nothing of the epoch is committed.
    """

    def work(tx: Tx) -> None:
        sealed = job_rows.change(tx, job_rows.hold(tx, of.job_id), {"target_id": target_id})
        tx.event("job.retargeted", job=of.job_id, target=target_id, seal=sealed)

    base.change(of.in_run, work)


def insert_pending(tx: Tx, job_id: str, chunks: Sequence[Chunk]) -> Sum:
    """Insert those chunks that are not in the database yet; return the sum of their seals (row digests)."""
    added = Sum()
    for start in range(0, len(chunks), _BATCH):
        batch = {one.chunk_id: one for one in chunks[start : start + _BATCH]}
        known = set(
            tx.conn.execute(select(chunk.c.chunk_id).where(chunk.c.chunk_id.in_(list(batch)))).scalars()
        )
        rows = [pending_row(one, job_id, tx.now) for key, one in batch.items() if key not in known]
        if rows:
            tx.conn.execute(insert(chunk), rows)
            for row in rows:
                added.add("chunk", PLANNED, row)
    return added


def counts(base: Base, job_id: str) -> dict[str, int]:
    """Return how many chunks of the job are in each status; a status without chunks is left out."""
    query = select(chunk.c.status, func.count()).where(chunk.c.job_id == job_id).group_by(chunk.c.status)
    return base.db.read(lambda conn: {row[0]: row[1] for row in conn.execute(query).all()})


def close_job(base: Base, job_id: str) -> str:
    """Close a job with 'success'; with 'failure', and its epoch still open, if a chunk is dead.

    Returns which of the two. Raises ``IllegalTransition`` while a chunk is unfinished or nothing is planned.
    """

    def work(tx: Tx) -> str:
        row = job_rows.hold(tx, job_id)
        if row["status"] == "success":
            return "success"
        left = (
            select(chunk.c.status, func.count())
            .where(chunk.c.job_id == job_id, among(chunk.c.status, (*UNFINISHED, DEAD)))
            .group_by(chunk.c.status)
        )
        found: dict[str, int] = {one[0]: one[1] for one in tx.conn.execute(left)}
        if not row["planned"] or any(found.get(status) for status in UNFINISHED):
            raise IllegalTransition(
                f"job {job_id} cannot be closed: it is not planned or has unfinished chunks",
                hint="run the manifest again to finish them",
            )
        status = "failure" if found.get(DEAD) else "success"
        sealed = job_rows.change(tx, row, {"status": status, "ended_at": tx.now})
        if status == "success":
            watermarks.forget_left(tx, row["pipeline_key"])
        tx.event(
            "job.closed", job=job_id, was=row["status"], now=status, dead=found.get(DEAD, 0), seal=sealed
        )
        return status

    run_id = base.db.read(lambda conn: base.run_of(conn, job_id))
    return base.change(run_id, work)
