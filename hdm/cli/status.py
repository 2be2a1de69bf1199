"""hdm status: how runs and their tables stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hdm.cli.options import json_option, manifest_options
from hdm.cli.output import emit, say, size, spell_waiver
from hdm.project import find_run, link_keys, no_runs, no_such_run, open_state_only
from hdm.runtime.host import host_identity, is_alive

if TYPE_CHECKING:
    from hdm.planning.plan import Plan
    from hdm.state.queries.standing import Process


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
    """Show how the newest run of MANIFEST stands: each table's chunks, rows and watermark, who works on
    it since when, and which gaps were accepted by whom.

    Exits with 1 if anything is dead, has failed its checks, or could not be planned, and if the run was
    broken off: begun, not ended, and nobody works on it.
    """
    plan, state = open_state_only(manifest, env, profiles)
    if state is None:
        if run is not None:
            raise no_such_run(plan, run)
        emit([], as_json=as_json, empty="nothing was run yet")
        return 0
    with state:
        mine = (plan.manifest_name, plan.env, link_keys(plan))
        if runs:
            emit(state.reports.runs(*mine), as_json=as_json, empty=no_runs(state, plan))
            return 0
        if dead:
            rows = state.reports.dead(*mine)
            emit(rows, as_json=as_json, empty=no_runs(state, plan, "no dead chunks"))
            return 1 if rows else 0
        run_id = find_run(state, plan, run)
        if run_id is None:
            emit([], as_json=as_json, empty=no_runs(state, plan))
            return 0
        row = state.run_row(run_id) or {}
        jobs, failures = _jobs(state.reports.job_rows(run_id), state.reports.failures(run_id))
        processes = state.reports.processes(run_id)
        busy = [one for one in processes if at_work(one, state.lease_ttl)]
        broken_off = row.get("status") == "in_progress" and not busy
        failing = broken_off or bool(failures) or any(one["dead"] or one["failed_checks"] for one in jobs)
        if as_json:
            standing = "broken off" if broken_off else row.get("status")
            emit([{**one, "run_status": standing} for one in _with_problems(jobs, failures)], as_json=True)
        else:
            hidden = {"job", "differs"}
            hidden.update(name for name in ("waived", "failed_checks") if not any(one[name] for one in jobs))
            shown = [
                {k: size(v) if k == "bytes" else v for k, v in one.items() if k not in hidden} for one in jobs
            ]
            title = _title(row, plan, broken_off=broken_off)
            least = ("epoch", "bytes", "link", "watermark")
            emit(shown, as_json=False, title=title, empty="no jobs", least=least)
            for one in jobs:
                for text in one["differs"]:
                    say(f"  differs: {one['table']}: {text}")
            for text in failures.values():
                say(f"  failed: {text}")
            for text in _people(processes, busy, broken_off=broken_off):
                say(f"  {text}")
            for gap in state.reports.waived(*mine):
                say(f"  waived: {spell_waiver(gap)}")
    return 1 if failing else 0


def _title(row: dict[str, Any], plan: Plan, *, broken_off: bool) -> str:
    words = "broken off" if broken_off else str(row["status"]).replace("_", " ")
    text = f"run {row['run_id'][:12]}: {words}, begun {row['started_at']} by {row['started_by']}"
    if row["manifest_name"] != plan.manifest_name:
        text += f" (as manifest {row['manifest_name']})"
    return text


def at_work(one: Process, ttl: float) -> bool:
    """Whether the process still works: of this host, if it is there; of another, if it was heard of
    within the time of a lease."""
    if one.state != "alive":
        return False
    return is_alive(one.pid, one.start_token) if one.host == host_identity() else one.silent < ttl


def _people(processes: list[Process], busy: list[Process], *, broken_off: bool) -> list[str]:
    """Who works, and, if nobody does though somebody should, who did."""
    lines = [f"at work: {_who(one)}, since {one.since}" for one in busy]
    if broken_off:
        gone = [one for one in processes if one not in busy]
        lines += [f"gone: {_who(one)}, at work from {one.since} to {one.heard}" for one in gone]
        lines.append("nobody works on this run: run the manifest again to go on")
    return lines


def _who(one: Process) -> str:
    return f"process {one.pid} on {one.host.split('/', maxsplit=1)[0]}"


def _jobs(
    jobs: list[dict[str, Any]], failures: dict[str, str]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """A job that could not be planned in this run has failed, and is no longer being planned."""
    for one in jobs:
        if one["status"] == "planning" and one["job"] in failures:
            one["status"] = "failure"
    return jobs, failures


def _with_problems(jobs: list[dict[str, Any]], failures: dict[str, str]) -> list[dict[str, Any]]:
    """Each job with why it could not be planned, and the failures that have no job."""
    known = {row["job"] for row in jobs}
    blank = dict.fromkeys(jobs[0]) if jobs else {}
    unopened = [{**blank, "problem": text} for key, text in failures.items() if key not in known]
    return [{**row, "problem": failures.get(row["job"])} for row in jobs] + unopened
