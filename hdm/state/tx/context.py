"""Shares the database, the mask for secrets and a cache of jobs among all parts of the state."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, bindparam, select

from hdm.errors import StateError
from hdm.model import Mode
from hdm.model.json import table_from_json
from hdm.state.db.database import Database
from hdm.state.db.statements import Prepared, Query
from hdm.state.db.tables import job, job_upstream, run_job
from hdm.state.records import Job, JobInfo
from hdm.state.redaction import Redact
from hdm.state.tx.transaction import Tx

T = TypeVar("T")

JOB_COLUMNS: tuple[ColumnElement[Any], ...] = (
    job.c.job_id, job.c.run_id, job.c.pipeline_key, job.c.link_key, job.c.epoch,
    job.c.status.label("job_status"), job.c.planned, job.c.snapshot_token,
)  # fmt: skip
_JOB = Prepared(select(job).where(job.c.job_id == bindparam("of")))
_UPSTREAM = Prepared(
    select(job_upstream.c.upstream_key)
    .where(job_upstream.c.job_id == bindparam("of"))
    .order_by(job_upstream.c.upstream_key)
)


class Base:
    """Access to the state database, shared by all parts of one ``StateManager``.

    ``instance`` and ``worker_id`` name this process in leases.
    """

    def __init__(self, db: Database, mask: Redact, lease_ttl: float) -> None:
        self.db, self.mask, self.lease_ttl = db, mask, lease_ttl
        self.instance = uuid.uuid4().hex[:16]
        self.worker_id: str | None = None
        self.idle = False
        self.looked: dict[tuple[str, str | None], float] = {}
        self._infos: dict[str, JobInfo] = {}
        self._guard = threading.Lock()

    @property
    def ttl_ms(self) -> int:
        """How long a lease lasts, in milliseconds."""
        return int(self.lease_ttl * 1000)

    def change(
        self,
        run_id: str,
        work: Callable[[Tx], T],
        hold: str | None = None,
        ask: Mapping[str, Query] | None = None,
    ) -> T:
        """Run ``work`` in one write transaction that records its events, and return its result.

        The events are recorded for run ``run_id``. ``hold`` is a chunk to lock at once; its row is
        ``tx.chunk_row``. The queries of ``ask`` are sent in the same round trip; their rows are
        ``tx.answers``.
        """

        def once(conn: Connection) -> T:
            tx = Tx(conn, run_id, self.mask, hold, ask)
            result = work(tx)
            tx.finish(last=True)
            return result

        return self.db.run(once)

    def job_of(self, conn: Connection, row: Any, in_run: str, *, adopted: bool = True) -> Job:
        """Return the ``Job`` for a database row with the columns ``JOB_COLUMNS``.

        ``in_run`` is the run that asks for it now. ``adopted``: its epoch was open before that run asked.
        """
        return Job(
            job_id=row.job_id,
            run_id=row.run_id,
            pipeline_key=row.pipeline_key,
            link_key=row.link_key,
            epoch=row.epoch,
            status=row.job_status,
            planned=bool(row.planned),
            adopted=adopted,
            info=self.info(conn, row.job_id),
            snapshot=row.snapshot_token,
            in_run=in_run,
        )

    def info(self, conn: Connection, job_id: str) -> JobInfo:
        """Return a job's description as it was planned, without ``origins``; kept in a cache once read."""
        found = self._infos.get(job_id)
        if found is None:
            found = _load_info(conn, job_id)
            with self._guard:
                self._infos[job_id] = found
        return found

    def forget(self, job_id: str) -> None:
        """Drop a job from the cache, so that its description is read again."""
        with self._guard:
            self._infos.pop(job_id, None)

    def run_of(self, conn: Connection, job_id: str) -> str:
        """Return the id of the run that last worked on a job.

        Raises ``StateError`` if the job is not recorded.
        """
        newest = (
            select(run_job.c.run_id)
            .where(run_job.c.job_id == job_id)
            .order_by(run_job.c.joined_at.desc(), run_job.c.run_id)
            .limit(1)
        )
        found: str | None = conn.execute(newest).scalar()
        if found is None:
            raise StateError(f"job {job_id} is not in the state database")
        return found


def _load_info(conn: Connection, job_id: str) -> JobInfo:
    row = _JOB.first(conn, {"of": job_id})
    if row is None:
        raise StateError(f"job {job_id} is not in the state database")
    return JobInfo(
        pipeline_key=row.pipeline_key,
        link_key=row.link_key,
        stage_no=row.stage_no,
        source_name=row.source_name,
        source_type=row.source_type,
        sink_name=row.sink_name,
        sink_type=row.sink_type,
        source=table_from_json(row.source_table),
        target=table_from_json(row.target_table),
        mode=Mode(row.mode),
        site=row.site,
        upstream_keys=tuple(one.upstream_key for one in _UPSTREAM.all(conn, {"of": job_id})),
        max_parallel=row.max_parallel,
        losses=[(column, reason) for column, reason in json.loads(row.losses)],
    )
