"""Copies the schema of a SQLite state database from the first one that alembic made in this process.

Alembic takes 60 ms of CPU for each new database, and most flows open one. What is copied is read from the
database that alembic made; other databases, and those that have tables, are always left to it.
"""

from __future__ import annotations

from sqlalchemy import Connection

from hdm import failpoints
from hdm.state.db import upgrade

_by_alembic = upgrade._run
_kept: list[str] = []


def share() -> None:
    """From now on, only the first new SQLite state database of this process is made by alembic."""
    upgrade._run = _run


def _run(conn: Connection) -> None:
    if conn.dialect.name != "sqlite" or failpoints._points or failpoints._trace or upgrade.tables(conn):
        _by_alembic(conn)
        return
    if not _kept:
        _by_alembic(conn)
        _kept.extend(_statements(conn))
        return
    for statement in _kept:
        conn.exec_driver_sql(statement)


def _statements(conn: Connection) -> list[str]:
    made = conn.exec_driver_sql("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
    found = [one for (one,) in made]
    for table in sorted(upgrade.tables(conn)):
        columns = [row[1] for row in conn.exec_driver_sql(f"PRAGMA table_info({table})")]
        texts = ", ".join(f"quote({column})" for column in columns)
        for row in conn.exec_driver_sql(f"SELECT {texts} FROM {table}"):
            found.append(f"INSERT INTO {table} VALUES ({', '.join(row)})")
    return found
