"""The command ``hdm validate``: compares each target of a manifest with its source."""

from __future__ import annotations

import click

from hdm import api
from hdm.cli.compared import as_row, show, show_option
from hdm.cli.diff import LEVELS
from hdm.cli.options import json_option, manifest_options, site_option
from hdm.cli.output import say, say_json


@click.command()
@manifest_options
@site_option
@click.option(
    "--select", "chosen", multiple=True, metavar="PATTERN", help="Only these tables; may be repeated."
)
@click.option(
    "--level", type=click.Choice(LEVELS), help="How closely (default: as validate: says, else rows)."
)
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
    shown: int,
    as_json: bool,
) -> int:
    """Compare the tables that MANIFEST has filled with their sources, and name what differs.

    The first table is the source, through the link's transform, up to the watermark; the second is the
    target. Ends with 0 if nothing differs, 1 if something does. Values of rows are printed, and kept nowhere.
    """
    found = api.open(manifest, env, profiles, site).validate(select=chosen, level=level, show=shown)
    if as_json:
        say_json(
            [
                {"link": one.link, "table": one.table, "refused": one.refused}
                | ({} if one.comparison is None else as_row(one.comparison))
                for one in found
            ]
        )
    else:
        for one in found:
            if one.comparison is None:
                say(f"{one.table}: not compared: {one.refused}")
            else:
                show(one.comparison, f"{one.comparison.a} and {one.comparison.b}")
    if not found and not as_json:
        say("nothing was compared: the manifest finds no table")
    return max((one.exit_code for one in found), default=1)
