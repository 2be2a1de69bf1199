"""The command ``hdm gc``: removes what dead attempts left behind, and nothing else."""

from __future__ import annotations

from dataclasses import asdict

import click

from hdm import api
from hdm.api.project import NEVER_RUN
from hdm.cli.options import json_option, manifest_options, site_option
from hdm.cli.output import emit, remark


@click.command()
@manifest_options
@site_option
@click.option("--dry-run", is_flag=True, help="List only.")
@click.option(
    "--staged", is_flag=True, help="Also delete staged files that `keep:` of their sink no longer keeps."
)
@json_option
def command_gc(
    manifest: str,
    env: str,
    profiles: str | None,
    log_settings: str | None,
    site: str | None,
    dry_run: bool,
    staged: bool,
    as_json: bool,
) -> int:
    """Remove the temporary files, objects and uploads that dead attempts of MANIFEST left.

    A file that a live lease may still need, or that a receipt names, is never deleted. --staged also
    deletes staged files whose every row is verified in the targets that were loaded from them, if their
    sink's `keep:` allows it. If a sink cannot say which files it has committed, its files stay; it is
    named, and the exit code is 1.
    """
    project = api.open(manifest, env, profiles, site)
    found = project.gc(dry_run=dry_run, staged=staged)
    for sink, said in found.left:
        remark(f"hdm: sink {sink}: {said}; its files are left")
    rows = [asdict(one) for one in found.removed]
    empty, title = "nothing to remove", f"{len(rows)} object(s) {'would be ' if dry_run else ''}removed"
    if not rows and not found.left and project.why_nothing("x") == NEVER_RUN:
        empty, title = NEVER_RUN, ""
    emit(rows, as_json=as_json, title=title, empty=empty)
    return found.exit_code
