"""Ends calls to a server that stopped working on them because the network lost the connection.

TCP keepalives end a connection whose other side is gone. They do not end one that a proxy or load balancer
still answers although it has forgotten the server. So each call is registered with ``waiting``. A thread
watches calls that take long while their sockets are silent in both directions. Through another connection, it
asks the server whether the call's database session is at work. After two answers that it is not, the thread
shuts the call's socket down, and the call fails like any lost connection.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_COUNT = 15, 5, 3
"""Seconds of silence before the first probe, seconds between probes, and unanswered probes that end a
connection: one whose other side is gone ends after half a minute."""
USER_TIMEOUT = 30_000
"""Milliseconds for which sent data may stay unacknowledged (https://www.rfc-editor.org/rfc/rfc5482)."""
_ASKING = 20.0
"""Seconds within which the server must answer whether it works for a call."""
_LAST_DATA_SENT, _LAST_DATA_RECEIVED = 44, 52
"""Offsets in Linux's ``struct tcp_info``, in milliseconds since (linux/tcp.h)."""


def patience() -> float:
    """Return after how many silent seconds hdm asks the server whether it still works on a call.

    That is the environment variable ``HDM_SILENCE``, at least 0.1; 60 if it is not set or is no number.
    """
    try:
        return max(0.1, float(os.environ.get("HDM_SILENCE") or 60))
    except ValueError:
        return 60.0


@dataclass(slots=True)
class _Call:
    """A call in progress: its start, its socket, how to ask the server, how often the answer was no."""

    since: float
    socket: int
    works: Callable[[], bool | None]
    asked: float = 0.0
    noes: int = 0


_calls: dict[int, _Call] = {}
_lock = threading.Lock()
_numbers = itertools.count()
_watched: set[int] = set()
"""The id of the process whose thread watches the calls; a forked child has no such thread."""


@contextmanager
def waiting(descriptor: int | None, works: Callable[[], bool | None]) -> Iterator[None]:
    """Watch the ``with`` block as a call that waits for a server on the socket ``descriptor``.

    Without a descriptor, nothing is watched. ``works`` asks the server whether it works on the call's
    database session, and returns True, False, or None if the server cannot tell. If the socket is silent for
    ``patience()`` seconds and two answers are False, the socket is shut down, so that the call fails.
    """
    if descriptor is None or descriptor < 0:
        yield
        return
    _start()
    number = next(_numbers)
    _calls[number] = _Call(time.monotonic(), descriptor, works)
    try:
        yield
    finally:
        with _lock:  # wait until a shutdown is done: the descriptor may be reused after this
            _calls.pop(number, None)


def keep_alive(descriptor: int) -> None:
    """Turn on keepalives for a TCP socket; leave a socket of another kind as it is."""
    with _of(descriptor) as sock, suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (
            ("TCP_KEEPIDLE", KEEPALIVE_IDLE),
            ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL),
            ("TCP_KEEPCNT", KEEPALIVE_COUNT),
            ("TCP_USER_TIMEOUT", USER_TIMEOUT),
        ):
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _start() -> None:
    if os.getpid() in _watched:
        return
    with _lock:
        if os.getpid() not in _watched:
            _calls.clear()  # calls of the parent process, copied by the fork
            _watched.clear()
            _watched.add(os.getpid())
            threading.Thread(target=_look_after, name="hdm-silence", daemon=True).start()


def _look_after() -> None:
    while True:
        limit = patience()
        time.sleep(min(5.0, limit / 4))
        now = time.monotonic()
        for number, call in list(_calls.items()):
            if now - call.since >= limit and now - call.asked >= limit / 4 and _is_silent(call, limit):
                _ask(number, call)


def _ask(number: int, call: _Call) -> None:
    answers: list[bool | None] = []

    def ask() -> None:
        with suppress(Exception):
            answers.append(call.works())

    asking = threading.Thread(target=ask, name="hdm-silence-asks", daemon=True)
    asking.start()
    asking.join(_ASKING)
    works = answers[0] if answers else False  # no answer within the time: the server cannot be reached
    call.asked = time.monotonic()
    call.noes = call.noes + 1 if works is False else 0
    if call.noes < 2:
        return
    with _lock:
        if number in _calls:
            with suppress(OSError), _of(call.socket) as sock:
                sock.shutdown(socket.SHUT_RDWR)


def _is_silent(call: _Call, limit: float) -> bool:
    """Whether a call's socket sent and received nothing for ``limit`` seconds.

    True if the kernel cannot tell. False for a socket that is not TCP, since no network is between.
    """
    try:
        with _of(call.socket) as sock:
            if sock.family not in (socket.AF_INET, socket.AF_INET6):
                return False
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 64)
    except (AttributeError, OSError):
        return True
    sent, received = (struct.unpack_from("=I", info, at)[0] for at in (_LAST_DATA_SENT, _LAST_DATA_RECEIVED))
    return bool(min(sent, received) >= limit * 1000)


@contextmanager
def _of(descriptor: int) -> Iterator[socket.socket]:
    sock = socket.socket(fileno=os.dup(descriptor))
    try:
        yield sock
    finally:
        sock.close()
