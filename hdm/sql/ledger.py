"""The ledger, a table in the target that records which chunks it contains, and the target's identity.

A chunk's ledger row is written in the transaction that loads the chunk, so both exist or neither does. One
more row contains the identity of the target (decision 0021): a random number, written once, that tells this
database from another one of the same name. A copy or a restored backup has the identity of the original.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from hdm.dialects.types import carrier
from hdm.errors import HdmError, TransientError
from hdm.model import Attempt, Chunk, Column, Holding, Kind, Receipt, Table
from hdm.model.json import chunk_from_json, chunk_to_json, receipt_from_json, receipt_to_json
from hdm.sql.database import Database

NAME = "_hdm_load_ledger"
HEAD = "_hdm_ledger_head"
SELF = "_target"
"""Job key and chunk id of the row whose ``chunk_json`` contains the identity of the target."""


def _column(name: str, kind: Kind, length: int | None = None, *, nullable: bool = False) -> Column:
    kept: pa.DataType = carrier(kind)
    return Column(name, kind, kept, nullable, length=length)


COLUMNS = (
    _column("job_key", Kind.TEXT, 64),
    _column("chunk_id", Kind.TEXT, 64),
    _column("epoch", Kind.INT64),
    _column("generation", Kind.INT64),
    _column("run_id", Kind.TEXT, 64),
    _column("attempt", Kind.INT64),
    _column("row_count", Kind.INT64, nullable=True),
    _column("content_sha256", Kind.TEXT, 64, nullable=True),
    _column("chunk_json", Kind.TEXT),
    _column("receipt_json", Kind.TEXT, nullable=True),
    _column("loaded_at", Kind.TIMESTAMP),
)


class Ledger:
    """Reads and writes the ledger table of one schema, by default in the caller's transaction."""

    def __init__(self, database: Database, schema: Sequence[str]) -> None:
        self.database = database
        self.path = (*schema, NAME)
        self.head = (*schema, HEAD)
        self._name = database.dialect.qualify(self.path)
        self._committed = self._name + database.dialect.passing_locks
        self._head = database.dialect.qualify(self.head)

    def create(self, connection: Any) -> str:
        """Create the ledger table if it does not exist, and return the target's identity.

        The identity is a random number. Safe if another database session creates the ledger at the same time.
        Runs transactions of its own.
        """
        if self.path in self.database.ledgers:
            return self.database.ledgers[self.path]
        self._make(connection, self.path, COLUMNS, ("chunk_id",))
        if not self.database.dialect.enforces_keys:
            self._make(connection, self.head, (_column("loads", Kind.INT64),), ())
            self.database.begin(connection, write=True)
            loads = self.database.dialect.quote("loads")
            if not self.database.run(connection, f"SELECT {loads} FROM {self._head}"):
                self.database.change(connection, f"INSERT INTO {self._head} ({loads}) VALUES (0)")
            self.database.commit(connection)
        self.database.ledgers[self.path] = identity = self._identify(connection)
        return identity

    def _identify(self, connection: Any) -> str:
        """Return the target's identity; store a new one if it has none."""
        self.database.begin(connection)
        known = self.identity(connection)
        self.database.rollback(connection)
        if known is not None:
            return known
        self.database.begin(connection, write=True)
        made = uuid.uuid4().hex
        said = json.dumps({"target": made})
        if self._insert(connection, (SELF, SELF, 0, 0, SELF, 0, None, None, said, "{}"), once=SELF):
            self.database.commit(connection)
            return made
        self.database.rollback(connection)
        self.database.begin(connection)
        known = self.identity(connection)
        self.database.rollback(connection)
        if known is None:
            raise TransientError("the ledger was dropped while it was made")
        return known

    def identity(self, connection: Any) -> str | None:
        """Return the target's identity, a random number; None if an old version made the ledger."""
        quote, mark = self.database.dialect.quote, self.database.dialect.placeholder
        rows = self.database.run(
            connection,
            f"SELECT {quote('chunk_json')} FROM {self._name} WHERE {quote('chunk_id')} = {mark(1)}",
            (SELF,),
        )
        return str(json.loads(str(rows[0][0]))["target"]) if rows else None

    def _make(
        self, connection: Any, path: Sequence[str], columns: Sequence[Column], key: Sequence[str]
    ) -> None:
        if self.exists(connection, path):
            return
        try:
            self.database.begin(connection, write=True)
            self.database.change(connection, self.database.dialect.create_table(path, columns, key))
            self.database.commit(connection)
        except HdmError:
            self.database.rollback(connection)
            if not self.exists(connection, path):
                raise

    def exists(self, connection: Any, path: Sequence[str] | None = None) -> bool:
        """Return True if the ledger table exists, or the table ``path`` if given.

        Asked in a transaction of its own.
        """
        self.database.begin(connection)
        found = self.is_there(connection, path)
        self.database.rollback(connection)
        return found

    def is_there(self, connection: Any, path: Sequence[str] | None = None) -> bool:
        """Return True if the ledger table exists, or the table ``path`` if given.

        Asked in the connection's transaction.
        """
        found: Table | None = self.database.find(connection, path or self.path)
        fold = self.database.dialect.folded_table
        return found is not None and fold(found.path[-1]) == fold((path or self.path)[-1])

    def claim(self, connection: Any, chunk: Chunk, attempt: Attempt) -> bool:
        """Insert a chunk's row into the ledger; return True if it is new, False if it exists already.

        Where keys are enforced, waits until another attempt at the same chunk ends its transaction. After
        False, the caller must roll back.
        """
        values = (
            chunk.job_key,
            chunk.chunk_id,
            chunk.epoch,
            chunk.generation,
            attempt.run_id or ("-" if self.database.dialect.empty_is_null else ""),
            attempt.number,
            None,
            None,
            chunk_to_json(chunk),
            None,
        )
        return self._insert(connection, values, once=chunk.chunk_id)

    def _insert(self, connection: Any, values: Sequence[Any], *, once: str) -> bool:
        """Insert a row; False if the ledger has one for chunk id ``once`` already."""
        dialect = self.database.dialect
        if not dialect.enforces_keys:
            loads = dialect.quote("loads")
            if dialect.head_lock:
                self.database.run(connection, dialect.head_lock.format(self._head))
            grown = f"UPDATE {self._head} SET {loads} = {loads} + 1{dialect.every_row}"
            self.database.change(connection, grown)
            there = self.identity(connection) if once == SELF else self.find(connection, once)
            if there is not None:
                return False
        names = [column.name for column in COLUMNS if column.name != "loaded_at"]
        sql = (
            f"INSERT INTO {self._name} ({dialect.names([*names, 'loaded_at'])}) "
            f"VALUES ({dialect.placeholders(len(names))}, {dialect.present})"
        )
        cursor = connection.cursor()
        try:
            self.database.execute(cursor, sql, values)
        except Exception as error:  # noqa: BLE001 -- drivers share no base class
            if dialect.is_duplicate(error):
                return False
            raise dialect.classify(error) from None
        finally:
            cursor.close()
        return True

    def fill(self, connection: Any, receipt: Receipt) -> None:
        """Store the receipt in the row that ``claim`` inserted.

        Raises ``TransientError`` if the row is gone.
        """
        mark = self.database.dialect.placeholder
        quote = self.database.dialect.quote
        touched = self.database.change(
            connection,
            f"UPDATE {self._name} SET {quote('row_count')} = {mark(1)}, "
            f"{quote('content_sha256')} = {mark(2)}, {quote('receipt_json')} = {mark(3)} "
            f"WHERE {quote('chunk_id')} = {mark(4)}",
            (receipt.rows, receipt.sha256, receipt_to_json(receipt), receipt.chunk_id),
        )
        if touched == 0:
            raise TransientError("the server ended the transaction that had claimed the chunk")

    def find(self, connection: Any, chunk_id: str) -> Receipt | None:
        """Return the receipt of a chunk from the ledger; None if it has no receipt of the chunk."""
        quote, mark = self.database.dialect.quote, self.database.dialect.placeholder
        rows = self.database.run(
            connection,
            f"SELECT {quote('receipt_json')} FROM {self._name} WHERE {quote('chunk_id')} = {mark(1)}",
            (chunk_id,),
        )
        return receipt_from_json(str(rows[0][0])) if rows and rows[0][0] is not None else None

    def rows(self, connection: Any, job_key: str, epoch: int) -> int:
        """Return how many rows the chunks of one epoch loaded, according to the ledger."""
        quote, mark = self.database.dialect.quote, self.database.dialect.placeholder
        sql = (
            f"SELECT SUM({quote('row_count')}) FROM {self._committed} "
            f"WHERE {quote('job_key')} = {mark(1)} AND {quote('epoch')} = {mark(2)}"
        )
        return int(self.database.run(connection, sql, (job_key, epoch))[0][0] or 0)

    def holding(self, connection: Any, job_key: str) -> Holding:
        """Return counts of a job's recorded chunks and their rows, by one query."""
        quote, mark = self.database.dialect.quote, self.database.dialect.placeholder
        chunk_id = quote("chunk_id")
        sql = (
            f"SELECT COUNT(*), MIN({chunk_id}), MAX({chunk_id}), SUM({quote('row_count')}) "
            f"FROM {self._committed} "
            f"WHERE {quote('job_key')} = {mark(1)} AND {quote('receipt_json')} IS NOT NULL"
        )
        chunks, least, greatest, rows = self.database.run(connection, sql, (job_key,))[0]
        return Holding(int(chunks), least, greatest, int(rows or 0))

    def entries(self, connection: Any, job_key: str) -> Iterator[tuple[Chunk, Receipt]]:
        """Yield every chunk of a job in the ledger with its receipt, oldest epoch first."""
        quote, mark = self.database.dialect.quote, self.database.dialect.placeholder
        rows = self.database.run(
            connection,
            f"SELECT {quote('chunk_json')}, {quote('receipt_json')} FROM {self._committed} "
            f"WHERE {quote('job_key')} = {mark(1)} AND {quote('receipt_json')} IS NOT NULL "
            f"ORDER BY {quote('epoch')}",
            (job_key,),
        )
        for chunk, receipt in rows:
            yield chunk_from_json(str(chunk)), receipt_from_json(str(receipt))

    def newest_epoch(self, job_key: str) -> int:
        """Return the greatest epoch number that the ledger records for a job; 0 if it records none.

        Rows of chunks and rows of table swaps count. Uses a database session of its own.
        """
        if not self.database.is_there():
            return 0
        connection = self.database.connect("hdm:ledger")
        try:
            if not self.exists(connection):
                return 0
            self.database.begin(connection)
            return self.greatest_epoch(connection, job_key)
        finally:
            connection.close()

    def greatest_epoch(self, connection: Any, job_key: str) -> int:
        """Return a job's greatest epoch in the ledger, 0 if it has none, in the caller's transaction."""
        quote, mark = self.database.dialect.quote, self.database.dialect.placeholder
        sql = f"SELECT MAX({quote('epoch')}) FROM {self._name} WHERE {quote('job_key')} = {mark(1)}"
        return int(self.database.run(connection, sql, (job_key,))[0][0] or 0)
