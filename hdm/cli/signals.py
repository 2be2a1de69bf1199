"""Handles SIGTERM and SIGINT: lets a command finish its chunks, or ends the process after a time."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from hdm.cli.output import remark

STOPPED = 143
"""The exit code of a command that was told to stop."""
DRAIN = 30.0
"""Default number of seconds within which a stopped command ends, before a supervisor would kill it."""


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Give the ``with`` block an event that SIGTERM and SIGINT set.

    The process ends at once at a second signal, or when ``drain_seconds()`` have passed. Nothing is lost
    then: other workers take over the leased chunks when the leases expire. A thread reads the signals from
    Python's wakeup descriptor, because the main thread handles signals only when its current call returns.
    """
    stop = threading.Event()
    ear, mouth = socket.socketpair()
    mouth.setblocking(False)
    before = {
        number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)
    }
    written = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=_listen, args=(ear, stop), name="hdm-signals", daemon=True)
    thread.start()
    try:
        yield stop
    finally:
        signal.set_wakeup_fd(written)
        for number, handler in before.items():
            signal.signal(number, handler)
        mouth.close()
        thread.join()
        ear.close()


def drain_seconds() -> float:
    """Return how many seconds a command may take to stop.

    That is the environment variable ``HDM_DRAIN``, at least 0.1; 30 if it is not set or is no number.
    """
    try:
        return max(0.1, float(os.environ.get("HDM_DRAIN") or DRAIN))
    except ValueError:
        return DRAIN


def _listen(ear: socket.socket, stop: threading.Event) -> None:
    until: float | None = None
    while True:
        try:
            ear.settimeout(None if until is None else max(0.001, until - time.monotonic()))
            numbers = ear.recv(16)
        except TimeoutError:
            _end(f"did not stop within {drain_seconds():.0f} s, and was ended: leases run out, run again")
        if not numbers:
            return
        heard = sum(number in (signal.SIGTERM, signal.SIGINT) for number in numbers)
        if heard > 1 or (heard and until is not None):
            _end("")
        if heard:
            stop.set()
            until = time.monotonic() + drain_seconds()
            if sys.stderr.isatty():
                remark("draining: what is in work is finished; once more to stop at once")


def _end(why: str) -> None:
    with suppress(Exception):
        if why:
            os.write(2, f"hdm: {why}\n".encode())
    os._exit(STOPPED)
