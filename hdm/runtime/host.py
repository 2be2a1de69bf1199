"""Which process this is, and whether another of this host still runs."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hdm.state import StateManager


def host_identity() -> str:
    """This host and, where there are any, its process-number space: ``name/pid:[...]``."""
    try:
        return f"{socket.gethostname()}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def start_token(pid: int) -> str:
    """What tells a process from a later one with the same number: its start time in ticks.

    Field 22 of /proc/PID/stat (proc(5)); empty where there is no /proc, or the process has ended.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in ("Z", "X") else fields[19]


def is_alive(pid: int, token: str) -> bool:
    """Whether that very process still runs on this host (a stopped one does, a zombie not)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not token or start_token(pid) == token


def take_over_dead(state: StateManager) -> int:
    """Free at once what dead processes of this host hold; returns how many chunks that were."""
    gone = [
        worker_id for worker_id, pid, token, _ in state.workers(host_identity()) if not is_alive(pid, token)
    ]
    return state.take_over(gone) if gone else 0
