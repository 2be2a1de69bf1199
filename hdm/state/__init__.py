"""The state database: every run, job, chunk, watermark and event. Only ``StateManager`` writes to it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hdm.state.manager import StateManager as StateManager
    from hdm.state.records import ClaimRequest as ClaimRequest
    from hdm.state.records import Job as Job
    from hdm.state.records import JobInfo as JobInfo
    from hdm.state.records import Lease as Lease
    from hdm.state.records import RunInfo as RunInfo

_HOME = {
    "StateManager": "hdm.state.manager",
    "RunInfo": "hdm.state.records",
    "ClaimRequest": "hdm.state.records",
    "JobInfo": "hdm.state.records",
    "Job": "hdm.state.records",
    "Lease": "hdm.state.records",
}

__all__ = ["ClaimRequest", "Job", "JobInfo", "Lease", "RunInfo", "StateManager"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hdm.state' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
