"""The process of the stand-in for SQL Server: pysqlbridge's login, TLS and packets before our own sessions.

``python -m tests.servers.sqlserver_app PORT HOME``: HOME holds one file for each database, ``NAME.dsn``.
"""

from __future__ import annotations

import logging
import socket
import socketserver
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
from pysqlbridge.certificate import self_signed
from pysqlbridge.tds.batch import parse_sql_batch
from pysqlbridge.tds.connection import Connection, ConnectionState
from pysqlbridge.tds.packet import (
    HEADER_SIZE,
    Message,
    PacketHeader,
    PacketStatus,
    PacketType,
    parse_header,
)
from pysqlbridge.tds.token import error_response

from tests.servers import sqlserver_wire as wire
from tests.servers.process import HOST
from tests.servers.sqlserver_session import Broken, Place, Session
from tests.servers.sqlserver_types import Refused

USER, PASSWORD = "sa", "Canary-4711"
_ATTENTION = 0x20
_BEGIN, _AND_BEGIN = 5, 1
_ENDS = {7: "COMMIT", 8: "ROLLBACK"}


class _Logins:
    configured = True

    @staticmethod
    def admits(user: str, password: str) -> bool:
        return (user, password) == (USER, PASSWORD)


class Client(Connection):  # type: ignore[misc]
    """One client: after its login every message is answered by its session."""

    def __init__(self, certificate: Any, home: Path, places: dict[str, Place]) -> None:
        super().__init__(certificate, logins=_Logins(), server_name="standin")
        self.home, self.places = home, places
        self.session: Session | None = None
        self.packets: list[tuple[PacketHeader, bytes]] = []

    @property
    def lost(self) -> bool:
        return self.state is ConnectionState.FAILED

    def _finish_login(self, responses: list[bytes]) -> None:
        name = self._login.database or "master"
        address = self.home / f"{name}.dsn"
        if not address.exists():
            said = f'Cannot open database "{name}" requested by the login. The login failed.'
            self._send(responses, error_response(4060, said, server="standin", severity=11))
            self._state = ConnectionState.FAILED
            return
        if name not in self.places:
            self.places[name] = Place(name, address.read_text(), self.home / f"{name}.orders")
        self.session = Session(self.places[name])
        self._database = name
        super()._finish_login(responses)

    def _take_message(self) -> Message | None:
        """The next whole message; each packet is looked at once."""
        if self._session_encrypted:
            self._plaintext += self._tunnel.unwrap(bytes(self._buffer))
            self._buffer.clear()
        source = self._plaintext if self._session_encrypted else self._buffer
        at, last = 0, False
        while not last and len(source) - at >= HEADER_SIZE:
            header = parse_header(bytes(source[at : at + HEADER_SIZE]))
            if len(source) - at < header.length:
                break
            self.packets.append((header, bytes(source[at + HEADER_SIZE : at + header.length])))
            at, last = at + header.length, header.is_end_of_message
        del source[:at]
        if not last:
            return None
        first, whole = self.packets[0][0], b"".join(data for _, data in self.packets)
        self.packets = []
        return Message(first.type, whole, 0, first.status)

    def _step_query(self, responses: list[bytes]) -> bool:
        message = self._take_message()
        if message is None:
            return False
        session = self.session
        assert session is not None
        if message.status & (PacketStatus.RESET_CONNECTION | PacketStatus.RESET_CONNECTION_SKIP_TRAN):
            session.reset()
        if message.type is PacketType.SQL_BATCH:
            self._send(responses, session.batch(parse_sql_batch(message.payload, self._tds_version)))
        elif message.type is PacketType.RPC:
            made = list(wire.calls(message.payload))
            answers = [session.rpc(call, n < len(made)) for n, call in enumerate(made, 1)]
            self._send(responses, b"".join(answers))
        elif message.type is PacketType.TRANSACTION_MANAGER:
            self._send(responses, self._transaction(session, message.payload))
        elif message.type is PacketType.ATTENTION:
            self._send(responses, wire.done(0xFD, _ATTENTION))
        else:
            self._send(responses, error_response(4002, f"no {message.type.name} here", server="standin"))
        return True

    def _transaction(self, session: Session, payload: bytes) -> bytes:
        read = wire.Bytes(payload)
        read.at = read.number("I")
        kind = read.number("H")
        try:
            if kind == _BEGIN:
                return session.begin() + wire.done(0xFD, 0)
            if kind not in _ENDS:
                raise Refused(3933, "Cannot do this to a transaction.")
            if not session.open:
                raise Refused(3902 if _ENDS[kind] == "COMMIT" else 3903, "no transaction is open")
            read.take(read.number("B"))
            made = session.end(_ENDS[kind])
            return made + (session.begin() if read.number("B") & _AND_BEGIN else b"") + wire.done(0xFD, 0)
        except Refused as refused:
            return bytes(error_response(refused.number, str(refused), server="standin"))


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = Client(self.server.certificate, self.server.home, self.server.places)
        try:
            with suppress(OSError, Broken, psycopg.OperationalError):
                while not client.lost and (data := self.request.recv(1 << 16)):
                    for response in client.receive(data):
                        self.request.sendall(response)
        except (struct.error, EOFError):
            logging.exception("a message that cannot be read")
        finally:
            if client.session is not None:
                client.session.close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, home: Path) -> None:
        self.home, self.places, self.certificate = home, dict[str, Place](), self_signed("standin")
        super().__init__((HOST, port), _Handler)


def main() -> None:
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    with _Server(int(sys.argv[1]), Path(sys.argv[2])) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
