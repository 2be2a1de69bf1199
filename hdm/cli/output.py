"""Prints results: a table for people, JSON for programs.

The whole output of the command line passes through this module: secrets are masked, and characters of a name
that could control a terminal (escapes, reversed text, line ends) are written out instead.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import click

from hdm.config.secrets import redact, redact_values
from hdm.config.visible import one_line, visible, visible_json
from hdm.errors import HdmError, ManifestError

_FORGED = re.compile(r"\n(?!  )")
_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")


def emit(
    rows: Sequence[Mapping[str, Any]],
    *,
    as_json: bool,
    title: str = "",
    empty: str = "nothing",
    least: Sequence[str] = (),
) -> None:
    """Print rows with the same keys, as a table or as one JSON array.

    ``title`` is a line above the table; ``empty`` is printed instead if there are no rows. A table shows
    twelve digits of an id, and omits columns without a value. If it is wider than the terminal, the columns
    in ``least`` are omitted, the first one first; columns that are still too wide are folded.
    """
    if as_json:
        say_json(list(rows))
        return
    if title:
        say(title)
    if not rows:
        say(empty)
        return
    cells = {name: [_cell(row.get(name)) for row in rows] for name in rows[0]}
    cells = {name: column for name, column in cells.items() if any(column)} or cells
    left, width = [], screen_width()
    for name in least:
        if width is None or _table_width(cells) <= width or len(cells) == 1:
            break
        if cells.pop(name, None) is not None:
            left.append(name)
    right = {n for n in cells if all(isinstance(row.get(n), int | float | None) for row in rows)}
    if width is None or _table_width(cells) <= width:
        _print_table(cells, right)
    else:
        _print_folded(cells, right, width)
    if left:
        say(f"(not shown for want of room: {', '.join(left)}; --json shows all)")


def screen_width() -> int | None:
    """Return the number of characters in a line of the terminal, or $COLUMNS.

    None if standard output is no terminal and $COLUMNS is not set.
    """
    if not os.environ.get("COLUMNS", "").isdecimal() and not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def _table_width(cells: Mapping[str, Sequence[str]]) -> int:
    return sum(max(len(name), *map(len, column)) + 2 for name, column in cells.items()) - 2


def _print_table(cells: Mapping[str, Sequence[str]], right: Collection[str]) -> None:
    widths = {name: max(len(name), *map(len, column)) for name, column in cells.items()}
    lines = [list(cells), ["-" * width for width in widths.values()], *zip(*cells.values(), strict=True)]
    for line in lines:
        parts = [
            part.rjust(width) if name in right else part.ljust(width)
            for part, (name, width) in zip(line, widths.items(), strict=True)
        ]
        say("  ".join(parts).rstrip())


def _print_folded(cells: Mapping[str, Sequence[str]], right: Collection[str], width: int) -> None:
    from io import StringIO

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for name in cells:
        table.add_column(
            name, justify="right" if name in right else "left", overflow="fold", no_wrap=name in right
        )
    for line in zip(*cells.values(), strict=True):
        table.add_row(*(Text(one_line(redact(part))) for part in line))
    drawn = StringIO()
    Console(file=drawn, width=width, color_system=None, highlight=False, legacy_windows=False).print(table)
    for text in drawn.getvalue().splitlines():
        say(text.rstrip())


def say(text: str, *, err: bool = False) -> None:
    """Print a text as one line, without secrets and with escapes made visible.

    ``err``: on standard error.
    """
    click.echo(one_line(redact(text)), err=err)


def tell(note: str) -> None:
    """Print a line of which the user must know on standard error, without secrets."""
    say(f"hdm: {note}", err=True)


def say_lines(text: str, *, err: bool = False) -> None:
    """Print a text of several lines.

    ``one_line`` must have been applied to each name in the text.
    """
    click.echo(visible(redact(text)), err=err)


def say_row(text: str) -> None:
    """Print a line of rows that a user asked for, without masking, which would falsify the values.

    Only on a terminal, characters that could control it are written as escapes.
    """
    click.echo(visible(text) if sys.stdout.isatty() else text)


def say_json(value: Any, *, indent: int | None = 2) -> None:
    """Print a value as JSON; secrets are masked before it is serialised."""
    click.echo(json_text(value, indent=indent))


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Return a value as JSON text, in one line if ``indent`` is None.

    Secrets are masked, and invisible characters are escaped. NaN and infinities, which JSON lacks, are texts:
    ``NaN``, ``Infinity`` and ``-Infinity``: https://www.rfc-editor.org/rfc/rfc8259#section-6
    """
    plain = json.loads(json.dumps(value, default=str), parse_constant=str)
    return visible_json(json.dumps(redact_values(plain), indent=indent, ensure_ascii=False))


def describe(error: HdmError) -> str:
    """Return an error's message and, on a second line, the hint if there is one.

    Line ends in a message are escaped, because a name in it may contain one. Two cases are left alone: lines
    that begin with two blanks list several mistakes, and the texts in a ``ManifestError`` were each made one
    line when the error was created.
    """
    listed = isinstance(error, ManifestError)
    message = visible(error.message) if listed else _FORGED.sub("\\\\n", visible(error.message))
    return f"{message}\n  hint: {one_line(error.hint)}" if error.hint else message


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    text = " ".join(str(value).split())
    return text[:12] if _ID.fullmatch(text) else text


def size(count: int | None) -> str:
    """Return a number of bytes as a short text, such as 1.5 MB; empty for None."""
    if count is None:
        return ""
    amount, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def spell_waiver(gap: Mapping[str, Any]) -> str:
    """Return one line about a chunk whose missing rows a person accepted."""
    chunk = f"chunk {gap['chunk_id'][:12]} of {gap['table']} -> {gap['sink']}"
    return f"{chunk}, by {gap['by']} at {gap['at']}: {gap['reason']}"


def remark(text: str) -> None:
    """Print a line on standard error, above any progress bars.

    It uses ``print``, since ``click.echo`` bypasses rich's redirection of the stream and the next redraw of
    the bars would overwrite the line.
    """
    print(one_line(redact(text)), file=sys.stderr, flush=True)


def in_a_line(error: HdmError) -> str:
    """Return an error's message with its hint, as one line."""
    return _cell(error.in_one_line)


def on_terminal() -> bool:
    """Whether standard error is a terminal, so that a person can see progress bars."""
    return sys.stderr.isatty()
