"""The state database, which records every run, job, chunk, watermark and event.

Only ``StateManager`` writes to it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hdm.state.backends import MySQLStateManager as MySQLStateManager
    from hdm.state.backends import PostgresStateManager as PostgresStateManager
    from hdm.state.backends import SQLiteStateManager as SQLiteStateManager
    from hdm.state.backends import SQLServerStateManager as SQLServerStateManager
    from hdm.state.backends import StateSettings as StateSettings
    from hdm.state.manager import StateManager as StateManager
    from hdm.state.records import ClaimRequest as ClaimRequest
    from hdm.state.records import Job as Job
    from hdm.state.records import JobInfo as JobInfo
    from hdm.state.records import Lease as Lease
    from hdm.state.records import RunInfo as RunInfo

_HOME = {
    "StateSettings": "hdm.state.backends",
    "SQLiteStateManager": "hdm.state.backends",
    "PostgresStateManager": "hdm.state.backends",
    "MySQLStateManager": "hdm.state.backends",
    "SQLServerStateManager": "hdm.state.backends",
    "StateManager": "hdm.state.manager",
    "RunInfo": "hdm.state.records",
    "ClaimRequest": "hdm.state.records",
    "JobInfo": "hdm.state.records",
    "Job": "hdm.state.records",
    "Lease": "hdm.state.records",
}

__all__ = [
    "ClaimRequest",
    "Job",
    "JobInfo",
    "Lease",
    "MySQLStateManager",
    "PostgresStateManager",
    "RunInfo",
    "SQLServerStateManager",
    "SQLiteStateManager",
    "StateManager",
    "StateSettings",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hdm.state' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
