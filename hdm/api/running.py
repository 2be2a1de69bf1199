"""Carries out a manifest's run, or helps a run that another process opened."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol

from hdm.api import run_log
from hdm.api.comparing import declares, unproven
from hdm.api.replays import missed
from hdm.api.results import WorkReport
from hdm.api.selecting import select, to_refresh
from hdm.api.table_rules import judge
from hdm.config.secrets import redact
from hdm.errors import UsageError
from hdm.orchestrators.base import RunReport, Session
from hdm.planning.breaker import MAX_WAIT
from hdm.planning.other_sites import OtherSites
from hdm.planning.preflight import Pipeline
from hdm.project import Assembly, find_run
from hdm.runtime.thread_engine import Observer
from hdm.state import StateManager

POLL = 0.5
"""Seconds between two checks for a run to help."""


class Display(Protocol):
    """Interface of an object that shows a run's progress; its methods are called from any thread."""

    def opened(self, run_id: str, taken: int) -> None:
        """Show that run ``run_id`` was opened or joined.

        ``taken`` is the number of chunks whose leases were taken from dead processes of this host.
        """

    def waits(self, host: str, chunks: int, seconds: float) -> None:
        """Show that processes of ``host`` hold leases on ``chunks`` chunks.

        If those processes are dead, the leases expire within ``seconds``.
        """

    def observing(self) -> AbstractContextManager[Observer]:
        """Give the engine, for the ``with`` block, the callbacks that report to this display."""

    def ended(self, report: RunReport) -> None:
        """Show that the run is over, and how it ended."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """Arguments of a run; see ``Project.run``.

    ``stop.set()`` ends the run gracefully: no more chunks are started, and those in work are finished or
    handed back.
    """

    select: Sequence[str] = ()
    full_refresh: Sequence[str] = ()
    workers: int | None = None
    max_wait: float = MAX_WAIT
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class Preflight:
    """A manifest's components and the tables that they would move, ready for a run.

    A pipeline is one link over one table. ``found`` are all pipelines, ``pipelines`` the selected ones.
    ``refresh`` has the keys of the pipelines that are to be read as a whole.
    """

    made: Assembly
    found: list[Pipeline]
    pipelines: list[Pipeline]
    refresh: frozenset[str]

    def run(self, wishes: Wishes, display: Display) -> RunReport:
        """Open a run, move all selected tables, close the run, and return its report."""
        with self.made.open_state() as state:
            names = sorted({one.source.dataset.name for one in self.pipelines})
            partly = len(self.pipelines) < len(self.found)
            return _carry_out(self.made, self.session(state, wishes), display, proven=names if partly else ())

    def session(self, state: StateManager, wishes: Wishes) -> Session:
        """Return everything that the orchestrator needs for a run, with the state database ``state``."""
        made = self.made
        info = replace(made.run_info(), selected=tuple(wishes.select), refreshed=tuple(wishes.full_refresh))
        return Session(
            state, made.links, self.pipelines, info, specs=made.specs, site=made.site,
            workers=wishes.workers, max_wait=wishes.max_wait, stop=wishes.stop, refresh=self.refresh,
            selected=len(self.pipelines) < len(self.found),
        )  # fmt: skip


def preflighted(made: Assembly, chosen: Sequence[str] = (), refreshed: Sequence[str] = ()) -> Preflight:
    """Make a ``Preflight`` of a manifest's components: find the tables to move.

    ``chosen`` and ``refreshed`` are names or patterns of tables; if both are empty, all tables are moved.
    Tables in ``refreshed`` are read as a whole. Raises ``UsageError`` for a pattern that matches nothing.
    """
    found = made.preflight()
    pipelines = select(found, (*chosen, *refreshed)) if chosen or refreshed else found
    return Preflight(made, found, pipelines, to_refresh(found, refreshed, made.links))


def _carry_out(
    made: Assembly, session: Session, display: Display, *, proven: Sequence[str] | None = None
) -> RunReport:
    """Carry out one run and report it.

    ``proven``: tables whose targets are then compared with their sources if their links say so by
    ``validate:``; empty: all; None: none, since another process does it. If some are not equal, the run is
    recorded as failed.
    """

    def opened(run_id: str, taken: int) -> None:
        run_log.run_started(run_id, made.plan, session.info.started_by, session.info.host)
        display.opened(run_id, taken)

    session.opened, session.waits = opened, display.waits
    if proven is not None:
        made.orchestrator.notes.extend(
            f"{one.table}: {one.rows:,} row(s) that were replayed from quarantine are gone from the target"
            for one in missed(made, session.state)
        )
    with display.observing() as observer:
        session.observer = run_log.logged(observer)
        report = _masked(made.orchestrator.run(session))
    if proven is not None and report.exit_code == 0:
        report = _judged(made, session, report)
    if proven is not None and report.exit_code == 0 and declares(made.specs):
        report = replace(report, unproven=tuple(map(redact, unproven(made, proven))))
        if report.unproven:
            said = "not equal to the source: " + "; ".join(report.unproven)
            session.state.runs.close(report.run_id, "failure", "NotEqual", said)
    run_log.run_ended(report)
    display.ended(report)
    return report


def _judged(made: Assembly, session: Session, report: RunReport) -> RunReport:
    """Ask the targets about the rules for whole tables; if one is broken, the run is recorded as failed."""
    found = judge(session.state, report.run_id, made.links, session.pipelines)
    report = replace(
        report,
        broken=tuple(map(redact, found.failed)),
        notes=(*report.notes, *map(redact, found.notes)),
    )
    if report.broken:
        session.state.runs.close(report.run_id, "failure", "CheckFailed", "; ".join(report.broken))
    return report


def _masked(report: RunReport) -> RunReport:
    return replace(
        report,
        notes=tuple(map(redact, report.notes)),
        failed=tuple(map(redact, report.failed)),
    )


def work(
    ready: Preflight, run: str | None, patience: float, manifest: str, wishes: Wishes, display: Display
) -> WorkReport:
    """Help runs that other processes have opened; return a report on each.

    ``run`` chooses one run by the beginning of its id. Waits up to ``patience`` seconds for something to do.
    Without a site, or with ``run``, it returns after the first run that it helped. Raises ``UsageError`` if
    no run begins with ``run``, or if there is nothing to help and no site.
    """
    state = _state(ready.made, patience, wishes.stop)
    if state is None:
        return _idle(ready.made, manifest, wishes.stop)
    with state:
        session = ready.session(state, wishes)
        session.selected = False
        reports: list[RunReport] = []
        until = time.monotonic() + patience
        while not wishes.stop.is_set():
            turn = _turn(ready, session, run)
            if turn is not None:
                reports.append(_carry_out(ready.made, turn, display))
                if session.site is None or run is not None:
                    break
                until = time.monotonic() + patience
            elif time.monotonic() >= until:
                break
            wishes.stop.wait(POLL)
    if reports and not wishes.stop.is_set():
        return WorkReport(tuple(reports))
    return replace(_idle(ready.made, manifest, wishes.stop), runs=tuple(reports))


def _turn(ready: Preflight, session: Session, run: str | None) -> Session | None:
    """Return the next piece of work: an open run to help, or chunks that were published without a run.

    Returns None if there is neither.
    """
    plan = ready.made.plan
    if run is not None:
        return _joining(ready, session, found) if (found := find_run(session.state, plan, run)) else None
    run_id = session.state.runs.joinable(plan.manifest_name, plan.env, session.site)
    if run_id is not None:
        return _joining(ready, session, run_id)
    if session.site is not None:
        view = OtherSites(session.state, "", session.links, session.specs)
        if view.is_behind():
            return replace(session, pipelines=[])
    return None


def _joining(ready: Preflight, session: Session, run_id: str) -> Session:
    """Return the session with which a worker helps a run: it moves what that run was asked to move.

    A worker with a site loads all that other sites publish, whatever a run has selected.
    """
    chosen, refreshed = session.state.runs.asked_for(run_id)
    if session.site is None and (chosen or refreshed):
        asked = preflighted(ready.made, chosen, refreshed)
        session = replace(session, pipelines=asked.pipelines, refresh=asked.refresh, selected=True)
    return replace(session, run_id=run_id)


def _state(made: Assembly, patience: float, stop: threading.Event) -> StateManager | None:
    """Wait until the state database exists and open it; None after ``patience`` seconds."""
    until = time.monotonic() + patience
    found = made.recall_state()
    while found is None and time.monotonic() < until and not stop.is_set():
        stop.wait(POLL)
        found = made.recall_state()
    return found


def _idle(made: Assembly, manifest: str, stop: threading.Event) -> WorkReport:
    """Return a report without runs; ``UsageError`` unless the worker was told to stop or has a site."""
    if stop.is_set():
        return WorkReport((), stopped=True)
    if made.site is not None:
        return WorkReport(())
    raise UsageError(
        f"no run of {made.plan.manifest_name} in environment {made.plan.env} is open",
        hint=f"start one: hdm run {manifest} -e {made.plan.env}",
    )
