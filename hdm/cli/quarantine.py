"""The commands ``hdm quarantine``: list, show, export, replay, waive."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
from pyarrow import parquet

from hdm import api
from hdm.api import quarantine
from hdm.cli.options import json_option, manifest_options
from hdm.cli.output import emit, say
from hdm.errors import UsageError
from hdm.state.queries.set_aside import SetAside


def choice(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --table and --chunk to a command, which choose the chunks whose rows it is about."""
    for option in (
        click.option("--chunk", help="Only rows of this chunk (its id, or the beginning of it)."),
        click.option("--table", help="Only rows of this source table."),
    ):
        function = option(function)
    return function


@click.group()
def command_quarantine() -> None:
    """List, show, export, replay or waive the rows that links have set aside."""


@command_quarantine.command(name="list")
@manifest_options
@choice
@click.option("--all", "decided", is_flag=True, help="Also rows that were replayed or waived.")
@json_option
def list_(
    manifest: str, env: str, profiles: str | None, log_settings: str | None, table: str | None,
    chunk: str | None, decided: bool, as_json: bool,
) -> int:  # fmt: skip
    """List the chunks of MANIFEST with rows set aside; exits with 1 if any is open."""
    found = quarantine.listed(api.open(manifest, env, profiles), table, chunk, decided=decided)
    emit([_row(one) for one in found], as_json=as_json, empty="no rows are set aside", least=("file", "at"))
    return 1 if any(one.state == "open" for one in found) else 0


@command_quarantine.command()
@manifest_options
@choice
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Most rows to show.")
@json_option
def show(
    manifest: str, env: str, profiles: str | None, log_settings: str | None, table: str | None,
    chunk: str | None, limit: int, as_json: bool,
) -> int:  # fmt: skip
    """Show rows of MANIFEST that are set aside, with their values, rules and reasons."""
    rows: list[dict[str, Any]] = []
    for one, batch in quarantine.rows(api.open(manifest, env, profiles), table, chunk, decided=True):
        for held in batch.slice(0, limit - len(rows)).to_pylist():
            values = held.pop("row")
            rows.append(
                {"table": one.table, **held, **{f"row.{name}": _text(cell) for name, cell in values.items()}}
            )
        if len(rows) >= limit:
            break
    emit(rows, as_json=as_json, empty="no rows are set aside", least=("table", "chunk"))
    return 0


@command_quarantine.command()
@manifest_options
@choice
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False),
              help="File to make, .parquet or .jsonl; it may hold personal data.")  # fmt: skip
def export(
    manifest: str, env: str, profiles: str | None, log_settings: str | None, table: str | None,
    chunk: str | None, output: str,
) -> int:  # fmt: skip
    """Copy rows of one table of MANIFEST that are set aside into a new file that only you can read."""
    path = Path(output)
    if path.suffix not in (".parquet", ".jsonl"):
        raise UsageError(f"{output} is neither .parquet nor .jsonl", hint="name a file of one of these kinds")
    found = list(quarantine.rows(api.open(manifest, env, profiles), table, chunk, decided=True))
    if len({one.table for one, _ in found}) > 1:
        raise UsageError("rows of several tables are set aside", hint="choose one by --table")
    if not found:
        say("no rows are set aside")
        return 0
    if any(batch.schema != found[0][1].schema for _, batch in found):
        raise UsageError(
            "the rows that are set aside have different columns from chunk to chunk",
            hint="choose one chunk by --chunk: hdm quarantine list --all shows them",
        )
    rows = pa.Table.from_batches([batch for _, batch in found])
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise UsageError(f"{output} cannot be made: {error.strerror}", hint="name a new file") from None
    with os.fdopen(handle, "wb") as file:
        if path.suffix == ".parquet":
            parquet.write_table(rows, file)
        else:
            for row in rows.to_pylist():
                file.write(json.dumps(row, default=str, ensure_ascii=False).encode() + b"\n")
    say(f"{rows.num_rows} row(s) in {output}")
    return 0


@command_quarantine.command()
@manifest_options
@choice
@click.option("--by", "by", help="Who asks for it (default: the user of this process).")
@json_option
def replay(
    manifest: str, env: str, profiles: str | None, log_settings: str | None, table: str | None,
    chunk: str | None, by: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Load the rows of MANIFEST that are set aside into their targets, exactly once.

    The link's checks judge them as they are now. A chunk with a row that still breaks one, or that
    the target refuses, stays as it is, and the exit code is 1.
    """
    done = quarantine.replay(api.open(manifest, env, profiles), by or _user(), table, chunk)
    rows = [
        {"table": one.aside.table, "chunk": one.aside.chunk_id, "loaded": one.rows, "refused": one.refused}
        for one in done
    ]
    emit(rows, as_json=as_json, empty="no rows are set aside")
    return 1 if any(one.refused for one in done) else 0


@command_quarantine.command()
@manifest_options
@choice
@click.option("--by", "by", required=True, help="Who accepts that they stay out: a person's name.")
@click.option("--reason", required=True, help="Why that is accepted.")
@json_option
def waive(
    manifest: str, env: str, profiles: str | None, log_settings: str | None, table: str | None,
    chunk: str | None, by: str, reason: str, as_json: bool,
) -> int:  # fmt: skip
    """Accept that rows of MANIFEST stay out of their targets; the decision is recorded for good.

    Rows that a replay brought into the target before it was killed are recorded as replayed.
    """
    done = quarantine.waive(api.open(manifest, env, profiles), by, reason, table, chunk)
    stay = [one for one in done if one.state == "waived"]
    title = f"{sum(one.rows for one in stay)} row(s) of {len(stay)} chunk(s) waived by {by}"
    if len(stay) < len(done):
        title += f"; {len(done) - len(stay)} chunk(s) were replayed already, by the target's ledger"
    emit([_row(one) for one in done], as_json=as_json, title=title, empty="no rows are set aside")
    return 0


def _row(one: SetAside) -> dict[str, Any]:
    return {
        "table": one.table, "sink": one.sink, "chunk": one.chunk_id, "number": one.number, "rows": one.rows,
        "state": one.state, "by": one.by, "at": one.at, "reason": one.reason,
        "file": one.file.uri if one.file else None,
    }  # fmt: skip


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _text(cell: Any) -> Any:
    return cell if cell is None or isinstance(cell, int | float | str | bool) else str(cell)
