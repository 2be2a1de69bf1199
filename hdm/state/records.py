"""The values that ``StateManager`` takes and returns; none of them refers to the database."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from hdm.model import Chunk, FileNames, Mode, Origin, Receipt, Table

PENDING, LEASED, WRITTEN, COMMITTED = "pending", "leased", "written", "committed"
VERIFIED, DEAD, WAIVED, SUPERSEDED = "verified", "dead", "waived", "superseded"

STATUSES = (PENDING, LEASED, WRITTEN, COMMITTED, VERIFIED, DEAD, WAIVED, SUPERSEDED)
"""All statuses of a chunk."""
DONE = (COMMITTED, VERIFIED, WAIVED)
"""Statuses over which the watermark may move."""
UNFINISHED = (PENDING, LEASED, WRITTEN)
"""Statuses that keep an epoch from closing."""
HELD = (LEASED, WRITTEN)
"""Statuses in which a worker may have a lease on the chunk."""

IN_ORDER = 0
"""Value of a job's ``max_parallel``: one chunk at a time, in the order of their numbers.

A chunk is not started before every chunk with a lower number is settled.
"""

LEASE_SAFE_FRACTION = 0.9
"""Share of the lease time during which the holder may act without renewing.

Leaves a margin for clock and network delay.
"""

OPEN_JOB = ("planning", "in_progress", "failure")
"""Statuses of a job whose epoch is still open."""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """Who runs what, with which code, on which host; recorded with a run.

    ``manifest_text`` is the text of the manifest's file. ``selected`` and ``refreshed`` are the names or
    patterns of the tables that the run moves and reads as a whole; both empty, it moves all.
    """

    manifest_name: str
    manifest_sha256: str
    env: str
    started_by: str
    git_sha: str | None
    git_dirty: bool
    hdm_version: str
    host: str
    manifest_text: str | None = None
    selected: tuple[str, ...] = ()
    refreshed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobInfo:
    """Description of a job (one link over one dataset), as it was planned.

    ``losses`` are pairs ``(column, reason)``. ``origins`` say which source columns each column is made of;
    empty if unknown, and for a job that was read from the state database.
    """

    pipeline_key: str
    link_key: str
    stage_no: int
    source_name: str
    source_type: str
    sink_name: str
    sink_type: str
    source: Table
    target: Table
    mode: Mode
    site: str | None = None
    upstream_keys: tuple[str, ...] = ()
    max_parallel: int | None = None
    losses: list[tuple[str, str]] = field(default_factory=list)
    origins: tuple[Origin, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One epoch of a job, as the state database records it.

    ``run_id`` is the run that opened the epoch, ``in_run`` the run that asked for it now. ``adopted``: the
    epoch was already open when that run asked. ``snapshot`` is the token of the snapshot under which it is
    read.
    """

    job_id: str
    run_id: str
    pipeline_key: str
    link_key: str
    epoch: int
    status: str
    planned: bool
    adopted: bool
    info: JobInfo
    snapshot: str | None
    in_run: str

    @property
    def closed_unread(self) -> bool:
        """True if the epoch was closed as not read: it was skipped, or given up as incomplete.

        False for one that read an empty table.
        """
        return self.status == "success" and not self.planned


@dataclass(slots=True)
class Progress:
    """Rows and bytes that an attempt has moved so far, as ``renew`` last reported them."""

    rows: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's timed right to try a chunk. ``attempt`` is the fence; ``ttl`` is in seconds.

    ``receipt`` is set if the content is already written: only publish and commit are left. ``announced`` are
    the ids of files that were recorded with the claim, ``begun`` those of files whose writing has started.
    ``since`` is a time of ``time.monotonic`` before the lease began.
    """

    chunk: Chunk
    chunk_id: str
    job: Job
    attempt: int
    worker_id: str
    ttl: float
    run_id: str
    receipt: Receipt | None = None
    progress: Progress = field(default_factory=Progress)
    announced: set[str] = field(default_factory=set)
    begun: set[str] = field(default_factory=set)
    since: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """What a worker asks for with its next claim.

    A chunk of ``site`` or without a site; of any site if None. ``file_names`` says, by pipeline key, how a
    sink names its files, so that the first file of the attempt is recorded with the claim.
    """

    site: str | None = None
    file_names: Mapping[str, FileNames] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of one check on one chunk, as counts and names, never values.

    ``found`` is None if the check passed.
    """

    kind: str
    column: str | None
    rule: str
    severity: str
    found: str | None


@dataclass(frozen=True, slots=True)
class Watermark:
    """The cursor value up to which every row of the dataset is committed.

    ``ties`` and ``nulls`` count the rows at that value and those with a NULL cursor. Their digests are kept
    under the kinds ``point`` and ``null``, unless ``ties_counted`` or ``nulls_counted`` says that only their
    number is known. ``schemas`` are the schema hashes under which the digests were taken.
    """

    column: str
    type: str
    value: str | None
    ties: int = 0
    nulls: int = 0
    snapshot: str | None = None
    ties_counted: bool = False
    nulls_counted: bool = False
    schemas: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a planned reading keeps for the next one (``kept``), and how many rows its chunks ``read``.

    ``unclear``: some chunks were read later than others, or are still to be read, so that they did not all
    see the same rows.
    """

    kept: dict[str, Any]
    snapshot: str | None
    read: int
    unclear: bool = False

    @property
    def is_exact(self) -> bool:
        """True if the chunks read exactly as many rows as the plan counted.

        False if the reading is ``unclear``.
        """
        return not self.unclear and bool(self.read == self.kept.get("again", 0) + self.kept.get("ranges", 0))

    @property
    def moved(self) -> int | None:
        """How many rows below the window's end were moved by the end of this reading.

        None if they were not counted.
        """
        below = self.kept.get("below")
        return None if below is None else int(below) + self.read - int(self.kept.get("again", 0))

    @property
    def total(self) -> int | None:
        """How many rows the source had when it was read; None if not all were counted."""
        total = self.kept.get("total")
        if total is None:
            return None
        return int(total) + self.read - int(self.kept["again"]) - int(self.kept["ranges"])


@dataclass(frozen=True, slots=True)
class RowCount:
    """How many rows a job's plan counted, and how many its chunks read.

    ``counted`` is None if the plan did not count or a chunk is not committed. ``held``: all chunks read the
    same snapshot in which the rows were counted.
    """

    counted: int | None
    read: int
    held: bool


class StaleArtifact(TypedDict):
    """A file that an attempt began to write and no receipt names; it may exist or not."""

    artifact_id: str
    uri: str
    format: str
    job_id: str
    chunk_id: str
    attempt: int
