"""Sends and receives COPY data through psycopg's libpq wrapper, without a Python object per row.

``classified`` is the caller's guard that turns driver errors into hdm's.
"""

from __future__ import annotations

import io
import selectors
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

BLOCK_BYTES = 2 * 1024 * 1024
_MESSAGE_BYTES = 8 * 1024 * 1024
Guard = Callable[[], AbstractContextManager[None]]


def copy_out(connection: Any, psycopg: Any, sql: str, classified: Guard) -> Iterator[memoryview]:
    """Yield the CSV rows of a SELECT in blocks of whole rows of about ``BLOCK_BYTES``.

    One CopyData message is one row: https://www.postgresql.org/docs/current/protocol-flow.html
    """
    raw = connection.pgconn
    with classified():
        _expect(psycopg, raw.exec_(f"COPY ({sql}) TO STDOUT (FORMAT csv)".encode()), "COPY_OUT")
    receive = raw.get_copy_data
    size = 1
    while size > 0:
        buffer, filled = io.BytesIO(), 0
        with classified():
            while filled < BLOCK_BYTES:
                size, row = receive(0)
                if size <= 0:
                    break
                if size >= BLOCK_BYTES and not filled:
                    break
                buffer.write(row)
                filled += size
        if filled:
            yield buffer.getbuffer()
        elif size > 0:
            wide = [memoryview(row)]
            del row
            yield wide.pop()  # a wide row is a block of its own; no copy and no reference stay here
    with classified():
        _finished(psycopg, raw)


class CopyIn:
    """Runs COPY FROM STDIN in the open transaction; ``form`` is ``csv`` or ``binary``.

    psycopg's connections do not block: libpq would buffer all that the server has not taken yet, and hold the
    GIL while it sends that at the end. So each block is sent completely before the next one.
    """

    def __init__(self, connection: Any, psycopg: Any, into: str, form: str, classified: Guard) -> None:
        self._raw, self._psycopg, self._classified = connection.pgconn, psycopg, classified
        with classified():
            begin = f"COPY {into} FROM STDIN (FORMAT {form})"
            _expect(psycopg, self._raw.exec_(begin.encode()), "COPY_IN")

    def put(self, block: Any) -> None:
        """Send one block; wait while the server is behind, without blocking other threads."""
        view = memoryview(block)
        with self._classified():
            for start in range(0, len(view), _MESSAGE_BYTES):
                while not self._raw.put_copy_data(view[start : start + _MESSAGE_BYTES]):
                    self._flush()
                self._flush()

    def end(self) -> int:
        """End the COPY and return how many rows the server stored; raise the server's error if it failed."""
        with self._classified():
            while not self._raw.put_copy_end():
                self._flush()
            self._flush()
            while self._raw.is_busy():
                _wait(self._raw.socket, write=False)
                self._raw.consume_input()
            return _finished(self._psycopg, self._raw)

    def _flush(self) -> None:
        """Send what libpq has buffered, in the loop that libpq requires of a connection that does not block.
        https://www.postgresql.org/docs/current/libpq-async.html#LIBPQ-PQFLUSH"""
        while self._raw.flush():
            if _wait(self._raw.socket, write=True):
                self._raw.consume_input()


def _wait(socket: int, *, write: bool) -> bool:
    """Wait until the socket can be read or, with ``write``, written; return whether it can be read."""
    with selectors.DefaultSelector() as selector:
        selector.register(socket, selectors.EVENT_READ | (selectors.EVENT_WRITE if write else 0))
        return any(events & selectors.EVENT_READ for _, events in selector.select())


def _expect(psycopg: Any, result: Any, status: str) -> Any:
    if result.status != psycopg.pq.ExecStatus[status]:
        raise psycopg.errors.error_from_result(result)
    return result


def _finished(psycopg: Any, raw: Any) -> int:
    """Read the command's results to the end and return how many rows it touched."""
    result, rows = raw.get_result(), 0
    while result is not None:
        rows = int(_expect(psycopg, result, "COMMAND_OK").command_tuples or 0)
        result = raw.get_result()
    return rows
