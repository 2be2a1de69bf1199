"""Records runs and their worker processes, and finds out which processes are dead."""

from __future__ import annotations

import json
import uuid
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, union_all, update

from hdm import failpoints
from hdm.state.db import clock
from hdm.state.db.database import among
from hdm.state.db.tables import chunk, event, job, lease, run, run_job, worker
from hdm.state.jobs import opening
from hdm.state.records import HELD, Job, RunInfo
from hdm.state.tx import seals
from hdm.state.tx.context import JOB_COLUMNS, Base
from hdm.state.tx.transaction import Tx

_BEAT = (
    update(worker)
    .where(worker.c.worker_id == bindparam("worker"), worker.c.state != "retired")
    .values(heartbeat_at=clock.now, state="alive")
)
_HELD_BY = union_all(
    *(
        select(chunk.c.chunk_id, chunk.c.job_id, chunk.c.attempt, chunk.c.status)
        .join(run_job, run_job.c.job_id == chunk.c.job_id)
        .where(
            run_job.c.run_id == bindparam("run"),
            chunk.c.status == held,
            chunk.c.lease_owner == bindparam("dead"),
        )
        for held in HELD
    )
)
"""Query for the chunks that a worker of the run has leased; uses the index of its jobs' chunks."""


def open_run(base: Base, info: RunInfo) -> str:
    """Record a new run and return its id.

    The manifest's last run in this environment becomes 'aborted' if it is still in progress and has no live
    worker.
    """
    failpoints.point("R1")
    run_id = uuid.uuid4().hex
    before = base.db.run(lambda conn: _insert(base, conn, run_id, info))
    if before is not None:
        base.change(before, lambda tx: _abort(tx, run_id))
    failpoints.point("R2")
    return run_id


def _insert(base: Base, conn: Connection, run_id: str, info: RunInfo) -> str | None:
    newest = conn.execute(
        select(run.c.run_id, run.c.status)
        .where(run.c.manifest_name == info.manifest_name, run.c.env == info.env)
        .order_by(run.c.started_at.desc())
        .limit(1)
    ).one_or_none()
    before = None
    if newest is not None and newest.status != "success":
        in_use = newest.status == "in_progress" and _alive(base, conn, newest.run_id)
        before = None if in_use else newest.run_id
    opening.begin(
        base,
        conn,
        {
            "run_id": run_id,
            "resumed_from": before,
            "manifest_name": info.manifest_name,
            "manifest_sha256": info.manifest_sha256,
            "git_sha": info.git_sha,
            "git_dirty": int(info.git_dirty),
            "hdm_version": info.hdm_version,
            "env": info.env,
            "started_by": info.started_by,
            "host": info.host,
            "status": "in_progress",
        },
        info.manifest_text,
        {"selected": info.selected, "refreshed": info.refreshed},
    )
    return before if newest is not None and newest.status == "in_progress" else None


def _alive(base: Base, conn: Connection, run_id: str) -> bool:
    count = select(func.count()).where(
        worker.c.run_id == run_id, worker.c.state == "alive", worker.c.heartbeat_at > clock.later
    )
    return bool(conn.execute(count, {"later_ms": -base.ttl_ms}).scalar())


def _abort(tx: Tx, by: str) -> None:
    gone = tx.conn.execute(
        update(run)
        .where(run.c.run_id == tx.run_id, run.c.status == "in_progress")
        .values(status="aborted", ended_at=tx.now)
    )
    if gone.rowcount:
        end = {"status": "aborted", "ended_at": tx.now}
        tx.event(
            "run.aborted", was="in_progress", now="aborted", resumed_by=by,
            seal=seals.seal("run", seals.RUN_END, end),
        )  # fmt: skip


def asked_for(base: Base, run_id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the patterns of the tables that a run moves, and of those that it reads as a whole.

    Both are empty if it moves all tables.
    """
    first = select(event.c.payload).where(event.c.run_id == run_id, event.c.seq == 1)
    told = base.db.read(lambda conn: conn.execute(first).scalar())
    payload = json.loads(told) if told else {}
    return tuple(payload.get("selected", ())), tuple(payload.get("refreshed", ()))


def close_run(base: Base, run_id: str, status: str, error_class: str | None, error_msg: str | None) -> None:
    """Record the end of a run with ``status``; secrets in the message are masked."""

    def work(tx: Tx) -> None:
        was = tx.conn.execute(select(run.c.status).where(run.c.run_id == run_id)).scalar()
        message = base.mask(error_msg) if error_msg else None
        end = {"status": status, "ended_at": tx.now, "error_class": error_class, "error_msg": message}
        tx.conn.execute(update(run).where(run.c.run_id == run_id).values(end))
        tx.event(
            "run.closed", was=was, now=status, error_class=error_class,
            seal=seals.seal("run", seals.RUN_END, end),
        )  # fmt: skip

    base.change(run_id, work)


def latest_run(base: Base, manifest_name: str, env: str) -> str | None:
    """Return the id of the newest run of a manifest in an environment; None if there is none."""
    query = (
        select(run.c.run_id)
        .where(run.c.manifest_name == manifest_name, run.c.env == env)
        .order_by(run.c.started_at.desc())
        .limit(1)
    )
    return base.db.read(lambda conn: conn.execute(query).scalar())


def run_jobs(base: Base, run_id: str) -> list[Job]:
    """Return the jobs that take part in a run, upstream before downstream."""
    query = (
        select(*JOB_COLUMNS)
        .join(run_job, run_job.c.job_id == job.c.job_id)
        .where(run_job.c.run_id == run_id)
        .order_by(job.c.stage_no, job.c.pipeline_key)
    )

    def work(conn: Connection) -> list[Job]:
        return [base.job_of(conn, row, run_id) for row in conn.execute(query).all()]

    return base.db.read(work)


def register_worker(
    base: Base, run_id: str, host: str, pid: int, start_token: str, version: str, site: str | None
) -> str:
    """Record a worker process of a run, and return the worker's id."""
    worker_id = uuid.uuid4().hex

    def work(tx: Tx) -> None:
        row = {
            "worker_id": worker_id,
            "run_id": run_id,
            "host": host,
            "pid": pid,
            "start_token": start_token,
            "hdm_version": version,
            "site": site,
            "started_at": tx.now,
            "heartbeat_at": tx.now,
            "state": "alive",
        }
        tx.conn.execute(insert(worker), row)
        tx.event(
            "worker.registered", worker=worker_id, host=host, pid=pid, site=site,
            seal=seals.seal("worker", seals.WORKER, row),
        )  # fmt: skip

    base.change(run_id, work)
    base.worker_id = worker_id
    return worker_id


def heartbeat(base: Base, worker_id: str) -> None:
    """Record that a worker is alive now."""
    base.db.run(lambda conn: conn.execute(_BEAT, {"worker": worker_id}))


def retire_worker(base: Base, worker_id: str) -> None:
    """Record that a worker has ended normally."""

    def work(tx: Tx) -> None:
        left = tx.conn.execute(
            update(worker)
            .where(worker.c.worker_id == worker_id, worker.c.state != "retired")
            .values(state="retired", heartbeat_at=tx.now)
        )
        if left.rowcount:
            tx.event("worker.retired", worker=worker_id)

    run_id = base.db.read(
        lambda conn: conn.execute(select(worker.c.run_id).where(worker.c.worker_id == worker_id)).scalar()
    )
    if run_id is not None:
        base.change(run_id, work)


def workers(base: Base, host: str) -> list[tuple[str, int, str, str]]:
    """Return ``(worker_id, pid, start_token, state)`` of each worker of a host that is recorded as alive.

    Such a process may still have died.
    """
    query = select(worker.c.worker_id, worker.c.pid, worker.c.start_token, worker.c.state).where(
        worker.c.host == host, worker.c.state == "alive"
    )
    return base.db.read(lambda conn: [(r[0], r[1], r[2], r[3]) for r in conn.execute(query).all()])


def take_over(base: Base, worker_ids: list[str]) -> int:
    """Record that these workers are dead and end their leases; return how many chunks are free again.

    One transaction for each worker.
    """
    if not worker_ids:
        return 0
    rows = base.db.read(
        lambda conn: conn.execute(
            select(worker.c.run_id, worker.c.worker_id)
            .where(worker.c.worker_id.in_(worker_ids))
            .order_by(worker.c.run_id, worker.c.worker_id)
        ).all()
    )
    freed = 0
    for run_id, worker_id in rows:

        def work(tx: Tx, dead: str = worker_id) -> int:
            return _bury(tx, dead)

        freed += base.change(run_id, work)
    return freed


def _bury(tx: Tx, dead: str) -> int:
    tx.conn.execute(update(worker).where(worker.c.worker_id == dead).values(state="dead"))
    held: list[Any] = sorted(tx.conn.execute(_HELD_BY, {"run": tx.run_id, "dead": dead}).all())
    freed = 0
    for row in held:
        done = tx.conn.execute(
            update(chunk)
            .where(
                chunk.c.chunk_id == row.chunk_id,
                chunk.c.attempt == row.attempt,
                chunk.c.lease_owner == dead,
                among(chunk.c.status, HELD),
            )
            .values(lease_expires_at=tx.now, updated_on=tx.now)
        )
        if done.rowcount:
            freed += 1
            tx.event(
                "lease.taken_over", job=row.job_id, chunk=row.chunk_id, worker=dead,
                attempt=row.attempt, was=row.status, now=row.status,
            )  # fmt: skip
    failpoints.point("H2")
    tx.conn.execute(
        update(lease).where(lease.c.owner.startswith(f"{dead}/", autoescape=True)).values(expires_at=tx.now)
    )
    if not held:
        tx.event("worker.dead", worker=dead)
    return freed
