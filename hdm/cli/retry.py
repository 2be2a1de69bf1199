"""The commands ``hdm retry`` and ``hdm waive``: record what a person decides about dead chunks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import click

from hdm import api
from hdm.api.project import NEVER_RUN, Project
from hdm.api.results import DeadChunk
from hdm.cli.options import json_option, manifest_options
from hdm.cli.output import emit


@click.command()
@manifest_options
@click.option("--table", help="Only chunks of this source table.")
@click.option("--chunk", help="Only this chunk (its id, or the beginning of it).")
@click.option("--reread", is_flag=True, help="Read them from the source again, however far down the chain.")
@json_option
def command_retry(
    manifest: str,
    env: str,
    profiles: str | None,
    log_settings: str | None,
    table: str | None,
    chunk: str | None,
    reread: bool,
    as_json: bool,
) -> int:
    """Let the next run try the dead chunks of MANIFEST again.

    A chunk that was made of a staged file is loaded from that file again. With --reread its rows are
    read from the source again: use it after the rows were mended in the source.
    """
    project = api.open(manifest, env, profiles)
    done = project.retry(table=table, chunk=chunk, reread=reread)
    words = "will be read again by the next run" if reread else "pending again"
    _show(project, done.chunks, f"{done.count} chunk(s) {words}", as_json=as_json)
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
    """Accept that the rows of dead chunks of MANIFEST stay missing; the decision is recorded for good."""
    project = api.open(manifest, env, profiles)
    waived = project.waive(by=by, reason=reason, table=table, chunk=chunk)
    _show(project, waived, f"{len(waived)} chunk(s) waived by {by}", as_json=as_json)
    return 0


def _show(project: Project, chunks: Sequence[DeadChunk], title: str, *, as_json: bool) -> None:
    rows = [asdict(one) for one in chunks]
    empty = "" if rows else project.why_nothing("no dead chunks")
    unknown = empty == NEVER_RUN
    emit(rows, as_json=as_json, title="" if unknown else title, empty=empty)
