"""Speaks MySQL's text protocol below the driver: rows in bulk, LOAD DATA LOCAL from memory.

PyMySQL makes an object of every packet and value; here a row costs one slice per value.
https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

_READ_BYTES = 1 << 18
_LONGEST = 0xFFFFFF  # a packet of this length is continued by the next
_COM_QUERY = 3

Guard = Callable[[], AbstractContextManager[None]]
Rows = tuple[list[list[bytes | None]], int]
"""Values by column, and the number of rows."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Numbers of rows and warnings that the server reports for a LOAD DATA or INSERT."""

    rows: int
    warnings: int


class Ended(ConnectionError):
    """The server closed the connection in the middle of a result."""


def rows(connection: Any, sql: str, *, max_rows: int, max_bytes: int) -> Iterator[Rows]:
    """Yield the result of a SELECT in blocks of at most ``max_rows`` rows and about ``max_bytes`` bytes.

    If the caller stops early, the connection is closed, since the unread rest would precede the next answer.
    """
    connection._execute_command(_COM_QUERY, sql)
    first = connection._read_packet()
    width = first.read_length_encoded_integer()
    for _ in range(width + 1):  # column definitions, then EOF
        connection._read_packet()
    finished = False
    try:
        yield from _blocks(connection, width, max_rows, max_bytes)
        finished = True
    finally:
        if not finished:
            connection._force_close()


def _blocks(connection: Any, width: int, max_rows: int, max_bytes: int) -> Iterator[Rows]:
    file = connection._rfile
    columns: list[list[bytes | None]] = [[] for _ in range(width)]
    buffer, at, count, size = b"", 0, 0, 0
    while True:
        while len(buffer) - at < 4:
            buffer = buffer[at:] + _more(file, 0)
            at = 0
        length = buffer[at] | buffer[at + 1] << 8 | buffer[at + 2] << 16
        end = at + 4 + length
        if end > len(buffer):
            buffer = buffer[at:] + _more(file, end - len(buffer))
            at, end = 0, 4 + length
        place = at + 4
        if length == _LONGEST:
            payload, buffer = _long(file, buffer, at)
            at = 0
            _split(payload, 0, columns)
            size += len(payload)
        elif length < 9 and buffer[place] == 0xFE:
            break
        elif buffer[place] == 0xFF and length:
            connection._force_close()
            _fail(buffer[place:end])
        else:
            _split(buffer, place, columns)
            size += length
            at = end
        count += 1
        if count >= max_rows or size >= max_bytes:
            yield columns, count
            columns, count, size = [[] for _ in range(width)], 0, 0
    if count:
        yield columns, count


def _split(data: bytes, at: int, columns: list[list[bytes | None]]) -> None:
    """Append one row's values to the columns. Each value is a length and the bytes, or 0xFB for NULL."""
    for column in columns:
        head = data[at]
        at += 1
        if head == 0xFB:
            column.append(None)
            continue
        if head > 0xFB:
            digits = 2 if head == 0xFC else 3 if head == 0xFD else 8
            head = int.from_bytes(data[at : at + digits], "little")
            at += digits
        column.append(data[at : at + head])
        at += head


def _more(file: Any, missing: int) -> bytes:
    """Read at least ``missing`` bytes, any number if 0; ``Ended`` if the connection breaks."""
    if missing > _READ_BYTES:
        data: bytes = file.read(missing)
    else:
        parts, got = [], 0
        while True:
            part = file.read1(_READ_BYTES)
            parts.append(part)
            got += len(part)
            if not part or got >= missing:
                break
        data = parts[0] if len(parts) == 1 else b"".join(parts)
    if not data or len(data) < missing:
        raise Ended("the connection broke")
    return data


def _long(file: Any, buffer: bytes, at: int) -> tuple[bytes, bytes]:
    """Read a row of several packets; return its payload, and what follows it in the buffer."""
    parts = []
    while True:
        while len(buffer) - at < 4:
            buffer, at = buffer[at:] + _more(file, 0), 0
        length = int.from_bytes(buffer[at : at + 3], "little")
        end = at + 4 + length
        if end > len(buffer):
            buffer = buffer[at:] + _more(file, end - len(buffer))
            at, end = 0, 4 + length
        parts.append(buffer[at + 4 : end])
        buffer, at = buffer[end:], 0
        if length < _LONGEST:
            return b"".join(parts), buffer


def _fail(packet: bytes) -> None:
    from pymysql.err import raise_mysql_exception

    raise_mysql_exception(packet)


def load(connection: Any, sql: str, data: Iterable[memoryview], calling: Guard = nullcontext) -> Loaded:
    """Run LOAD DATA LOCAL or INSERT, and send ``data`` when the server asks for a file.

    The file that it names does not matter. If ``data`` raises, the connection is closed and the load is
    undone. ``calling`` is entered while waiting for the server, and not while waiting for ``data``. Returns
    the server's numbers of rows and warnings.
    """
    with calling():
        connection._execute_command(_COM_QUERY, sql)
        packet = connection._read_packet()
    if not packet.is_load_local_packet():
        return _answer(packet)
    step = min(connection.max_allowed_packet - 1024, 1 << 20)
    finished = False
    try:
        for block in data:
            with calling():
                for start in range(0, len(block), step):
                    connection.write_packet(bytes(block[start : start + step]))
        with calling():
            connection.write_packet(b"")
            packet = connection._read_packet()
        finished = True
        return _answer(packet)
    finally:
        if not finished:
            connection._force_close()


def _answer(packet: Any) -> Loaded:
    from pymysql.protocol import OKPacketWrapper

    answer = OKPacketWrapper(packet)
    return Loaded(int(answer.affected_rows), int(answer.warning_count))
