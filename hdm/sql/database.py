"""The base class ``Database``: connects to one database, reads its catalogue, streams rows and loads them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any, ClassVar

import pyarrow as pa

from hdm.dialects import dialect as dialect_named
from hdm.dialects.base import Dialect
from hdm.errors import HdmError, SnapshotLost
from hdm.model import Chunk, Column, Condition, Dataset, Table, Window
from hdm.sql.profile import SqlProfile as SqlProfile  # noqa: PLC0414 -- others import it from here
from hdm.sql.refill import Referring, grouped, refill
from hdm.sql.rights import Rights
from hdm.sql.whereabouts import no_table


class Database(Rights):
    """Connects to one database, reads from it and writes to it, through a driver's DB-API connections.

    Subclasses fill in ``connect``, ``find``, ``query_columns``, ``stream`` and ``load``; the
    rest has portable defaults. ``connect`` returns a connection with no open transaction. Every
    driver error is raised as an ``HdmError`` (``classified``).
    """

    dialect_name: ClassVar[str] = ""
    shows_writers: ClassVar[bool] = False
    """Whether a table shows which transaction wrote a row, so that ``since`` finds rows changed in place."""
    snapshots: ClassVar[bool] = False
    """Whether ``snapshot`` yields a token that other sessions can ``join``."""
    keys_act: ClassVar[bool] = True
    """Whether foreign keys are enforced in hdm's database sessions: a delete cascades or is refused."""
    catalog_lists_unreadable_tables: ClassVar[bool] = False
    """Whether the database's catalogue also lists tables that the user may not read: hdm then tries a SELECT.
    """
    brings_first: ClassVar[bool] = False
    """Whether ``bring`` does most of the work, so that a later attempt first looks into the ledger."""
    streams_in_session: ClassVar[bool] = True
    """Whether ``stream`` reads in the session of its connection, and so sees what that has not committed."""
    sessions_stand_alone: ClassVar[bool] = True
    """Whether an idle database session blocks nobody, and may be kept for the next query."""

    def __init__(self, profile: Any = None) -> None:
        self.profile = profile
        self.ledgers: dict[tuple[str, ...], str] = {}
        """Path of each ledger that is known to exist -> its identity; saves a look for every table."""

    @classmethod
    def reached(cls, profile: Any) -> Database:
        """Return the ``Database`` of a profile; of another class if the profile names another driver."""
        return cls(profile)

    @property
    def dialect(self) -> Dialect:
        """The dialect: all SQL and type knowledge about the system."""
        return dialect_named(self.dialect_name)

    # -- to be filled in -------------------------------------------------------

    @abstractmethod
    def dataset(self, path: Sequence[str]) -> Dataset:
        """Return a table's OpenLineage name (https://openlineage.io/docs/spec/naming), without connecting."""

    @abstractmethod
    def connect(self, label: str = "hdm", *, write: bool = False) -> Any:
        """Open a database session, shown by the server as ``label``; return its connection."""

    @abstractmethod
    def find(self, connection: Any, path: Sequence[str]) -> Table | None:
        """Return a table as the catalogue describes it, with key and size estimates; None if there is none.

        If no table has exactly this name, one whose name differs only in case may be returned.
        """

    def columns_of(self, connection: Any, path: Sequence[str]) -> tuple[Column, ...] | None:
        """Return the columns of the table of exactly this name as they are now; None if there is none.

        Each chunk's reading asks, to compare them with the plan. By default what ``find`` says.
        """
        found = self.find(connection, path)
        return found.columns if found is not None and found.path == tuple(path) else None

    @abstractmethod
    def query_columns(self, connection: Any, sql: str) -> tuple[Column, ...]:
        """Return the columns of a query, without reading its rows."""

    @abstractmethod
    def stream(self, connection: Any, sql: str, columns: Sequence[Column]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a SELECT as batches of bounded size, with the Arrow types of ``columns``."""

    @abstractmethod
    def load(
        self,
        connection: Any,
        path: Sequence[str],
        columns: Sequence[Column],
        batches: Iterator[pa.RecordBatch],
    ) -> int:
        """Insert batches inside the open transaction; return how many rows the database says it stored.

        ``columns`` are the source's columns under the target's names.
        """

    def bring(
        self,
        connection: Any,
        path: Sequence[str],
        columns: Sequence[Column],
        batches: Iterator[pa.RecordBatch],
    ) -> Callable[[], int]:
        """Prepare a load before the transaction opens; return the function that loads inside it.

        The function returns what ``load`` returns. Where the transaction must be short, ``bring`` itself
        reads the rows and sends them to the server. The default sends nothing before the transaction.
        """
        return lambda: self.load(connection, path, columns, batches)

    # -- defaults --------------------------------------------------------------

    def is_there(self) -> bool:
        """Return True if the database exists; False if its file has yet to be created."""
        return True

    def can_be_made(self) -> None:
        """Raise ``UsageError`` if a missing database cannot be created; by default it can."""
        return

    def default_path(self, parts: Sequence[str]) -> tuple[str, ...]:
        """Return a table's name with the default schema filled in, without connecting."""
        return tuple(parts)

    def landing(self, path: Sequence[str]) -> tuple[str, ...]:
        """Return a table's full name in the case in which the database compares names."""
        return tuple(self.dialect.folded_table(part) for part in path)

    def begin(self, connection: Any, *, write: bool = False) -> None:
        """Begin a transaction, which reads one consistent view, or with ``write`` may write."""
        return

    def commit(self, connection: Any) -> None:
        """Commit the open transaction."""
        with self.calling(connection):
            connection.commit()

    def rollback(self, connection: Any) -> None:
        """Roll back the open transaction."""
        with self.calling(connection):
            connection.rollback()

    def execute(self, cursor: Any, sql: str, values: Sequence[Any] = ()) -> None:
        """Execute one statement with bound values on a cursor; the driver's own errors pass through."""
        cursor.execute(sql, values) if values else cursor.execute(sql)

    def run(self, connection: Any, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute one statement with bound values and return all its rows; empty if it is no query."""
        with self.calling(connection):
            cursor = connection.cursor()
            try:
                self.execute(cursor, sql, values)
                return [tuple(row) for row in cursor.fetchall()] if cursor.description else []
            finally:
                cursor.close()

    def change(self, connection: Any, sql: str, values: Sequence[Any] = ()) -> int:
        """Execute one statement with bound values and return how many rows it changed."""
        with self.calling(connection):
            cursor = connection.cursor()
            try:
                self.execute(cursor, sql, values)
                return int(cursor.rowcount)
            finally:
                cursor.close()

    # -- snapshots and watermarks ----------------------------------------------

    def snapshot(self, path: Sequence[str] | None) -> AbstractContextManager[str | None]:
        """Hold one view of a table for the ``with`` block; give its token, None if not shared (default)."""
        return nullcontext(None)

    def join(self, connection: Any, token: str, table: Table, chunk: Chunk | None) -> bool:
        """Make the open transaction read from the snapshot of ``token``; return True if it does.

        False if the snapshot is lost and a new one may be used; raises ``SnapshotLost`` if none may.
        """
        raise SnapshotLost(f"{self.dialect.name} cannot share snapshots", hint="plan again")

    def relation(self, connection: Any, origin: str, path: Sequence[str] | None) -> str | None:
        """Return an identifier of the storage that contains a table's rows now; None if there is none.

        Another one is returned once the table is truncated, rewritten, replaced or partitioned anew.
        ``origin`` is the SQL to read from; ``path`` is the table's name, None for a query. Where the system
        has a lock against such changes, it is taken until the transaction ends.
        """
        return None

    def relation_in(self, token: str) -> str | None:
        """Return what ``relation`` gave when a snapshot was taken; None if the token does not tell."""
        return None

    def is_steady(self, connection: Any, path: Sequence[str]) -> bool:
        """Return True if all sessions that share a snapshot find the same rows in the table.

        Rows can then be counted in one of them and read in others. False for a view that depends on the
        clock, for foreign tables, and by default.
        """
        return False

    def horizon(self, connection: Any, table: Table, column: Column, *, utc: bool = False) -> str | None:
        """Return SQL for a cursor value below which no more rows can be committed; None if not known.

        ``utc``: the manifest says that every writer stamps the column in UTC.
        """
        return None

    def late(self, connection: Any, table: Table, window: Window) -> Condition | None:
        """Return a condition for rows that transactions open at the last reading wrote; None if not known."""
        return None

    def since(self, connection: Any, table: Table, window: Window) -> Condition | None:
        """Return a condition for all rows added or changed since the last reading; None if not known."""
        return None

    def remember(self, connection: Any, table: Table, origin: str, where: str) -> Mapping[str, Any]:
        """Return facts about a reading, filtered by ``where``, for the next ``late`` and ``since``."""
        return {}

    def now(self, connection: Any) -> datetime:
        """Return the time of the server's clock in UTC; that of this host if the dialect has no ``clock``."""
        if not self.dialect.clock:
            return datetime.now(UTC)
        return datetime.fromisoformat(str(self.run(connection, self.dialect.clock)[0][0])[:19])

    def edges(
        self, connection: Any, origin: str, column: Column, where: str, step: int, rows: int
    ) -> list[str]:
        """Return the column's value at about every ``step``-th row, in ascending order, as text.

        A value that the result has twice has more than ``step`` rows. ``origin`` is the SQL to read from,
        ``where`` selects rows (empty: all), ``rows`` is an estimate of their number.
        """
        dialect, name = self.dialect, self.dialect.quote(column.name)
        ordered = dialect.comparable(column)
        inner = (
            f"SELECT {name} AS hdm_c, ROW_NUMBER() OVER (ORDER BY {ordered}) AS hdm_n FROM {origin} "
            f"WHERE {name} IS NOT NULL{' AND ' + where if where else ''}"
        )
        value = dialect.text_of("hdm_c", column)
        cut = f"WHERE {dialect.modulo('hdm_n', step)} = 0 ORDER BY hdm_n"
        sql = f"SELECT {value} FROM {dialect.derived(inner)} {cut}"
        return [str(row[0]) for row in self.run(connection, sql)]

    def pages(self, connection: Any, table: Table) -> int:
        """Return how many physical pages the table has; 0 if rows cannot be selected by page (``@page``)."""
        return 0

    # -- writing ---------------------------------------------------------------

    def tag(self, connection: Any, run_id: str, chunk: Chunk, attempt: int) -> None:
        """Label the session with run, chunk and attempt, if the server keeps a query history."""
        return

    def evict(self, connection: Any, mark: str, attempt: int) -> None:
        """Terminate sessions with the label ``mark`` and an older attempt's number than ``attempt``."""
        return

    def take_identities(self, connection: Any, held: Table, names: Collection[str]) -> None:
        """Allow inserts into identity columns of ``held`` that ``names`` contains, until the session ends."""
        return

    def watch_triggers(self, connection: Any, path: Sequence[str]) -> Callable[[], int] | None:
        """Return a function that tells how many rows of the next insert still exist after the insert.

        Call this before the insert. None if no trigger can remove rows.
        """
        return None

    def stage_path(self, target: Sequence[str], name: str) -> tuple[str, ...]:
        """Return the path of the temporary table ``name``, which takes rows for table ``target``."""
        return (name,)

    def merging(self, connection: Any, held: Table, stage: Sequence[str], **how: Any) -> list[str]:
        """Return the statements that merge the rows of ``stage`` into ``held``; see ``Merging.merge``."""
        return self.dialect.merge(held.path, stage, **how)

    def swap(self, connection: Any, target: Sequence[str], new: Sequence[str], old: Sequence[str]) -> None:
        """Replace the rows of table ``target`` by those of table ``new``, in the open transaction.

        A missing target is made by renaming ``new``. An existing one to which no grants, views, keys or the
        like belong is renamed to ``old`` and dropped; any other is refilled in place.
        """
        dialect, held = self.dialect, self.find(connection, target)
        if held is None or dialect.folded_table(held.path[-1]) != dialect.folded_table(target[-1]):
            self.change(connection, dialect.rename_table(new, target[-1]))
        elif self.is_bare(connection, held.path, new):
            self.change(connection, dialect.rename_table(target, old[-1]))
            self.change(connection, dialect.rename_table(new, target[-1]))
            self.change(connection, dialect.drop_table(old))
        else:
            self.refill(connection, held, new)

    def is_bare(self, connection: Any, path: Sequence[str], new: Sequence[str]) -> bool:
        """Return True if renaming ``new`` to ``path`` would lose no grants, views or keys.

        The default does not ask the catalogue and returns False: the table is refilled.
        """
        return False

    def referring(self, connection: Any, path: Sequence[str]) -> list[Referring]:
        """Return the foreign keys of other tables that refer to this table; empty if none are enforced."""
        sql = self.dialect.referring(path)
        return grouped(self.run(connection, sql)) if sql else []

    def unreplaceable(self, connection: Any, path: Sequence[str]) -> list[str]:
        """Return reasons why a table's rows cannot be replaced, such as a policy that hides rows."""
        kind = no_table(self, connection, path)
        return [f"it is {kind}"] if kind else []

    def refill(self, connection: Any, held: Table, new: Sequence[str]) -> None:
        """Replace the rows of the existing table ``held`` by those of table ``new``; see ``hdm.sql.refill``.

        Drops ``new`` too, unless DDL would commit the transaction; then the caller drops it later.
        """
        refill(self, connection, held, new)
        if self.dialect.transactional_ddl:
            self.change(connection, self.dialect.drop_table(new))

    def create_beside(
        self, connection: Any, target: Table, new: Sequence[str], existing: Table | None
    ) -> None:
        """Create an empty table ``new`` with the columns of ``target``, which it will replace."""
        self.change(connection, self.dialect.create_table(new, target.columns, target.key))

    def tables_like(self, connection: Any, path: Sequence[str], prefix: str) -> list[tuple[str, ...]]:
        """Return the tables in the schema of ``path`` whose names start with ``prefix``; by default none."""
        return []

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return the results of connection tests for ``hdm doctor``, each as ``(what, ok, detail)``."""
        try:
            connection = self.connect("hdm:doctor")
        except HdmError as error:
            return [("connection", False, error.in_one_line)]
        connection.close()
        found = [("connection", True, self.dataset(self.default_path(("",))).namespace)]
        if not self.snapshots:
            how = "not shared between sessions: each chunk is read at a moment of its own"
            found.append(("snapshot", True, how))
        return found

    def look(self, path: Sequence[str]) -> Table | None:
        """Return a table's description, None if there is none; raise ``HdmError`` if no session opens."""
        connection = self.connect("hdm:ready")
        try:
            self.begin(connection)
            return self.find(connection, path)
        finally:
            connection.close()
