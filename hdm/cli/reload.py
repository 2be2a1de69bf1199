"""The command ``hdm reload``: plans a part of a table to be read again by the next run."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import click

from hdm.api.selecting import is_named
from hdm.cli.options import json_option, manifest_options
from hdm.cli.output import emit
from hdm.errors import UsageError
from hdm.model import Chunk
from hdm.project import open_state_only


@click.command()
@click.argument("table")
@manifest_options
@click.option(
    "--range", "between", help="FIRST:LAST of the column that chunks are cut by; either may be left out."
)
@click.option("--chunk", help="Only this chunk (its id, or the beginning of it).")
@json_option
def command_reload(
    table: str,
    manifest: str,
    env: str,
    profiles: str | None,
    log_settings: str | None,
    between: str | None,
    chunk: str | None,
    as_json: bool,
) -> int:
    """Plan chunks of TABLE to be read from the source again; the next run reads and merges them.

    Whole chunks are read: those that overlap the range. Rows that are in the target already must be
    merged there: mode append is refused, and mode replace reads all anyway.
    """
    if (between is None) == (chunk is None):
        raise UsageError(
            "say which part: --range or --chunk", hint="hdm run --full-refresh TABLE reads the whole table"
        )
    plan, state = open_state_only(manifest, env, profiles)
    if state is None:
        raise UsageError("nothing was run yet", hint=f"run it: hdm run {manifest} -e {env}")
    with state:
        rows = state.reports.root_chunks(plan.manifest_name, plan.env)
        mine = [row for row in rows if is_named(str(row["table"]), table)]
        if not mine:
            known = ", ".join(sorted({str(row["table"]) for row in rows})[:8]) or "none"
            raise UsageError(f"no table {table!r} was read", hint=f"tables: {known}")
        if chunk is not None:
            chosen = [row for row in mine if str(row["chunk_id"]).startswith(chunk)]
        else:
            low, high = _bounds(between or "")
            chosen = [row for row in mine if _overlaps(row["chunk"], low, high)]
        if not chosen:
            raise UsageError(
                f"no chunk of {table} is there {'by that id' if chunk else 'in that range'}",
                hint="hdm lineage TABLE lists the chunks",
            )
        made = state.gaps.read_again([str(row["chunk_id"]) for row in chosen])
        shown = [
            {"table": row["table"], "chunk": one, "rows": row["rows"]}
            for row, one in zip(sorted(chosen, key=lambda row: str(row["chunk_id"])), made, strict=True)
        ]
        emit(shown, as_json=as_json, title=f"{len(made)} chunk(s) will be read again by the next run")
    return 0


def _bounds(between: str) -> tuple[str | None, str | None]:
    low, colon, high = between.partition(":")
    if between.count(":") > 1:  # times of day have colons too: cut at the middle one
        parts = between.split(":")
        half = len(parts) // 2
        low, colon, high = ":".join(parts[:half]), ":", ":".join(parts[half:])
        if len(parts) % 2:
            raise UsageError(f"--range {between!r} cannot be cut in two", hint="write both ends in one form")
    if not colon:
        raise UsageError(f"--range {between!r} has no ':'", hint="write FIRST:LAST, for instance 100:200")
    return low or None, high or None


def _overlaps(chunk: Chunk, low: str | None, high: str | None) -> bool:
    """Whether the chunk may hold values from ``low`` to ``high``, both included."""
    if len({one.column for one in chunk.conditions}) != 1 or any(
        one.op not in (">", ">=", "<", "<=", "=") for one in chunk.conditions
    ):
        return not chunk.conditions
    for one in chunk.conditions:
        edge = _sort(one.value or "")
        if high is not None and (
            (one.op in (">", ">=", "=") and edge > _sort(high)) or (one.op == ">" and edge == _sort(high))
        ):
            return False
        if low is not None and (
            (one.op in ("<", "<=", "=") and edge < _sort(low)) or (one.op == "<" and edge == _sort(low))
        ):
            return False
    return True


def _sort(value: str) -> tuple[int, Any]:
    """Return a sort key: numbers by their value, then texts; dates and times are ISO texts."""
    try:
        return (0, Decimal(value))
    except InvalidOperation:
        return (1, value.replace("T", " "))
