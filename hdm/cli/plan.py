"""hdm plan: what would run. Touches nothing: no state database, no table, no file."""

from __future__ import annotations

from typing import Any

import click

from hdm.cli import logs
from hdm.cli.options import json_option, manifest_options, site_option
from hdm.cli.output import emit, size
from hdm.cli.session import open_project
from hdm.link import DataLink
from hdm.survey import Prospect


@click.command()
@manifest_options
@site_option
@json_option
def command_plan(
    manifest: str, env: str, profiles: str | None, log_settings: str | None, site: str | None, as_json: bool
) -> int:
    """Show what MANIFEST would run: links, tables, chunks, bytes, declared losses."""
    logs.set_up("text", log_settings, "warning")
    project = open_project(manifest, env, profiles, site)
    rows = [_row(project.links[p.link.key], p) for p in project.survey()]
    if not as_json:
        rows = [{**row, "bytes": size(row["bytes"]), "losses": "; ".join(row["losses"])} for row in rows]
    emit(rows, as_json=as_json, empty="the manifest has no links")
    return 0


def _row(link: DataLink, one: Prospect) -> dict[str, Any]:
    """One link over one table, as if nothing had been moved yet."""
    chunks: int | None = None
    if not one.upstream_keys:
        with link.source.snapshot() as token:
            chunks = sum(
                1 for _ in link.source.split(one.source, link.source.window(), one.pipeline_key, token)
            )
    return {
        "link": f"{one.link.source.name} -> {one.link.sink.name}",
        "table": one.source.dataset.name,
        "target": one.target.dataset.name,
        "mode": one.link.mode.value,
        "site": one.link.site,
        "watermark": one.source.cursor,
        "rows (estimate)": one.source.rows,
        "bytes": one.source.bytes,
        "chunks": chunks,
        "losses": [f"{name}: {why}" for name, why in one.losses],
    }
