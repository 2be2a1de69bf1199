"""Changes a job's row, and computes its seal (digest) for the event that reports the change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update

from hdm.state.db.database import locked
from hdm.state.db.tables import job
from hdm.state.tx import seals
from hdm.state.tx.transaction import Tx


def hold(tx: Tx, job_id: str) -> Mapping[str, Any]:
    """Return a job's row, locked until the transaction ends."""
    query = locked(select(job).where(job.c.job_id == job_id), job)
    return dict(tx.conn.execute(query).mappings().one())


def change(tx: Tx, held: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """Change a job's row that ``hold`` returned; return its new seal (digest).

    ``values`` are the changed columns. The seal is to be carried by an event.
    """
    tx.conn.execute(update(job).where(job.c.job_id == held["job_id"]).values(dict(values)))
    return seal({**held, **values})


def seal(row: Mapping[str, Any]) -> str:
    """Return the seal (digest) of a job's row."""
    return seals.job_seal(row)
