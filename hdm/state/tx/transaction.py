"""Writes events, hash-chained per run, in the same transaction as the change that they report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from hdm import failpoints
from hdm.errors import StateError
from hdm.state.db import clock
from hdm.state.db.database import locked
from hdm.state.db.statements import Outcome, Prepared, Query, Values, together
from hdm.state.db.tables import chain_head, chunk, event, job
from hdm.state.redaction import Redact, dump
from hdm.state.tx.seals import Sum

GENESIS = "0" * 64
PROSE = frozenset({"by", "message", "phase", "reason", "resumed_by"})
"""Fields of an event that a person or a driver wrote, in which secrets are masked.

All other fields repeat a row or are a hash, and are verified against it. Masking them could destroy them: a
password may be equal to the environment's name, or to a part of a hash.
"""
CHAINED = (
    "run_id", "seq", "job_id", "chunk_id", "worker_id", "attempt", "event_type", "from_status",
    "to_status", "at_db", "at_worker", "payload",
)  # fmt: skip
"""The columns that the hash covers: all except the hashes themselves."""

_HEAD = Prepared(
    locked(
        select(chain_head.c.seq, chain_head.c.hash, clock.now.label("now")).where(
            chain_head.c.run_id == bindparam("run")
        ),
        chain_head,
    )
)
_HEAD_AND_CHUNK = Prepared(
    locked(
        select(
            chain_head.c.seq,
            chain_head.c.hash,
            clock.now.label("now"),
            chunk.c.status,
            chunk.c.attempt,
            chunk.c.lease_owner,
            job.c.planned,
            job.c.snapshot_token,
        )
        .select_from(
            chain_head.join(chunk, chunk.c.chunk_id == bindparam("id")).join(
                job, job.c.job_id == chunk.c.job_id
            )
        )
        .where(chain_head.c.run_id == bindparam("run")),
        chain_head,
        chunk,
        job,
    )
)
_APPEND = Prepared(insert(event))
_ADVANCE = Prepared(
    update(chain_head)
    .where(chain_head.c.run_id == bindparam("run"), chain_head.c.seq == bindparam("was"))
    .values(seq=bindparam("new_seq"), hash=bindparam("new_hash"))
)


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def chain_hash(prev_hash: str, record: dict[str, Any]) -> str:
    """Return the sha256, in hex digits, over the previous event's hash and this event as canonical JSON."""
    body = _canonical({name: record[name] for name in CHAINED})
    return hashlib.sha256((prev_hash + body).encode()).hexdigest()


class Tx:
    """A write transaction of one run, which collects the events to append to the run's chain.

    The head is locked before anything else, so that all transactions of a run queue up in one order. ``now``
    is the database's time at that moment. ``chunk_row`` is the row of the chunk ``hold`` joined with its job,
    locked in the same statement; None if there is no such chunk. ``answers`` are the rows of each query of
    ``ask``, by name, sent in the same round trip. ``recorded`` sums up the schema versions that were written;
    an event must carry it.
    """

    __slots__ = (
        "_hash",
        "_pending",
        "_queue",
        "_seq",
        "_told",
        "answers",
        "chunk_row",
        "conn",
        "mask",
        "now",
        "recorded",
        "run_id",
    )

    def __init__(
        self,
        conn: Connection,
        run_id: str,
        mask: Redact,
        hold: str | None = None,
        ask: Mapping[str, Query] | None = None,
    ) -> None:
        self.conn, self.run_id, self.mask = conn, run_id, mask
        self.recorded = Sum()
        first: Query = (_HEAD, {"run": run_id})
        if hold is not None:
            first = (_HEAD_AND_CHUNK, {"run": run_id, "id": hold})
        ask = ask or {}
        found = together(conn, [first, *ask.values()])
        head: Any = found[0].rows[0] if found[0].rows else None
        self.chunk_row: Any = head if hold is not None else None
        self.answers: dict[str, list[Any]] = {
            name: one.rows for name, one in zip(ask, found[1:], strict=True)
        }
        if head is None:
            head = _HEAD.first(conn, {"run": run_id})
        if head is None:
            raise StateError(f"run {run_id} is not in the state database")
        self._seq: int = head.seq
        self._hash: str = head.hash
        self.now: str = head.now
        self._pending: list[dict[str, Any]] = []
        self._queue: list[Query] = []
        self._told: dict[int, Callable[[int], object]] = {}

    def event(
        self,
        kind: str,
        *,
        job: str | None = None,
        chunk: str | None = None,
        worker: str | None = None,
        attempt: int | None = None,
        was: str | None = None,
        now: str | None = None,
        **payload: Any,
    ) -> None:
        """Record one event in this transaction; ``was`` and ``now`` are the statuses before and after."""
        self._pending.append(
            {
                "run_id": self.run_id,
                "job_id": job,
                "chunk_id": chunk,
                "worker_id": worker,
                "attempt": attempt,
                "event_type": kind,
                "from_status": was,
                "to_status": now,
                "at_db": self.now,
                "at_worker": f"{datetime.now(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z",
                "payload": dump(payload, self.mask, PROSE),
            }
        )

    def queue(self, change: Prepared, values: Values, then: Callable[[int], object] | None = None) -> None:
        """Queue a change, which is sent with the next statements.

        ``then`` is called with the number of changed rows once it was sent.
        """
        if then is not None:
            self._told[len(self._queue)] = then
        self._queue.append((change, values))

    def first(self, query: Prepared, values: Values) -> Any:
        """Send all queued statements and then a query; return the query's first row.

        None if it found none.
        """
        self.queue(query, values)
        rows = self.send()[-1].rows
        return rows[0] if rows else None

    def send(self, *, last: bool = False) -> list[Outcome]:
        """Send all queued statements, in one round trip if the driver can; return their results.

        ``last``: the transaction ends with them.
        """
        if not self._queue:
            return []
        queue, self._queue = self._queue, []
        told, self._told = self._told, {}
        outcomes = together(self.conn, queue, last=last)
        for place, then in told.items():
            then(outcomes[place].touched)
        return outcomes

    def finish(self, *, last: bool = False) -> None:
        """Send all queued statements, append the recorded events to the chain; commit if ``last``.

        Raises ``StateError`` if another transaction has changed the chain meanwhile.
        """
        if not self._pending:
            self.send(last=last)
            return
        start = self._seq
        for record in self._pending:
            self._seq += 1
            record["seq"], record["prev_hash"] = self._seq, self._hash
            self._hash = record["hash"] = chain_hash(self._hash, record)
            self.queue(_APPEND, record)
        self.queue(_ADVANCE, {"run": self.run_id, "was": start, "new_seq": self._seq, "new_hash": self._hash})
        failpoints.point("A1")
        moved = self.send(last=last)[-1].touched
        if moved == 0:
            raise StateError(f"the event chain of run {self.run_id} was changed by another hand")
        self._pending = []


def begin_chain(conn: Connection, run_id: str) -> None:
    """Start the event chain of a new run."""
    conn.execute(insert(chain_head), {"run_id": run_id, "seq": 0, "hash": GENESIS})
