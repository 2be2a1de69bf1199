"""Records each staged file: before its first byte is written, and when published, consumed, or deleted."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any, cast

from sqlalchemy import (
    Column,
    Connection,
    String,
    and_,
    bindparam,
    delete,
    exists,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from hdm.errors import LeaseLost
from hdm.model import FileNames, Receipt, digest
from hdm.state.db import clock
from hdm.state.db.database import among, locked
from hdm.state.db.statements import Prepared, Query, Values, together
from hdm.state.db.tables import artifact, chunk
from hdm.state.records import (
    COMMITTED,
    HELD,
    LEASE_SAFE_FRACTION,
    SUPERSEDED,
    VERIFIED,
    WAIVED,
    Lease,
    StaleArtifact,
)
from hdm.state.tx.context import Base
from hdm.state.tx.transaction import Tx

_KNOWN = Prepared(select(artifact.c.artifact_id).where(artifact.c.chunk_id == bindparam("of")))
_ADD = Prepared(insert(artifact))
_PUBLISH = Prepared(
    update(artifact)
    .where(artifact.c.artifact_id == bindparam("key"))
    .values(
        state="PUBLISHED",
        attempt=bindparam("by"),
        bytes=bindparam("size"),
        row_count=bindparam("count"),
        sha256=bindparam("hash"),
        etag=bindparam("tag"),
    )
)
_CONSUME = Prepared(
    update(artifact)
    .where(
        artifact.c.chunk_id == bindparam("of"),
        artifact.c.state == "PUBLISHED",
        ~exists().where(
            chunk.c.corr_in == bindparam("of"),
            chunk.c.status.not_in((COMMITTED, VERIFIED, WAIVED, SUPERSEDED)),
        ),
    )
    .values(state="CONSUMED")
)

_HOLDER = Prepared(
    locked(select(chunk.c.attempt, chunk.c.lease_owner).where(chunk.c.chunk_id == bindparam("id")), chunk)
)
_STATE = Prepared(select(artifact.c.state).where(artifact.c.artifact_id == bindparam("key")))
_BEGUN = ("artifact_id", "chunk_id", "attempt", "uri", "state", "format", "created_on")
_BEGIN = Prepared(
    insert(artifact).from_select(
        _BEGUN,
        select(
            bindparam("key", type_=String()),
            chunk.c.chunk_id,
            chunk.c.attempt,
            bindparam("uri", type_=String()),
            literal_column("'TMP'"),
            bindparam("format", type_=String()),
            clock.now,
        ).where(
            chunk.c.chunk_id == bindparam("id"),
            chunk.c.attempt == bindparam("by"),
            chunk.c.lease_owner == bindparam("worker"),
            ~exists().where(artifact.c.artifact_id == bindparam("key")),
        ),
    )
)
"""Inserts nothing if the lease is lost or the file is already recorded.

If the lease is lost at the very same moment, the file is one that ``stale`` finds later.
"""
_AGAIN = Prepared(
    update(artifact)
    .where(artifact.c.artifact_id == bindparam("key"))
    .values(state="TMP", attempt=bindparam("by"), deleted_on=None)
)


_NEVER = Prepared(
    delete(artifact).where(artifact.c.artifact_id == bindparam("key"), artifact.c.state == "TMP")
)


def artifact_key(chunk_id: str, uri: str) -> str:
    """Return the id under which a chunk's file is recorded."""
    return digest("artifact", chunk_id, uri)


def begin(base: Base, lease: Lease, uri: str, kind: str) -> None:
    """Record that an attempt is about to write the file ``uri``; raise ``LeaseLost`` if its lease is lost.

    ``kind`` is the file's format. Sends nothing to the database if the claim recorded the file so recently
    that the lease cannot have expired.
    """
    key, new = _begun(lease, uri, kind)
    if key in lease.announced:
        lease.announced.discard(key)
        if time.monotonic() - lease.since < lease.ttl * LEASE_SAFE_FRACTION:
            lease.begun.add(key)
            return

    def work(conn: Connection) -> bool:
        return together(conn, [(_BEGIN, new)], last=True)[-1].touched == 1

    if not base.db.run(work):
        base.db.run(lambda conn: _begin_again(conn, lease, key))
    lease.begun.add(key)


def preregister(tx: Tx, lease: Lease, names: FileNames | None) -> None:
    """Record the first file of an attempt, in the transaction that claims its chunk.

    ``names`` gives the file's name for the chunk and the attempt. Does nothing without ``names``, if they do
    not hold for this chunk, or if the chunk's content is already written. A name that is empty, too long or
    not printable is left to ``begin``, so that it cannot make the claim fail.
    """
    uri = names.first(lease.chunk, lease.attempt) if names is not None and lease.receipt is None else None
    if names is None or uri is None:
        return
    if not (_fits(uri, artifact.c.uri) and _fits(names.format, artifact.c.format)):
        return
    key, new = _begun(lease, uri, names.format)
    tx.queue(_BEGIN, new, then=lambda made: lease.announced.add(key) if made else None)


def _fits(text: str, column: Column[Any]) -> bool:
    """Return whether the text fits the column and is printable, so that every database accepts it."""
    longest = cast("String", column.type).length or 0
    return 0 < len(text) <= longest and text.isprintable()


def drop_unstarted(tx: Tx, lease: Lease) -> None:
    """Delete the records of files that an attempt recorded in advance but never began to write."""
    for key in sorted(lease.announced):
        tx.queue(_NEVER, {"key": key})


def _begun(lease: Lease, uri: str, kind: str) -> tuple[str, Values]:
    key = artifact_key(lease.chunk_id, uri)
    return key, {
        "key": key, "uri": uri, "format": kind, "id": lease.chunk_id, "by": lease.attempt,
        "worker": lease.worker_id,
    }  # fmt: skip


def _begin_again(conn: Connection, lease: Lease, key: str) -> None:
    """Record the file again although an attempt has already recorded it; raise ``LeaseLost``."""
    holders, states = together(conn, [(_HOLDER, {"id": lease.chunk_id}), (_STATE, {"key": key})])
    mine = [(row.attempt, row.lease_owner) for row in holders.rows]
    if mine != [(lease.attempt, lease.worker_id)]:
        raise LeaseLost(f"chunk {lease.chunk_id[:12]} attempt {lease.attempt}: the lease is lost")
    if states.rows[0].state in ("TMP", "DELETED"):
        together(conn, [(_AGAIN, {"key": key, "by": lease.attempt})], last=True)


def known(chunk_id: str) -> Query:
    """Return the query for the ids of the files that are recorded for a chunk.

    ``published`` takes its answer.
    """
    return _KNOWN, {"of": chunk_id}


def published(tx: Tx, chunk_id: str, receipt: Receipt, begun: Collection[str]) -> None:
    """Record a receipt's files as the content of its chunk.

    ``begun`` are the ids of those that are recorded already; the others are added.
    """
    for file in receipt.files:
        key = artifact_key(chunk_id, file.uri)
        if key in begun:
            values = {
                "key": key, "by": receipt.attempt, "size": file.bytes, "count": file.rows,
                "hash": file.sha256, "tag": file.etag,
            }  # fmt: skip
            tx.queue(_PUBLISH, values)
        else:
            tx.queue(
                _ADD,
                {
                    "artifact_id": key, "chunk_id": chunk_id, "attempt": receipt.attempt,
                    "uri": file.uri, "state": "PUBLISHED", "format": file.format, "bytes": file.bytes,
                    "row_count": file.rows, "sha256": file.sha256, "etag": file.etag,
                    "created_on": tx.now,
                },
            )  # fmt: skip


def consumed(tx: Tx, upstream_chunk_id: str) -> None:
    """Record the files of an upstream chunk as consumed, unless a chunk made of them is not settled."""
    tx.queue(_CONSUME, {"of": upstream_chunk_id})


def stale(base: Base) -> list[StaleArtifact]:
    """Return the unfinished files of attempts that have ended or have lost their lease.

    Leaves out the files of a written chunk that is still to be published.
    """
    holding = and_(
        among(chunk.c.status, HELD),
        chunk.c.attempt == artifact.c.attempt,
        chunk.c.lease_expires_at > clock.now,
    )
    to_publish = and_(chunk.c.status == "written", chunk.c.written_attempt == artifact.c.attempt)
    query = (
        select(
            artifact.c.artifact_id,
            artifact.c.uri,
            artifact.c.format,
            chunk.c.job_id,
            artifact.c.chunk_id,
            artifact.c.attempt,
        )
        .join(chunk, chunk.c.chunk_id == artifact.c.chunk_id)
        .where(artifact.c.state == "TMP", ~or_(holding, to_publish))
        .order_by(artifact.c.created_on, artifact.c.artifact_id)
    )
    rows = base.db.read(lambda conn: conn.execute(query).all())
    return [
        StaleArtifact(artifact_id=r[0], uri=r[1], format=r[2], job_id=r[3], chunk_id=r[4], attempt=r[5])
        for r in rows
    ]


def deleted(base: Base, artifact_id: str) -> None:
    """Record that a file was deleted; do nothing if the file is not recorded."""
    owner = select(chunk.c.job_id, chunk.c.chunk_id).join(artifact, artifact.c.chunk_id == chunk.c.chunk_id)
    found = base.db.read(
        lambda conn: conn.execute(owner.where(artifact.c.artifact_id == artifact_id)).one_or_none()
    )
    if found is None:
        return

    def work(tx: Tx) -> None:
        tx.conn.execute(
            update(artifact)
            .where(artifact.c.artifact_id == artifact_id)
            .values(state="DELETED", deleted_on=tx.now)
        )
        tx.event("file.deleted", job=found.job_id, chunk=found.chunk_id, file=artifact_id)

    base.change(base.db.read(lambda conn: base.run_of(conn, found.job_id)), work)
