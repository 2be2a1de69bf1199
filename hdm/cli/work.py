"""The command ``hdm work``: adds one more worker to runs that other processes open."""

from __future__ import annotations

import math

import click

from hdm import api
from hdm.api import running as helping
from hdm.api.running import Wishes
from hdm.cli.options import manifest_options, max_wait_option, site_option
from hdm.cli.progress import display_for
from hdm.cli.run import bound_memory
from hdm.cli.signals import stop_signals


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
@max_wait_option
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
    max_wait: float,
) -> int:
    """Help a run of MANIFEST that another process has opened: move its chunks until it is over.

    With --site, stay and load whatever other sites publish, run after run, until stopped by SIGTERM
    or idle for --wait seconds.
    """
    bound_memory()
    project = api.open(manifest, env, profiles, site)
    ready = project.preflight()
    patience = wait if wait is not None else (math.inf if site is not None and run is None else 0.0)
    with stop_signals() as stop:
        wishes = Wishes(workers=workers, max_wait=max_wait, stop=stop)
        return helping.work(
            ready, run, patience, manifest, wishes, display_for(log_format, quiet=False)
        ).exit_code
