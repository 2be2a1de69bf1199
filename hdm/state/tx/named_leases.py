"""Gives one process at a time the right to plan or close a job, by the database's clock."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, bindparam, insert, or_, select, update

from hdm.errors import StateError
from hdm.state.db import clock
from hdm.state.db.tables import lease
from hdm.state.tx.context import Base

_TAKE = (
    update(lease)
    .where(
        lease.c.resource == bindparam("name"),
        or_(lease.c.owner.is_(None), lease.c.expires_at.is_(None), lease.c.expires_at <= clock.now),
    )
    .values(owner=bindparam("holder"), token=lease.c.token + 1, expires_at=clock.later)
)
_MINE = (lease.c.resource == bindparam("name"), lease.c.owner == bindparam("holder"))
_RENEW = update(lease).where(*_MINE).values(expires_at=clock.later)
_LEAVE = update(lease).where(*_MINE).values(owner=None, expires_at=None)


@contextmanager
def hold(base: Base, resource: str) -> Iterator[bool]:
    """Give the ``with`` block True if this caller got the lease on ``resource``, else False.

    The lease is renewed until the block ends.
    """
    holder = f"{base.worker_id or base.instance}/{uuid.uuid4().hex}"
    if not _take(base, resource, holder):
        yield False
        return
    stop = threading.Event()
    keeper = threading.Thread(target=_keep, args=(base, resource, holder, stop), daemon=True)
    keeper.start()
    try:
        yield True
    finally:
        stop.set()
        keeper.join()
        base.db.run(lambda conn: conn.execute(_LEAVE, {"name": resource, "holder": holder}))


def _take(base: Base, resource: str, holder: str) -> bool:
    mine = {"name": resource, "holder": holder, "later_ms": base.ttl_ms}

    def exists(conn: Connection) -> bool:
        return conn.execute(select(lease.c.token).where(lease.c.resource == resource)).first() is not None

    def create(conn: Connection) -> None:
        # Who loses a race for the row begins anew and finds it; on SQL Server the error ends savepoints, too.
        if not exists(conn):
            conn.execute(insert(lease), {"resource": resource, "token": 0})

    if not base.db.read(exists):
        base.db.run(create)
    return base.db.run(lambda conn: conn.execute(_TAKE, mine).rowcount) == 1


def _keep(base: Base, resource: str, holder: str, stop: threading.Event) -> None:
    mine = {"name": resource, "holder": holder, "later_ms": base.ttl_ms}
    while not stop.wait(base.lease_ttl / 3):
        try:
            base.db.run(lambda conn: conn.execute(_RENEW, mine))
        except StateError:
            continue
