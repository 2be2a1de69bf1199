"""The command ``hdm openlineage``: sends what is on record as OpenLineage events."""

from __future__ import annotations

from pathlib import Path

import click

from hdm.api.outbox import Send, position_of, send_all, to_file, to_http
from hdm.cli.options import place_options
from hdm.cli.output import remark, say
from hdm.cli.places import state_of
from hdm.config.secrets import look_up

_WHERE = "name the database in which the runs are: a manifest and -e, or --state URL_OR_PATH"


@click.command()
@place_options
@click.option(
    "--to",
    "target",
    default="console",
    show_default=True,
    metavar="console|FILE|URL",
    help="Where to: standard output, a file that grows by a line an event, or an HTTP endpoint.",
)
@click.option("--token", metavar="REF", help="A bearer token for the URL: env:NAME, file:/path, ...")
@click.option(
    "--position",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Where what was sent is kept (default: below hdm's home folder, one file for each --to).",
)
def command_openlineage(
    manifest: str | None,
    where: str | None,
    env: str,
    profiles: str | None,
    log_settings: str | None,
    target: str,
    token: str | None,
    position: str | None,
) -> int:
    """Send what runs have done since the last time, as OpenLineage events, each at least once.

    One link over one table in one run is an OpenLineage run. Reads the state database only, so that no run
    waits for a receiver: call it after runs, or every minute. Ends with 1 if the receiver refuses an event or
    is away; what it did not take is sent the next time.
    """
    if target == "console":
        send: Send = say
    elif "://" in target:
        send = to_http(target, None if token is None else look_up(token, where="--token"))
    else:
        send = to_file(Path(target).absolute())
    with state_of(manifest, where, env, profiles, hint=_WHERE) as state:
        kept = Path(position) if position else position_of(state, target)
        count = send_all(state, send, kept)
    remark(f"hdm: {count} event(s) sent to {target}")
    return 0
