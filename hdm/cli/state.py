"""The commands ``hdm state``: upgrade, reconcile, import, verify, anchor."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hdm.cli.options import json_option, manifest_options, place_options, site_option
from hdm.cli.output import emit, in_a_line, remark, say
from hdm.config.profile import load_profiles
from hdm.config.secrets import redact
from hdm.errors import HdmError, UsageError
from hdm.planning.open_state import named_state, old_state_url, open_state, upgrade_state
from hdm.planning.preflight import pipeline_key
from hdm.planning.presence import is_another_target, load_again
from hdm.planning.recovery import record_known
from hdm.project import open_project, open_state_only, read_plan
from hdm.state.queries.anchors import read as read_anchors
from hdm.state.queries.anchors import spell as spell_anchor

if TYPE_CHECKING:
    from hdm.state import StateManager
    from hdm.state.queries.verify import Verdict


@click.group()
def command_state() -> None:
    """Upgrade, reconcile, import into, verify or anchor the state database."""


@command_state.command()
@manifest_options
def upgrade(manifest: str, env: str, profiles: str | None, log_settings: str | None) -> int:
    """Upgrade the state database of MANIFEST to this version's schema, under a lock."""
    plan = read_plan(manifest, env)
    before, after = upgrade_state(plan, load_profiles(profiles, env))
    say(f"at {after} already" if before == after else f"upgraded from {before or 'nothing'} to {after}")
    return 0


@command_state.command()
@manifest_options
@site_option
@click.option("--reload", "again", is_flag=True, help="Load again what targets do not hold any more.")
@json_option
def reconcile(
    manifest: str,
    env: str,
    profiles: str | None,
    log_settings: str | None,
    site: str | None,
    again: bool,
    as_json: bool,
) -> int:
    """Record every planned chunk as committed that a target's ledger names; the target is the truth.

    --reload also does the opposite: chunks that are committed but missing in a target (it was
    restored, emptied, or replaced) are loaded again by the next run, from the staged files if these
    exist, else from the source as it is then.

    Chunks that the state does not know, because it was lost or restored, are recorded by the next run,
    in their order, before it reads anything. A sink that cannot be asked, or is in another database
    than the one that was written to, is named, and the exit code is 1.
    """
    project = open_project(manifest, env, profiles, site)
    rows, silent, others = [], set[str](), set[str]()
    with project.open_state() as state:
        for job in state.reports.open_jobs(set(project.links)):
            link = project.links[job.link_key]
            if link.sink.name in silent:
                continue
            table = link.outgoing(job.info.source)
            try:
                if is_another_target(state, job, link):
                    others.add(link.sink.name)
                    said = "its ledger has another identity than the database that was loaded"
                    remark(f"hdm: sink {link.sink.name}: {said}; nothing of it is taken over")
                    continue
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
        if again:
            found = state.reports.open_jobs(set(project.links))
            asked = [job for job in found if job.info.sink_name not in silent]
            for job, chunks, count in load_again(state, project.links, asked, project.run_info().started_by):
                row = {"table": job.info.source.dataset.name, "sink": job.info.sink_name}
                rows.append({**row, "to be loaded again": chunks, "rows": count})
    emit(rows, as_json=as_json, empty="no open jobs")
    return 1 if silent or (others and not again) else 0


@command_state.command(name="import")
@manifest_options
@click.argument("old_database")
@json_option
def import_old(
    manifest: str, env: str, profiles: str | None, log_settings: str | None, old_database: str, as_json: bool
) -> int:
    """Import the rows of an old state_manager table into the state database.

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
@place_options
@click.option("--anchor", "anchor", type=click.Path(dir_okay=False), help="A file of hdm state anchor.")
@click.option("--run", "run", help="Recompute only the chain of this run (its id, or the beginning of it).")
@json_option
def verify(
    manifest: str | None,
    where: str | None,
    env: str,
    profiles: str | None,
    log_settings: str | None,
    anchor: str | None,
    run: str | None,
    as_json: bool,
) -> int:
    """Verify a state database: recompute every chain of events, and compare every table with its events.

    Verifies the state database of MANIFEST, or the one that --state names, with all runs in it, of
    any manifest. With --anchor it also finds what the chains alone cannot show: that a chain was cut
    or made anew, or that the newest runs are gone. Exits with 1 if anything differs, and if there is
    nothing to verify.
    """
    known = read_anchors(_text_of(anchor), anchor) if anchor else []
    with _place(manifest, where, env, profiles) as state:
        if run is not None:
            return _one_chain(state, run, as_json=as_json)
        verdict = state.trail.verify(known)
    if not verdict.chains and not verdict.breaks:
        raise HdmError("nothing to verify: no run is on record in this state database", hint=_WHERE)
    rows = [{"run": run_id, "break": text} for run_id, text in verdict.breaks]
    if rows or as_json:
        emit(rows, as_json=as_json)
    else:
        for line in _holds(verdict):
            say(line)
    if rows:
        raise HdmError(
            f"{len(rows)} break(s) in the trail",
            hint="somebody changed the state database past hdm; restore it from a backup, or ask who did",
        )
    return 0


_WHERE = "name the database in which the runs are: a manifest and -e, or --state URL_OR_PATH"


def _holds(verdict: Verdict) -> list[str]:
    """Return what was verified, and what this verification cannot find."""
    lines = [f"{verdict.chains} chain(s) hold; the tables are as their {verdict.events:,} events say"]
    if verdict.older:
        lines.append(f"{verdict.older} run(s) are of an older hdm, which sealed less: compared in part")
    if verdict.anchors:
        lines.append(f"{verdict.anchors} anchor(s) agree")
    else:
        lines.append("no anchor was given: chains that were cut at their end or made anew would not be seen")
    return lines


def _one_chain(state: StateManager, run: str, *, as_json: bool) -> int:
    ids = [found for found in state.reports.run_ids() if found.startswith(run)]
    if not ids:
        raise UsageError(f"no run in this state database begins with {run!r}", hint="hdm status --runs")
    broken = [{"run": found, "break": text} for found in ids for text in state.trail.verify_chain(found)]
    emit(broken, as_json=as_json, empty=f"{len(ids)} chain(s) hold; no table was compared (leave --run out)")
    if broken:
        raise HdmError(f"{len(broken)} break(s) in the event chain", hint="restore the state database")
    return 0


@command_state.command()
@place_options
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Append to this file (default: print).")
def anchor(
    manifest: str | None,
    where: str | None,
    env: str,
    profiles: str | None,
    log_settings: str | None,
    output: str | None,
) -> int:
    """Print where every chain of events ends now, to be kept outside of the database.

    One line of JSON: each run's number of events and the hash of its last, and how many runs there
    are. Keep it where people who may write the state database may not write: a log, a ticket,
    write-once storage.
    """
    with _place(manifest, where, env, profiles) as state:
        made = state.trail.make_anchor()
        if not made["chains"]:
            raise HdmError("nothing to anchor: no run is on record in this state database", hint=_WHERE)
        line = spell_anchor(made)
        if output is None:
            if redact(line) != line:
                raise HdmError(
                    "a secret's text happens to be part of a hash", hint="write it to a file: -o FILE"
                )
            say(line)
            return 0
        _append(Path(output), line)
        state.trail.record_anchor(made, str(Path(output).absolute()))
    say(f"{made['runs']} chain(s), {made['events']:,} events: anchored in {output}")
    return 0


def _append(path: Path, line: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", hint="give -o another file") from None


def _text_of(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(
            f"the anchor {path} cannot be read: {why}", hint="give the file that hdm state anchor -o wrote"
        ) from None


def _place(manifest: str | None, where: str | None, env: str, profiles: str | None) -> StateManager:
    """Open the state database that the manifest or --state names."""
    if (manifest is None) == (where is None):
        raise UsageError("name either a manifest or, with --state, a state database", hint=_WHERE)
    if where is not None:
        return named_state(where)
    _, state = open_state_only(str(manifest), env, profiles)
    if state is None:
        raise HdmError("nothing to verify: nothing was run yet, there is no state database", hint=_WHERE)
    return state
