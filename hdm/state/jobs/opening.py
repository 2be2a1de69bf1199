"""Records the beginning of a run: its row, its event chain, its number, and its manifest's text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from hdm.state.db import clock
from hdm.state.db.database import locked
from hdm.state.db.tables import chain_head, manifest, run, trail
from hdm.state.tx import seals, transaction
from hdm.state.tx.context import Base
from hdm.state.tx.transaction import Tx


def begin(
    base: Base,
    conn: Connection,
    row: dict[str, Any],
    text: str | None = None,
    wishes: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Insert a run, start its event chain, and link it to the run that was opened before it.

    ``text`` is the run's manifest, stored once for equal texts, with secrets masked. ``wishes`` are further
    fields of the first event, those that are empty left out.
    """
    run_id = row["run_id"]
    place = conn.execute(locked(select(trail.c.number, trail.c.run_id), trail)).one_or_none()
    number = 1 if place is None else place.number + 1
    if place is None:  # somebody emptied the table; hdm state verify finds the runs numbered anew
        conn.execute(insert(trail), {"id": 1, "number": number, "run_id": run_id})
    else:
        conn.execute(update(trail).values(number=number, run_id=run_id))
    before = None if place is None else place.run_id
    known = _unnumbered(conn) if before is None else _link(conn, before)
    known |= {name: list(asked) for name, asked in (wishes or {}).items() if asked}
    at = conn.execute(select(clock.now)).scalar_one()
    row = {"started_at": at, **row}
    conn.execute(insert(run), row)
    transaction.begin_chain(conn, run_id)
    tx = Tx(conn, run_id, base.mask)
    tx.event(
        "run.opened", now=row["status"], manifest=row["manifest_name"], env=row["env"],
        manifest_sha256=row["manifest_sha256"], started_by=row["started_by"],
        resumed_from=row.get("resumed_from"), number=number, seal=seals.seal("run", seals.RUN, row),
        end=seals.seal("run", seals.RUN_END, row), text_sha256=_keep_text(tx, text), **known,
    )  # fmt: skip
    tx.finish()


def _link(conn: Connection, before: str) -> dict[str, Any]:
    """Return the run before and the present end of its chain, so that a later cut of it is found."""
    head = conn.execute(
        select(chain_head.c.seq, chain_head.c.hash).where(chain_head.c.run_id == before)
    ).one_or_none()
    return {"before": {"run": before, "seq": head.seq if head else 0, "hash": head.hash if head else ""}}


def _unnumbered(conn: Connection) -> dict[str, Any]:
    """Return how many runs of an older hdm without numbers there are, and a digest of their ids."""
    ids = sorted(conn.execute(select(run.c.run_id)).scalars())
    return {"older": [len(ids), seals.text_seal(" ".join(ids))]}


def _keep_text(tx: Tx, text: str | None) -> str | None:
    if text is None:
        return None
    kept = tx.mask(text)
    key = seals.text_seal(kept)
    if tx.conn.execute(select(manifest.c.kept_at).where(manifest.c.text_sha256 == key)).first() is None:
        tx.conn.execute(insert(manifest), {"text_sha256": key, "body": kept, "kept_at": tx.now})
    return key
