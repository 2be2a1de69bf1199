"""The command ``hdm ls``: lists the tables, views or files of a connection."""

from __future__ import annotations

from dataclasses import asdict

import click

from hdm.api.asking import listing
from hdm.cli import logs
from hdm.cli.ends import given, place_options
from hdm.cli.options import LogLevel, json_option
from hdm.cli.output import emit, tell


@click.command()
@click.argument("connection")
@place_options()
@json_option
@click.option("-l", "--log-level", type=LogLevel(), default="error", show_default=True)
def command_ls(connection: str, env: str, profiles: str | None, as_json: bool, log_level: str) -> int:
    """List what CONNECTION, or one schema of it, has: a table, view or set of files in each line.

    \b
    hdm ls postgres:shop.public
    hdm ls sqlite:shop.db
    hdm ls out/orders.parquet

    Numbers of rows are the catalogue's own estimates, and empty where it has none.
    """
    logs.set_up("text", None, log_level)
    found = listing(given(connection, "SOURCE"), env=env, profiles=profiles, notes=tell)
    rows = [
        {"name": one.name, "kind": one.kind, "rows (estimate)": one.rows, "columns": one.columns}
        for one in found
    ]
    emit([asdict(one) for one in found] if as_json else rows, as_json=as_json, empty="nothing")
    return 0
