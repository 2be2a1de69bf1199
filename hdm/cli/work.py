"""hdm work: one more worker on a run that another process opened."""

from __future__ import annotations

import time

import click

from hdm.cli import logs
from hdm.cli.options import manifest_options, site_option
from hdm.cli.run import carry_out, stop_signals
from hdm.cli.session import open_project
from hdm.errors import UsageError
from hdm.orchestrators.base import Session


@click.command()
@manifest_options
@site_option
@click.option("--run", "run", help="The run to help (default: the newest of this manifest and environment).")
@click.option("--wait", default=0.0, show_default=True, help="Seconds to wait for a run to be opened.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--workers", type=click.IntRange(1, 256), help="Threads (default: the orchestrator's conf).")
def command_work(
    manifest: str,
    env: str,
    profiles: str | None,
    log_settings: str | None,
    site: str | None,
    run: str | None,
    wait: float,
    log_format: str,
    workers: int | None,
) -> int:
    """Claim and carry chunks of an existing run of MANIFEST until it is over."""
    logs.set_up(log_format, log_settings, "warning")
    project = open_project(manifest, env, profiles)
    prospects = project.survey(site)
    with project.open_state() as state, stop_signals() as stop:
        until = time.monotonic() + wait
        run_id = run or state.latest_run(project.plan.manifest_name, env)
        while run_id is None and time.monotonic() < until and not stop.is_set():
            stop.wait(0.2)
            run_id = state.latest_run(project.plan.manifest_name, env)
        if run_id is None:
            raise UsageError(
                f"no run of {project.plan.manifest_name} in environment {env}",
                hint=f"start one: hdm run {manifest} -e {env}",
            )
        session = Session(
            state, project.links, prospects, project.run_info(), site=site, run_id=run_id, workers=workers,
            stop=stop,
        )  # fmt: skip
        return carry_out(project, session, log_format, quiet=False)
