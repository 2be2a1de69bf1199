"""Tells by a SQL target's ledger which chunks were loaded into it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from hdm.model import Chunk, Holding, Mode, Receipt, Table
from hdm.sql.holding import NO_LEDGER, held_by
from hdm.sql.ledger import Ledger
from hdm.sql.reach import BehindDatabase
from hdm.sql.sessions import looking


class KnowsLoads(BehindDatabase):
    """The part of ``SqlSink`` that reads the target's ledger."""

    config: Any

    @abstractmethod
    def target(self, table: Table) -> Table:
        """Return the table as it will be stored."""

    def identity(self, table: Table) -> str | None:
        """Return the target's identity (a random number in the ledger), as ``prepare`` found it.

        None before ``prepare``.
        """
        return self.database.ledgers.get(self._ledger(self.target(table)).path)

    def ledger(self, table: Table, job_key: str) -> Iterator[tuple[Chunk, Receipt]]:
        """Yield every chunk of the job that the ledger records, with its receipt."""
        if not self.database.is_there():
            return
        ledger = self._ledger(self.target(table))
        with looking(self.database, "hdm:ledger") as connection:
            if ledger.is_there(connection):
                for chunk, receipt in ledger.entries(connection, job_key):
                    if not chunk.dataset.name.endswith("#swap"):
                        yield chunk, receipt

    def holding(self, table: Table, job_key: str, mode: Mode) -> Holding | None:
        """Return counts of the job's chunks from the ledger, and whether the table is missing or empty.

        In mode append, the number of the table's rows too, unless there are very many. With ``others_delete``
        only the ledger is read.
        """
        if not self.database.is_there():
            return NO_LEDGER
        target = self.target(table)
        looks = None if self.config.others_delete or mode.rules.compares else mode
        return held_by(self.database, self._ledger(target), target, job_key, looks)

    def newest_epoch(self, table: Table, job_key: str) -> int:
        """Return the greatest epoch (number of a plan) of the job in the ledger; 0 if none.

        The ledger also records table swaps.
        """
        return self._ledger(self.target(table)).newest_epoch(job_key)

    def committed(self, table: Table, chunk: Chunk, mode: Mode) -> Receipt | None:
        """Return the chunk's receipt from the ledger, read in a new session; None if there is none."""
        connection = self.database.connect("hdm:committed")
        try:
            self.database.begin(connection)
            return self._ledger(self.target(table)).find(connection, chunk.chunk_id)
        finally:
            connection.close()

    def _ledger(self, target: Table) -> Ledger:
        return Ledger(self.database, target.path[:-1])
