"""hdm retry and hdm waive: what a person decides about dead chunks."""

from __future__ import annotations

import click

from hdm.cli.options import json_option, manifest_options
from hdm.cli.output import emit
from hdm.errors import UsageError
from hdm.project import open_state_only


@click.command()
@manifest_options
@click.option("--table", help="Only chunks of this source table.")
@click.option("--chunk", help="Only this chunk (its id, or the beginning of it).")
@json_option
def command_retry(
    manifest: str,
    env: str,
    profiles: str | None,
    log_settings: str | None,
    table: str | None,
    chunk: str | None,
    as_json: bool,
) -> int:
    """Make the dead chunks of MANIFEST pending again; the next run takes them up."""
    plan, state = open_state_only(manifest, env, profiles)
    if state is None:
        emit([], as_json=as_json, empty="nothing was run yet")
        return 0
    with state:
        rows = _select(state.reports.dead(plan.manifest_name, plan.env), table, chunk)
        count = sum(state.retry(chunk_id=str(row["chunk_id"])) for row in rows)
        emit(rows, as_json=as_json, title=f"{count} chunk(s) pending again", empty="no dead chunks")
    return 0


@click.command()
@manifest_options
@click.option("--chunk", help="Only this chunk (its id, or the beginning of it).")
@click.option("--table", help="Only chunks of this source table.")
@click.option("--by", "by", required=True, help="Who accepts the gap: a person's name.")
@click.option("--reason", required=True, help="Why the gap is accepted.")
@json_option
def command_waive(
    manifest: str,
    env: str,
    profiles: str | None,
    log_settings: str | None,
    chunk: str | None,
    table: str | None,
    by: str,
    reason: str,
    as_json: bool,
) -> int:
    """Accept the gap that dead chunks of MANIFEST leave. It is recorded for good."""
    if not by.strip() or not reason.strip():
        raise UsageError("--by and --reason must not be empty", hint="name the person and say why")
    plan, state = open_state_only(manifest, env, profiles)
    if state is None:
        emit([], as_json=as_json, empty="nothing was run yet")
        return 0
    with state:
        rows = _select(state.reports.dead(plan.manifest_name, plan.env), table, chunk)
        for row in rows:
            state.waive(str(row["chunk_id"]), by, reason)
        emit(rows, as_json=as_json, title=f"{len(rows)} chunk(s) waived by {by}", empty="no dead chunks")
    return 0


def _select(rows: list[dict[str, object]], table: str | None, chunk: str | None) -> list[dict[str, object]]:
    kept = [
        row
        for row in rows
        if (table is None or row["table"] == table or str(row["table"]).endswith("." + table))
        and (chunk is None or str(row["chunk_id"]).startswith(chunk))
    ]
    if not kept and (table or chunk):
        raise UsageError(
            f"no dead chunk matches {table or chunk!r}", hint="hdm status --dead lists the dead chunks"
        )
    return kept
