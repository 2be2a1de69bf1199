"""The command ``hdm status``: shows the progress and result of runs and their tables."""

from __future__ import annotations

from dataclasses import asdict

import click

from hdm import api
from hdm.api.results import ProcessStatus, RunStatus
from hdm.cli.options import json_option, manifest_options
from hdm.cli.output import emit, say, size, spell_waiver


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
    """Show the newest run of MANIFEST: each table's chunks, rows and watermark, workers, accepted gaps.

    Exits with 1 if anything is dead, has failed its checks, or could not be planned, and if the run was
    broken off: begun, not ended, and nobody works on it.
    """
    project = api.open(manifest, env, profiles)
    if runs or dead:
        rows = [asdict(one) for one in (project.runs() if runs else project.dead())]
        empty = "" if rows else project.why_nothing("" if runs else "no dead chunks")
        emit(rows, as_json=as_json, empty=empty)
        return 1 if rows and not runs else 0
    found = project.status(run)
    if found is None:
        emit([], as_json=as_json, empty=project.why_nothing())
        return 0
    if as_json:
        standing = "broken off" if found.broken_off else found.status
        jobs = any(one.job is not None for one in found.tables)
        rows = [asdict(one) if jobs else {"problem": one.problem} for one in found.tables]
        emit([{**row, "run_status": standing} for row in rows], as_json=True)
    else:
        _show(found, project.name)
    return found.exit_code


def _show(found: RunStatus, manifest_name: str) -> None:
    """Print the tables of a run, then their differences, failures, processes and waived gaps."""
    jobs = [one for one in found.tables if one.job is not None]
    hidden = {"job", "differs", "problem"}
    hidden.update(
        name
        for name in ("waived", "failed_checks", "set_aside")
        if not any(getattr(one, name) for one in jobs)
    )
    shown = [
        {k: size(v) if k == "bytes" else v for k, v in asdict(one).items() if k not in hidden} for one in jobs
    ]
    least = ("epoch", "bytes", "link", "watermark")
    emit(shown, as_json=False, title=_title(found, manifest_name), empty="no jobs", least=least)
    for one in jobs:
        for text in one.differs or ():
            say(f"  differs: {one.table}: {text}")
    for text in found.failed:
        say(f"  failed: {text}")
    for text in _people(found):
        say(f"  {text}")
    for aside in found.quarantine:
        say(f"  quarantine: {aside.table} -> {aside.sink}: {aside.rows:,} row(s) of chunk {aside.number}")
    for gap in found.waived:
        say(f"  waived: {spell_waiver(asdict(gap))}")


def _title(found: RunStatus, manifest_name: str) -> str:
    words = "broken off" if found.broken_off else found.status.replace("_", " ")
    text = f"run {found.run_id[:12]}: {words}, begun {found.started_at} by {found.started_by}"
    return text if found.manifest == manifest_name else f"{text} (as manifest {found.manifest})"


def _people(found: RunStatus) -> list[str]:
    """Return lines on the processes at work; if the run is broken off, on those that worked on it."""
    lines = [f"at work: {_who(one)}, since {one.since}" for one in found.processes if one.at_work]
    if found.broken_off:
        gone = [one for one in found.processes if not one.at_work]
        lines += [f"gone: {_who(one)}, at work from {one.since} to {one.heard}" for one in gone]
        lines.append("nobody works on this run: run the manifest again to go on")
    return lines


def _who(one: ProcessStatus) -> str:
    return f"process {one.pid} on {one.host.split('/', maxsplit=1)[0]}"
