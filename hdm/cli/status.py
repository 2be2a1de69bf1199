"""hdm status: how runs and their tables stand."""

from __future__ import annotations

from typing import Any

import click

from hdm.cli.options import json_option, manifest_options
from hdm.cli.output import emit, say, size
from hdm.project import find_run, no_such_run, open_state_only


@click.command()
@manifest_options
@json_option
@click.option("--run", "run", help="A run's id, or the beginning of it (default: the newest).")
@click.option("--runs", is_flag=True, help="List the runs instead.")
@click.option("--dead", is_flag=True, help="List the dead chunks, with their errors.")
def command_status(
    manifest: str,
    env: str,
    profiles: str | None,
    log_settings: str | None,
    as_json: bool,
    run: str | None,
    runs: bool,
    dead: bool,
) -> int:
    """Show how the newest run of MANIFEST stands: each table's chunks, rows and watermark.

    Exits with 1 if anything is dead, has failed its checks, or could not be planned.
    """
    plan, state = open_state_only(manifest, env, profiles)
    if state is None:
        if run is not None:
            raise no_such_run(plan, run)
        emit([], as_json=as_json, empty="nothing was run yet")
        return 0
    with state:
        if runs:
            emit(state.reports.runs(plan.manifest_name, plan.env), as_json=as_json, empty="no runs yet")
            return 0
        if dead:
            rows = state.reports.dead(plan.manifest_name, plan.env)
            emit(rows, as_json=as_json, empty="no dead chunks")
            return 1 if rows else 0
        run_id = find_run(state, plan, run)
        if run_id is None:
            emit([], as_json=as_json, empty="no runs yet")
            return 0
        jobs, failures = state.reports.job_rows(run_id), state.reports.failures(run_id)
        failing = bool(failures) or any(row["dead"] or row["failed_checks"] for row in jobs)
        if as_json:
            emit(_with_problems(jobs, failures), as_json=True)
        else:
            shown = [
                {k: size(v) if k == "bytes" else v for k, v in row.items() if k not in ("job", "differs")}
                for row in jobs
            ]
            emit(shown, as_json=False, title=f"run {run_id}", empty="no jobs")
            for row in jobs:
                for text in row["differs"]:
                    say(f"  differs: {row['table']}: {text}")
            for text in failures.values():
                say(f"  failed: {text}")
    return 1 if failing else 0


def _with_problems(jobs: list[dict[str, Any]], failures: dict[str, str]) -> list[dict[str, Any]]:
    """Each job with why it could not be planned, and the failures that have no job."""
    known = {row["job"] for row in jobs}
    blank = dict.fromkeys(jobs[0]) if jobs else {}
    unopened = [{**blank, "problem": text} for key, text in failures.items() if key not in known]
    return [{**row, "problem": failures.get(row["job"])} for row in jobs] + unopened
