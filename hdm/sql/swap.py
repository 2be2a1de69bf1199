"""The swap that ends mode ``replace``: once per epoch, by whoever finishes the job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hdm import failpoints
from hdm.model import Attempt, Chunk, Dataset, Receipt, Table
from hdm.sql.database import Database
from hdm.sql.ledger import Ledger


def swap_chunk(job_key: str, dataset: Dataset, epoch: int) -> Chunk:
    """What the ledger knows a swap of mode ``replace`` by."""
    return Chunk(job_key, replace(dataset, name=dataset.name + "#swap"), 0, epoch=epoch)


def swap_session(database: Database, swap: Chunk) -> Any:
    """A session to swap on. Who finishes a job holds its lease alone: a session that is still at
    this swap is a dead process's, and its transaction would keep everybody from the ledger."""
    mark = f"hdm:{swap.chunk_id[:12]}:"
    before = database.connect("hdm:swap", write=True)
    try:
        database.evict(before, mark, 2)
    finally:
        before.close()
    return database.connect(f"{mark}1", write=True)


def swap_once(
    database: Database, ledger: Ledger, swap: Chunk, target: Table, new: Sequence[str], old: Sequence[str]
) -> None:
    """Put the rows of table ``new`` in the place of those of ``target``, unless the ledger says that it was
    done; ``old`` is the name to drop a table under. Where each definition commits, a process may have ended
    half-way."""
    connection = swap_session(database, swap)
    try:
        failpoints.point("W1")
        there = ledger.exists(connection, new)
        database.begin(connection, write=True)
        again = not ledger.claim(connection, swap, Attempt(1))
        if again:
            database.rollback(connection)
            database.begin(connection, write=True)
            if ledger.find(connection, swap.chunk_id) is not None:
                database.rollback(connection)
                _drop_late(database, connection, new, old)
                return
        if again and not there:
            database.change(connection, database.dialect.drop_table(old))
        else:
            database.swap(connection, target.path, new, old)
        failpoints.point("W2")
        ledger.fill(connection, Receipt(swap.chunk_id, 1, 0, location=target.dataset.name))
        database.commit(connection)
        failpoints.point("W3")
        _drop_late(database, connection, new, old)
    finally:
        connection.close()


def _drop_late(database: Database, connection: Any, *paths: Sequence[str]) -> None:
    """Drop what is of no use any more, where that could not be done in the transaction."""
    if not database.dialect.transactional_ddl:
        for path in paths:
            database.change(connection, database.dialect.drop_table(path))
