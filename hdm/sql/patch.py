"""Changes single rows of an existing table by their keys: inserts, updates or deletes the rows of one chunk.

A chunk is one transaction with its row in the ledger, as a load is. Before anything is changed, the rows
under the chunk's keys are counted, and before the commit what the table holds then is compared with what it
was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from hdm import failpoints
from hdm.errors import RejectedRows, TransientError
from hdm.model import Attempt, Change, Chunk, Column, Kind, Payload, Receipt, Table
from hdm.sql.bringing import bring
from hdm.sql.ledger import Ledger
from hdm.sql.merge import drop_stage, make_stage
from hdm.sql.refill import Referring
from hdm.sql.sink import SqlSink
from hdm.sql.target import not_there

Fault = Callable[[Iterator[pa.RecordBatch]], str | None]
"""Says in words how the stored rows differ from those given; None if they do not."""


@dataclass(frozen=True, slots=True)
class Patch:
    """Changes rows of the table ``target`` by its key, whose columns are those of ``target.key``.

    ``source`` describes the rows that are given, ``compared`` the table's columns that are read back.
    """

    sink: SqlSink
    source: Table
    target: Table
    compared: tuple[Column, ...]

    def open(self, job_key: str, attempt: Attempt) -> int:
        """Record in the ledger that a sync begins, and return its number, which is its epoch.

        Creates the ledger if there is none. An earlier sync of this ``job_key`` can write nothing more.
        Raises ``TransientError`` if another sync begins at the same moment.
        """
        ledger, database = self._ledger, self.sink.database
        connection = database.connect("hdm:prepare", write=True)
        try:
            ledger.create(connection)
            database.begin(connection, write=True)
            epoch = ledger.greatest_epoch(connection, job_key) + 1
            name = replace(self.target.dataset, name=f"{self.target.dataset.name}#sync")
            begun = Chunk(job_key, name, 0, epoch=epoch)
            if not ledger.claim(connection, begun, attempt):
                database.rollback(connection)
                raise self._overtaken()
            ledger.fill(connection, Receipt(begun.chunk_id, attempt.number, 0, location=name.name))
            database.commit(connection)
            return epoch
        finally:
            connection.close()

    def _overtaken(self) -> TransientError:
        return TransientError(
            f"{self.target.dataset.name}: another sync of it has begun since this one",
            hint="run the command again when that has ended",
        )

    @property
    def _ledger(self) -> Ledger:
        return Ledger(self.sink.database, self.target.path[:-1])

    def conclude(self, chunk: Chunk, attempt: Attempt, receipt: Receipt) -> Receipt:
        """Put a chunk that is one whole sync into the ledger, and return its receipt.

        If the ledger has it already, its receipt is returned, ``adopted``.
        """
        ledger, database = self._ledger, self.sink.database
        connection = database.connect(f"hdm:{chunk.chunk_id[:12]}:{attempt.number}", write=True)
        try:
            database.begin(connection, write=True)
            if ledger.claim(connection, chunk, attempt):
                ledger.fill(connection, receipt)
                attempt.check()
                failpoints.point("Y7")
                database.commit(connection)
                failpoints.point("Y8")
                return receipt
            database.rollback(connection)
            database.begin(connection)
            held = ledger.find(connection, chunk.chunk_id)
        finally:
            connection.close()
        if held is None:
            raise self._overtaken()
        return replace(held, attempt=attempt.number, adopted=True)

    def apply(
        self, change: Change, rows: pa.RecordBatch, chunk: Chunk, attempt: Attempt, fault: Fault
    ) -> None:
        """Insert, update or delete the rows under the keys of ``rows``, in one transaction with the ledger.

        To delete, ``rows`` has the table's own key columns. Raises ``RejectedRows`` and changes nothing if
        other rows stand under these keys than the change is for, if rows of other tables refer to what would
        be deleted, or if the table does not hold afterwards what it was given, as ``fault`` finds by the rows
        that are read back. Raises ``TransientError`` if another sync has begun since.
        """
        database, ledger = self.sink.database, self._ledger
        connection = database.connect(f"hdm:{chunk.chunk_id[:12]}:{attempt.number}", write=True)
        stage: tuple[str, ...] | None = None
        try:
            database.tag(connection, attempt.run_id, chunk, attempt.number)
            target, held = self.sink.writable(connection, self.target)
            if held is None:
                raise not_there(target)
            given = self.source
            if change is Change.DELETED:
                keyed = tuple(target.column(name) for name in target.key)
                given = replace(given, columns=tuple(held.column(name) for name in target.key))
                target = replace(target, columns=keyed)
            stage = make_stage(database, connection, target, chunk, attempt)
            payload = Payload(given, lambda: iter((rows,)))
            put_in = bring(database, self.sink.mapping, connection, stage, target, chunk, payload)
            database.begin(connection, write=True)
            failpoints.point("Y1")
            claimed = ledger.claim(connection, chunk, attempt)
            work = _Work(self, connection, target, held, stage)
            if claimed:
                work.wait_for_others()  # before the first query, whose view MySQL keeps
            if not claimed or ledger.greatest_epoch(connection, chunk.job_key) > chunk.epoch:
                database.rollback(connection)
                raise self._overtaken()
            failpoints.point("Y2")
            count = put_in()
            work.do(change, count, fault)
            deleted = count if change is Change.DELETED else 0
            receipt = Receipt(
                chunk.chunk_id, attempt.number, count - deleted, extracted=count, filtered=deleted,
                location=target.dataset.name,
            )  # fmt: skip
            ledger.fill(connection, receipt)
            attempt.check()
            failpoints.point("Y3")
            database.commit(connection)
            failpoints.point("Y4")
        finally:
            drop_stage(database, connection, stage)
            connection.close()


@dataclass(frozen=True, slots=True)
class _Work:
    """What is done in one open transaction; ``stage`` holds the chunk's rows or keys."""

    patch: Patch
    connection: Any
    target: Table
    held: Table
    stage: Sequence[str]

    def wait_for_others(self) -> None:
        """Take the target's merge lock, so that nobody changes the rows after they are counted."""
        lock = self.patch.sink.dialect.merge_lock(self.target.path)
        if lock is None:
            return
        got = self.patch.sink.database.run(self.connection, lock)
        if got and got[0][0] != 1:
            raise TransientError(f"{self.target.dataset.name}: another merge into it does not end")

    def do(self, change: Change, count: int, fault: Fault) -> None:
        """Change the ``count`` rows, and find out whether the table holds them."""
        database = self.patch.sink.database
        self._expect(0 if change is Change.NEW else count, change, count)
        if change is Change.DELETED:
            self._delete(count)
            return
        names = [column.name for column in self.target.columns]
        statements = database.merging(
            self.connection, replace(self.held, path=self.target.path), self.stage,
            columns=names, key=self.target.key, null_keys=False, exact=self._texts, newest=None,
        )  # fmt: skip
        for statement in statements:
            database.change(self.connection, statement)
        if database.streams_in_session:
            wrong = fault(self._stored())
        else:
            there = self._matched()
            wrong = None if there == count else f"it holds {there:,} of the {count:,} rows that it was given"
        if wrong is not None:
            raise RejectedRows(
                f"{self._name}: {wrong}; these {count:,} rows were left as they were",
                hint="look for triggers, rules, generated columns and types of the table that change values",
            )

    def _stored(self) -> Iterator[pa.RecordBatch]:
        database, columns = self.patch.sink.database, self.patch.compared
        dialect = database.dialect
        shown = ", ".join(f"{dialect.select_expression(c)} AS {dialect.quote(c.name)}" for c in columns)
        origin = dialect.derived(f"SELECT t.* {self._matching}")
        return database.stream(self.connection, f"SELECT {shown} FROM {origin}", columns)

    def _delete(self, count: int) -> None:
        database = self.patch.sink.database
        for key in database.referring(self.connection, self.held.path) if database.keys_act else ():
            if key.table:
                self._refuse_referred(key)
        before = self._count(f"FROM {database.dialect.qualify(self.target.path)}")
        path, key_names = self.target.path, self.target.key
        database.change(
            self.connection, database.dialect.delete_matched(path, self.stage, key_names, self._texts)
        )
        after = self._count(f"FROM {database.dialect.qualify(self.target.path)}")
        if self._matched() or before - after != count:
            raise RejectedRows(
                f"{self._name}: {before - after:,} rows went when {count:,} were deleted; all were left",
                hint="look for triggers, rules and foreign keys of the table that keep or delete rows",
            )

    def _refuse_referred(self, key: Referring) -> None:
        """Raise ``RejectedRows`` if rows of another table refer to rows that are to be deleted."""
        dialect = self.patch.sink.dialect
        same = " AND ".join(
            f"t.{dialect.quote(there)} = c.{dialect.quote(here)}"
            for there, here in zip(key.target, key.columns, strict=True)
        )
        child = f"FROM {dialect.qualify(key.table)} {dialect.alias('c')}"
        count = self._count(f"{child} WHERE EXISTS (SELECT 1 {self._matching} AND {same})")
        if count:
            raise RejectedRows(
                f"{self._name}: {count:,} rows of {'.'.join(key.table)} refer to rows that would be deleted "
                f"({key.name}); these were left",
                hint=f"sync {'.'.join(key.table)} first, or change or delete those rows",
            )

    def _expect(self, wanted: int, change: Change, count: int) -> None:
        there = self._matched()
        if there != wanted:
            raise RejectedRows(
                f"{self._name}: {there:,} rows stand under the keys of {count:,} {change.value} rows; "
                "nothing was done to them",
                hint="somebody else writes the table, its key is not unique in it, or a condition hides "
                "rows of it: run the command again",
            )

    def _matched(self) -> int:
        return self._count(self._matching)

    def _count(self, origin: str) -> int:
        return int(self.patch.sink.database.run(self.connection, f"SELECT COUNT(*) {origin}")[0][0])

    @property
    def _matching(self) -> str:
        dialect = self.patch.sink.dialect
        return dialect.joined_by_key(self.target.path, self.stage, self.target.key, self._texts)

    @property
    def _texts(self) -> tuple[str, ...]:
        return tuple(k for k in self.target.key if self.target.column(k).kind in (Kind.TEXT, Kind.ENUM))

    @property
    def _name(self) -> str:
        return self.target.dataset.name
