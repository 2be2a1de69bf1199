"""hdm state: upgrade, reconcile, import, verify."""

from __future__ import annotations

import click

from hdm.cli.options import json_option, manifest_options, site_option
from hdm.cli.output import emit, in_a_line, remark, say
from hdm.config.profile import load_profiles
from hdm.errors import HdmError
from hdm.planning.open_state import old_state_url, open_state, upgrade_state
from hdm.planning.preflight import pipeline_key
from hdm.planning.recovery import record_known
from hdm.project import no_such_run, open_project, open_state_only, read_plan


@click.group()
def command_state() -> None:
    """Look after the state database."""


@command_state.command()
@manifest_options
def upgrade(manifest: str, env: str, profiles: str | None, log_settings: str | None) -> int:
    """Bring the state database of MANIFEST to this version's schema, under a lock."""
    plan = read_plan(manifest, env)
    before, after = upgrade_state(plan, load_profiles(profiles, env))
    say(f"at {after} already" if before == after else f"upgraded from {before or 'nothing'} to {after}")
    return 0


@command_state.command()
@manifest_options
@site_option
@json_option
def reconcile(
    manifest: str, env: str, profiles: str | None, log_settings: str | None, site: str | None, as_json: bool
) -> int:
    """Take over every planned chunk that the targets hold. The target wins.

    Chunks of which the state knows nothing, because it was lost or restored, are taken over by the
    next run, in their order, before it reads anything. A sink that cannot be asked is named, and the
    exit code is 1.
    """
    project = open_project(manifest, env, profiles, site)
    rows, silent = [], set[str]()
    with project.open_state() as state:
        for job in state.reports.open_jobs(set(project.links)):
            link = project.links[job.link_key]
            if link.sink.name in silent:
                continue
            table = link.outgoing(job.info.source)
            try:
                held = list(link.sink.ledger(table, pipeline_key(link.spec, job.info.source.dataset)))
            except HdmError as trouble:
                silent.add(link.sink.name)
                remark(f"hdm: sink {link.sink.name}: {in_a_line(trouble)}; nothing of it is taken over")
                continue
            known = state.reports.statuses([chunk.chunk_id for chunk, _ in held])
            rows.append(
                {
                    "table": job.info.source.dataset.name,
                    "sink": job.info.sink_name,
                    "taken over": record_known(state, job, held, known),
                    "left to the next run": sum(chunk.chunk_id not in known for chunk, _ in held),
                }
            )
    emit(rows, as_json=as_json, empty="no open jobs")
    return 1 if silent else 0


@command_state.command(name="import")
@manifest_options
@click.argument("old_database")
@json_option
def import_old(
    manifest: str, env: str, profiles: str | None, log_settings: str | None, old_database: str, as_json: bool
) -> int:
    """Take over the rows of an old state_manager table.

    OLD_DATABASE is the path of a SQLite file, or the name of a profile entry that has the
    old state manager's connection.
    """
    plan, known = read_plan(manifest, env), load_profiles(profiles, env)
    url = old_state_url(plan, old_database, known)
    with open_state(plan, known) as state:
        counts = state.import_legacy(url)
    emit([counts], as_json=as_json)
    return 0


@command_state.command()
@manifest_options
@click.option("--run", "run", help="A run's id, or the beginning of it (default: every run).")
@json_option
def verify(
    manifest: str, env: str, profiles: str | None, log_settings: str | None, run: str | None, as_json: bool
) -> int:
    """Recompute the hash chains of the events; exit 1 if any link is broken."""
    plan, state = open_state_only(manifest, env, profiles)
    broken = []
    if state is None:
        if run is not None:
            raise no_such_run(plan, run)
        emit([], as_json=as_json, empty="nothing was run yet")
        return 0
    with state:
        runs = state.reports.runs(plan.manifest_name, plan.env)
        chosen = [row for row in runs if run is None or str(row["run_id"]).startswith(run)]
        if run is not None and not chosen:
            raise no_such_run(plan, run)
        for row in chosen:
            broken += [{"run": row["run_id"], "break": text} for text in state.verify_chain(row["run_id"])]
    emit(broken, as_json=as_json, empty=f"{len(chosen)} chain(s) hold")
    if broken:
        raise HdmError(f"{len(broken)} break(s) in the event chain", hint="restore the state database")
    return 0
