"""A private H2, whose databases are in Oracle's mode: it runs much of Oracle's SQL, without its dictionary.

Spoken to through its PostgreSQL port by libpq. Its values are taken as it shows them, since Python's own
dates know other years and its floats other digits. https://www.h2database.com
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from psycopg import pq

from tests.servers import provision
from tests.servers.process import HOST, Server, ServerFailed, answers, folder, free_port, new_name

Row = tuple[str | bytes | None, ...]
_BYTEA = 17


class H2Error(Exception):
    """What H2 says against a statement; ``state`` is its SQLSTATE."""

    def __init__(self, state: str, text: str) -> None:
        super().__init__(text)
        self.state = state


@dataclass
class Answer:
    """Rows of a query, or (``is_query`` is false) how many rows a statement changed."""

    rows: list[Row] = field(default_factory=list)
    count: int = 0
    is_query: bool = False


class Session:
    """One session of H2, in which each statement is a transaction until ``SET AUTOCOMMIT FALSE``."""

    def __init__(self, port: int, database: str) -> None:
        said = f"host={HOST} port={port} user=sa password=sa sslmode=disable gssencmode=disable"
        self._server = pq.PGconn.connect(f"{said} dbname='{database}'".encode())
        if self._server.status != pq.ConnStatus.OK:
            raise ServerFailed(f"h2: {self._server.error_message.decode(errors='replace')}")
        self._socket = socket.socket(fileno=os.dup(self._server.socket))
        self.ask("SET MODE Oracle")

    def ask(self, sql: str) -> Answer:
        """Run one statement; raise ``H2Error`` if H2 refuses it."""
        self._server.send_query(sql.encode())
        while self._server.flush():
            select.select([], [self._server.socket], [])
        found = Answer()
        refused: H2Error | None = None
        while result := self._result():
            if result.status == pq.ExecStatus.TUPLES_OK:
                found = Answer(_rows(result), result.ntuples, is_query=True)
            elif result.status == pq.ExecStatus.COMMAND_OK:
                found = Answer(count=result.command_tuples or 0)
            else:
                state = result.error_field(pq.DiagnosticField.SQLSTATE) or b""
                refused = H2Error(state.decode(), result.error_message.decode(errors="replace"))
        if refused is not None:
            raise refused
        return found

    def _result(self) -> pq.abc.PGresult | None:
        """The next result. H2 sends it in several small packets, each of which waits for its receipt."""
        while True:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            if not self._server.is_busy():
                return self._server.get_result()
            select.select([self._server.socket], [], [])
            self._server.consume_input()

    def close(self) -> None:
        self._socket.close()
        self._server.finish()


def _rows(result: pq.abc.PGresult) -> list[Row]:
    unescape = pq.Escaping().unescape_bytea
    binary = [result.ftype(column) == _BYTEA for column in range(result.nfields)]

    def value(row: int, column: int) -> str | bytes | None:
        raw = result.get_value(row, column)
        if raw is None:
            return None
        return bytes(unescape(raw)) if binary[column] else raw.decode()

    return [tuple(value(row, column) for column in range(result.nfields)) for row in range(result.ntuples)]


@dataclass
class H2:
    """A running server; ``fresh`` names an empty database in memory, ``connect`` opens a session on it.

    A session through this port begins by giving the whole database PostgreSQL's mode: open none while
    another is at work.
    """

    server: Server
    port: int

    def fresh(self) -> str:
        return f"mem:{new_name('t')};DB_CLOSE_DELAY=-1"

    def connect(self, database: str) -> Session:
        return Session(self.port, database)


@contextmanager
def running() -> Iterator[H2]:
    """Start a server of its own, stop it at the end."""
    port, home = free_port(), folder("h2")
    command: list[str | Path] = [
        provision.java(), "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Duser.timezone=UTC",
        f"-Dh2.bindAddress={HOST}", "-cp", provision.h2_jar(), "org.h2.tools.Server", "-pg", "-pgPort",
        str(port), "-ifNotExists",
    ]  # fmt: skip
    server = Server("h2", command, home)
    server.start(lambda: answers(port))
    try:
        yield H2(server, port)
    finally:
        server.stop()
