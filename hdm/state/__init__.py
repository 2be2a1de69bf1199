"""The state database, which records every run, job, chunk, watermark and event.

Only ``StateManager`` writes to it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hdm.state.aggregates.chunks import Chunks as Chunks
    from hdm.state.aggregates.files import Files as Files
    from hdm.state.aggregates.jobs import Jobs as Jobs
    from hdm.state.aggregates.lineage import Lineage as Lineage
    from hdm.state.aggregates.operators import Operators as Operators
    from hdm.state.aggregates.runs import Runs as Runs
    from hdm.state.aggregates.trail import Trail as Trail
    from hdm.state.aggregates.watermarks import Watermarks as Watermarks
    from hdm.state.aggregates.workers import Workers as Workers
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
    "Chunks": "hdm.state.aggregates.chunks",
    "Files": "hdm.state.aggregates.files",
    "Jobs": "hdm.state.aggregates.jobs",
    "Lineage": "hdm.state.aggregates.lineage",
    "Operators": "hdm.state.aggregates.operators",
    "Runs": "hdm.state.aggregates.runs",
    "Trail": "hdm.state.aggregates.trail",
    "Watermarks": "hdm.state.aggregates.watermarks",
    "Workers": "hdm.state.aggregates.workers",
    "RunInfo": "hdm.state.records",
    "ClaimRequest": "hdm.state.records",
    "JobInfo": "hdm.state.records",
    "Job": "hdm.state.records",
    "Lease": "hdm.state.records",
}

__all__ = [
    "Chunks",
    "ClaimRequest",
    "Files",
    "Job",
    "JobInfo",
    "Jobs",
    "Lease",
    "Lineage",
    "MySQLStateManager",
    "Operators",
    "PostgresStateManager",
    "RunInfo",
    "Runs",
    "SQLServerStateManager",
    "SQLiteStateManager",
    "StateManager",
    "StateSettings",
    "Trail",
    "Watermarks",
    "Workers",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hdm.state' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
