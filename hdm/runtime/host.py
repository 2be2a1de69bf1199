"""Identifies this process, and tells whether another process of this host still runs."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hdm.state import StateManager


def host_identity() -> str:
    """Return this host's name and, on Linux, the process-id namespace: ``name/pid:[...]``."""
    try:
        return f"{socket.gethostname()}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def start_token(pid: int) -> str:
    """Return the start time of a process in clock ticks, which tells it from a later one with the same id.

    That is field 22 of /proc/PID/stat (proc(5)). Empty where there is no /proc, and for a process that has
    ended.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in ("Z", "X") else fields[19]


def is_alive(pid: int, token: str) -> bool:
    """Return True if a process still runs on this host and is not a later one with the same id.

    ``token`` is the recorded ``start_token``. Only the id is compared if it is empty, or if this process may
    not signal the other one (another user's). True for a stopped process, False for a zombie with a token.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not token or start_token(pid) == token


def take_over_dead(state: StateManager) -> int:
    """End the leases of dead processes of this host; return how many chunks are free again."""
    gone = [
        worker_id
        for worker_id, pid, token, _ in state.workers.on(host_identity())
        if not is_alive(pid, token)
    ]
    return state.workers.take_over(gone) if gone else 0
