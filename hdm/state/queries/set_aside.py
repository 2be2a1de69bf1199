"""Queries for rows of chunks that were set aside, and what became of them; they change nothing."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, exists, select

from hdm.model import Mode, StagedFile
from hdm.model.json import receipt_from_json
from hdm.model.modes import READ_EVERYTHING
from hdm.state.db.tables import chunk, dataset, event, job
from hdm.state.queries.standing import jobs_of
from hdm.state.records import COMMITTED, VERIFIED
from hdm.state.tx.context import Base

DECIDED = ("quarantine.replayed", "quarantine.waived", "quarantine.lost")
"""Types of the events that say what became of a chunk's rows that were set aside; the last one holds.

``lost``: rows that had been replayed are not in the target any more.
"""


@dataclass(frozen=True, slots=True)
class SetAside:
    """The rows of one chunk that were set aside: how many, in which file, and what became of them.

    ``of`` is how many rows the chunk had, with those that were set aside. ``state`` is open, replayed or
    waived; ``by``, ``at`` and ``reason`` say who decided so, when and why.
    """

    table: str
    sink: str
    chunk_id: str
    number: int
    rows: int
    file: StagedFile | None
    job_id: str
    of: int = 0
    state: str = "open"
    by: str | None = None
    at: str | None = None
    reason: str | None = None


class SetAsideRows:
    """Queries for rows that were set aside; part of ``Reports``."""

    _base: Base

    def set_aside(self, name: str, env: str, links: Collection[str] = ()) -> list[SetAside]:
        """Return each chunk of a manifest that has rows set aside, by table and number.

        Leaves out those of a table that a later reading has read as a whole, with success: that reading set
        its own rows aside. ``links`` are the link keys of the manifest: its runs under an older name are then
        searched, too.
        """
        query = (
            select(
                dataset.c.name.label("table"), job.c.sink_name.label("sink"), job.c.job_id, job.c.mode,
                job.c.pipeline_key, job.c.epoch, chunk.c.chunk_id, chunk.c.chunk_no, chunk.c.corr_in,
                chunk.c.bound_kind, chunk.c.rows_loaded, chunk.c.rows_rejected, chunk.c.receipt,
            )
            .join(job, job.c.job_id == chunk.c.job_id)
            .join(dataset, dataset.c.dataset_id == job.c.source_dataset_id)
            .where(
                chunk.c.rows_rejected > 0,
                chunk.c.status.in_((COMMITTED, VERIFIED)),
                chunk.c.job_id.in_(jobs_of(name, env, links)),
            )
            .order_by(dataset.c.name, job.c.epoch, chunk.c.chunk_no)
        )  # fmt: skip

        def work(conn: Connection) -> list[SetAside]:
            rows = conn.execute(query).all()
            later = _LaterReadings(conn, rows)
            rows = [row for row in rows if not later.replaced(row)]
            said = decided(conn, [row.chunk_id for row in rows])
            return [
                SetAside(
                    row.table, row.sink, row.chunk_id, row.chunk_no, row.rows_rejected,
                    receipt_from_json(row.receipt).quarantine, row.job_id,
                    int(row.rows_loaded or 0) + row.rows_rejected, **said.get(row.chunk_id, {}),
                )
                for row in rows
            ]  # fmt: skip

        return self._base.db.read(work)


class _LaterReadings:
    """The epochs of some chunks' pipelines that ended with success, and what they replace.

    An epoch that was given up is none of them, though it is closed as a success.
    """

    def __init__(self, conn: Connection, rows: Sequence[Any]) -> None:
        self._roots: dict[str, Any] = {}
        ids = sorted({row.corr_in for row in rows if row.corr_in})
        for start in range(0, len(ids), 500):
            above = (
                select(chunk.c.chunk_id, job.c.pipeline_key, job.c.epoch, chunk.c.bound_kind, chunk.c.corr_in)
                .join(job, job.c.job_id == chunk.c.job_id)
                .where(chunk.c.chunk_id.in_(ids[start : start + 500]))
            )
            self._roots |= {one.chunk_id: one for one in conn.execute(above)}
        self._ended: dict[str, list[Any]] = {}
        keys = sorted({one.pipeline_key for one in (*rows, *self._roots.values())})
        read = exists().where(
            chunk.c.job_id == job.c.job_id,
            chunk.c.status.in_((COMMITTED, VERIFIED)),
            chunk.c.bound_kind != "file",
        )
        columns = (job.c.job_id, job.c.pipeline_key, job.c.epoch, job.c.wm_low, job.c.ended_at)
        given_up = select(event.c.job_id).where(event.c.event_type == "job.given_up")
        undone = set(conn.execute(given_up).scalars()) if keys else set()
        for start in range(0, len(keys), 500):
            found = select(*columns, read.label("read")).where(
                job.c.pipeline_key.in_(keys[start : start + 500]),
                job.c.status == "success",
                job.c.planned == 1,
            )
            for one in conn.execute(found):
                if one.job_id not in undone:
                    self._ended.setdefault(one.pipeline_key, []).append(one)

    def replaced(self, row: Any) -> bool:
        """Return whether the whole table of a chunk was read, and loaded, after the chunk was.

        A reading of a source without a lower end, in mode merge, was of the whole table; one of files never
        is, as it leaves out those that were read before.
        """
        mine = self._ended.get(row.pipeline_key, ())
        if row.mode in READ_EVERYTHING:
            return any(one.epoch > row.epoch for one in mine)
        root = self._roots.get(row.corr_in, row)
        if (
            not Mode(row.mode).rules.merges_by_key
            or root.bound_kind == "file"
            or (root is not row and root.corr_in)
        ):
            return False
        whole = [
            one
            for one in self._ended.get(root.pipeline_key, ())
            if one.epoch > root.epoch and one.wm_low is None and one.read
        ]
        return (
            bool(whole)
            if root is row
            else any(later.ended_at >= one.ended_at for one in whole for later in mine)
        )


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
            if row.event_type == DECIDED[2]:
                found.pop(row.chunk_id, None)
                continue
            found[row.chunk_id] = {
                "state": row.event_type.rpartition(".")[2],
                "by": told.get("by"),
                "at": row.at_db,
                "reason": told.get("reason"),
            }
    return found
