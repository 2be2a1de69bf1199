"""hdm gc: remove what dead attempts left behind, and nothing else."""

from __future__ import annotations

import click

from hdm import _fail
from hdm.cli.options import json_option, manifest_options
from hdm.cli.output import emit
from hdm.cli.session import open_project
from hdm.engines.threads import take_over_dead


@click.command()
@manifest_options
@click.option("--dry-run", is_flag=True, help="List only.")
@json_option
def command_gc(
    manifest: str, env: str, profiles: str | None, log_settings: str | None, dry_run: bool, as_json: bool
) -> int:
    """Remove temporary files, objects and uploads of MANIFEST's dead attempts.

    What a live lease may still need, or a receipt names, is never touched.
    """
    project = open_project(manifest, env, profiles)
    rows = []
    with project.open_state() as state:
        take_over_dead(state)
        for stale in state.stale_artifacts():
            job = state.reports.job(stale["job_id"])
            link = project.links.get(job.link_key)
            if link is None:
                continue
            if not dry_run:
                _fail.point("G1")
                chunk = state.reports.chunk(stale["chunk_id"])
                link.sink.discard(link.outgoing(job.info.source), chunk, stale["attempt"])
                link.sink.remove(stale["uri"])
                _fail.point("G2")
                state.artifact_deleted(stale["artifact_id"])
            rows.append({"uri": stale["uri"], "chunk": stale["chunk_id"][:16], "attempt": stale["attempt"]})
    title = f"{len(rows)} object(s) {'would be ' if dry_run else ''}removed"
    emit(rows, as_json=as_json, title=title, empty="nothing to remove")
    return 0
