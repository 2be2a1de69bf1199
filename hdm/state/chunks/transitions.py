"""Changes the status of a leased chunk: written, committed, verified, failed, or handed back.

Every change locks the chunk's row and raises ``LeaseLost`` unless attempt and owner are still the lease's.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import bindparam, insert, select, update

from hdm.errors import BrokenContract, HdmError, IllegalTransition, LeaseLost, StateError, StateUnavailable
from hdm.model import Receipt
from hdm.state.chunks import artifacts, claims, commit_effects
from hdm.state.db import clock
from hdm.state.db.statements import Prepared, Query
from hdm.state.db.tables import chunk, dead_letter
from hdm.state.records import COMMITTED, DEAD, HELD, LEASED, PENDING, VERIFIED, WRITTEN, ClaimRequest, Lease
from hdm.state.redaction import dump, message
from hdm.state.tx.chunk_rows import receipt_values
from hdm.state.tx.context import Base
from hdm.state.tx.seals import LETTER, seal, text_seal
from hdm.state.tx.transaction import Tx

T = TypeVar("T")

_FENCED = (
    chunk.c.chunk_id == bindparam("id"),
    chunk.c.attempt == bindparam("mine"),
    chunk.c.lease_owner == bindparam("worker"),
)
_RECEIPT = (
    "receipt", "written_attempt", "rows_extracted", "rows_loaded", "rows_rejected", "rows_filtered", "bytes",
    "content_sha256", "sink_filter",
)  # fmt: skip
_WROTE = Prepared(
    update(chunk)
    .where(*_FENCED)
    .values(
        status=WRITTEN,
        sourcing_end_time=bindparam("at"),
        sinking_start_time=bindparam("at"),
        updated_on=bindparam("at"),
        **{name: bindparam(f"new_{name}") for name in _RECEIPT},
    )
)
_COMMITTED = Prepared(
    update(chunk)
    .where(*_FENCED)
    .values(
        status=bindparam("becomes"),
        lease_expires_at=None,
        not_before=None,
        error_class=None,
        error_msg=None,
        sinking_end_time=bindparam("at"),
        updated_on=bindparam("at"),
        **{name: bindparam(f"new_{name}") for name in _RECEIPT},
    )
)


def held(tx: Tx, lease: Lease) -> Any:
    """Return the chunk's locked row; raise ``LeaseLost`` if another attempt has the chunk."""
    row = tx.chunk_row
    if row is None or row.attempt != lease.attempt or row.lease_owner != lease.worker_id:
        raise LeaseLost(f"chunk {lease.chunk_id[:12]} attempt {lease.attempt}: the lease is lost")
    return row


def fenced(
    base: Base,
    lease: Lease,
    what: str,
    work: Callable[[Tx], T],
    ask: Mapping[str, Query] | None = None,
) -> T:
    """Run ``work`` with the chunk's row locked; return its result.

    If the lease is lost, record that, with ``what`` was tried, and raise ``LeaseLost``. ``ask`` are queries
    to send along, see ``Base.change``.
    """
    try:
        return base.change(lease.run_id, work, hold=lease.chunk_id, ask=ask)
    except LeaseLost:
        try:
            base.change(lease.run_id, lambda tx: _note(tx, lease, "lease.lost", tried=what))
        except StateError as error:
            raise LeaseLost(f"chunk {lease.chunk_id[:12]}: the lease is lost") from error
        raise


def _note(
    tx: Tx, lease: Lease, kind: str, was: str | None = None, now: str | None = None, **payload: Any
) -> None:
    tx.event(
        kind, job=lease.job.job_id, chunk=lease.chunk_id, worker=lease.worker_id,
        attempt=lease.attempt, was=was, now=now, **payload,
    )  # fmt: skip


def _fence(tx: Tx, lease: Lease) -> dict[str, Any]:
    return {
        "id": lease.chunk_id, "mine": lease.attempt, "worker": lease.worker_id, "at": tx.now,
    }  # fmt: skip


def _must(lease: Lease, row: Any, allowed: tuple[str, ...], what: str) -> None:
    if row.status not in allowed:
        raise IllegalTransition(f"chunk {lease.chunk_id[:12]} is {row.status} and cannot be {what}")


def _checked(lease: Lease, receipt: Receipt) -> dict[str, Any]:
    """Return the columns of a receipt; raise ``BrokenContract`` if its numbers do not add up."""
    values = receipt_values(receipt)
    accounted = receipt.rows + receipt.filtered + receipt.rejected
    if receipt.chunk_id != lease.chunk_id:
        raise BrokenContract(f"{lease.job.info.sink_name}: the receipt is of another chunk")
    if values["rows_extracted"] != accounted:
        raise BrokenContract(
            f"{lease.job.info.sink_name}: {values['rows_extracted']} rows were extracted but "
            f"{accounted} accounted for ({receipt.rows} written, {receipt.filtered} filtered, "
            f"{receipt.rejected} set aside)",
            hint="the chunk is not committed; look for a connector that drops rows",
        )
    return {f"new_{name}": values[name] for name in _RECEIPT}


def wrote(base: Base, lease: Lease, receipt: Receipt) -> None:
    """Record that a chunk's content is written but not visible yet (status 'written').

    Raises ``LeaseLost``, or ``BrokenContract`` if the receipt does not fit the lease.
    """

    def work(tx: Tx) -> None:
        row = held(tx, lease)
        _must(lease, row, HELD, WRITTEN)
        values = _checked(lease, receipt)
        tx.queue(_WROTE, {**_fence(tx, lease), **values})
        _note(
            tx, lease, "chunk.written", row.status, WRITTEN, rows=receipt.rows, bytes=receipt.bytes,
            receipt=text_seal(values["new_receipt"]),
        )  # fmt: skip

    fenced(base, lease, WRITTEN, work)


def commit(
    base: Base, lease: Lease, receipt: Receipt, target_rows: int | None, claim_next: ClaimRequest | None
) -> Lease | None:
    """Record that a chunk's content is visible: status, counts, files, lineage and watermark.

    All in one transaction. ``target_rows`` is how many rows the target says it stores: -1 if it does not know
    the chunk, None if it cannot tell. If that equals the receipt's rows, the chunk becomes 'verified', else
    it stays 'committed'. Returns the lease on the worker's next chunk if ``claim_next`` asks for one and one
    is easily found, else None.
    """
    try:
        return _commit(base, lease, receipt, target_rows, claim_next)
    except (BrokenContract, IllegalTransition, LeaseLost, StateUnavailable):
        raise
    except Exception:
        if claim_next is None:
            raise
        # A fault of the next chunk must not undo the commit of this one, which is already visible.
        return _commit(base, lease, receipt, target_rows, None)


def _commit(
    base: Base, lease: Lease, receipt: Receipt, target_rows: int | None, claim_next: ClaimRequest | None
) -> Lease | None:
    tried: list[Lease | None] = [None]
    ask = commit_effects.commit_lookups(lease.job, lease.chunk, lease.chunk_id, receipt, lease.begun)
    if claim_next is not None:
        ask |= claims.asking(base, lease.run_id, claim_next.site)

    def work(tx: Tx) -> Lease | None:
        row = held(tx, lease)
        if row.status in (COMMITTED, VERIFIED):  # or committed by a first try whose answer was lost
            return claims.still_held(tx, tried[0])
        _must(lease, row, HELD, COMMITTED)
        status = VERIFIED if target_rows == receipt.rows else COMMITTED
        # The digests are stored in a table of their own, in the same transaction.
        values = _checked(lease, replace(receipt, boundary_digests=()))
        tx.queue(_COMMITTED, {**_fence(tx, lease), **values, "becomes": status})
        rejected = {"rejected": receipt.rejected} if receipt.rejected else {}
        _note(
            tx, lease, "chunk.committed", row.status, COMMITTED, rows=receipt.rows, bytes=receipt.bytes,
            filtered=receipt.filtered, sha256=receipt.sha256, adopted=receipt.adopted,
            receipt=text_seal(values["new_receipt"]), **rejected,
        )  # fmt: skip
        if target_rows is not None:
            commit_effects.compared(
                tx, lease.job.job_id, lease.chunk_id, receipt.rows, target_rows,
                worker=lease.worker_id, attempt=lease.attempt,
            )  # fmt: skip
        commit_effects.apply_commit_effects(tx, lease.job, lease.chunk, lease.chunk_id, receipt, lease.begun)
        artifacts.drop_unstarted(tx, lease)
        tried[0] = claims.found(base, tx, lease.worker_id, claim_next) if claim_next else None
        return tried[0]

    return fenced(base, lease, COMMITTED, work, ask)


def failures(base: Base, lease: Lease) -> int:
    """Return how often the chunk has failed since it was planned or retried; 0 if never.

    Failures of an unreachable system do not count.
    """
    query = select(chunk.c.failures).where(chunk.c.chunk_id == lease.chunk_id)
    return base.db.read(lambda conn: int(conn.execute(query).scalar() or 0))


def fail(
    base: Base, lease: Lease, error: BaseException, retry_in: float | None, phase: str, counts: bool
) -> bool:
    """Record a failed attempt; the chunk is tried again in ``retry_in`` seconds.

    If that is None, the chunk becomes dead. ``counts``: as a failure of the chunk, not of an unreachable
    system. Returns True if the written content is recorded and the next try will publish it, so that the
    caller must not remove it; else False.
    """
    name, text = type(error).__name__, message(error, base.mask)

    def work(tx: Tx) -> bool:
        row = held(tx, lease)
        _must(lease, row, HELD, "failed")
        sealed: dict[str, Any] = {}
        if retry_in is None:
            sealed["letter"] = _bury(tx, lease, error, text, phase)
            status = DEAD
        else:
            status = WRITTEN if row.status == WRITTEN else PENDING
            tx.conn.execute(
                update(chunk)
                .where(*_FENCED)
                .values(
                    status=status,
                    lease_expires_at=clock.later if status == WRITTEN else None,
                    not_before=clock.later,
                    updated_on=bindparam("at"),
                    error_class=name,
                    error_msg=text,
                    failures=chunk.c.failures + (1 if counts else 0),
                ),
                {**_fence(tx, lease), "later_ms": int(max(0.0, retry_in) * 1000)},
            )
        kind = "chunk.dead" if retry_in is None else "chunk.failed"
        artifacts.drop_unstarted(tx, lease)
        _note(
            tx, lease, kind, row.status, status, error=name, phase=phase, retry_in=retry_in, counts=counts,
            **sealed,
        )  # fmt: skip
        return status == WRITTEN

    return fenced(base, lease, "failed", work)


def _bury(tx: Tx, lease: Lease, error: BaseException, text: str, phase: str) -> str:
    """Mark the chunk as dead and write its dead letter; return the letter's seal."""
    context = {
        "phase": phase,
        "attempt": lease.attempt,
        "worker": lease.worker_id,
        "run": lease.run_id,
        "pipeline": lease.job.pipeline_key,
        "epoch": lease.job.epoch,
        "chunk_no": lease.chunk.number,
        "source": [lease.job.info.source_name, lease.job.info.source_type],
        "sink": [lease.job.info.sink_name, lease.job.info.sink_type],
        "errors": _causes(error),
        "hint": error.hint if isinstance(error, HdmError) else None,
        "rows": lease.progress.rows,
        "bytes": lease.progress.bytes,
    }
    tx.conn.execute(
        update(chunk)
        .where(*_FENCED)
        .values(
            status=DEAD, lease_expires_at=None, not_before=None, updated_on=bindparam("at"),
            error_class=type(error).__name__, error_msg=text,
        ),
        _fence(tx, lease),
    )  # fmt: skip
    values = {
        "error_class": type(error).__name__,
        "error_msg": text,
        "context": dump(context, tx.mask),
        "state": "open",
        "resolved_by": None,
        "resolved_at": None,
        "reason": None,
    }
    whole = (dead_letter.c.chunk_id == lease.chunk_id) & (dead_letter.c.row_no == -1)
    if tx.conn.execute(update(dead_letter).where(whole).values(values)).rowcount == 0:
        key = {"dl_id": uuid.uuid4().hex, "chunk_id": lease.chunk_id, "row_no": -1}
        tx.conn.execute(insert(dead_letter), {**key, **values, "created_on": tx.now})
    return seal("dead_letter", LETTER, values)


def _causes(error: BaseException) -> list[str]:
    """Return the class names from the error down to its first cause."""
    names: list[str] = []
    step: BaseException | None = error
    while step is not None and len(names) < 10:
        names.append(f"{type(step).__module__}.{type(step).__qualname__}")
        step = step.__cause__ or step.__context__
    return names


def release(base: Base, lease: Lease) -> bool:
    """Hand a leased chunk back, so that any worker may claim it now.

    Returns True if the next try will publish what was written, so that the caller must not remove it; else
    False.
    """

    def work(tx: Tx) -> bool:
        row = held(tx, lease)
        _must(lease, row, HELD, "handed back")
        status = PENDING if row.status == LEASED else WRITTEN
        tx.conn.execute(
            update(chunk)
            .where(*_FENCED)
            .values(status=status, lease_expires_at=bindparam("at"), updated_on=bindparam("at")),
            _fence(tx, lease),
        )
        artifacts.drop_unstarted(tx, lease)
        _note(tx, lease, "chunk.released", row.status, status)
        return status == WRITTEN

    return fenced(base, lease, "handed back", work)
