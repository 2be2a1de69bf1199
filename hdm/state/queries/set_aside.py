"""Queries for rows of chunks that were set aside, and what became of them; they change nothing."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, case, func, or_, select

from hdm.model import StagedFile
from hdm.model.json import receipt_from_json
from hdm.model.modes import READ_EVERYTHING
from hdm.state.db.database import among
from hdm.state.db.tables import chunk, dataset, event, job
from hdm.state.queries.standing import jobs_of
from hdm.state.records import COMMITTED, VERIFIED
from hdm.state.tx.context import Base

DECIDED = ("quarantine.replayed", "quarantine.waived")
"""Types of the events that say what became of a chunk's rows that were set aside."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """The rows of one chunk that were set aside: how many, in which file, and what became of them.

    ``state`` is open, replayed or waived; ``by``, ``at`` and ``reason`` say who decided so, when and why.
    """

    table: str
    sink: str
    chunk_id: str
    number: int
    rows: int
    file: StagedFile | None
    job_id: str
    state: str = "open"
    by: str | None = None
    at: str | None = None
    reason: str | None = None


class SetAsideRows:
    """Queries for rows that were set aside; part of ``Reports``."""

    _base: Base

    def set_aside(self, name: str, env: str, links: Collection[str] = ()) -> list[SetAside]:
        """Return each chunk of a manifest that has rows set aside, by table and number.

        Leaves out those of a table in mode ``replace`` that has been read anew with success since. ``links``
        are the link keys of the manifest: its runs under an older name are then searched, too.
        """
        whole = case((job.c.status == "success", job.c.epoch), else_=0)
        newest = (
            select(job.c.pipeline_key, func.max(whole).label("epoch")).group_by(job.c.pipeline_key).subquery()
        )
        query = (
            select(
                dataset.c.name.label("table"), job.c.sink_name.label("sink"), job.c.job_id, chunk.c.chunk_id,
                chunk.c.chunk_no, chunk.c.rows_rejected, chunk.c.receipt,
            )
            .join(job, job.c.job_id == chunk.c.job_id)
            .join(newest, newest.c.pipeline_key == job.c.pipeline_key)
            .join(dataset, dataset.c.dataset_id == job.c.source_dataset_id)
            .where(
                chunk.c.rows_rejected > 0,
                chunk.c.status.in_((COMMITTED, VERIFIED)),
                chunk.c.job_id.in_(jobs_of(name, env, links)),
                or_(~among(job.c.mode, READ_EVERYTHING), job.c.epoch >= newest.c.epoch),
            )
            .order_by(dataset.c.name, job.c.epoch, chunk.c.chunk_no)
        )  # fmt: skip

        def work(conn: Connection) -> list[SetAside]:
            rows = conn.execute(query).all()
            said = decided(conn, [row.chunk_id for row in rows])
            return [
                SetAside(
                    row.table, row.sink, row.chunk_id, row.chunk_no, row.rows_rejected,
                    receipt_from_json(row.receipt).quarantine, row.job_id, **said.get(row.chunk_id, {}),
                )
                for row in rows
            ]  # fmt: skip

        return self._base.db.read(work)


def decided(conn: Connection, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the last decision on each chunk as the fields of ``SetAside``."""
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(ids), 500):
        query = (
            select(event.c.chunk_id, event.c.event_type, event.c.at_db, event.c.payload)
            .where(event.c.chunk_id.in_(ids[start : start + 500]), event.c.event_type.in_(DECIDED))
            .order_by(event.c.at_db, event.c.seq)
        )
        for row in conn.execute(query).all():
            told = json.loads(row.payload)
            found[row.chunk_id] = {
                "state": row.event_type.rpartition(".")[2],
                "by": told.get("by"),
                "at": row.at_db,
                "reason": told.get("reason"),
            }
    return found
