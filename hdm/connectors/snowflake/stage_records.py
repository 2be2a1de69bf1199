"""Keeps the chunk records of an internal stage in a ledger, since no file on a stage is created only once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from hdm import failpoints
from hdm.connectors.snowflake.stage_store import StageStore
from hdm.files.layout import stem
from hdm.files.records import Records
from hdm.model import Attempt, Chunk, Receipt, Table, digest
from hdm.sql import Ledger


class LedgerRecords(Records):
    """Keeps each record as a row of the ledger table in the stage's schema.

    A row of its own, under a job key made of the job's, marks files that were removed on purpose.
    """

    undo: ClassVar[str] = "delete its row of the ledger"

    def __init__(self, store: StageStore) -> None:
        self.store = store
        self.database = store.database
        self.ledger = Ledger(store.database, store.stage[:-1])

    def prepare(self, home: str, table: Table) -> None:
        """Create the ledger if it does not exist."""
        with self.store.session("hdm:prepare", write=True) as connection:
            self.ledger.create(connection)

    def find(self, folder: str, chunk: Chunk) -> Receipt | None:
        """Return the receipt in the chunk's row; None if there is no such row."""
        with self.store.session("hdm:committed") as connection:
            return self.ledger.find(connection, chunk.chunk_id)

    def create(self, folder: str, chunk: Chunk, receipt: Receipt, table: Table, attempt: Attempt) -> None:
        """Insert the row in one transaction, unless the worker must stop."""
        if not self._insert(chunk, receipt, attempt):
            raise FileExistsError(chunk.chunk_id)

    def entries(self, home: str, job_key: str) -> Iterator[tuple[Chunk, Receipt]]:
        """Yield what the ledger has of the job; nothing if there is no ledger."""
        with self.store.session("hdm:ledger") as connection:
            there = self.ledger.exists(connection)
            return iter(list(self.ledger.entries(connection, job_key)) if there else [])

    def retire(self, folder: str, chunk: Chunk) -> None:
        """Insert the row that marks the chunk's files."""
        mark = _mark(chunk)
        self._insert(mark, Receipt(mark.chunk_id, 1, 0), Attempt(1))

    def is_retired(self, folder: str, chunk: Chunk) -> bool:
        """Return True if the ledger marks the chunk's files as removed."""
        return self.find(folder, _mark(chunk)) is not None

    def retired(self, job_key: str, keys: Iterable[str]) -> frozenset[str]:
        """Return the stems of the chunks whose files the ledger marks as removed."""
        marks = self.entries("", _marks(job_key))
        return frozenset(stem(mark.at(job_key=job_key)) for mark, _ in marks)

    def newest_epoch(self, home: str, job_key: str) -> int:
        """Return the greatest epoch in the ledger."""
        return self.ledger.newest_epoch(job_key)

    def _insert(self, chunk: Chunk, receipt: Receipt, attempt: Attempt) -> bool:
        """Insert a row; return False if the ledger has it already."""
        label = f"hdm:{chunk.chunk_id[:12]}:{attempt.number}"
        with self.store.session(label, write=True) as connection:
            self.database.begin(connection, write=True)
            failpoints.point("L1")
            if not self.ledger.claim(connection, chunk, attempt):
                self.database.rollback(connection)
                return False
            failpoints.point("L2")
            self.ledger.fill(connection, receipt)
            attempt.check()
            self.database.commit(connection)
            return True


def _marks(job_key: str) -> str:
    """Return the job key of the rows that mark files of this job's chunks."""
    return digest("retired", job_key)


def _mark(chunk: Chunk) -> Chunk:
    return chunk.at(job_key=_marks(chunk.job_key))
