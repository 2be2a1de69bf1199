"""Connects to the state database: transactions, locks, retries, and translation of its errors."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    Select,
    Table,
    create_engine,
    event,
    literal_column,
    make_url,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as OutOfConnections
from sqlalchemy.pool import NullPool

from hdm.components import back_off, unreachable
from hdm.components.silence import waiting
from hdm.dialects.sqlserver_errors import PASSING
from hdm.errors import MissingDriver, StateError, StateUnavailable, UsageError
from hdm.state.db import encryption, pg_pipeline, sqlite_file
from hdm.state.db.connect_args import connect_args, settle
from hdm.state.db.connection_cache import MAX_IDLE, RECYCLE, ConnectionCache
from hdm.state.db.statements import PLAIN, plain_is_wanted
from hdm.state.redaction import scrub

T = TypeVar("T")

_DRIVERS = {
    "sqlite": ("sqlite", "sqlite"),
    "postgresql": ("postgresql+psycopg", "postgres"),
    "postgres": ("postgresql+psycopg", "postgres"),
    "mysql": ("mysql+pymysql", "mysql"),
    "mariadb": ("mysql+pymysql", "mysql"),
    "mssql": ("mssql+pyodbc", "sqlserver"),
}
_TRIES = 10
_PATIENCE = 15.0
"""Seconds after which a broken connection is not replaced any more; the caller decides whether to go on."""
_TRANSIENT_STATES = {"40001", "40P01", "55P03", "26000", "42P05"}
_TRANSIENT_CODES = {1213, 1205}
_opening = threading.RLock()
_orphans: list[Any] = []
"""Connections inherited through fork. They are never used, and never closed: the parent still uses them."""


def resolve(url: str | URL) -> URL:
    """Return the URL of a state database with the driver that hdm uses for its system.

    A bare path stands for a SQLite file. Raises ``UsageError`` for a system that cannot have a state
    database.
    """
    if isinstance(url, str):
        url = make_url(url) if "://" in url else URL.create("sqlite", database=url)
    known = _DRIVERS.get(url.get_backend_name())
    if known is None:
        raise UsageError(
            f"the state database cannot be on {url.get_backend_name()!r}",
            hint="use sqlite, postgresql, mysql, mariadb or mssql",
        )
    return url.set(drivername=known[0])


def locked(query: Select[Any], *tables: Table) -> Select[Any]:
    """Return the query so that its rows of ``tables`` stay locked until the transaction ends."""
    for table in tables:
        query = query.with_hint(table, "WITH (UPDLOCK, ROWLOCK)", "mssql")
    return query.with_for_update(of=tables)


def by_claim_index(query: Select[Any], table: FromClause) -> Select[Any]:
    """Return the query with a hint that makes MySQL use the index on job and status.

    Without statistics MySQL chooses another index, which is slow for a job with many chunks.
    """
    return query.with_hint(table, "FORCE INDEX (ix_chunk_claim)", "mysql")


def among(column: ColumnElement[str], values: Iterable[str]) -> ColumnElement[bool]:
    """Return the SQL condition that ``column`` has one of these values, which are hdm's own constants.

    The values are written into the text, so that the statement can be prepared.
    """
    return column.in_([literal_column(f"'{value}'") for value in values])


class Database:
    """One state database as one process sees it. Safe for threads; notices a fork.

    Raises ``UsageError`` if ``HDM_STATE_PLAIN`` cannot be read.
    """

    def __init__(self, url: str | URL) -> None:
        self.url = resolve(url)
        self.dialect = self.url.get_backend_name()
        self._plain = plain_is_wanted()
        self._pid = 0
        self._guard = threading.RLock()
        self._single: Connection | None = None
        self._immediate = False
        self._kept: ConnectionCache | None = None
        self._engine: Engine | None = None

    @property
    def place(self) -> str:
        """The server's ``host:port``; empty for a SQLite file."""
        port = self.url.port or {"postgresql": 5432, "mysql": 3306, "mssql": 1433}.get(self.dialect)
        return f"{self.url.host}:{port}" if self.url.host else ""

    @property
    def engine(self) -> Engine:
        """This process's SQLAlchemy engine; a forked child gets a new one."""
        if self._engine is None or self._pid != os.getpid():
            with _opening:
                if self._engine is None or self._pid != os.getpid():
                    self._open()
        assert self._engine is not None
        return self._engine

    def close(self) -> None:
        """Close all connections."""
        if self._engine is not None and self._pid == os.getpid():
            with self._guard:
                if self._single is not None:
                    self._single.close()
                    self._single = None
                if self._kept is not None:
                    self._kept.close()
                    with suppress(ValueError):
                        _orphans.remove(self._kept)
                self._engine.dispose()
        self._engine = None

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one transaction and return its result.

        After a deadlock or a lost connection it is run again. Raises ``StateUnavailable`` if the database
        cannot be reached, ``StateError`` if it refuses a statement.
        """
        return self._again(lambda: self._write(work))

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, which only reads, and return its result.

        Each statement sees what is committed when it starts.
        """
        return self._again(lambda: self._read(work))

    def snapshot(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, which only reads, on one snapshot of the database, and return its result."""
        if self.dialect == "sqlite":
            return self._again(lambda: self._read(work))
        level = "SNAPSHOT" if self.dialect == "mssql" else "REPEATABLE READ"

        def once() -> T:
            with self.engine.connect().execution_options(isolation_level=level) as conn, conn.begin():
                return work(conn)

        return self._again(once)

    @contextmanager
    def exclusive(self) -> Iterator[Connection]:
        """Give the ``with`` block a connection in one write transaction; for migrations.

        The block's end commits, an error rolls back. A failed transaction is not tried again.
        """
        engine = self.engine
        with self._translated():
            if self.dialect == "sqlite":
                with self._one(immediate=True) as conn, conn.begin():
                    yield conn
            else:
                with engine.begin() as conn:
                    yield conn

    def _write(self, work: Callable[[Connection], T]) -> T:
        if self.dialect == "sqlite":
            with self._one(immediate=True) as conn, conn.begin():
                return work(conn)
        with self._writer() as conn, self._waiting(conn), conn.begin():
            return work(conn)

    def _writer(self) -> AbstractContextManager[Connection]:
        engine = self.engine  # opens the engine, again after a fork
        return engine.connect() if self._kept is None else self._kept.borrow()

    def _read(self, work: Callable[[Connection], T]) -> T:
        engine = self.engine
        if self.dialect == "sqlite":
            with self._one(immediate=False) as conn, conn.begin():
                return work(conn)
        with self._in_autocommit(engine) as conn, self._waiting(conn):
            return work(conn)

    @staticmethod
    @contextmanager
    def _in_autocommit(engine: Engine) -> Iterator[Connection]:
        """Yield a connection of the pool in autocommit mode.

        Setting autocommit may query the server; SQLAlchemy lets the driver's own error through there, so it
        is translated here.
        """
        dbapi: Any = engine.dialect.loaded_dbapi
        with engine.connect() as plain:
            try:
                conn = plain.execution_options(isolation_level="AUTOCOMMIT")
            except dbapi.Error as error:
                plain.invalidate(error)
                raise DBAPIError.instance(
                    None, None, error, dbapi.Error, hide_parameters=True,
                    connection_invalidated=True, dialect=engine.dialect,
                ) from None  # fmt: skip
            yield conn

    def _waiting(self, conn: Connection) -> AbstractContextManager[None]:
        """Cut the connection of a transaction that hears nothing for ``silence.patience()`` seconds.

        No statement of the state takes so long. Only for PostgreSQL: PyMySQL and ODBC have their own
        time-outs.
        """
        if self.dialect != "postgresql":
            return nullcontext()
        driver: Any = conn.connection.driver_connection
        return waiting(driver.pgconn.socket, lambda: False)

    @contextmanager
    def _one(self, *, immediate: bool) -> Iterator[Connection]:
        engine = self.engine
        with self._guard:
            if self._single is None:
                self._single = engine.connect()
            self._immediate = immediate
            yield self._single

    def _again(self, once: Callable[[], T]) -> T:
        conflicts, until = 0, time.monotonic() + _PATIENCE

        def passes(error: DBAPIError) -> bool:
            nonlocal conflicts
            conflicts += isinstance(error, IntegrityError)
            lost = error.connection_invalidated and time.monotonic() > until
            return not lost and conflicts <= 3 and _transient(error)

        with self._translated():
            return back_off.STATE.run(once, DBAPIError, _TRIES, passes)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except NoSuchModuleError as error:
            raise UsageError(f"the state database's URL names an unknown driver: {error}") from None
        except OutOfConnections:
            raise StateUnavailable(
                "the state database's connections are all in use",
                hint="lower threads in the manifest, or run fewer of them in one process",
            ) from None
        except ModuleNotFoundError as error:
            extra = _DRIVERS[self.dialect][1]
            raise MissingDriver(
                f"the driver {error.name} for the state database is not installed",
                hint=f"pip install 'hdm[{extra}]'",
            ) from None
        except DBAPIError as error:
            raise translate(error, self.place) from None

    def _open(self) -> None:
        if self._engine is not None:
            _orphans.extend([self._single, self._engine])
            self._engine.dispose(close=False)
        self._single = self._kept = None
        self._guard, self._pid = threading.RLock(), os.getpid()
        with self._translated():
            if self.dialect == "sqlite":
                self._engine = self._sqlite()
            else:
                engine = create_engine(
                    encryption.of_odbc(self.url),
                    isolation_level="READ COMMITTED",
                    hide_parameters=True,
                    pool_size=MAX_IDLE,
                    max_overflow=56,
                    pool_recycle=RECYCLE,
                    connect_args=connect_args(self.dialect, self.url),
                )
                settle(engine)
                if self._plain:
                    engine.update_execution_options(**PLAIN)
                else:
                    self._keep_writers(engine)
                self._engine = engine  # assigned last: other threads then use it without the lock

    def _keep_writers(self, engine: Engine) -> None:
        if self.dialect == "postgresql":
            pg_pipeline.end_only_what_is_open(engine.dialect)
        self._kept = ConnectionCache(engine)
        # Keep a reference: if a forked child garbage-collected its copy, it would roll back the
        # parent's open transactions.
        _orphans.append(self._kept)

    def _sqlite(self) -> Engine:
        path = self.url.database
        if path and path != ":memory:":
            sqlite_file.prepare(Path(path))
        engine = create_engine(
            self.url,
            poolclass=NullPool,
            hide_parameters=True,
            connect_args={"timeout": 30.0, "check_same_thread": False, "cached_statements": 256},
            execution_options=PLAIN if self._plain else {},
        )

        @event.listens_for(engine, "connect")
        def _(connection: Any, record: Any) -> None:
            connection.isolation_level = None
            cursor = connection.cursor()
            sqlite_file.keep_a_log(cursor)
            for pragma in ("synchronous = FULL", "foreign_keys = ON"):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        @event.listens_for(engine, "begin")
        def _(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if self._immediate else "BEGIN")

        return engine


_DAMAGED = ("SQLITE_NOTADB", "SQLITE_CORRUPT")


def _transient(error: DBAPIError) -> bool:
    """Return whether a retry may help: a deadlock, a lock time-out, a lost race or a broken connection."""
    origin = error.orig
    if error.connection_invalidated or isinstance(error, IntegrityError):
        return True
    state = getattr(origin, "sqlstate", None)
    arguments = getattr(origin, "args", ()) or (None,)
    if state in _TRANSIENT_STATES or arguments[0] in _TRANSIENT_STATES | _TRANSIENT_CODES:
        return True
    numbers = set(re.findall(r"\((\d+)\) \(SQL", str(origin)))
    return "database is locked" in str(origin) or not numbers.isdisjoint(PASSING)


def translate(error: DBAPIError, place: str = "") -> StateError:
    """Return hdm's error for a driver's error, without parameters, values and secrets.

    ``place`` is the server's address.
    """
    why = unreachable.reason(error) if place else None
    at = f" at {place}" if place else ""
    text = scrub(error.orig if isinstance(error.orig, Exception) else error)
    if getattr(error.orig, "sqlite_errorname", None) in _DAMAGED:
        return StateError(
            f"the state database is damaged: {text}",
            hint="restore a backup of the file, or move it away: the next run asks the targets",
        )
    if error.connection_invalidated or isinstance(error, OperationalError):
        return StateUnavailable(
            f"the state database{at} cannot be used: {why + ': ' if why else ''}{text}",
            hint=encryption.HINT
            if "SSL" in text or "certificate" in text
            else "check that it runs, that its address and rights are right, and run again",
        )
    return StateError(f"the state database refused a change: {text}")
