"""Records in the trail that a target was compared with its source, and what was found; no value of a row."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, func, select

from hdm.state.db.tables import job
from hdm.state.tx.context import Base
from hdm.state.tx.transaction import Tx

COMPARED = "job.compared"
"""The event that a comparison leaves in the chain of the run that opened the job."""


def newest_jobs(base: Base, pipelines: Collection[str]) -> dict[str, str]:
    """Return the id of each pipeline's newest job, by pipeline key; none for a pipeline without a job."""
    newest = (
        select(job.c.pipeline_key, func.max(job.c.epoch).label("epoch"))
        .where(job.c.pipeline_key.in_(sorted(pipelines)))
        .group_by(job.c.pipeline_key)
        .subquery()
    )
    query = select(job.c.pipeline_key, job.c.job_id).join(
        newest, (newest.c.pipeline_key == job.c.pipeline_key) & (newest.c.epoch == job.c.epoch)
    )
    return base.db.read(lambda conn: {row.pipeline_key: row.job_id for row in conn.execute(query).all()})


def record(base: Base, job_id: str, facts: Mapping[str, Any]) -> None:
    """Record that the target of a job was compared with its source, as an event of the job's first run."""

    def run_of(conn: Connection) -> str:
        return base.run_of(conn, job_id)

    def work(tx: Tx) -> None:
        tx.event(COMPARED, job=job_id, **facts)

    base.change(base.db.read(run_of), work)
