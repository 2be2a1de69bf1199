"""The command ``hdm sync``: makes one table equal another by changing the rows that differ."""

from __future__ import annotations

import os
from typing import Any

import click

from hdm import api
from hdm.cli.compared import as_row, pairs, rules, show, show_option
from hdm.cli.options import json_option, log_option, with_logging
from hdm.cli.output import say, say_json, tell
from hdm.model import Change
from hdm.proof.applying import NO_DELETES, Applied
from hdm.proof.pairing import Wishes


def max_deletes_option(function: Any) -> Any:
    """Add the option --max-deletes to a command: how many rows may be deleted."""
    return click.option(
        "--max-deletes", default=NO_DELETES, show_default=True, metavar="N|N%",
        help="Most rows to delete, or a part of the table; if more would have to be, nothing is changed.",
    )(function)  # fmt: skip


@click.command()
@click.argument("first")
@click.argument("second")
@click.option("--dry-run", is_flag=True, help="Only compare, and say what would be done.")
@max_deletes_option
@click.option("--key", multiple=True, help="A column of FIRST that tells rows apart; may be repeated.")
@click.option("--column", "mapped", multiple=True, metavar="FIRST=SECOND", help="A column's two names.")
@click.option("--exclude", multiple=True, help="A column that is neither compared nor written.")
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
@click.option("--profiles", type=click.Path(dir_okay=False), envvar="HDM_PROFILES", help="Profiles file.")
@click.option(
    "--state", metavar="URL_OR_PATH", help="State database that records it (default: hdm's own folder)."
)
@log_option
@with_logging
def command_sync(
    first: str,
    second: str,
    dry_run: bool,
    max_deletes: str,
    key: tuple[str, ...],
    mapped: tuple[str, ...],
    exclude: tuple[str, ...],
    accept: tuple[str, ...],
    where: str | None,
    shown: int,
    as_json: bool,
    env: str,
    profiles: str | None,
    state: str | None,
) -> int:
    """Change the table SECOND until it equals FIRST, each written SYSTEM:CONNECTION.TABLE.

    \b
    hdm sync postgres:shop.public.orders duckdb:warehouse.orders -e prod --dry-run

    Rows that only FIRST has are inserted, those with other values changed, and those that only SECOND has
    deleted, up to --max-deletes. Then both are compared again. Ends with 0 if nothing differs, 1 if
    something does, 2 for a mistake in what was asked. After a kill, the same call goes on.
    """
    wishes = Wishes(key=key or None, columns=pairs(mapped), exclude=exclude, accept=rules(accept), show=shown)
    done = api.sync(
        first, second, wishes, env=env, profiles=profiles, where=where, max_deletes=max_deletes,
        dry_run=dry_run, state=state, notes=tell,
    )  # fmt: skip
    if as_json:
        say_json({"run": done.run, **applied_row(done.applied)})
    else:
        show_applied(done.applied, f"{first} and {second}", dry_run=dry_run)
    return done.exit_code


def applied_row(one: Applied) -> dict[str, Any]:
    """Return the mapping that ``--json`` prints, with both comparisons; ``after`` is null without changes."""
    return {
        "equal": one.equal,
        "done": {change.value: one.done.get(change, 0) for change in Change},
        "kept": one.kept,
        "stopped": one.stopped,
        "refused": one.refused,
        "before": as_row(one.before),
        "after": None if one.after is None else as_row(one.after),
    }


def show_applied(one: Applied, title: str, *, dry_run: bool = False) -> None:
    """Print what was found and done for a person, and the last comparison."""
    before = one.before
    wanted = f"{before.missing:,} new, {before.changed:,} changed, {before.extra:,} deleted"
    if dry_run:
        show(before, title)
        say(
            f"  dry run: a sync would do {wanted}"
            if not one.stopped
            else f"  dry run: a sync would stop: {one.stopped}"
        )
        return
    if one.after is not before:
        say(f"{title}: to do: {wanted}")
        counts = ", ".join(f"{one.done.get(change, 0):,} {change.value}" for change in Change)
        say(f"  done: {counts}")
    for text in (one.stopped, one.refused):
        if text:
            say(f"  not done: {text}")
    if one.kept:
        where = "by now, beyond the watermark or outside of the condition"
        say(f"  not deleted: {one.kept:,} rows that the first table has {where}")
    show(one.after or before, title)
