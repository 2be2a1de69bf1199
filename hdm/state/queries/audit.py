"""Verifies the events (trail) of one run, and returns its jobs and workers as dictionaries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, case, func, insert, select

from hdm.state.db.database import among, locked
from hdm.state.db.tables import (
    anchor,
    chain_head,
    chunk,
    dataset,
    event,
    job,
    run,
    run_job,
    validation,
    worker,
)
from hdm.state.records import DEAD, DONE, HELD, PENDING
from hdm.state.tx.context import Base
from hdm.state.tx.transaction import CHAINED, GENESIS, Tx, chain_hash

_PAGE = 2000


def verify_chain(base: Base, run_id: str) -> list[str]:
    """Verify one run's trail; return a text for every gap, edit, wrong link, or differing end or anchor."""
    return base.db.snapshot(lambda conn: chain_breaks(conn, run_id))


def chain_breaks(
    conn: Connection, run_id: str, take: Callable[[Mapping[str, Any]], object] = lambda row: None
) -> list[str]:
    """Verify one run's trail inside a snapshot transaction; return a text for each fault.

    Calls ``take`` with each event's row.
    """
    head = conn.execute(
        select(chain_head.c.seq, chain_head.c.hash).where(chain_head.c.run_id == run_id)
    ).one_or_none()
    if head is None:
        return [f"run {run_id} has no chain head"]
    anchors = {
        row.seq: row.hash
        for row in conn.execute(select(anchor.c.seq, anchor.c.hash).where(anchor.c.run_id == run_id))
    }
    breaks: list[str] = []
    last, previous = 0, GENESIS
    while True:
        page = conn.execute(
            select(event)
            .where(event.c.run_id == run_id, event.c.seq > last, event.c.seq <= head.seq)
            .order_by(event.c.seq)
            .limit(_PAGE)
        ).mappings().all()  # fmt: skip
        if not page:
            break
        for row in page:
            breaks += _break(dict(row), last, previous)
            take(dict(row))
            last, previous = row["seq"], row["hash"]
            if anchors.pop(last, previous) != previous:
                breaks.append(f"event {last}: differs from its anchor")
    if last != head.seq or previous != head.hash:
        breaks.append(f"the chain ends at event {last}, its head says {head.seq}")
    breaks += [f"anchor {seq}: beyond the end of the chain" for seq in sorted(anchors)]
    beyond = select(func.count()).where(event.c.run_id == run_id, event.c.seq > head.seq)
    extra = conn.execute(beyond).scalar()
    if extra:
        breaks.append(f"{extra} events lie beyond the head {head.seq}")
    return breaks


def _break(row: dict[str, Any], last: int, previous: str) -> list[str]:
    found = []
    if row["seq"] != last + 1:
        found.append(f"event {last + 1}: missing")
    if row["prev_hash"] != previous:
        found.append(f"event {row['seq']}: does not follow from the one before")
    if row["hash"] != chain_hash(row["prev_hash"], {name: row[name] for name in CHAINED}):
        found.append(f"event {row['seq']}: was changed")
    return found


def put_anchor(base: Base, run_id: str, location: str) -> tuple[int, str]:
    """Record that the end of a run's event chain is stored at ``location``.

    Returns the number and the hash of the chain's last event.
    """

    def work(tx: Tx) -> tuple[int, str]:
        head = tx.conn.execute(
            locked(
                select(chain_head.c.seq, chain_head.c.hash).where(chain_head.c.run_id == run_id), chain_head
            )
        ).one()
        known = select(anchor.c.seq).where(anchor.c.run_id == run_id, anchor.c.seq == head.seq)
        if tx.conn.execute(known).first() is None:
            tx.conn.execute(
                insert(anchor),
                {
                    "run_id": run_id,
                    "seq": head.seq,
                    "hash": head.hash,
                    "anchored_at": tx.now,
                    "location": tx.mask(location),
                },
            )
        return head.seq, head.hash

    return base.change(run_id, work)


def status(base: Base, run_id: str) -> list[dict[str, Any]]:
    """Return each job of a run as a dictionary: its chunks by status, its rows and bytes."""

    def summed(condition: Any, value: Any = 1) -> Any:
        return func.coalesce(func.sum(case((condition, value), else_=0)), 0)

    source, target = dataset.alias(), dataset.alias()
    keys = (
        job.c.job_id, job.c.pipeline_key, job.c.stage_no, job.c.epoch, job.c.status, job.c.source_name,
        source.c.name, job.c.sink_name, target.c.name,
    )  # fmt: skip
    query = (
        select(
            job.c.job_id,
            job.c.pipeline_key,
            job.c.stage_no,
            job.c.epoch,
            job.c.status,
            job.c.source_name,
            source.c.name.label("source"),
            job.c.sink_name,
            target.c.name.label("target"),
            func.count(chunk.c.chunk_id).label("chunks"),
            summed(chunk.c.status == PENDING).label("pending"),
            summed(among(chunk.c.status, HELD)).label("held"),
            summed(among(chunk.c.status, DONE)).label("done"),
            summed(chunk.c.status == DEAD).label("dead"),
            summed(among(chunk.c.status, DONE), chunk.c.rows_loaded).label("rows"),
            summed(among(chunk.c.status, DONE), chunk.c.bytes).label("bytes"),
            summed(among(chunk.c.status, HELD), chunk.c.progress_rows).label("moving_rows"),
            summed(among(chunk.c.status, HELD), chunk.c.progress_bytes).label("moving_bytes"),
        )
        .select_from(run_job)
        .join(job, job.c.job_id == run_job.c.job_id)
        .join(source, source.c.dataset_id == job.c.source_dataset_id)
        .join(target, target.c.dataset_id == job.c.sink_dataset_id)
        .outerjoin(chunk, (chunk.c.job_id == job.c.job_id) & (chunk.c.status != "superseded"))
        .where(run_job.c.run_id == run_id)
        .group_by(*keys)
        .order_by(job.c.stage_no, job.c.pipeline_key)
    )

    def plain(row: Any) -> dict[str, Any]:
        return {name: int(v) if name in _NUMBERS else v for name, v in row.items()}

    return base.db.read(lambda conn: [plain(row) for row in conn.execute(query).mappings().all()])


_NUMBERS = {"chunks", "pending", "held", "done", "dead", "rows", "bytes", "moving_rows", "moving_bytes"}


def run_row(base: Base, run_id: str) -> dict[str, Any] | None:
    """Return the run as a dictionary; None if it does not exist."""

    def work(conn: Connection) -> dict[str, Any] | None:
        row = conn.execute(select(run).where(run.c.run_id == run_id)).mappings().first()
        return None if row is None else dict(row)

    return base.db.read(work)


def workers_of(base: Base, run_id: str) -> list[dict[str, Any]]:
    """Return the workers of a run as dictionaries."""
    query = select(worker).where(worker.c.run_id == run_id).order_by(worker.c.started_at)
    return base.db.read(lambda conn: [dict(row) for row in conn.execute(query).mappings().all()])


def failed_checks(base: Base, job_id: str) -> int:
    """Return how many checks on the job's chunks did not pass."""
    query = (
        select(func.count())
        .select_from(validation)
        .where(validation.c.job_id == job_id, validation.c.status.in_(("fail", "error")))
    )
    return base.db.read(lambda conn: int(conn.execute(query).scalar_one()))


def events_after(base: Base, run_id: str, seq: int, limit: int) -> list[dict[str, Any]]:
    """Return at most ``limit`` of a run's events after number ``seq``, in order, as dictionaries."""
    query = (
        select(event).where(event.c.run_id == run_id, event.c.seq > seq).order_by(event.c.seq).limit(limit)
    )
    return base.db.read(lambda conn: [dict(row) for row in conn.execute(query).mappings().all()])
