"""hdm work: one more worker on runs that other processes open."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import replace

import click

from hdm.cli.options import manifest_options, site_option
from hdm.cli.run import bound_memory, carry_out, stop_signals
from hdm.errors import UsageError
from hdm.orchestrators.base import Session
from hdm.planning.other_sites import Elsewhere
from hdm.planning.preflight import Prospect
from hdm.project import Project, find_run, open_project
from hdm.state import StateManager

POLL = 0.5
"""Seconds between two looks for a run to help."""


@click.command()
@manifest_options
@site_option
@click.option("--run", "run", help="The run to help: its id, or the beginning of it (default: the newest).")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    help="Seconds to wait for something to do (default: 0; with --site: for ever).",
)
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--workers", type=click.IntRange(1, 256), help="Threads (default: the orchestrator's conf).")
def command_work(
    manifest: str,
    env: str,
    profiles: str | None,
    log_settings: str | None,
    site: str | None,
    run: str | None,
    wait: float | None,
    log_format: str,
    workers: int | None,
) -> int:
    """Claim and carry chunks of an existing run of MANIFEST until it is over.

    With --site, stay and load whatever other sites publish, run after run, until stopped by SIGTERM
    or idle for --wait seconds.
    """
    bound_memory()
    project = open_project(manifest, env, profiles, site)
    prospects = project.survey()
    patience = wait if wait is not None else (math.inf if site is not None and run is None else 0.0)
    with stop_signals() as stop:
        state = _state(project, patience, stop)
        if state is None:
            return _stopped(stop, project, manifest)
        with state:
            session = Session(
                state, project.links, prospects, project.run_info(), specs=project.specs, site=site,
                workers=workers, stop=stop,
            )  # fmt: skip
            return _Helper(project, session, prospects, run, log_format, manifest).help(patience)


class _Helper:
    def __init__(
        self,
        project: Project,
        session: Session,
        prospects: list[Prospect],
        run: str | None,
        log_format: str,
        manifest: str,
    ) -> None:
        self._project, self._session, self._prospects = project, session, prospects
        self._run, self._log_format, self._manifest = run, log_format, manifest

    def help(self, patience: float) -> int:
        """Take part in runs; the worst of their exit codes."""
        session, codes = self._session, []
        until = time.monotonic() + patience
        while not session.stop.is_set():
            turn = self._turn()
            if turn is not None:
                codes.append(carry_out(self._project, turn, self._log_format, quiet=False))
                if session.site is None or self._run is not None:
                    break
                until = time.monotonic() + patience
            elif time.monotonic() >= until:
                break
            session.stop.wait(POLL)
        if codes and not session.stop.is_set():
            return max(codes)
        return _stopped(session.stop, self._project, self._manifest)

    def _turn(self) -> Session | None:
        """What to do next: help an open run, or load what was published while nobody did."""
        session, plan = self._session, self._project.plan
        if self._run is not None:
            return replace(session, run_id=find_run(session.state, plan, self._run))
        run_id = session.state.joinable(plan.manifest_name, plan.env, session.site)
        if run_id is not None:
            return replace(session, run_id=run_id)
        if session.site is not None:
            view = Elsewhere(session.state, "", session.links, session.specs)
            if view.is_behind():
                return replace(session, prospects=[])
        return None


def _state(project: Project, patience: float, stop: threading.Event) -> StateManager | None:
    """The state database, as soon as there is one."""
    until = time.monotonic() + patience
    found = project.recall_state()
    while found is None and time.monotonic() < until and not stop.is_set():
        stop.wait(POLL)
        found = project.recall_state()
    return found


def _stopped(stop: threading.Event, project: Project, manifest: str) -> int:
    """Nothing came to do: that is a mistake, unless we were told to stop or to stay."""
    if stop.is_set():
        return 143
    if project.site is not None:
        return 0
    raise UsageError(
        f"no run of {project.plan.manifest_name} in environment {project.plan.env} is open",
        hint=f"start one: hdm run {manifest} -e {project.plan.env}",
    )
