"""What the state layer hands out and takes: plain values, no database in them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypedDict

from hdm.model import Chunk, Mode, Origin, Receipt, Table

PENDING, LEASED, WRITTEN, COMMITTED = "pending", "leased", "written", "committed"
VERIFIED, DEAD, WAIVED, SUPERSEDED = "verified", "dead", "waived", "superseded"

STATUSES = (PENDING, LEASED, WRITTEN, COMMITTED, VERIFIED, DEAD, WAIVED, SUPERSEDED)
"""All that a chunk can be in."""
DONE = (COMMITTED, VERIFIED, WAIVED)
"""Statuses over which the watermark may move."""
UNFINISHED = (PENDING, LEASED, WRITTEN)
"""Statuses that keep an epoch from closing."""
HELD = (LEASED, WRITTEN)
"""Statuses in which a worker may hold the chunk."""

IN_ORDER = 0
"""As a job's ``max_parallel``: one chunk at a time, none before one with a lower number is settled."""

LEASE_SAFE_FRACTION = 0.9
"""Of a lease's time: so long it is its holder's without asking."""

OPEN_JOB = ("planning", "in_progress", "failure")
"""Statuses of a job whose epoch is still open."""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """Who runs what, with which code, where. ``manifest_text`` is the manifest's file as it was read."""

    manifest_name: str
    manifest_sha256: str
    env: str
    started_by: str
    git_sha: str | None
    git_dirty: bool
    hdm_version: str
    host: str
    manifest_text: str | None = None


@dataclass(frozen=True, slots=True)
class JobInfo:
    """One link over one dataset, as planned. ``losses`` are ``(column, reason)``. ``origins`` say where
    the columns come from; without them it is not known."""

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
    """A job as the state database knows it.

    ``run_id`` is the run that opened its epoch, ``in_run`` the one through which it was
    reached now. ``adopted``: the epoch was open already.
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
        """It was closed unplanned: nothing was read for it."""
        return self.status == "success" and not self.planned


@dataclass(slots=True)
class Progress:
    """Rows and bytes moved by the attempt so far; what ``renew`` last reported."""

    rows: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """The timed right to try a chunk. ``attempt`` is the fence; ``ttl`` in seconds.

    ``receipt`` is set when the content is written already: only publish and commit are left.
    ``announced`` are the ids of files that went on record with the claim, ``begun`` of those that
    are being written, or are. ``since`` is a moment of ``time.monotonic`` before it began.
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


FirstArtifact = Callable[[Lease], tuple[str, str] | None]
"""The URI and format of the first file that an attempt will write, as far as that is known."""


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """The wish for a next chunk, of jobs of that ``site`` or of none; without ``site``, of any.
    ``preregister`` is asked which file goes on record with it."""

    site: str | None = None
    preregister: FirstArtifact = lambda lease: None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found in one chunk: counts and names, never values; None if its rule holds."""

    kind: str
    column: str | None
    rule: str
    severity: str
    found: str | None


@dataclass(frozen=True, slots=True)
class Watermark:
    """The value at or below which every row of the dataset is committed.

    ``ties`` and ``nulls`` count the rows at the value and with a NULL cursor; their digests are
    kept under ``point`` and ``null``, unless ``..._counted``; they were taken under ``schemas``.
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
    """What an epoch's plan ``kept`` for the next one, its snapshot, and how many rows below its end its
    chunks have ``read``. ``unclear``: some were, or will be, read after others: which rows were there
    is not the same for all."""

    kept: dict[str, Any]
    snapshot: str | None
    read: int
    unclear: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether just those rows were read that were planned."""
        return not self.unclear and bool(self.read == self.kept.get("again", 0) + self.kept.get("ranges", 0))

    @property
    def moved(self) -> int | None:
        """How many rows below its end were there when they were read; None where none were counted."""
        below = self.kept.get("below")
        return None if below is None else int(below) + self.read - int(self.kept.get("again", 0))

    @property
    def total(self) -> int | None:
        """How many rows the source held; None where they were not all counted."""
        total = self.kept.get("total")
        if total is None:
            return None
        return int(total) + self.read - int(self.kept["again"]) - int(self.kept["ranges"])


@dataclass(frozen=True, slots=True)
class RowCount:
    """How many rows a job's plan counted (None: it did not, or not all its chunks are committed), and how
    many its chunks gave. ``held``: all of them saw the view that was counted in."""

    counted: int | None
    read: int
    held: bool


class StaleArtifact(TypedDict):
    """A file that a dead attempt may have left."""

    artifact_id: str
    uri: str
    format: str
    job_id: str
    chunk_id: str
    attempt: int
