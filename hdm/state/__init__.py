"""The state database: every run, job, chunk, watermark and event. ``StateManager`` alone writes it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hdm.state.store import StateManager as StateManager
    from hdm.state.words import GoOn as GoOn
    from hdm.state.words import Job as Job
    from hdm.state.words import JobInfo as JobInfo
    from hdm.state.words import Lease as Lease
    from hdm.state.words import RunInfo as RunInfo

_HOME = {
    "StateManager": "hdm.state.store",
    "RunInfo": "hdm.state.words",
    "GoOn": "hdm.state.words",
    "JobInfo": "hdm.state.words",
    "Job": "hdm.state.words",
    "Lease": "hdm.state.words",
}

__all__ = ["GoOn", "Job", "JobInfo", "Lease", "RunInfo", "StateManager"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hdm.state' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
