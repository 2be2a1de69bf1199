"""Reads all that is on record about one run, after the whole trail was verified, as of one moment."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, select

from hdm.state.db import clock
from hdm.state.db.tables import (
    chain_head,
    chunk,
    column_lineage,
    dataset,
    dataset_schema,
    dead_letter,
    event,
    job,
    job_upstream,
    run,
    run_job,
    trail,
    validation,
)
from hdm.state.jobs.comparisons import COMPARED
from hdm.state.queries import verify
from hdm.state.queries.anchors import Anchor
from hdm.state.queries.rewritten import rewritten
from hdm.state.queries.set_aside import decided
from hdm.state.records import COMMITTED, SUPERSEDED, VERIFIED
from hdm.state.tx.context import Base

Row = dict[str, Any]


def of_run(base: Base, run_id: str, known: Sequence[Anchor]) -> Row:
    """Verify the trail, and return what is on record about a run, on one snapshot of the database.

    ``verdict`` is what the verification found. The other entries are rows as dictionaries: ``run``, its
    ``opened`` event, ``jobs`` with their columns, losses, schemas, comparisons, checks and what has
    ``rewritten`` the target beside them, ``chunks`` (those that are committed), ``open`` (how many chunks are
    in each other status), ``waived``, ``set_aside`` (rows in quarantine, by chunk), ``failed`` (why tables
    could not be planned), ``heads`` (the chains of all runs that took part) and ``now``.
    """
    return base.db.snapshot(lambda conn: _of_run(conn, run_id, known))


def _of_run(conn: Connection, run_id: str, known: Sequence[Anchor]) -> Row:
    verdict = verify.verified(conn, list(known))
    jobs = _jobs(conn, run_id)
    ids = [one["job_id"] for one in jobs]
    chunks = _rows(conn, _chunks(ids))
    opened = _payloads(conn, select(event).where(event.c.run_id == run_id, event.c.seq == 1))
    failed = select(event).where(event.c.run_id == run_id, event.c.event_type == "job.failed")
    place = conn.execute(select(trail.c.number, trail.c.run_id)).one()
    return {
        "verdict": verdict,
        "now": conn.execute(select(clock.now)).scalar_one(),
        "run": _rows(conn, select(run).where(run.c.run_id == run_id))[0],
        "opened": opened[0]["payload"] if opened else {},
        "jobs": jobs,
        "chunks": chunks,
        "open": _counts(conn, ids),
        "waived": _rows(conn, _waived(ids)),
        "set_aside": _set_aside(conn, chunks),
        "failed": [one["payload"] for one in _payloads(conn, failed)],
        "heads": _heads(conn, run_id, ids),
        "trail": {"number": int(place.number), "newest": place.run_id},
    }


def _jobs(conn: Connection, run_id: str) -> list[Row]:
    source, target = dataset.alias(), dataset.alias()
    query = (
        select(
            job,
            source.c.namespace.label("source_namespace"),
            source.c.name.label("source"),
            target.c.namespace.label("target_namespace"),
            target.c.name.label("target"),
        )
        .join(run_job, run_job.c.job_id == job.c.job_id)
        .join(source, source.c.dataset_id == job.c.source_dataset_id)
        .join(target, target.c.dataset_id == job.c.sink_dataset_id)
        .where(run_job.c.run_id == run_id)
        .order_by(job.c.stage_no, target.c.name, job.c.pipeline_key)
    )
    jobs = _rows(conn, query)
    for one in jobs:
        mine = one["job_id"]
        lines = select(column_lineage).where(column_lineage.c.job_id == mine)
        one["columns"] = _rows(
            conn, lines.order_by(column_lineage.c.sink_column, column_lineage.c.source_column)
        )
        one["upstream"] = sorted(
            conn.execute(select(job_upstream.c.upstream_key).where(job_upstream.c.job_id == mine)).scalars()
        )
        one["schemas"] = {
            side: _schema(conn, one[f"{side}_dataset_id"], one[f"{side}_schema_version"])
            for side in ("source", "sink")
        }
        part = select(run_job.c.run_id).where(run_job.c.job_id == mine)
        compared = select(event).where(
            event.c.run_id.in_(part), event.c.job_id == mine, event.c.event_type == COMPARED
        )
        one["comparisons"] = [
            {"at": each["at_db"], "run": each["run_id"], "event": each["seq"], **each["payload"]}
            for each in _payloads(conn, compared.order_by(event.c.at_db, event.c.run_id, event.c.seq))
        ]
        one["last_commit"] = conn.execute(
            select(func.max(chunk.c.sinking_end_time))
            .join(job, job.c.job_id == chunk.c.job_id)
            .where(job.c.pipeline_key == one["pipeline_key"], job.c.epoch <= one["epoch"])
        ).scalar()
        one["checks"] = _rows(conn, _checks(mine))
    others = rewritten(conn, {(one["target_namespace"], one["target"]) for one in jobs})
    for one in jobs:
        one["rewritten"] = others[one["target_namespace"], one["target"]]
    return jobs


def _schema(conn: Connection, dataset_id: str, version: int | None) -> Row | None:
    query = select(dataset_schema.c.version, dataset_schema.c.schema_sha256).where(
        dataset_schema.c.dataset_id == dataset_id, dataset_schema.c.version == version
    )
    return next(iter(_rows(conn, query)), None)


def _checks(job_id: str) -> Select[Any]:
    """The query for a job's checks and comparisons of counts: how many of each kind, by result."""
    keys = (validation.c.kind, validation.c.column_name, validation.c.predicate, validation.c.severity)
    return (
        select(*keys, validation.c.status, func.count().label("chunks"))
        .where(validation.c.job_id == job_id)
        .group_by(validation.c.kind, validation.c.column_name, validation.c.severity, validation.c.status)
        .group_by(validation.c.predicate)
        .order_by(validation.c.kind, validation.c.column_name, validation.c.status)
    )


def _chunks(ids: Sequence[str]) -> Select[Any]:
    return (
        select(
            chunk.c.chunk_id, chunk.c.job_id, chunk.c.chunk_no, chunk.c.corr_in, chunk.c.bound_kind,
            chunk.c.lo, chunk.c.hi, chunk.c.source_filter, chunk.c.status, chunk.c.attempt, chunk.c.receipt,
            chunk.c.rows_extracted, chunk.c.rows_loaded, chunk.c.rows_filtered, chunk.c.rows_rejected,
            chunk.c.bytes,
            chunk.c.content_sha256, chunk.c.sinking_end_time,
        )
        .join(job, job.c.job_id == chunk.c.job_id)
        .where(chunk.c.job_id.in_(ids), chunk.c.status.in_((COMMITTED, VERIFIED)))
        .order_by(job.c.stage_no, job.c.pipeline_key, chunk.c.chunk_no, chunk.c.chunk_id)
    )  # fmt: skip


def _waived(ids: Sequence[str]) -> Select[Any]:
    return (
        select(
            chunk.c.chunk_id, chunk.c.job_id, chunk.c.bound_kind, chunk.c.lo, chunk.c.hi,
            chunk.c.source_filter, dead_letter.c.error_class, dead_letter.c.resolved_by,
            dead_letter.c.resolved_at, dead_letter.c.reason,
        )
        .outerjoin(dead_letter, (dead_letter.c.chunk_id == chunk.c.chunk_id) & (dead_letter.c.row_no == -1))
        .where(chunk.c.job_id.in_(ids), chunk.c.status == "waived")
        .order_by(chunk.c.job_id, chunk.c.chunk_no)
    )  # fmt: skip


def _set_aside(conn: Connection, chunks: Sequence[Row]) -> list[Row]:
    """The chunks with rows in quarantine, and what became of those: open, replayed or waived."""
    mine = [one for one in chunks if one["rows_rejected"]]
    said = decided(conn, [one["chunk_id"] for one in mine])
    names = ("state", "by", "at", "reason")
    return [
        {
            "chunk_id": one["chunk_id"], "job_id": one["job_id"], "rows": int(one["rows_rejected"]),
            **dict.fromkeys(names), "state": "open", **said.get(one["chunk_id"], {}),
        }
        for one in mine
    ]  # fmt: skip


def _counts(conn: Connection, ids: Sequence[str]) -> dict[str, int]:
    done = (COMMITTED, VERIFIED, SUPERSEDED, "waived")
    query = (
        select(chunk.c.status, func.count())
        .where(chunk.c.job_id.in_(ids), chunk.c.status.not_in(done))
        .group_by(chunk.c.status)
    )
    return {row[0]: int(row[1]) for row in conn.execute(query).all()}


def _heads(conn: Connection, run_id: str, ids: Iterable[str]) -> list[Row]:
    """The ends of the chains of this run and of all others that had a part in its jobs."""
    others = conn.execute(select(run_job.c.run_id).where(run_job.c.job_id.in_(list(ids)))).scalars()
    query = select(chain_head).where(chain_head.c.run_id.in_({run_id, *others}))
    return [
        {"run": row.run_id, "events": int(row.seq), "hash": row.hash}
        for row in conn.execute(query.order_by(chain_head.c.run_id)).all()
    ]


def _payloads(conn: Connection, query: Select[Any]) -> list[Row]:
    return [{**row, "payload": json.loads(row["payload"])} for row in _rows(conn, query)]


def _rows(conn: Connection, query: Select[Any]) -> list[Row]:
    return [dict(row) for row in conn.execute(query).mappings().all()]
