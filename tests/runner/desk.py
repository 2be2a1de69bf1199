"""The servers of all test processes, started by one.

The controlling process starts each server when a test first asks for it and stops them all at the
end. Test processes under xdist ask through a Unix socket and get a copy of the server's description
(port, folder, keys); without xdist the one process asks itself. So nothing races for an installation,
a port or a data folder.

Object stores, the Snowflake emulator and the stand-in for SQL Server are shared. Each test process has a
PostgreSQL and a MariaDB of its own: open writers, roles and global variables belong to the whole server, and
hdm looks at them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

from tests.servers import (
    azurite,
    bigquery,
    fakesnow,
    gcs,
    h2,
    mariadb,
    moto,
    postgres,
    rclone,
    sqlserver,
    sshd,
)
from tests.servers.process import ServerFailed

Ask = Callable[[str], Any]
"""Name of a server -> its description (``Postgres``, ``MariaDB``, ``S3``, ...)."""

_RUNNING: dict[str, Callable[[Ask], AbstractContextManager[Any]]] = {
    "postgres": lambda ask: postgres.running(),
    "mariadb": lambda ask: mariadb.running(),
    "s3": lambda ask: moto.running(),
    "rclone": lambda ask: rclone.running(),
    "azurite": lambda ask: azurite.running(),
    "gcs": lambda ask: gcs.running(),
    "bigquery": lambda ask: bigquery.running(),
    "sshd": lambda ask: sshd.running(),
    "h2": lambda ask: h2.running(),
    "snowflake": lambda ask: fakesnow.running(ask("s3").port),
    "sqlserver": lambda ask: sqlserver.running(),
}

_OWN = ("postgres", "mariadb")
"""Servers of which each test process has one."""


class _Keeper:
    """Runs one server in a thread of its own: the kernel ends a server with the thread that began it."""

    def __init__(self, running: Callable[[], AbstractContextManager[Any]]) -> None:
        self._running = running
        self._known, self._enough = threading.Event(), threading.Event()
        self._server: Any = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        try:
            with self._running() as server:
                self._server = server
                self._known.set()
                self._enough.wait()
        except BaseException as failure:  # noqa: BLE001 (raised again by who asks)
            self._failure = failure
        finally:
            self._known.set()

    def server(self) -> Any:
        self._known.wait()
        if self._failure is not None:
            raise ServerFailed(str(self._failure)) from self._failure
        return self._server

    def stop(self) -> None:
        self._enough.set()
        self._thread.join()


class Desk:
    """Hands out the servers of this run; lives in the controlling process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keepers: dict[tuple[str, str], _Keeper] = {}
        self._listener: Listener | None = None
        self._key = secrets.token_bytes(16)

    def ask(self, name: str, process: str = "") -> Any:
        """Start the server if nobody has yet, for test process ``process``; its description."""
        key = (name, process if name in _OWN else "")
        with self._lock:
            if key not in self._keepers:
                self._keepers[key] = _Keeper(lambda: _RUNNING[name](self.ask))
        return self._keepers[key].server()

    def address(self) -> tuple[str, str]:
        """Where other processes ask, and the key that lets them in (hex)."""
        if self._listener is None:
            self._listener = Listener(family="AF_UNIX", authkey=self._key, backlog=16)
            threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()
        return str(self._listener.address), self._key.hex()

    def _serve(self, listener: Listener) -> None:
        while True:
            try:
                connection = listener.accept()
            except OSError:  # closed: the run is over
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: Connection) -> None:
        with connection, contextlib.suppress(EOFError, OSError):
            try:
                server = self.ask(*connection.recv())
                connection.send(_description(server))
            except ServerFailed as failure:
                connection.send(failure)

    def stop(self) -> None:
        """Stop all servers, those first that were started last."""
        for keeper in reversed(self._keepers.values()):
            keeper.stop()
        self._keepers.clear()
        if self._listener is not None:
            self._listener.close()


def ask_at(address: str, key: str, process: str) -> Ask:
    """Asks the desk of another process, in the name of ``process``; each answer is kept."""
    kept: dict[str, Any] = {}

    def ask(name: str) -> Any:
        if name not in kept:
            with Client(address, family="AF_UNIX", authkey=bytes.fromhex(key)) as connection:
                connection.send((name, process))
                kept[name] = connection.recv()
        if isinstance(kept[name], ServerFailed):
            raise kept[name]
        return kept[name]

    return ask


def _description(server: Any) -> Any:
    """The server without the handle of its process, which only the desk's own process may touch."""
    return dataclasses.replace(server, server=dataclasses.replace(server.server, process=None))
