"""MySQL's text protocol from recorded bytes: packets cut anywhere, long rows, ends and errors."""

from __future__ import annotations

import io

import pymysql
import pytest

from hdm.connectors.mysql import wire
from hdm.connectors.mysql.wire import Ended

EOF = b"\xfe\x00\x00\x02\x00"


def length(size: int) -> bytes:
    if size < 0xFB:
        return bytes([size])
    if size < 1 << 16:
        return b"\xfc" + size.to_bytes(2, "little")
    return b"\xfd" + size.to_bytes(3, "little") if size < 1 << 24 else b"\xfe" + size.to_bytes(8, "little")


def row(*values: bytes | None) -> bytes:
    return b"".join(b"\xfb" if value is None else length(len(value)) + value for value in values)


def packets(*payloads: bytes, longest: int = 0xFFFFFF) -> bytes:
    out = b""
    for payload in payloads:
        rest = payload
        while True:
            part, rest = rest[:longest], rest[longest:]
            out += len(part).to_bytes(3, "little") + b"\x00" + part
            if len(part) < longest:
                break
    return out


class Trickle(io.RawIOBase):
    """A socket's file that gives at most ``step`` bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self.data, self.step = data, step

    def read1(self, size: int) -> bytes:
        return self.read(min(size, self.step))

    def read(self, size: int = -1) -> bytes:
        part, self.data = self.data[:size], self.data[size:]
        return part


class Packet:
    def __init__(self, width: int) -> None:
        self.width = width

    def read_length_encoded_integer(self) -> int:
        return self.width


class Connection:
    """The driver's inside, as the codec uses it: after the column definitions come rows."""

    def __init__(self, data: bytes, width: int = 2, step: int = 1 << 20) -> None:
        self._rfile, self.width, self.closed, self.asked = Trickle(data, step), width, False, ""

    def _execute_command(self, code: int, sql: str) -> None:
        assert code == 3
        self.asked = sql

    def _read_packet(self) -> Packet:
        return Packet(self.width)

    def _force_close(self) -> None:
        self.closed = True


def read(connection: Connection, max_rows: int = 1000, max_bytes: int = 1 << 30) -> list:
    blocks = wire.rows(connection, "SELECT 1", max_rows=max_rows, max_bytes=max_bytes)
    return [row for columns, count in blocks for row in zip(*columns, strict=True) if count]


ROWS = [(b"1", b"a"), (b"2", None), (b"", b"x" * 250), (b"3", b"y" * 251), (b"4", b"z" * 70_000)]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000, 1 << 20])
def test_rows_come_whole_wherever_the_network_cuts(step):
    connection = Connection(packets(*(row(*one) for one in ROWS), EOF), step=step)
    assert read(connection) == ROWS
    assert not connection.closed


@pytest.mark.parametrize("step", [5, 1 << 20])
def test_a_row_of_several_packets_is_one_row(monkeypatch, step):
    monkeypatch.setattr(wire, "_LONGEST", 100)
    data = packets(row(b"1", b"x" * 350), row(b"2", b"y" * 96), row(b"3", b"z"), EOF, longest=100)
    assert read(Connection(data, step=step)) == [(b"1", b"x" * 350), (b"2", b"y" * 96), (b"3", b"z")]


def test_a_row_that_begins_like_an_end_is_a_row():
    wide = b"\xfe" + (10).to_bytes(8, "little") + b"0123456789" + row(b"b")
    assert read(Connection(packets(wide, EOF))) == [(b"0123456789", b"b")]


@pytest.mark.parametrize(("max_rows", "max_bytes", "sizes"), [(2, 1 << 30, [2, 2, 1]), (100, 1, [1] * 5)])
def test_blocks_are_bounded_by_rows_and_bytes(max_rows, max_bytes, sizes):
    connection = Connection(packets(*(row(*one) for one in ROWS), EOF))
    blocks = list(wire.rows(connection, "q", max_rows=max_rows, max_bytes=max_bytes))
    assert [count for _, count in blocks] == sizes


def test_an_empty_result_has_no_block():
    assert list(wire.rows(Connection(packets(EOF)), "q", max_rows=9, max_bytes=9)) == []


@pytest.mark.parametrize("cut", [1, 5, 9])
def test_a_connection_that_breaks_within_a_result_is_no_end(cut):
    data = packets(row(b"1", b"a"), row(b"2", b"b"), EOF)
    connection = Connection(data[:-cut])
    with pytest.raises(Ended):
        read(connection)
    assert connection.closed


def test_an_error_of_the_server_is_the_drivers_own():
    error = b"\xff" + (1317).to_bytes(2, "little") + b"#70100Query execution was interrupted"
    connection = Connection(packets(row(b"1", b"a"), error))
    with pytest.raises(pymysql.err.MySQLError, match="1317"):
        read(connection)
    assert connection.closed


def test_a_result_that_is_left_closes_the_connection():
    connection = Connection(packets(*(row(*one) for one in ROWS), EOF))
    blocks = wire.rows(connection, "q", max_rows=1, max_bytes=1)
    next(blocks)
    blocks.close()
    assert connection.closed
