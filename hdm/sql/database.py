"""One database behind a profile: how to connect, read its catalogue, stream rows and load them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

import pyarrow as pa
from pydantic import Field, model_validator

from hdm.components.settings import Settings
from hdm.config.secrets import Secret
from hdm.dialects import dialect as dialect_named
from hdm.dialects.base import Dialect
from hdm.errors import HdmError, SnapshotLost
from hdm.model import Chunk, Column, Condition, Dataset, Table, Window
from hdm.sql.refill import Referring, grouped, refill
from hdm.sql.server_calls import ServerCalls


class SqlProfile(Settings):
    """What a profile entry for a relational server may hold: parts, or one ``url``."""

    host: str = "localhost"
    """Host name or address of the server; of PostgreSQL and MySQL also the path of a socket."""
    port: int | None = Field(None, ge=1, le=65535)
    """TCP port of the server; left out, the system's default."""
    database: str | None = None
    """Names the database to connect to; left out, the driver's default, if it has one."""
    user: str | None = None
    """Name to log in with; left out, the driver's default, if it has one."""
    password: Secret | None = None
    """Password to log in with; write a reference such as ``env:NAME``, not the password itself."""
    url: Secret | None = None
    """Address as one URL, in the place of ``host`` and ``port``; only PostgreSQL, MySQL and MariaDB read
    it."""
    schema_name: str | None = Field(None, alias="schema")
    """Schema of tables that are named without one; left out, the system's default. MySQL has none."""
    driver: Any = None
    """Names an ODBC driver; only Netezza and SQL Server go by one, the others ignore it."""
    insecure: bool = False
    """Accepts a connection to another machine without verified TLS."""

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if self.url is not None and {"host", "port"} & self.model_fields_set:
            raise ValueError("give url, or host and port, not both")
        return self


class Database(ServerCalls):
    """One database. A connection is the driver's own DB-API object, in no transaction.

    Subclasses fill in ``connect``, ``find``, ``query_columns``, ``stream`` and ``load``; the
    rest has portable defaults. Every driver error leaves as an ``HdmError`` (``classified``).
    """

    dialect_name: ClassVar[str] = ""
    shows_writers: ClassVar[bool] = False
    """Whether a plain table shows who wrote a row, so that ``since`` names what was changed in place."""
    snapshots: ClassVar[bool] = False
    """Whether ``snapshot`` yields a token that other sessions can ``join``."""
    keys_act: ClassVar[bool] = True
    """Whether a row that goes takes those with it that refer to it, or is kept by them, in hdm's sessions."""
    catalog_lists_unreadable_tables: ClassVar[bool] = False
    """Whether its catalogue describes tables that the user may not read, so that it is to be tried."""
    brings_first: ClassVar[bool] = False
    """Whether ``bring`` does the most of the work, so that a later attempt asks the ledger before it."""
    sessions_stand_alone: ClassVar[bool] = True
    """Whether a session that does nothing is in nobody's way, and may be kept for the next question."""

    def __init__(self, profile: Any = None) -> None:
        self.profile = profile
        self.ledgers: set[tuple[str, ...]] = set()
        """Those that are known to be there, so that they are looked for once and not per table."""

    @classmethod
    def reached(cls, profile: Any) -> Database:
        """The database that a profile leads to; where it may name another driver, another class."""
        return cls(profile)

    @property
    def dialect(self) -> Dialect:
        """The database's SQL."""
        return dialect_named(self.dialect_name)

    # -- to be filled in -------------------------------------------------------

    @abstractmethod
    def dataset(self, path: Sequence[str]) -> Dataset:
        """The OpenLineage name of a table (https://openlineage.io/docs/spec/naming); no connecting."""

    @abstractmethod
    def connect(self, label: str = "hdm", *, write: bool = False) -> Any:
        """A session in the dialect's canonical settings, named ``label`` where the server shows it."""

    @abstractmethod
    def find(self, connection: Any, path: Sequence[str]) -> Table | None:
        """The table as the catalogue has it, its key, and estimates; None if there is none.
        A name that is not there in its exact case may match one in another case."""

    @abstractmethod
    def query_columns(self, connection: Any, sql: str) -> tuple[Column, ...]:
        """The columns of a query, without running it."""

    @abstractmethod
    def stream(self, connection: Any, sql: str, columns: Sequence[Column]) -> Iterator[pa.RecordBatch]:
        """The rows of a SELECT as batches of bounded bytes, with the columns' carriers."""

    @abstractmethod
    def load(
        self,
        connection: Any,
        path: Sequence[str],
        columns: Sequence[Column],
        batches: Iterator[pa.RecordBatch],
    ) -> int:
        """Insert batches into the named columns, inside the open transaction; how many rows the
        database says it took. ``columns`` are the source's, under the target's names."""

    def bring(
        self,
        connection: Any,
        path: Sequence[str],
        columns: Sequence[Column],
        batches: Iterator[pa.RecordBatch],
    ) -> Callable[[], int]:
        """Called before the transaction opens; what it gives is called inside of it, and returns what
        ``load`` does. Where a transaction must be short, the rows are read and carried to the server here."""
        return lambda: self.load(connection, path, columns, batches)

    # -- defaults --------------------------------------------------------------

    def is_there(self) -> bool:
        """Whether there is anything to connect to yet; a file may have to be made first."""
        return True

    def can_be_made(self) -> None:
        """Asked where ``is_there`` is false: raises ``UsageError`` if it cannot be made."""
        return

    def default_path(self, parts: Sequence[str]) -> tuple[str, ...]:
        """The name with the default schema filled in; no connecting."""
        return tuple(parts)

    def landing(self, path: Sequence[str]) -> tuple[str, ...]:
        """A table's full name as the database compares it with others."""
        return tuple(self.dialect.folded_table(part) for part in path)

    def begin(self, connection: Any, *, write: bool = False) -> None:
        """Start a transaction: one consistent view to read, or the one that will be committed."""
        return

    def commit(self, connection: Any) -> None:
        """Commit."""
        with self.calling(connection):
            connection.commit()

    def rollback(self, connection: Any) -> None:
        """Roll back."""
        with self.calling(connection):
            connection.rollback()

    def execute(self, cursor: Any, sql: str, values: Sequence[Any] = ()) -> None:
        """Execute one statement with bound values on a cursor; the driver's errors leave as they are."""
        cursor.execute(sql, values) if values else cursor.execute(sql)

    def run(self, connection: Any, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute one statement with bound values; all its rows, if it gives any."""
        with self.calling(connection):
            cursor = connection.cursor()
            try:
                self.execute(cursor, sql, values)
                return [tuple(row) for row in cursor.fetchall()] if cursor.description else []
            finally:
                cursor.close()

    def change(self, connection: Any, sql: str, values: Sequence[Any] = ()) -> int:
        """Execute one statement with bound values; how many rows it touched."""
        with self.calling(connection):
            cursor = connection.cursor()
            try:
                self.execute(cursor, sql, values)
                return int(cursor.rowcount)
            finally:
                cursor.close()

    # -- snapshots and watermarks ----------------------------------------------

    def snapshot(self, path: Sequence[str] | None) -> AbstractContextManager[str | None]:
        """Holds one consistent view open; yields its token, or None if it cannot be shared."""
        return nullcontext(None)

    def join(self, connection: Any, token: str, table: Table, chunk: Chunk | None) -> bool:
        """Make the transaction that ``begin`` opened see the snapshot of ``token``. False if that is gone
        and the chunk may be read from a new one; raises ``SnapshotLost`` if it may not."""
        raise SnapshotLost(f"{self.dialect.name} cannot share snapshots", hint="plan again")

    def relation(self, connection: Any, origin: str, path: Sequence[str] | None) -> str | None:
        """Name what holds the rows of ``origin`` (``path``: the table's name; None: it is a query), so that
        what was truncated, rewritten, replaced or cut into other partitions since has another name. Keeps
        it so until the transaction ends, where the system has a lock for it. None: that cannot be told."""
        return None

    def relation_in(self, token: str) -> str | None:
        """What ``relation`` gave when the snapshot of ``token`` was taken, if the token says so."""
        return None

    def is_steady(self, connection: Any, path: Sequence[str]) -> bool:
        """Whether every session that sees one snapshot finds the same rows in the table, so that they can
        be counted in one and read in others: not so for a view that asks the clock, or foreign rows."""
        return False

    def horizon(self, connection: Any, table: Table, column: Column, *, utc: bool = False) -> str | None:
        """SQL for a cursor value below which no open transaction can still commit rows. ``utc``: the
        column's clock is said to be in UTC whoever writes."""
        return None

    def late(self, connection: Any, table: Table, window: Window) -> Condition | None:
        """Names the rows that committed after the last reading, by transactions that were open in it."""
        return None

    def since(self, connection: Any, table: Table, window: Window) -> Condition | None:
        """Names every row that the last reading did not see as it is now, where the database shows that."""
        return None

    def remember(self, connection: Any, table: Table, origin: str, where: str) -> Mapping[str, Any]:
        """What ``late`` and ``since`` will want to know of this reading, as JSON: ``Window.last``."""
        return {}

    def now(self, connection: Any) -> datetime:
        """The server's clock, in UTC; this machine's where the dialect has no ``clock``."""
        if not self.dialect.clock:
            return datetime.now(UTC)
        return datetime.fromisoformat(str(self.run(connection, self.dialect.clock)[0][0])[:19])

    def edges(
        self, connection: Any, origin: str, column: Column, where: str, step: int, rows: int
    ) -> list[str]:
        """Cut points about every ``step`` rows, ascending, as text; a value that repeats has
        more than ``step`` rows. ``rows`` is how many there are, roughly."""
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
        """How many physical pages the table has, for ``@page`` ranges."""
        return 0

    # -- writing ---------------------------------------------------------------

    def tag(self, connection: Any, run_id: str, chunk: Chunk, attempt: int) -> None:
        """Have the server's own history say what the session loads, where it has such a place."""
        return

    def evict(self, connection: Any, mark: str, attempt: int) -> None:
        """End the sessions of older attempts whose label starts with ``mark``."""
        return

    def missing_grants(self, connection: Any, path: Sequence[str]) -> list[str] | None:
        """What the user may not do and a sink for the table must; None where it cannot be told."""
        return None

    def take_identities(self, connection: Any, held: Table, names: Collection[str]) -> None:
        """Have the table take values for its identity columns among ``names``, until the session ends, where
        a statement of its own says so."""
        return

    def watch_triggers(self, connection: Any, path: Sequence[str]) -> Callable[[], int] | None:
        """Asked before rows are inserted into a table: what tells, afterwards, how many of them are still
        there; None where no trigger can have taken any away."""
        return None

    def stage_path(self, target: Sequence[str], name: str) -> tuple[str, ...]:
        """The temporary table in which rows for ``target`` lie before they are merged."""
        return (name,)

    def swap(self, connection: Any, target: Sequence[str], new: Sequence[str], old: Sequence[str]) -> None:
        """Put the rows of table ``new`` in the place of those of ``target``, in the open transaction.

        A table that is there gets the new rows and stays what it is. Only one that nothing hangs on changes
        names with ``new``; ``old`` is the name to drop it under.
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
        """Whether the catalogue says that nothing hangs on the table which ``new`` has not as well, so that
        they may change names. The default: it is not asked, and the table is filled anew."""
        return False

    def referring(self, connection: Any, path: Sequence[str]) -> list[Referring]:
        """Foreign keys of other tables that refer to the table; none where keys are not enforced."""
        sql = self.dialect.referring(path)
        return grouped(self.run(connection, sql)) if sql else []

    def unreplaceable(self, connection: Any, path: Sequence[str]) -> list[str]:
        """Why the rows of what has that name cannot be replaced: it is a view, a policy hides rows."""
        return []

    def refill(self, connection: Any, held: Table, new: Sequence[str]) -> None:
        """Put the rows of table ``new`` in the place of those of ``held``; see ``hdm.sql.refill``. Where a
        definition would commit, ``new`` is dropped later."""
        refill(self, connection, held, new)
        if self.dialect.transactional_ddl:
            self.change(connection, self.dialect.drop_table(new))

    def create_beside(
        self, connection: Any, target: Table, new: Sequence[str], existing: Table | None
    ) -> None:
        """Create the empty table ``new`` that will replace ``target``."""
        self.change(connection, self.dialect.create_table(new, target.columns, target.key))

    def tables_like(self, connection: Any, path: Sequence[str], prefix: str) -> list[tuple[str, ...]]:
        """Tables in the schema of ``path`` whose name starts with ``prefix``."""
        return []

    def probe(self) -> list[tuple[str, bool, str]]:
        """For ``hdm doctor``: connection and version."""
        try:
            connection = self.connect("hdm:doctor")
        except HdmError as error:
            return [("connection", False, f"{error.message} ({error.hint})" if error.hint else error.message)]
        connection.close()
        found = [("connection", True, self.dataset(self.default_path(("",))).namespace)]
        if not self.snapshots:
            how = "not shared between sessions: each chunk is read at a moment of its own"
            found.append(("snapshot", True, how))
        return found

    def grants(self, path: Sequence[str]) -> list[tuple[str, bool, str]]:
        """For ``hdm doctor``: whether the user may do all that a sink for the table must."""
        connection = self.connect("hdm:doctor")
        try:
            missing_grants = self.missing_grants(connection, path)
        finally:
            connection.close()
        if missing_grants is None:
            return []
        what = f"lacks {', '.join(missing_grants)}" if missing_grants else "may make and fill tables"
        return [("grants", not missing_grants, what)]

    def look(self, path: Sequence[str]) -> Table | None:
        """Log in and look for a table: whatever keeps that from working is raised."""
        connection = self.connect("hdm:ready")
        try:
            self.begin(connection)
            return self.find(connection, path)
        finally:
            connection.close()
