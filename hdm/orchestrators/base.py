"""The base class of orchestrators: a subclass decides on the links, the base class runs them."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

from pydantic import BaseModel, Field

from hdm.components.settings import Settings
from hdm.config.profile import Profiles
from hdm.errors import HdmError, StateUnavailable
from hdm.model import LinkSpec, LinkSpecs
from hdm.orchestrators.drift import settle
from hdm.planning.breaker import MAX_WAIT
from hdm.planning.load_order import load_order
from hdm.planning.plan import Plan
from hdm.planning.planner import Planner
from hdm.planning.preflight import Pipeline
from hdm.runtime.host import host_identity, take_over_dead
from hdm.runtime.link import DataLink
from hdm.runtime.shares import share_pace, wanted_workers
from hdm.runtime.thread_engine import Observer, ThreadEngine
from hdm.state import RunInfo, StateManager
from hdm.state.queries.reports import TableReport
from hdm.state.queries.set_aside import SetAside


class OrchestratorConfig(Settings):
    """Configuration of every orchestrator: how many chunks at once, how far reading runs ahead."""

    workers: int = Field(default=4, ge=1, le=256)
    """Threads of one process that carry chunks, 1 to 256. Left out, 4, or as many as the largest ``threads``
    of a link, if that is more."""
    back_pressure_factor: int = Field(default=10, ge=0)
    """Most chunks of one table that may be staged and not loaded yet; its source is read further only while
    there are fewer. 0: no bound."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """How a run ended: each table, notes, failures, and the exit code of the command line."""

    run_id: str
    status: str
    seconds: float
    jobs: tuple[TableReport, ...]
    notes: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    stopped: bool = False
    ends: frozenset[str] = frozenset()
    """Names of the sinks from which no other link reads."""
    waived: tuple[Mapping[str, Any], ...] = ()
    """Gaps of this run's manifest that a person accepted, in this run or another one."""
    differing: tuple[str, ...] = ()
    """Tables whose source, below the watermark, no longer matches what was moved; ``notes`` say how."""
    unproven: tuple[str, ...] = ()
    """Tables that ``validate:`` found to differ from their source, or could not compare: each with what was
    found."""
    set_aside: tuple[SetAside, ...] = ()
    """Chunks of this run's manifest with rows in quarantine that nobody has replayed or waived, whichever run
    put them there."""
    broken: tuple[str, ...] = ()
    """Rules of ``checks:`` about whole tables that the targets break, or could not be asked about."""

    @property
    def tables(self) -> tuple[TableReport, ...]:
        """The report of each table; another name for ``jobs``."""
        return self.jobs

    @property
    def arrived(self) -> tuple[TableReport, ...]:
        """The reports of the tables at the ends of their chains.

        Staged files are left out, unless there is nothing else.
        """
        return tuple(job for job in self.jobs if job.sink in self.ends) or self.jobs

    @property
    def rows(self) -> int:
        """The number of rows that this run committed at the ends of the chains."""
        return sum(job.rows for job in self.arrived)

    @property
    def exit_code(self) -> int:
        """The exit code: 0 if all is committed, 1 if not, 143 if the run was told to stop.

        1 means that a chunk is dead, a check failed, rows are set aside, work is left, or a target differs
        from its source.
        """
        if self.stopped:
            return 143
        return 0 if self.status == "success" and not (self.unproven or self.broken or self.set_aside) else 1


@dataclass(slots=True)
class Session:
    """Everything that a run needs besides its plan.

    ``run_id``: the run to join; None opens a new one. ``refresh``: keys of the pipelines whose tables are
    read as a whole. ``selected``: ``pipelines`` are only some of those that the plan has.
    """

    state: StateManager
    links: Mapping[str, DataLink]
    pipelines: list[Pipeline]
    info: RunInfo
    specs: LinkSpecs = field(default_factory=LinkSpecs)
    site: str | None = None
    run_id: str | None = None
    workers: int | None = None
    max_wait: float = MAX_WAIT
    refresh: frozenset[str] = frozenset()
    selected: bool = False
    keep_running: Callable[[], bool] = lambda: False
    stop: threading.Event = field(default_factory=threading.Event)
    observer: Observer = field(default_factory=Observer)
    opened: Callable[[str, int], None] = lambda run_id, taken: None
    waits: Callable[[str, int, float], None] = lambda host, chunks, seconds: None
    """Called for each other host that has leased chunks of these links: host, number of chunks, longest lease
    in seconds."""


def nothing_found(session: Session) -> list[str]:
    """Return a note on each source in which no table was found, since its name or pattern may be misspelt."""
    busy = {one.link.key for one in session.pipelines}
    idle = {
        link.spec.source.name
        for key, link in session.links.items()
        if key not in busy and not link.spec.upstream
    }
    return [f"source {name}: found nothing to read" for name in sorted(idle)]


def _ends(session: Session) -> frozenset[str]:
    specs = list(session.specs.values()) or [link.spec for link in session.links.values()]
    read_on = {key for spec in specs for key in spec.upstream}
    return frozenset(spec.sink.name for spec in specs if spec.key not in read_on)


class Orchestrator(ABC):
    """Base class of orchestrators: a subclass decides on the links of a plan; ``run`` is the same for all."""

    Config: ClassVar[type[BaseModel]] = OrchestratorConfig
    Profile: ClassVar[type[BaseModel] | None] = None
    fills_templates: ClassVar[bool] = False
    """Whether a template without ``batch_definition`` is filled by what the orchestrator finds."""

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        self.config = config
        self.name = name or type(self).__name__
        self.profiles: Profiles | None = None
        self.recall: Callable[[], StateManager | None] | None = None
        """Opens the state database to read what earlier runs recorded; returns None if there is none."""
        self.weighed: set[str] = set()
        """Keys of links about whose source's changes the orchestrator itself has decided."""
        self.notes: list[str] = []
        self.waiting: dict[str, str] = {}
        """Table -> why it is not moved until a person acts; a run with such a table does not succeed."""
        self.refused: dict[str, str] = {}
        """Link of a template -> what is wrong with it; the other links move, but the run does not succeed."""

    @abstractmethod
    def links(self, plan: Plan) -> Iterator[LinkSpec]:
        """Yield the links that the run carries out, upstream before downstream."""

    def before(self, session: Session, run_id: str) -> None:
        """Prepare what the links need, once per run before any row is moved; by default nothing."""
        return

    def after(self, session: Session, run_id: str) -> None:
        """Finish the run's work, once, after everything was moved and nothing failed; by default nothing."""
        return

    @final
    def run(self, session: Session) -> RunReport:
        """Open a run, or join one, move everything, close the run, and return its report.

        No lease is left behind. What fails in one table is in the report. An ``HdmError`` that ends the whole
        run, such as ``SchemaDrift`` or ``StateError``, is raised; a run that was opened here is closed as
        failed first.
        """
        began = time.monotonic()
        state = session.state
        taken = take_over_dead(state)
        joined = session.run_id is not None
        run_id = session.run_id or state.runs.open(session.info)
        session.opened(run_id, taken)
        for host, chunks in state.workers.held_by_others(host_identity(), list(session.links)).items():
            session.waits(host, chunks, state.lease_ttl)
        planner = Planner(state, run_id, session.links, session.site, session.specs, joined, session.refresh)
        planner.refuse(self.waiting | self.refused)
        planner.notes.extend(self.notes)
        share_pace(session.links)
        workers = session.workers or self.config.workers
        asked = wanted_workers(link.spec for link in session.links.values())
        if not session.workers and "workers" not in self.config.model_fields_set:
            workers = max(workers, min(asked, 256))
        if asked > workers:
            planner.notes.append(f"threads: {asked} is more than the {workers} workers there are")
        if not joined and not session.selected:
            planner.notes.extend(nothing_found(session))
        engine = ThreadEngine(
            state,
            run_id,
            planner,
            workers=workers,
            back_pressure=self.config.back_pressure_factor or None,
            site=session.site,
            lease_ttl=state.lease_ttl,
            max_wait=session.max_wait,
            keep_running=session.keep_running,
            stop=session.stop,
            observer=session.observer,
        )
        try:
            settled = settle(state, session.pipelines, session.links, self.weighed)
            planner.refuse(settled.held)
            planner.notes.extend(settled.notes)
            planner.begin(*load_order(session.links, settled.pipelines))
            if not joined:
                self.before(session, run_id)
            engine.run()
        except HdmError as error:
            if not joined:
                with suppress(StateUnavailable):  # the next run takes over a run that cannot be closed now
                    state.runs.close(run_id, "failure", type(error).__name__, error.message)
            raise
        return self._close(session, planner, run_id, joined, time.monotonic() - began)

    def _close(
        self, session: Session, planner: Planner, run_id: str, joined: bool, seconds: float
    ) -> RunReport:
        state = session.state
        jobs = tuple(state.reports.of_run(run_id))
        good = planner.succeeded() and state.reports.failed_validations(run_id) == 0
        known = len(self.notes)
        if good and not joined and not session.stop.is_set():
            self.after(session, run_id)
        status = "success" if good else ("aborted" if session.stop.is_set() else "failure")
        for key, text in planner.failed.items():
            state.jobs.note_failure(run_id, key, text)
        mine = (session.info.manifest_name, session.info.env, list(session.links))
        aside = tuple(one for one in state.reports.set_aside(*mine) if one.state == "open")
        if not joined and good and aside:
            said = f"{sum(one.rows for one in aside)} rows are set aside"
            state.runs.close(run_id, "failure", "RowsSetAside", said)
        elif not joined:
            state.runs.close(run_id, status)
        return RunReport(
            run_id,
            status,
            seconds,
            jobs,
            (*planner.notes, *planner.closing_notes(), *self.notes[known:]),
            tuple(planner.failed.values()),
            stopped=session.stop.is_set(),
            ends=_ends(session),
            waived=tuple(state.reports.waived(*mine)),
            set_aside=aside,
            differing=tuple(sorted(set(planner.differing))),
        )
