"""The command ``hdm validate``: compares each target of a manifest with its source."""

from __future__ import annotations

from dataclasses import replace

import click

from hdm import api
from hdm.cli.compared import as_row, show, show_option
from hdm.cli.diff import LEVELS
from hdm.cli.options import json_option, manifest_options, site_option
from hdm.cli.output import say, say_json
from hdm.cli.sync import applied_row, max_deletes_option, show_applied
from hdm.errors import UsageError
from hdm.proof.result import Level


@click.command()
@manifest_options
@site_option
@click.option(
    "--select", "chosen", multiple=True, metavar="PATTERN", help="Only these tables; may be repeated."
)
@click.option(
    "--level", type=click.Choice(LEVELS), help="How closely (default: as validate: says, else rows)."
)
@click.option(
    "--repair", is_flag=True, help="Write the rows again that differ, by their keys, and compare once more."
)
@max_deletes_option
@show_option
@json_option
def command_validate(
    manifest: str,
    env: str,
    profiles: str | None,
    log_settings: str | None,
    site: str | None,
    chosen: tuple[str, ...],
    level: str | None,
    repair: bool,
    max_deletes: str,
    shown: int,
    as_json: bool,
) -> int:
    """Compare the tables that MANIFEST has filled with their sources, and name what differs.

    The first table is the source, through the link's transform, up to the watermark; the second is the
    target. Ends with 0 if nothing differs, 1 if something does. Values of rows are printed, and kept nowhere.
    With --repair, the rows of the target that differ are written again, and the targets compared once more.
    """
    if repair and level not in (None, Level.ROWS):
        raise UsageError(f"--repair with --level {level}", hint="leave --level out: a repair compares rows")
    project = api.open(manifest, env, profiles, site)
    if repair:
        found = project.repair(select=chosen, show=shown, max_deletes=max_deletes)
    else:
        found = project.validate(select=chosen, level=level, show=shown)
    if as_json:
        say_json(
            [
                {"link": one.link, "table": one.table, "refused": one.refused}
                | ({} if one.comparison is None else as_row(one.comparison))
                | ({} if one.repaired is None else {"repaired": applied_row(one.repaired)})
                for one in found
            ]
        )
    else:
        for one in found:
            if one.comparison is None:
                say(f"{one.table}: not compared: {one.refused}")
            elif one.repaired is not None:
                after = one.comparison if one.repaired.after is not None else None
                show_applied(replace(one.repaired, after=after), f"{one.comparison.a} and {one.comparison.b}")
            else:
                show(one.comparison, f"{one.comparison.a} and {one.comparison.b}")
    if not found and not as_json:
        say("nothing was compared: the manifest finds no table")
    return max((one.exit_code for one in found), default=1)
