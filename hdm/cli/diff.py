"""The command ``hdm diff``: compares two tables of any two connections."""

from __future__ import annotations

import os

import click

from hdm import api
from hdm.cli.compared import as_row, pairs, rules, show, show_option
from hdm.cli.options import json_option, log_option, with_logging
from hdm.cli.output import say_json, tell
from hdm.proof.pairing import Wishes
from hdm.proof.result import Level

LEVELS = [level.value for level in Level if level is not Level.NONE]


@click.command()
@click.argument("first")
@click.argument("second")
@click.option("--level", type=click.Choice(LEVELS), default="rows", show_default=True, help="How closely.")
@click.option("--key", multiple=True, help="A column of FIRST that tells rows apart; may be repeated.")
@click.option("--column", "mapped", multiple=True, metavar="FIRST=SECOND", help="A column's two names.")
@click.option("--exclude", multiple=True, help="A column that is not compared; may be repeated.")
@click.option("--accept", multiple=True, metavar="COLUMN:RULE", help="A difference that counts as none.")
@click.option("--where", help="One SQL condition on the rows of both tables.")
@show_option
@json_option
@click.option(
    "-e",
    "--env",
    default=lambda: os.environ.get("HDM_ENV", "dev"),
    show_default="$HDM_ENV or dev",
    help="Environment: a top-level key of the profiles file.",
)
@click.option("--profiles", type=click.Path(dir_okay=False), help="Profiles file.")
@log_option
@with_logging
def command_diff(
    first: str,
    second: str,
    level: str,
    key: tuple[str, ...],
    mapped: tuple[str, ...],
    exclude: tuple[str, ...],
    accept: tuple[str, ...],
    where: str | None,
    shown: int,
    as_json: bool,
    env: str,
    profiles: str | None,
) -> int:
    """Compare the tables FIRST and SECOND, each written SYSTEM:CONNECTION.TABLE.

    \b
    hdm diff postgres:shop.public.orders duckdb:warehouse.orders -e prod

    Ends with 0 if nothing differs, 1 if something does, 2 for a mistake in what was asked. Values of rows
    are printed, and kept nowhere.
    """
    wishes = Wishes(
        level=Level(level), key=key or None, columns=pairs(mapped), exclude=exclude,
        accept=rules(accept), show=shown,
    )  # fmt: skip
    found = api.diff(first, second, wishes, env=env, profiles=profiles, where=where, notes=tell)
    if as_json:
        say_json(as_row(found))
    else:
        show(found, f"{first} and {second}")
    return found.exit_code
