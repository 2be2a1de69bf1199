"""Define what the methods of ``Project`` return: plain, frozen values without a database connection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hdm.model import Chunk
from hdm.orchestrators.base import RunReport


@dataclass(frozen=True, slots=True)
class PlannedTable:
    """The plan for one table: what a run would do with it now.

    ``chunks`` are those that the run would plan. None means that only the run can tell: for links that load
    staged files of other links, and where ``notes`` say so. ``left`` counts chunks of unfinished epochs.
    ``rows`` and ``bytes`` are estimates, None if not known. ``losses`` are ``(column, why)``. ``refused``
    says why the table would not be moved.
    """

    link: str
    table: str
    target: str
    mode: str
    site: str | None
    watermark: str | None
    rows: int | None
    bytes: int | None
    chunks: tuple[Chunk, ...] | None
    left: int = 0
    losses: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class PlanReport:
    """The plan for a whole manifest: what a run would do now.

    ``notes`` are about the manifest; ``refused`` says which tables would not be moved, and why.
    """

    tables: tuple[PlannedTable, ...]
    notes: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """The exit code of ``hdm plan``: 1 if something would not be moved."""
        return 1 if self.refused or any(one.refused for one in self.tables) else 0


@dataclass(frozen=True, slots=True)
class WorkReport:
    """The runs that a worker took part in; ``stopped``: it was told to stop."""

    runs: tuple[RunReport, ...]
    stopped: bool = False

    @property
    def exit_code(self) -> int:
        """The greatest exit code of the runs; 143 if the worker was told to stop."""
        return 143 if self.stopped else max((one.exit_code for one in self.runs), default=0)


@dataclass(frozen=True, slots=True)
class RunRow:
    """One recorded run; times are UTC by the database's clock, ISO 8601."""

    run_id: str
    status: str
    started_at: str
    ended_at: str | None
    started_by: str
    git_sha: str | None
    hdm_version: str
    resumed_from: str | None
    error_class: str | None
    manifest: str


@dataclass(frozen=True, slots=True)
class TableStatus:
    """The status of one table in a run.

    ``done``, ``open``, ``dead`` and ``waived`` count chunks. ``differs`` says where the source differs,
    below the watermark, from what was moved of it. ``problem`` says why the table could not be planned; if
    its job was never opened, the other fields are None.
    """

    job: str | None
    table: str | None
    link: str | None
    status: str | None
    epoch: int | None
    rows: int | None
    bytes: int | None
    done: int | None
    open: int | None
    dead: int | None
    waived: int | None
    failed_checks: int | None
    watermark: str | None
    differs: tuple[str, ...] | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """A process that worked on a run; ``at_work``: it still does.

    ``since`` is when it began, ``heard`` when the state database last heard of it.
    """

    host: str
    pid: int
    since: str
    heard: str
    at_work: bool


@dataclass(frozen=True, slots=True)
class Waiver:
    """A gap that somebody accepted: the rows of one chunk are missing for good."""

    table: str
    sink: str
    chunk_id: str
    by: str | None
    at: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class RunStatus:
    """The status of one run.

    ``broken_off``: it has begun but not ended, and no process works on it. ``manifest`` is the name that the
    manifest had when it ran.
    """

    run_id: str
    status: str
    started_at: str
    started_by: str
    manifest: str
    broken_off: bool
    tables: tuple[TableStatus, ...]
    processes: tuple[ProcessStatus, ...] = ()
    waived: tuple[Waiver, ...] = ()

    @property
    def failed(self) -> tuple[str, ...]:
        """The reasons why tables could not be planned."""
        return tuple(one.problem for one in self.tables if one.problem is not None)

    @property
    def exit_code(self) -> int:
        """The exit code of ``hdm status``: 1 if anything is dead, failed or broken off."""
        bad = any(one.dead or one.failed_checks for one in self.tables)
        return 1 if self.broken_off or bad or self.failed else 0


@dataclass(frozen=True, slots=True)
class Hop:
    """One link between two datasets, as lineage records it.

    ``hops`` is the distance from the table that was asked for: above 0 downstream, below 0 upstream.
    ``chunks`` and ``rows`` count what was moved over this link.
    """

    hops: int
    from_namespace: str
    from_name: str
    to_namespace: str
    to_name: str
    source_type: str
    sink_type: str
    pipeline_key: str
    chunks: int
    rows: int | None
    last_at: str | None


@dataclass(frozen=True, slots=True)
class DeadChunk:
    """A chunk that was set aside after ``attempts`` attempts; ``since`` is UTC, ISO 8601."""

    table: str
    sink: str
    chunk_id: str
    number: int
    attempts: int
    error: str | None
    message: str | None
    since: str | None


@dataclass(frozen=True, slots=True)
class Retried:
    """The dead chunks that were chosen, and how many chunks the next run takes up for them."""

    chunks: tuple[DeadChunk, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Removed:
    """A file or object of a dead attempt, or one that is no longer kept."""

    uri: str
    chunk: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Collected:
    """What ``gc`` removed or would remove.

    ``left`` pairs each sink whose files stay with the reason why it could not be asked.
    """

    removed: tuple[Removed, ...]
    left: Sequence[tuple[str, str]] = ()

    @property
    def exit_code(self) -> int:
        """The exit code of ``hdm gc``: 1 if a sink could not be asked."""
        return 1 if self.left else 0


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check of ``doctor``."""

    about: str
    what: str
    ok: bool
    detail: str


def dead_chunk(row: dict[str, Any]) -> DeadChunk:
    """Return a dead chunk from its row in the state database."""
    return DeadChunk(**row)
