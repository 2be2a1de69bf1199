"""The command ``hdm plan``: shows what would run now, without changing a table, a file or the state."""

from __future__ import annotations

from typing import Any

import click

from hdm import api
from hdm.api.results import PlannedTable
from hdm.cli.options import json_option, manifest_options, site_option
from hdm.cli.output import emit, remark, size


@click.command()
@manifest_options
@site_option
@json_option
def command_plan(
    manifest: str, env: str, profiles: str | None, log_settings: str | None, site: str | None, as_json: bool
) -> int:
    """Show what a run of MANIFEST would move now: links, tables, chunks, bytes, declared losses.

    Chunks that earlier runs have moved, as the state database records them, are not shown. Links that
    load staged files of other links have no chunks before those links run. A table in mode sync is
    compared with its target, and a note says how many rows would be inserted, changed and deleted.
    """
    found = api.open(manifest, env, profiles, site).plan()
    for said in found.notes:
        remark(f"note: {said}")
    for said in (*found.refused, *(f"{one.table}: {one.refused}" for one in found.tables if one.refused)):
        remark(f"cannot be moved: {said}")
    if not as_json:
        for one in found.tables:
            for text in one.notes:
                remark(f"note: {one.table}: {text}")
    rows = [_row(one, as_json=as_json) for one in found.tables]
    least = ("site", "target", "mode", "watermark", "bytes", "link")
    emit(rows, as_json=as_json, empty="the manifest has no links", least=least)
    return found.exit_code


def _row(one: PlannedTable, *, as_json: bool) -> dict[str, Any]:
    losses = [f"{name}: {why}" for name, why in one.losses]
    chunks = None if one.chunks is None and not one.left else one.left + len(one.chunks or ())
    row = {
        "link": one.link,
        "table": one.table,
        "target": one.target,
        "mode": one.mode,
        "site": one.site,
        "watermark": one.watermark,
        "rows (estimate)": one.rows,
        "bytes": one.bytes if as_json else size(one.bytes),
        "chunks": chunks,
        "losses": losses if as_json else "; ".join(losses),
    }
    return {**row, "notes": list(one.notes)} if as_json else row
