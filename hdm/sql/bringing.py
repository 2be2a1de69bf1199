"""Inserts a chunk's rows into the target's table, and counts them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa

from hdm import failpoints
from hdm.errors import HdmError, RejectedRows, UnrepresentableValue
from hdm.model import Chunk, Payload, Table
from hdm.sql import blame
from hdm.sql.database import Database
from hdm.sql.target import TargetMapping


def bring(
    database: Database,
    mapping: TargetMapping,
    connection: Any,
    into: Sequence[str],
    target: Table,
    chunk: Chunk,
    payload: Payload,
) -> Callable[[], int]:
    """Prepare to load a chunk's rows into table ``into``; return the function that loads them.

    Call ``bring`` before the transaction opens. The function that it returns inserts the rows inside the open
    transaction and returns how many were sent. It raises ``RejectedRows`` if the table stored another number,
    and the source's own error if reading fails.
    """
    sent = 0
    broken: list[Exception] = []

    def renamed() -> Generator[pa.RecordBatch, None, None]:
        nonlocal sent
        try:
            for batch in payload.batches():
                yield mapping.outgoing(batch, target, chunk, sent)
                sent += batch.num_rows
                failpoints.point("L3")
        except Exception as error:
            broken.append(error)
            raise

    @contextmanager
    def blaming() -> Iterator[None]:
        try:
            yield
        except HdmError as error:
            if broken:  # reading failed: raise the source's error, not the target's
                raise broken[0] from None
            if isinstance(error, UnrepresentableValue):
                blame.named(error, blame.of_text(columns))
            raise

    cased, fold = mapping.cased, database.dialect.folded
    arriving = map(mapping.arriving, payload.table.columns)
    sources = {fold(cased(column.name)): column for column in arriving}
    columns = [replace(sources.get(fold(kept.name), kept), name=kept.name) for kept in target.columns]
    outgoing = renamed()
    with blaming():
        take = database.bring(connection, into, columns, outgoing)

    def put_in() -> int:
        watch = database.watch_triggers(connection, into)
        with closing(outgoing), blaming():
            taken = take()
        if watch is not None:
            taken = min(taken, watch())
        if taken != sent:
            raise RejectedRows(
                f"{target.dataset.name} took {taken} of {sent} rows",
                hint="look for triggers or rules on the table that drop rows",
            )
        return sent

    return put_in
