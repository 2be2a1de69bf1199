"""Computes seals: digests of rows that the events carry, so that changed tables are found.

A seal is sha256 over the table's name and the canonical JSON of the row's values, in the order of
the columns below. Rows of which one event reports many are sealed together: by the sum of their
seals modulo 2**256 and their number, which do not depend on the order.

The columns are named here, never taken from the table: a migration that adds a column must leave older
seals as they are. A job's row is sealed over the newest list of ``JOB``, whose number stands before the
seal (``2:hex``); a seal without a number is of the lists before numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

_RANGE = 1 << 256
_encode = json.JSONEncoder(separators=(",", ":")).encode

RUN = (
    "run_id", "resumed_from", "manifest_name", "manifest_sha256", "git_sha", "git_dirty", "hdm_version",
    "env", "started_by", "host", "started_at",
)  # fmt: skip
RUN_END = ("status", "ended_at", "error_class", "error_msg")
WORKER = ("worker_id", "run_id", "host", "pid", "start_token", "hdm_version", "site", "started_at")
_JOB_1 = (
    "job_id", "run_id", "pipeline_key", "epoch", "link_key", "stage_no", "source_name", "source_type",
    "sink_name", "sink_type", "source_dataset_id", "sink_dataset_id", "source_schema_version",
    "sink_schema_version", "mode", "site", "max_parallel", "source_table", "target_table", "losses",
    "planned", "snapshot_token", "wm_low", "wm_high_frozen", "reading", "status", "started_at", "ended_at",
)  # fmt: skip
JOB: dict[int, tuple[str, ...]] = {
    0: tuple(name for name in _JOB_1 if name != "reading"),
    1: _JOB_1,
    2: (*_JOB_1, "target_id"),
}
"""What is sealed of a job's row, by the number before the seal; 0 and 1 were written without one."""
COLUMNS = (
    "job_id", "sink_column", "source_column", "source_type", "sink_type", "transform_type",
    "transform_subtype", "expression", "masking", "lossy",
)  # fmt: skip
SCHEMA = (
    "dataset_id", "version", "schema_sha256", "columns_json", "captured_at", "run_id", "change_kind",
    "change_detail",
)  # fmt: skip
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
    """Return the seal (digest) of a row, in hex digits; a missing column counts as NULL."""
    found: str = _digest(table, columns, row).hexdigest()
    return found


def job_seal(row: Mapping[str, Any]) -> str:
    """Return the seal (digest) of a job's row, after the number of the list of columns that it covers."""
    number = max(JOB)
    return f"{number}:{seal('job', JOB[number], row)}"


def is_job_seal(sealed: str, row: Mapping[str, Any]) -> bool:
    """Return True if a job's row has the seal ``sealed``, which this or an older version of hdm computed.

    Columns that were added since an older version must have their initial value, NULL.
    """
    number, _, digest = sealed.rpartition(":")
    lists = [JOB[int(number)]] if number.isdecimal() and int(number) in JOB else []
    if not number:
        lists = [JOB[1], JOB[0]]
    newest = JOB[max(JOB)]
    return any(
        seal("job", columns, row) == digest
        and all(row.get(name) is None for name in newest if name not in columns)
        for columns in lists
    )


def text_seal(text: str | None) -> str | None:
    """Return the sha256 of a text in hex digits; None for None."""
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()


def _digest(table: str, columns: Iterable[str], row: Mapping[str, Any]) -> Any:
    get = row.get
    return hashlib.sha256(f"{table}{_encode([get(name) for name in columns])}".encode())


class Sum:
    """A count of rows and the sum of their seals; the order of the rows does not matter."""

    __slots__ = ("number", "total")

    def __init__(self, number: int = 0, total: int = 0) -> None:
        self.number, self.total = number, total

    def add(self, table: str, columns: Iterable[str], row: Mapping[str, Any]) -> None:
        """Add one row to the count and the sum."""
        self.number += 1
        found = int.from_bytes(_digest(table, columns, row).digest(), "big")
        self.total = (self.total + found) % _RANGE

    def merge(self, told: Any) -> None:
        """Add a count and a sum to this one.

        ``told`` are the two as the method ``told`` returned them, read from an event.
        """
        number, total = told
        self.number += number
        self.total = (self.total + int(total, 16)) % _RANGE

    def told(self) -> list[Any]:
        """Return the count, and the sum in hex digits, to be stored in an event."""
        return [self.number, f"{self.total:064x}"]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sum) and (self.number, self.total) == (other.number, other.total)

    __hash__ = None  # type: ignore[assignment]


def sum_of(table: str, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> Sum:
    """Return the count and the sum of seals over ``rows``."""
    found = Sum()
    for row in rows:
        found.add(table, columns, row)
    return found
