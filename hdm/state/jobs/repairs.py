"""Records syncs and repairs of tables: events with counts, never with values of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from hdm.state.db.tables import job
from hdm.state.tx.context import Base


def synced(base: Base, run_id: str, facts: Mapping[str, Any], *, begins: bool) -> None:
    """Record in a run that a sync of two tables begins, or what it found and did."""
    kind = "table.syncing" if begins else "table.synced"
    base.change(run_id, lambda tx: tx.event(kind, **facts))


def repair(base: Base, job_id: str, facts: Mapping[str, Any], *, begins: bool) -> None:
    """Record that a repair of a job's target begins, or what it found and did.

    The event belongs to the run that last worked on the job.
    """
    kind = "table.repairing" if begins else "table.repaired"
    run_id = base.db.read(lambda conn: base.run_of(conn, job_id))
    base.change(run_id, lambda tx: tx.event(kind, job=job_id, **facts))


def newest_job(base: Base, pipeline_key: str) -> str | None:
    """Return the id of the newest job of a pipeline; None if it has none."""
    query = (
        select(job.c.job_id).where(job.c.pipeline_key == pipeline_key).order_by(job.c.epoch.desc()).limit(1)
    )
    return base.db.read(lambda conn: conn.execute(query).scalar())
