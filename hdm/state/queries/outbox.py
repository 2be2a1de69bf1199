"""Reads, run by run, what the events on record say about the beginning and the end of each link's work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, select

from hdm.model.json import table_from_json
from hdm.state.db.tables import (
    chain_head,
    chunk,
    column_lineage,
    dataset,
    event,
    job,
    run,
    run_job,
    validation,
)
from hdm.state.tx.context import Base

KINDS = (
    "job.opened", "job.adopted", "job.closed", "job.left", "job.failed", "run.closed", "run.aborted",
)  # fmt: skip
"""The events of which something is told outside."""
Row = dict[str, Any]


def waiting(base: Base, told: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the id of each run whose chain is longer than ``told`` says, and its length; oldest first."""
    query = (
        select(run.c.run_id, chain_head.c.seq)
        .join(chain_head, chain_head.c.run_id == run.c.run_id)
        .order_by(run.c.started_at, run.c.run_id)
    )

    def work(conn: Connection) -> list[tuple[str, int]]:
        return [
            (row.run_id, int(row.seq)) for row in conn.execute(query) if row.seq > told.get(row.run_id, 0)
        ]

    return base.db.read(work)


def of_run(base: Base, run_id: str, upto: int) -> Row:
    """Return a run, the events of ``KINDS`` up to number ``upto``, and its jobs by id, as dictionaries.

    A job has its ``source`` and ``target`` as tables, its column lineage in ``columns``, its ``checks``, and
    in ``rows``, ``bytes`` and ``extracted`` what this run committed of it.
    """
    return base.db.snapshot(lambda conn: _of_run(conn, run_id, upto))


def first_of(base: Base) -> str:
    """Return a text that tells this state database from others: the hash of the first event in it.

    Empty if no run is on record.
    """
    first = select(event.c.hash).where(event.c.seq == 1).order_by(event.c.at_db, event.c.run_id).limit(1)
    return str(base.db.read(lambda conn: conn.execute(first).scalar()) or "")


def _of_run(conn: Connection, run_id: str, upto: int) -> Row:
    events = _rows(
        conn,
        select(
            event.c.seq, event.c.event_type, event.c.job_id, event.c.to_status, event.c.at_db, event.c.payload
        )
        .where(event.c.run_id == run_id, event.c.seq <= upto, event.c.event_type.in_(KINDS))
        .order_by(event.c.seq),
    )
    source, target = dataset.alias(), dataset.alias()
    jobs = _rows(
        conn,
        select(
            job.c.job_id, job.c.epoch, job.c.mode, job.c.source_name, job.c.sink_name, job.c.source_table,
            job.c.target_table, job.c.link_key,
            source.c.namespace.label("source_namespace"), source.c.name.label("source_dataset"),
            target.c.namespace.label("target_namespace"), target.c.name.label("target_dataset"),
        )
        .join(run_job, run_job.c.job_id == job.c.job_id)
        .join(source, source.c.dataset_id == job.c.source_dataset_id)
        .join(target, target.c.dataset_id == job.c.sink_dataset_id)
        .where(run_job.c.run_id == run_id),
    )  # fmt: skip
    moved = _moved(conn, run_id)
    return {
        "run": _rows(conn, select(run).where(run.c.run_id == run_id))[0],
        "events": [{**one, "payload": json.loads(one["payload"])} for one in events],
        "jobs": {one["job_id"]: _job(conn, one, moved.get(one["job_id"], {})) for one in jobs},
    }


def _job(conn: Connection, one: Row, moved: Row) -> Row:
    lines = select(column_lineage).where(column_lineage.c.job_id == one["job_id"])
    checks = (
        select(
            validation.c.kind, validation.c.column_name, validation.c.severity,
            func.min(validation.c.status).label("least"), func.max(validation.c.status).label("most"),
        )
        .where(validation.c.job_id == one["job_id"])
        .group_by(validation.c.kind, validation.c.column_name, validation.c.severity)
        .order_by(validation.c.kind, validation.c.column_name)
    )  # fmt: skip
    return {
        **one,
        "source": table_from_json(one["source_table"]),
        "target": table_from_json(one["target_table"]),
        "columns": _rows(conn, lines.order_by(column_lineage.c.sink_column, column_lineage.c.source_column)),
        "checks": _rows(conn, checks),
        **{name: int(moved.get(name) or 0) for name in ("rows", "bytes", "extracted")},
    }


def _moved(conn: Connection, run_id: str) -> dict[str, Row]:
    """Return the rows and bytes that this run itself committed, by job."""
    committed = select(event.c.chunk_id).where(
        event.c.run_id == run_id, event.c.to_status.in_(("committed", "verified"))
    )
    query = (
        select(
            chunk.c.job_id,
            func.sum(chunk.c.rows_loaded).label("rows"),
            func.sum(chunk.c.bytes).label("bytes"),
            func.sum(chunk.c.rows_extracted).label("extracted"),
        )
        .where(chunk.c.chunk_id.in_(committed))
        .group_by(chunk.c.job_id)
    )
    return {row["job_id"]: row for row in _rows(conn, query)}


def _rows(conn: Connection, query: Any) -> list[Row]:
    return [dict(row) for row in conn.execute(query).mappings().all()]
