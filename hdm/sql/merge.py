"""Implements mode ``merge``: puts a chunk's rows into a temporary table, then merges them by key.

Which of several rows with one key stays does not depend on which chunk commits last (decision 0011). The rows
in the target are counted before the transaction is committed (decision 0012).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from hdm.errors import ConnectionLost, HdmError, RejectedRows, SchemaDrift, TransientError
from hdm.model import Attempt, Chunk, Kind, Table
from hdm.sql.database import Database
from hdm.sql.target import CHUNK_ID, ROW_NO

LATER = {Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64, Kind.DECIMAL, Kind.DATE, Kind.TIMESTAMP} | {
    Kind.TIMESTAMPTZ
}
"""Kinds of a cursor that every database sorts in one order."""


def newest_by(database: Database, target: Table) -> str | None:
    """Return the cursor column, whose greatest value marks the newest of several rows with one key.

    None if the target has no cursor, or if its database may sort the cursor in another way than the source.
    """
    for column in target.columns:
        if column.name == target.cursor and column.kind in LATER and database.dialect.is_sortable(column):
            return column.name
    return None


def make_stage(
    database: Database, connection: Any, target: Table, chunk: Chunk, attempt: Attempt
) -> tuple[str, ...]:
    """Create the temporary table for a chunk, and return its full name.

    In a transaction of its own, since DDL may commit. Where the server refuses a temporary table, and the
    dialect has ``plain_stage``, it is an ordinary table, which ``drop_stage`` drops.
    """
    dialect, start = database.dialect, f"_hdm_stage_{chunk.chunk_id[:12]}_"
    path = database.stage_path(target.path, f"{start}{attempt.number}")
    try:
        _make(database, connection, dialect.create_stage(path, target.path, target.columns))
    except ConnectionLost:
        raise
    except HdmError:
        if not dialect.plain_stage:
            raise
        for left in database.tables_like(connection, target.path, start):  # an attempt that is dead left it
            _make(database, connection, dialect.drop_table(left))
        path = (*target.path[:-1], *path)
        loose = [replace(column, nullable=True) for column in target.columns]
        _make(database, connection, dialect.create_table(path, loose))
    return path


def _make(database: Database, connection: Any, sql: str) -> None:
    database.begin(connection, write=True)
    database.change(connection, sql)
    database.commit(connection)


def drop_stage(database: Database, connection: Any, stage: Sequence[str] | None) -> None:
    """Drop a chunk's stage if it is an ordinary table; leave a temporary table to the server.

    What is still open is rolled back first, since DDL commits.
    """
    if stage is not None and len(stage) > 1 and database.dialect.plain_stage:
        with suppress(HdmError):  # else a later attempt drops it
            database.rollback(connection)
            database.change(connection, database.dialect.drop_table(stage))


@dataclass(frozen=True, slots=True)
class Merge:
    """Merges one chunk's rows from a temporary table into ``target``, inside the open transaction.

    ``held`` is the existing table as the catalogue describes it. ``repeats``: other chunks of the reading may
    contain rows with the same keys, so that the cursor decides which row is the newest.
    """

    database: Database
    connection: Any
    target: Table
    held: Table
    stage: Sequence[str]
    repeats: bool

    def run(self, sent: int) -> int:
        """Merge the ``sent`` rows of the temporary table; return how many were skipped.

        A row is skipped if a newer row has its key. Raises ``RejectedRows`` if nothing tells which of two
        rows with one key is newer, or if the table does not contain all rows afterwards; ``SchemaDrift`` if
        the cursor cannot be compared with the table's column.
        """
        newest = newest_by(self.database, self.target) if self.repeats else None
        if newest is not None:
            self._can_compare(newest)
        if self.repeats or not self._is_enforced():
            self._wait_for_others()
        left = staged = sent
        if self._has("{} GROUP BY {key} HAVING COUNT(*) > 1"):
            left, staged = self._keep_one(newest)
        kinds = [False]
        if self._has("{} WHERE " + " OR ".join(f"{self._quote(name)} IS NULL" for name in self.target.key)):
            kinds.append(True)
        touched = [self._bring_in(newest, null_keys=null_keys) for null_keys in kinds]
        return sent - left + self._account(staged, sum(touched), newest, kinds)

    def _is_enforced(self) -> bool:
        fold = self.database.dialect.folded
        return bool(self.held.key) and {*map(fold, self.held.key)} == {*map(fold, self.target.key)}

    def _wait_for_others(self) -> None:
        """Take the target's merge lock, so that no other merge inserts the same keys meanwhile."""
        lock = self.database.dialect.merge_lock(self.target.path)
        if lock is None:
            return
        got = self.database.run(self.connection, lock)
        if got and got[0][0] != 1:
            raise TransientError(f"{self._name}: another merge into it does not end")

    def _can_compare(self, newest: str) -> None:
        """Raise ``SchemaDrift`` unless the cursor can be compared with the existing table's column."""
        fold = self.database.dialect.folded
        kinds = [column.kind for column in self.held.columns if fold(column.name) == fold(newest)]
        wanted = self.target.column(newest).kind
        wrong = [kind for kind in kinds if kind is not wanted and not {kind, wanted} <= _NUMBERS]
        if wrong:
            raise SchemaDrift(
                f"{self._name}: its column {newest} is {wrong[0]}, and the watermark is {wanted}: which of "
                "two rows is newer cannot be told",
                hint=f"alter the column {newest}, or take a key that the source declares",
            )

    def _keep_one(self, newest: str | None) -> tuple[int, int]:
        """Keep only the newest staged row of each key.

        Returns how many rows were not older than another of their key, and how many are kept.
        """
        dialect, key = self.database.dialect, self.target.key
        for name in self._texts if dialect.exact_text else ():
            exact = dialect.exact_text.format(self._quote(name))
            if self._has(f"{{}} GROUP BY {{key}} HAVING COUNT(DISTINCT {exact}) > 1"):
                raise self._folded()
        for statement in dialect.drop_older(self.stage, key, newest) if newest else ():
            self.database.change(self.connection, statement)
        left = self._staged()
        names = [column.name for column in self.target.columns]
        content = [name for name in names if name not in (CHUNK_ID, ROW_NO)]
        columns = [column for column in self.target.columns if column.name in content]
        if self.database.run(self.connection, dialect.conflicts(self.stage, columns, key)):
            raise RejectedRows(
                f"{self._name}: one chunk holds different rows with one key ({', '.join(key)})",
                hint="give a key that is unique in the source",
            )
        rest = [name for name in names if name not in content]
        for statement in dialect.keep_one(self.stage, content, rest, key):
            self.database.change(self.connection, statement)
        return left, self._staged()

    def _bring_in(self, newest: str | None, *, null_keys: bool) -> int:
        names = [column.name for column in self.target.columns]
        statements = self.database.merging(
            self.connection, replace(self.held, path=self.target.path), self.stage,
            columns=names, key=self.target.key, null_keys=null_keys, exact=self._texts, newest=newest,
        )  # fmt: skip
        try:
            return sum(self.database.change(self.connection, statement) for statement in statements)
        except RejectedRows as error:
            if self._texts and self.database.dialect.is_duplicate(error.__context__ or error):
                raise self._folded() from error
            raise

    def _account(self, staged: int, touched: int, newest: str | None, kinds: Sequence[bool]) -> int:
        """Return how many staged rows are older than the target's; ``RejectedRows`` if any is missing."""
        there = sum(self._found(null_keys=null_keys) for null_keys in kinds)
        older = (
            sum(self._found(null_keys=null_keys, older_than=newest) for null_keys in kinds) if newest else 0
        )
        taken, names = there, {column.name for column in self.target.columns}
        if self.database.dialect.may_skip_rows and names - set(self.target.key):
            taken = min(there, touched + older)
        if taken < staged:
            raise RejectedRows(
                f"{self._name} took {taken} of {staged} rows",
                hint="look for triggers or rules on the table that drop rows",
            )
        return older

    def _found(self, *, null_keys: bool, older_than: str | None = None) -> int:
        sql = self.database.dialect.found(
            self.target.path, self.stage, self.target.key,
            null_keys=null_keys, exact=self._texts, older_than=older_than,
        )  # fmt: skip
        return int(self.database.run(self.connection, sql)[0][0])

    def _folded(self) -> RejectedRows:
        return RejectedRows(
            f"{self._name}: a unique key of it takes for one what the source tells apart "
            f"({', '.join(self.target.key)})",
            hint="look at the collation of its columns, for which upper and lower case, accents or blanks "
            "at the end may be equal, and give them a binary one",
        )

    # -- asking ----------------------------------------------------------------

    @property
    def _name(self) -> str:
        return self.target.dataset.name

    @property
    def _texts(self) -> tuple[str, ...]:
        return tuple(k for k in self.target.key if self.target.column(k).kind in (Kind.TEXT, Kind.ENUM))

    def _quote(self, name: str) -> str:
        return self.database.dialect.quote(name)

    def _staged(self) -> int:
        counted = f"SELECT COUNT(*) FROM {self.database.dialect.qualify(self.stage)}"
        return int(self.database.run(self.connection, counted)[0][0])

    def _has(self, rest: str) -> bool:
        """Whether ``SELECT 1 FROM`` rest finds a row; ``{}`` is the stage, ``{key}`` the key's columns."""
        dialect = self.database.dialect
        rest = rest.format(dialect.qualify(self.stage), key=dialect.names(self.target.key))
        return bool(self.database.run(self.connection, dialect.first(f"SELECT 1 FROM {rest}")))


_NUMBERS = {Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64, Kind.DECIMAL}
