"""Swaps the new table for the target at the end of mode ``replace``, once per epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hdm import failpoints
from hdm.errors import RejectedRows
from hdm.model import Attempt, Chunk, Dataset, Receipt, Table
from hdm.sql.database import Database
from hdm.sql.ledger import Ledger


def swap_chunk(job_key: str, dataset: Dataset, epoch: int) -> Chunk:
    """Return the chunk by which the ledger records a table swap of mode ``replace``; it has no rows."""
    return Chunk(job_key, replace(dataset, name=dataset.name + "#swap"), 0, epoch=epoch)


def swap_session(database: Database, swap: Chunk) -> Any:
    """Open a database session for a table swap, and return the connection.

    Terminates sessions of dead processes at the same swap, since an open transaction of theirs would block
    the ledger. A session of that swap does belong to a dead process: the caller has the only lease on the
    job's end.
    """
    mark = f"hdm:{swap.chunk_id[:12]}:"
    before = database.connect("hdm:swap", write=True)
    try:
        database.evict(before, mark, 2)
    finally:
        before.close()
    return database.connect(f"{mark}1", write=True)


def _is_whole(database: Database, connection: Any, ledger: Ledger, swap: Chunk, target: Table) -> None:
    """Count the table after the swap; raise ``RejectedRows`` unless it contains all loaded rows."""
    loaded = ledger.rows(connection, swap.job_key, swap.epoch)
    counted = f"SELECT COUNT(*) FROM {database.dialect.qualify(target.path)}"
    held = int(database.run(connection, counted)[0][0])
    if held != loaded:
        raise RejectedRows(
            f"{target.dataset.name} holds {held} of {loaded} rows after the swap",
            hint="look for triggers or rules on the table that drop rows",
        )


def swap_once(
    database: Database, ledger: Ledger, swap: Chunk, target: Table, new: Sequence[str], old: Sequence[str]
) -> None:
    """Replace the rows of table ``target`` by those of table ``new``, unless the ledger records that swap.

    ``old`` is the name that the replaced table gets before it is dropped. Where DDL commits the transaction,
    an earlier process may have ended half-way; then the rest is done. Raises ``RejectedRows`` if the table
    has another number of rows afterwards than the epoch loaded.
    """
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
            _is_whole(database, connection, ledger, swap, target)
        failpoints.point("W2")
        ledger.fill(connection, Receipt(swap.chunk_id, 1, 0, location=target.dataset.name))
        database.commit(connection)
        failpoints.point("W3")
        _drop_late(database, connection, new, old)
    finally:
        connection.close()


def swap_before(
    database: Database, ledger: Ledger, target: Table, new: Sequence[str], job_key: str, epoch: int
) -> None:
    """Do what ``swap_once`` does where DDL is possible outside of a transaction alone.

    An existing table is filled in one transaction with the ledger row. If there is none, the new table is
    renamed first.
    """
    swap = swap_chunk(job_key, target.dataset, epoch)
    connection = swap_session(database, swap)
    try:
        if ledger.find(connection, swap.chunk_id) is None:
            failpoints.point("W1")
            there = database.find(connection, target.path) is not None
            if not there:
                database.swap(connection, target.path, new, new)
            database.begin(connection, write=True)
            if ledger.claim(connection, swap, Attempt(1)):
                if there and database.find(connection, new) is not None:
                    database.swap(connection, target.path, new, new)
                failpoints.point("W2")
                ledger.fill(connection, Receipt(swap.chunk_id, 1, 0, location=target.dataset.name))
            database.commit(connection)
            failpoints.point("W3")
        database.change(connection, database.dialect.drop_table(new))
    finally:
        connection.close()


def _drop_late(database: Database, connection: Any, *paths: Sequence[str]) -> None:
    """Drop the tables that are no longer needed, if DDL was not possible in the transaction."""
    if not database.dialect.transactional_ddl:
        for path in paths:
            database.change(connection, database.dialect.drop_table(path))
