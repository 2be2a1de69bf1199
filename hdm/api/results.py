"""Defines the results of ``Project``'s methods: plain, frozen values without a database connection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hdm.model import Chunk
from hdm.orchestrators.base import RunReport
from hdm.state.queries.set_aside import SetAside


@dataclass(frozen=True, slots=True)
class PlannedTable:
    """What a run would do now with one table.

    ``watermark`` is the name of the cursor column, None if there is none. ``chunks`` are the chunks that the
    run would plan; None if only the run can tell: for links that load staged files of other links, and where
    ``notes`` say so. ``left`` counts the chunks that unfinished epochs still have to move. ``rows`` and
    ``bytes`` are estimates, None if not known. ``losses`` are pairs of a column and why its values may
    change. ``refused`` says why the table would not be moved; None if it would.
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
    """What a run would do now with a whole manifest.

    ``tables`` has an entry for each table, ``notes`` are remarks on the manifest. ``refused`` names tables
    that would not be moved, and why.
    """

    tables: tuple[PlannedTable, ...]
    notes: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """The exit code of ``hdm plan``: 1 if a table would not be moved, else 0."""
        return 1 if self.refused or any(one.refused for one in self.tables) else 0


@dataclass(frozen=True, slots=True)
class WorkReport:
    """The runs that one call of ``Project.work`` took part in.

    ``stopped``: the process was told to stop before it had finished.
    """

    runs: tuple[RunReport, ...]
    stopped: bool = False

    @property
    def exit_code(self) -> int:
        """The greatest exit code of the runs, 0 if there were none; 143 if the process was told to stop."""
        return 143 if self.stopped else max((one.exit_code for one in self.runs), default=0)


@dataclass(frozen=True, slots=True)
class RunRow:
    """One recorded run of a manifest.

    Times are UTC by the database's clock, ISO 8601.
    """

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
    """Progress of one table in a run.

    ``done``, ``open``, ``dead`` and ``waived`` count chunks, ``set_aside`` rows that were put into
    quarantine, whatever became of them. ``differs`` says how the source's rows below the
    watermark differ from those that were moved; empty if they do not. ``problem`` says why the table could
    not be planned; if no job of the table was ever opened, the other fields are None.
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
    set_aside: int | None
    watermark: str | None
    differs: tuple[str, ...] | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """A process that worked on a run.

    ``at_work``: it is still alive. ``since`` is when it began, ``heard`` when the state database last heard
    of it.
    """

    host: str
    pid: int
    since: str
    heard: str
    at_work: bool


@dataclass(frozen=True, slots=True)
class Waiver:
    """A person's decision that the rows of one chunk may stay missing for good."""

    table: str
    sink: str
    chunk_id: str
    by: str | None
    at: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Progress or result of one run, with its tables and processes.

    ``broken_off``: the run has begun but not ended, and no process works on it. ``manifest`` is the name that
    the manifest had when it ran. ``waived`` has all waived chunks of the manifest, those of other runs
    included.
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
    quarantine: tuple[SetAside, ...] = ()
    """Chunks of the manifest with rows in quarantine that nobody has replayed or waived."""

    @property
    def failed(self) -> tuple[str, ...]:
        """One text for each table that could not be planned: its name, and why."""
        return tuple(one.problem for one in self.tables if one.problem is not None)

    @property
    def exit_code(self) -> int:
        """The exit code of ``hdm status``: 1 if anything is dead, failed, broken off or in quarantine, else
        0."""
        bad = self.quarantine or any(one.dead or one.failed_checks for one in self.tables)
        return 1 if self.broken_off or bad or self.failed else 0


@dataclass(frozen=True, slots=True)
class Hop:
    """One link between two datasets, as recorded when its chunks were moved.

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
    """A chunk that was set aside after ``attempts`` failed attempts, with the last error.

    ``since`` is when that was, UTC, ISO 8601.
    """

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
    """Result of ``Project.retry``.

    ``chunks`` are the chosen dead chunks, ``count`` how many chunks the next run moves for them.
    """

    chunks: tuple[DeadChunk, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Removed:
    """A file or object that ``gc`` removed, or with ``dry_run`` would remove."""

    uri: str
    chunk: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Collected:
    """Result of ``gc``.

    ``removed`` is what it removed, or would remove. ``left`` has a pair for each sink that could not say
    which files it has committed: the sink's name and the reason. These files stay.
    """

    removed: tuple[Removed, ...]
    left: Sequence[tuple[str, str]] = ()

    @property
    def exit_code(self) -> int:
        """The exit code of ``hdm gc``: 1 if a sink could not say which files it has committed, else 0."""
        return 1 if self.left else 0


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one test that ``doctor`` makes: what was tested, and details.

    ``ok``: all is in order.
    """

    about: str
    what: str
    ok: bool
    detail: str


def dead_chunk(row: dict[str, Any]) -> DeadChunk:
    """Make a ``DeadChunk`` from a row of the state database."""
    return DeadChunk(**row)
