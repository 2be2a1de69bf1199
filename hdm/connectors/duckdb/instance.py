"""Keeps one open DuckDB instance per file and process, which the last database session closes."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hdm.errors import Deadlock, MissingDriver, UsageError

_CONFIG = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "enable_external_access": "false",
    "python_enable_replacements": "false",
}
"""Settings that keep statements from reading or writing other files and this process's variables. They cannot
be changed back while the database is open.
https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview"""
_PATIENCE = 300.0
"""Seconds to wait for this process's other writers and readers of the file."""


@dataclass
class Instance:
    """A DuckDB file as this process uses it, and the one connection that all its sessions share.

    ``root`` is that connection, None while there is no session; ``users`` counts the sessions, and
    ``read_only`` says how it was opened. ``writing`` is locked for the whole of a writing transaction.
    ``written_here``: this process writes to the file, or will, so it is not opened read-only any more.
    """

    file: Path
    users: int = 0
    root: Any = None
    read_only: bool = True
    written_here: bool = False
    writing: threading.Lock = field(default_factory=threading.Lock)


_instances: dict[str, Instance] = {}
_changed = threading.Condition()


def instance_of(file: Path) -> Instance:
    """Return this process's only ``Instance`` of a file, found by the file's real path."""
    key = os.path.realpath(file)
    with _changed:
        return _instances.setdefault(key, Instance(file))


class Session:
    """A DB-API connection to the shared instance, in a transaction of its own.

    Closing the connection releases the instance.
    """

    def __init__(self, instance: Instance, *, write: bool) -> None:
        self._instance = instance
        self._writing = False
        self.inner = _join(instance, write=write)

    def cursor(self) -> Any:
        """Return a cursor in the session's own transaction."""
        return _Cursor(self.inner)

    def hold(self) -> None:
        """Make this session the process's only writer of the file, until commit, rollback or close.

        Waits for another writer; raises ``Deadlock`` if that one does not end in ``_PATIENCE`` seconds.
        """
        if not self._writing:
            if not self._instance.writing.acquire(timeout=_PATIENCE):
                raise Deadlock(f"{self._instance.file}: another writer of this process does not end")
            self._writing = True

    def _free(self) -> None:
        if self._writing:
            self._writing = False
            self._instance.writing.release()

    def commit(self) -> None:
        """Commit the transaction, then let this process's next writer of the file start."""
        try:
            self.inner.commit()
        finally:
            self._free()

    def rollback(self) -> None:
        """Roll the transaction back, then let this process's next writer of the file start."""
        try:
            self.inner.rollback()
        finally:
            self._free()

    def close(self) -> None:
        """Close the session and roll back an open transaction.

        The last session of the process closes the file.
        """
        inner, self.inner = self.inner, None
        if inner is None:
            return
        try:
            inner.close()
        finally:
            self._free()
            _leave(self._instance)


class _Cursor:
    """Runs statements on the database session itself: DuckDB's own cursor is a separate connection."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.rowcount = -1

    def execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Execute a statement; ``rowcount`` stays -1, since DuckDB returns the count as a result."""
        self._inner.execute(sql, list(values)) if values else self._inner.execute(sql)

    @property
    def description(self) -> Any:
        """The columns of the last result, in the form that DB-API defines."""
        return self._inner.description

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows of the last result."""
        rows: list[tuple[Any, ...]] = self._inner.fetchall()
        return rows

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        """Return up to ``size`` more rows of the last result; none at its end."""
        rows: list[tuple[Any, ...]] = self._inner.fetchmany(size)
        return rows

    def close(self) -> None:
        """Do nothing: the database session stays open."""


def _join(instance: Instance, *, write: bool) -> Any:
    duckdb = driver()
    with _changed:
        instance.written_here = instance.written_here or write
        if write and instance.root is not None and instance.read_only:
            free = _changed.wait_for(lambda: instance.root is None or not instance.read_only, _PATIENCE)
            if not free:
                raise Deadlock(f"{instance.file}: readers of this process do not end")
        if instance.root is None:
            read_only = not (write or instance.written_here)
            try:
                instance.root = duckdb.connect(str(instance.file), read_only=read_only, config=_CONFIG)
            except duckdb.Error:
                if _is_something_else(instance.file):
                    raise UsageError(
                        f"{instance.file} is not a DuckDB database", hint="check path in the profile"
                    ) from None
                raise
            instance.read_only = read_only
        instance.users += 1
        try:
            return instance.root.cursor()
        except BaseException:
            instance.users -= 1
            raise


def _is_something_else(file: Path) -> bool:
    """Whether the file has a header that is not DuckDB's; an empty file may be about to become a database.

    Do not call it while this process has the file open: closing the file here would release DuckDB's lock.
    """
    try:
        with file.open("rb") as handle:
            head = handle.read(12)
    except OSError:
        return False
    return bool(head) and head[8:] != b"DUCK"


def _leave(instance: Instance) -> None:
    with _changed:
        instance.users -= 1
        if instance.users == 0:
            root, instance.root = instance.root, None
            root.close()
        _changed.notify_all()


def driver() -> Any:
    """Return the ``duckdb`` module; raise ``MissingDriver`` if it is not installed."""
    try:
        import duckdb
    except ImportError:
        raise MissingDriver("DuckDB is not installed", hint="pip install 'hdm[duckdb]'") from None
    return duckdb
