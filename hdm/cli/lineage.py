"""hdm lineage: where a table came from and went to."""

from __future__ import annotations

import click

from hdm.cli.options import json_option, manifest_options
from hdm.cli.output import emit
from hdm.cli.session import open_state_only
from hdm.errors import UsageError


@click.command()
@click.argument("table")
@manifest_options
@json_option
@click.option("--chunks", is_flag=True, help="One line for each chunk and file instead of each hop.")
@click.option("--columns", is_flag=True, help="One line for each column instead of each hop.")
def command_lineage(
    table: str,
    manifest: str,
    env: str,
    profiles: str | None,
    log_settings: str | None,
    as_json: bool,
    chunks: bool,
    columns: bool,
) -> int:
    """Show where TABLE came from and went to, as the state database of MANIFEST records it.

    TABLE is a dataset's name or the end of it: flights, main.flights, shop.public.orders.
    """
    _, state = open_state_only(manifest, env, profiles)
    with state:
        names = state.find_datasets(table)
        if not names:
            raise UsageError(
                f"no dataset named {table!r} is on record",
                hint="hdm status lists the tables of the newest run",
            )
        if chunks:
            rows = state.chunk_lineage(table)
        elif columns:
            rows = state.columns_of(table)
        else:
            rows = state.lineage(table)
        emit(rows, as_json=as_json, empty="nothing was moved yet")
    return 0
