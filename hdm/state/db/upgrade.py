"""Checks the version of the state database's schema, and upgrades it under a lock."""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Inspector, inspect, select, text
from sqlalchemy.exc import DBAPIError

from hdm import _version, failpoints
from hdm.errors import SchemaOutOfDate, StateMissing, StateUnavailable
from hdm.state.db import clock
from hdm.state.db.database import Database

REVISIONS = ("0001", "0002", "0005", "0006", "0007", "0008", "0009")
"""Every schema version that this hdm knows, oldest first; a test compares them with alembic's."""
VERSION_TABLE = "hdm_schema_version"
_LOCK_NUMBER = 4_985_237_645_117_401
_LOCK_NAME = "hdm_schema"
_LOCK_SECONDS = 120


def check(db: Database, *, create: bool) -> None:
    """Raise an error unless the state database's schema is this version's.

    With ``create``, an empty database gets the schema first. Raises ``SchemaOutOfDate`` for another version,
    ``StateMissing`` for an empty database.
    """
    found = version(db)
    if found == REVISIONS[-1]:
        return
    if create and (found is None or db.read(_is_unfinished)):
        upgrade(db)
        return
    _refuse_newer(found)
    if found is None:
        raise StateMissing("the state database is empty", hint="run: hdm state upgrade")
    raise SchemaOutOfDate(
        f"the state database has schema {found}, this hdm needs {REVISIONS[-1]}",
        hint="run: hdm state upgrade",
    )


def version(db: Database) -> str | None:
    """Return the version of the state database's schema; None if it has no schema yet."""
    return db.read(_revision)


def _revision(conn: Connection) -> str | None:
    if not inspect(conn).has_table(VERSION_TABLE):
        return None
    found: str | None = conn.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return found


def _is_unfinished(conn: Connection) -> bool:
    """Return whether a process died while it created the database: no version is recorded yet.

    MySQL keeps the tables created until then, other databases roll them back.
    """
    from hdm.state.db.tables import schema_history

    return conn.execute(select(schema_history.c.version).limit(1)).first() is None


def _refuse_newer(found: str | None) -> None:
    if found is not None and found not in REVISIONS:
        raise SchemaOutOfDate(
            f"the state database has schema {found}, which this hdm {_version.__version__} does not know",
            hint="use the hdm that upgraded it, or a newer one",
        )


def upgrade(where: Database | str | URL) -> tuple[str | None, str]:
    """Upgrade the state database's schema to this version; return the versions before and after.

    The version before is None if there was none. One process upgrades, the others wait, and raise
    ``StateUnavailable`` if that takes too long (120 s on MySQL and SQL Server). Raises ``SchemaOutOfDate``
    for a schema newer than this hdm.
    """
    db = where if isinstance(where, Database) else Database(where)
    try:
        with _session_lock(db), db.exclusive() as conn:
            if db.dialect == "postgresql":
                conn.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK_NUMBER})
            found = _revision(conn)
            _refuse_newer(found)
            if found != REVISIONS[-1]:
                _run(conn)
    finally:
        if db is not where:
            db.close()
    return found, REVISIONS[-1]


def _run(conn: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations()))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = conn
    command.upgrade(config, "head")
    failpoints.point("M2")
    for revision in REVISIONS:
        _record(conn, revision)


def _record(conn: Connection, revision: str) -> None:
    from hdm.state.db.tables import schema_history

    known = select(schema_history.c.version).where(schema_history.c.version == revision)
    if conn.execute(known).first() is None:
        file = next((migrations() / "versions").glob(f"{revision}_*.py"))
        conn.execute(
            schema_history.insert().values(applied_at=clock.now),
            {
                "version": revision,
                "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
                "applied_by": _user(),
            },
        )


def _user() -> str:
    try:
        return getpass.getuser()[:128]
    except (KeyError, OSError):
        return "unknown"


def migrations() -> Path:
    """Return the folder of the migration scripts: in the installed package, or beside it in a checkout."""
    package = Path(_version.__file__).parent
    inside = package / "_migrations"
    return inside if inside.is_dir() else package.parent / "migrations"


def tables(conn: Connection) -> set[str]:
    """Return the names of all tables in the database."""
    inspector: Inspector = inspect(conn)
    return set(inspector.get_table_names())


@contextmanager
def _session_lock(db: Database) -> Iterator[None]:
    """Allow only one upgrade at a time, by a session lock on a connection of its own.

    MySQL and SQL Server need it, as it outlives a commit. SQLite's transaction is its own lock (BEGIN
    IMMEDIATE), and PostgreSQL has a lock that ends with the transaction.
    """
    if db.dialect not in ("mysql", "mssql"):
        yield
        return
    with db.exclusive() as conn:
        try:
            if db.dialect == "mysql":
                query = text("SELECT GET_LOCK(CONCAT(:n, '.', DATABASE()), :s)")
                if conn.execute(query, {"n": _LOCK_NAME, "s": _LOCK_SECONDS}).scalar() != 1:
                    raise _busy()
            else:
                query = text(
                    "SET NOCOUNT ON; DECLARE @got INT; EXEC @got = sp_getapplock @Resource = :n, "
                    "@LockMode = 'Exclusive', "
                    "@LockOwner = 'Session', @LockTimeout = :ms; SELECT @got"
                )
                if conn.execute(query, {"n": _LOCK_NAME, "ms": _LOCK_SECONDS * 1000}).scalar_one() < 0:
                    raise _busy()
            yield
        finally:
            _unlock(conn, db.dialect)


def _unlock(conn: Connection, name: str) -> None:
    """Release the session lock; if that fails, drop the connection, which releases it, too."""
    try:
        if name == "mysql":
            conn.execute(text("SELECT RELEASE_LOCK(CONCAT(:n, '.', DATABASE()))"), {"n": _LOCK_NAME})
        elif name == "mssql":
            conn.execute(
                text("EXEC sp_releaseapplock @Resource = :n, @LockOwner = 'Session'"), {"n": _LOCK_NAME}
            )
    except DBAPIError:
        conn.invalidate()


def _busy() -> StateUnavailable:
    return StateUnavailable(
        f"another process has been upgrading the state database for {_LOCK_SECONDS} s",
        hint="wait until it is done, and run again",
    )
