"""Seals: digests of rows, stored in the events that wrote them, so that tables can be verified.

A seal is sha256 over the table's name and the canonical JSON of the row's values, in the order of the columns
below. Rows that one event writes in number are sealed together: the sum of their seals modulo 2**256 and
their number, which do not depend on the order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from hdm.state.db.tables import column_lineage, dataset_schema, job, worker

_RANGE = 1 << 256
_encode = json.JSONEncoder(separators=(",", ":")).encode

RUN = (
    "run_id", "resumed_from", "manifest_name", "manifest_sha256", "git_sha", "git_dirty", "hdm_version",
    "env", "started_by", "host", "started_at",
)  # fmt: skip
RUN_END = ("status", "ended_at", "error_class", "error_msg")
WORKER = tuple(c.name for c in worker.columns if c.name not in ("heartbeat_at", "clock_skew_ms", "state"))
JOB = tuple(column.name for column in job.columns)
COLUMNS = tuple(column.name for column in column_lineage.columns)
SCHEMA = tuple(column.name for column in dataset_schema.columns)
CHECK = (
    "job_id", "chunk_id", "kind", "column_name", "predicate", "source_value", "target_value", "status",
    "severity", "executed_at",
)  # fmt: skip
FOLLOW = ("pipeline_key", "upstream_chunk_id", "job_id", "chunks", "followed_at")
WATERMARK = (
    "pipeline_key", "dataset_id", "seq", "column_name", "value_type", "value", "snapshot_token", "job_id",
    "chunk_no", "committed_at",
)  # fmt: skip
LETTER = ("error_class", "error_msg", "context")
BOUNDARY = ("pipeline_key", "kind", "value", "chunk_id", "digests", "row_count")
PLANNED = (
    "chunk_id", "job_id", "chunk_no", "generation", "corr_in", "corr_out", "lo", "hi", "bound_kind",
    "source_filter", "upto", "body", "first_key", "last_key", "created_on",
)  # fmt: skip
"""Columns of a chunk that its plan sets and nothing changes."""
IMPORTED = (
    *PLANNED, "sink_filter", "status", "attempt", "rows_extracted", "rows_loaded", "sourcing_start_time",
    "sourcing_end_time", "sinking_start_time", "sinking_end_time", "updated_on",
)  # fmt: skip
"""Sealed columns of a chunk that ``hdm state import`` imported as history."""


def seal(table: str, columns: Iterable[str], row: Mapping[str, Any]) -> str:
    """Return the seal of a row in hex; a missing column counts as NULL."""
    found: str = _digest(table, columns, row).hexdigest()
    return found


def text_seal(text: str | None) -> str | None:
    """Return sha256 of a text in hex; None for None."""
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()


def _digest(table: str, columns: Iterable[str], row: Mapping[str, Any]) -> Any:
    get = row.get
    return hashlib.sha256(f"{table}{_encode([get(name) for name in columns])}".encode())


class Sum:
    """The number of some rows and the sum of their seals, whatever their order."""

    __slots__ = ("number", "total")

    def __init__(self, number: int = 0, total: int = 0) -> None:
        self.number, self.total = number, total

    def add(self, table: str, columns: Iterable[str], row: Mapping[str, Any]) -> None:
        """Add one row."""
        self.number += 1
        found = int.from_bytes(_digest(table, columns, row).digest(), "big")
        self.total = (self.total + found) % _RANGE

    def merge(self, told: Any) -> None:
        """Add what ``told`` returned, as read from an event's payload."""
        number, total = told
        self.number += number
        self.total = (self.total + int(total, 16)) % _RANGE

    def told(self) -> list[Any]:
        """Return the number, and the sum in hex, for an event's payload."""
        return [self.number, f"{self.total:064x}"]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sum) and (self.number, self.total) == (other.number, other.total)

    __hash__ = None  # type: ignore[assignment]


def sum_of(table: str, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> Sum:
    """Return the sum over ``rows``."""
    found = Sum()
    for row in rows:
        found.add(table, columns, row)
    return found
