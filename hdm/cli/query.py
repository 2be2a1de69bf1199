"""The command ``hdm query``: sends SQL to a connection, and prints the rows for people or for programs."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import chain, islice
from typing import Any

import click

from hdm.api.asking import query as ask
from hdm.cli import logs
from hdm.cli.ends import given, place_options
from hdm.cli.options import LogLevel
from hdm.cli.output import say, say_row, tell
from hdm.config.visible import one_line, visible_json
from hdm.errors import UsageError

SHOWN = 1000
"""Rows by which the widths of an aligned table are found; wider values later make their lines longer."""


@click.command()
@click.argument("connection")
@click.argument("sql", nargs=-1, required=True)
@place_options()
@click.option("--format", "form", type=click.Choice(["table", "csv", "tsv", "jsonl"]),
              help="Default: table on a terminal, csv elsewhere.")  # fmt: skip
@click.option("-x/-X", "--header/--no-header", "--print-header/--no-print-header", "header", default=True,
              show_default=True, help="Print the names of the columns first (csv and tsv).")  # fmt: skip
@click.option("-n", "--limit", type=click.IntRange(min=0), help="Print at most so many rows.")
@click.option("-d", "--dry-run", is_flag=True, help="Print what would be sent, and send nothing.")
@click.option("--write", is_flag=True, help="Let the statement change something, and commit it.")
@click.option("-l", "--log-level", type=LogLevel(), default="error", show_default=True)
def command_query(
    connection: str, sql: tuple[str, ...], env: str, profiles: str | None, form: str | None, header: bool,
    limit: int | None, dry_run: bool, write: bool, log_level: str,
) -> int:  # fmt: skip
    """Send SQL to CONNECTION, and print its rows: one line for each row, so that grep finds them.

    \b
    hdm query sqlite:shop.db "SELECT id, customer FROM orders" --format csv

    Without --write, it must be one SELECT that calls nothing which acts, in a transaction that only reads.
    Rows are shown as they are: neither kept nor logged.
    """
    logs.set_up("text", None, log_level)
    text = " ".join(sql)
    if dry_run:
        say(text)
        return 0
    end, words = given(connection, "SOURCE"), {"env": env, "profiles": profiles}
    with ask(end, text, write=write, notes=tell, **words) as answer:
        if answer.changed is not None:
            count = f"{answer.changed:,} rows changed" if answer.changed >= 0 else "done"
            say(count, err=True)
            return 0
        chosen = form or ("table" if sys.stdout.isatty() else "csv")
        rows = islice(answer.rows, limit)
        for line in _FORMS[chosen](answer.columns, rows, header):
            say_row(line)
    return 0


def _table(names: Sequence[str], rows: Iterator[Sequence[Any]], header: bool) -> Iterator[str]:
    first = [[one_line(_text(value)) for value in row] for row in islice(rows, SHOWN)]
    titles = [one_line(name) for name in names]
    widths = [max(map(len, column)) for column in zip(titles, *first, strict=True)]
    yield from (_line(cells, widths) for cells in (titles, ["-" * width for width in widths]))
    later = ([one_line(_text(value)) for value in row] for row in rows)
    yield from (_line(cells, widths) for cells in chain(first, later))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _csv(names: Sequence[str], rows: Iterator[Sequence[Any]], header: bool) -> Iterator[str]:
    """Yield CSV: https://www.rfc-editor.org/rfc/rfc4180.

    NULL is empty, an empty text is quoted.
    """
    yield from (_joined(row) for row in chain([names] if header else [], rows))


def _joined(row: Sequence[Any]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="", quoting=csv.QUOTE_MINIMAL)
    cells = []
    for value in row:
        out.seek(0)
        out.truncate()
        if value == "" and isinstance(value, str):
            cells.append('""')
            continue
        writer.writerow([_text(value), ""])
        cells.append(out.getvalue()[:-1])
    return ",".join(cells)


def _tsv(names: Sequence[str], rows: Iterator[Sequence[Any]], header: bool) -> Iterator[str]:
    """Yield lines with tabs between the values; tabs and line ends in a value are written as escapes."""
    for row in chain([names] if header else [], rows):
        yield "\t".join(one_line(_text(value)) for value in row)


def _jsonl(names: Sequence[str], rows: Iterator[Sequence[Any]], header: bool) -> Iterator[str]:
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise UsageError(
            f"two columns of the result are called {', '.join(twice)}",
            hint="name them in the query: ... AS x",
        )
    for row in rows:
        body = {name: _json(value) for name, value in zip(names, row, strict=True)}
        yield visible_json(json.dumps(body, ensure_ascii=False))


_FORMS = {"table": _table, "csv": _csv, "tsv": _tsv, "jsonl": _jsonl}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat(" ") if isinstance(value, datetime) else str(value)


def _json(value: Any) -> Any:
    """Return the value as JSON can hold it exactly; decimals are texts, since readers of JSON round."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_json(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _json(one) for key, one in value.items()}
    return _text(value) if isinstance(value, Decimal | date | time | bytes) else str(value)
