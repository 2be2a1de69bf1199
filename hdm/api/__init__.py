"""Types for using hdm from Python: ``hdm.open`` returns a ``Project`` with these results and events."""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

from hdm.api.comparing import Validated
from hdm.api.events import (
    ChunkCommitted,
    ChunkEvent,
    ChunkFailed,
    ChunkStarted,
    Event,
    LeaseWaiting,
    Noted,
    RunEnded,
    RunStarted,
    Said,
)
from hdm.api.project import Project, open  # noqa: A004 -- hdm.open
from hdm.api.results import (
    Collected,
    DeadChunk,
    Finding,
    Hop,
    PlannedTable,
    PlanReport,
    ProcessStatus,
    Removed,
    Retried,
    RunRow,
    RunStatus,
    TableStatus,
    Waiver,
    WorkReport,
)
from hdm.api.row_lineage import Brought
from hdm.api.syncing import Synced, sync
from hdm.api.two_tables import diff
from hdm.orchestrators.base import RunReport
from hdm.proof.applying import Applied
from hdm.proof.forms import Accepted
from hdm.proof.pairing import Wishes
from hdm.proof.result import ColumnDifference, ColumnFacts, Comparison, Level, RowDifference
from hdm.state.queries.reports import TableReport

if TYPE_CHECKING:
    from hdm.api.catalog import CatalogDifference, CatalogView, Created, Mapped

# Without a handler, Python prints warnings on standard error if the caller has not set up logging:
# https://docs.python.org/3/howto/logging.html#configuring-logging-for-a-library
logging.getLogger("hdm").addHandler(logging.NullHandler())

__all__ = [
    "Accepted",
    "Applied",
    "Brought",
    "CatalogDifference",
    "CatalogView",
    "ChunkCommitted",
    "ChunkEvent",
    "ChunkFailed",
    "ChunkStarted",
    "Collected",
    "ColumnDifference",
    "ColumnFacts",
    "Comparison",
    "Created",
    "DeadChunk",
    "Event",
    "Finding",
    "Hop",
    "LeaseWaiting",
    "Level",
    "Mapped",
    "Noted",
    "PlanReport",
    "PlannedTable",
    "ProcessStatus",
    "Project",
    "Removed",
    "Retried",
    "RowDifference",
    "RunEnded",
    "RunReport",
    "RunRow",
    "RunStarted",
    "RunStatus",
    "Said",
    "Synced",
    "TableReport",
    "TableStatus",
    "Validated",
    "Waiver",
    "Wishes",
    "WorkReport",
    "diff",
    "open",
    "sync",
]


def __getattr__(name: str) -> Any:
    """Import ``hdm.api.catalog`` on first use, and return its type ``name``.

    Raises ``AttributeError`` for a name that is none of its public types.
    """
    if name not in ("CatalogDifference", "CatalogView", "Created", "Mapped"):
        raise AttributeError(f"module 'hdm.api' has no attribute {name!r}")
    return getattr(importlib.import_module("hdm.api.catalog"), name)
