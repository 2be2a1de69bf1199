"""Queries for people about a run's workers and about waived chunks; they change nothing."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from hdm.model.modes import READ_EVERYTHING
from hdm.state.db import clock
from hdm.state.db.database import among
from hdm.state.db.tables import chunk, dataset, dead_letter, job, run, run_job, worker
from hdm.state.records import WAIVED
from hdm.state.tx.context import Base


class Process(NamedTuple):
    """A process that worked on a run.

    ``silent``: seconds since its last heartbeat. ``state``: 'alive' as far as the state database knows,
    'retired' if it ended normally, or 'dead'.
    """

    host: str
    pid: int
    start_token: str
    since: str
    heard: str
    silent: float
    state: str


def of_manifest(name: str, env: str, links: Collection[str]) -> ColumnElement[bool]:
    """Return the SQL condition that a run is of this manifest.

    A run is of the manifest if it has the manifest's name and environment, or a job of one of ``links``.
    ``links`` are link keys, which stay the same when a manifest is renamed.
    """
    named = and_(run.c.manifest_name == name, run.c.env == env)
    if not links:
        return named
    linked = (
        select(run_job.c.run_id)
        .join(job, job.c.job_id == run_job.c.job_id)
        .where(job.c.link_key.in_(sorted(links)))
    )
    return or_(named, run.c.run_id.in_(linked))


def jobs_of(name: str, env: str, links: Collection[str]) -> Select[Any]:
    """Return the query for the ids of the jobs in a manifest's runs, as ``of_manifest`` finds the runs."""
    return (
        select(run_job.c.job_id)
        .join(run, run.c.run_id == run_job.c.run_id)
        .where(of_manifest(name, env, links))
    )


class Standing:
    """Queries for a run's processes and for chunks that somebody waived; part of ``Reports``."""

    _base: Base

    def processes(self, run_id: str) -> list[Process]:
        """Return every process that worked on a run, in the order in which they began."""
        query = select(worker, clock.now.label("now")).where(worker.c.run_id == run_id)
        query = query.order_by(worker.c.started_at, worker.c.worker_id)

        def work(conn: Connection) -> list[Process]:
            return [
                Process(
                    row["host"], row["pid"], row["start_token"], row["started_at"], row["heartbeat_at"],
                    _seconds(row["heartbeat_at"], row["now"]), row["state"],
                )
                for row in conn.execute(query).mappings()
            ]  # fmt: skip

        return self._base.db.read(work)

    def waived(self, name: str, env: str, links: Collection[str] = ()) -> list[dict[str, Any]]:
        """Return a manifest's waived chunks, whose rows a person accepted as missing.

        Leaves out those of a table in mode ``replace`` that was read again since. ``links`` are the link keys
        of the manifest: its runs under an older name are then searched, too.
        """
        newest = (
            select(job.c.pipeline_key, func.max(job.c.epoch).label("epoch"))
            .group_by(job.c.pipeline_key)
            .subquery()
        )
        query = (
            select(
                dataset.c.name.label("table"), job.c.sink_name.label("sink"), chunk.c.chunk_id,
                dead_letter.c.resolved_by.label("by"),
                dead_letter.c.resolved_at.label("at"), dead_letter.c.reason,
            )
            .join(job, job.c.job_id == chunk.c.job_id)
            .join(newest, newest.c.pipeline_key == job.c.pipeline_key)
            .join(dataset, dataset.c.dataset_id == job.c.source_dataset_id)
            .outerjoin(
                dead_letter, (dead_letter.c.chunk_id == chunk.c.chunk_id) & (dead_letter.c.row_no == -1)
            )
            .where(
                chunk.c.status == WAIVED,
                chunk.c.bound_kind != "legacy",
                chunk.c.job_id.in_(jobs_of(name, env, links)),
                or_(~among(job.c.mode, READ_EVERYTHING), job.c.epoch == newest.c.epoch),
            )
            .order_by(dataset.c.name, chunk.c.chunk_no)
        )  # fmt: skip
        return self._base.db.read(lambda conn: [dict(row) for row in conn.execute(query).mappings()])


def _seconds(then: str, now: str) -> float:
    first, last = (datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (then, now))
    return max(0.0, (last - first).total_seconds())
