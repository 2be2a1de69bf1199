"""How results are printed: a table for people, JSON for programs.

All output of the command line passes here: secrets are masked, and what a name could do to a terminal
(escapes, reversed text, forged lines) is written out instead.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from hdm.config.secrets import redact, redact_values
from hdm.config.visible import one_line, visible, visible_json
from hdm.errors import HdmError, ManifestError

_FORGED = re.compile(r"\n(?!  )")


def emit(
    rows: Sequence[Mapping[str, Any]], *, as_json: bool, title: str = "", empty: str = "nothing"
) -> None:
    """Print rows that share their keys, as a table or as one JSON array."""
    if as_json:
        say_json(list(rows))
        return
    if title:
        say(title)
    if not rows:
        say(empty)
        return
    headers = list(rows[0])
    cells = [[_cell(row.get(name)) for name in headers] for row in rows]
    numeric = [all(isinstance(row.get(n), int | float | None) for row in rows) for n in headers]
    widths = [max(len(h), *(len(line[i]) for line in cells)) for i, h in enumerate(headers)]
    for line in (headers, ["-" * w for w in widths], *cells):
        text = "  ".join(
            part.rjust(width) if right else part.ljust(width)
            for part, width, right in zip(line, widths, numeric, strict=True)
        )
        say(text.rstrip())


def say(text: str, *, err: bool = False) -> None:
    """Print one line, on standard error if ``err``."""
    click.echo(one_line(redact(text)), err=err)


def say_lines(text: str, *, err: bool = False) -> None:
    """Print text of several lines, none of which may hold a name that was not made one line before."""
    click.echo(visible(redact(text)), err=err)


def say_json(value: Any, *, indent: int | None = 2) -> None:
    """Print a structure as JSON; secrets are masked before it is serialised."""
    click.echo(json_text(value, indent=indent))


def json_text(value: Any, *, indent: int | None = None) -> str:
    """A structure as JSON, in one line without ``indent``; secrets masked, nothing unseen in it."""
    plain = json.loads(json.dumps(value, default=str))
    return visible_json(json.dumps(redact_values(plain), indent=indent, ensure_ascii=False))


def describe(error: HdmError) -> str:
    """The error and, on a second line, its hint.

    Lines in an error's message are hdm's own where they list several mistakes: those begin with two
    blanks, or are a manifest's, whose texts are made one line when they are noted.
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
    return " ".join(str(value).split())


def size(count: int | None) -> str:
    """Bytes for people: 1.5 MB."""
    if count is None:
        return ""
    amount, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def remark(text: str) -> None:
    """A line on standard error while bars may be on the screen: it goes above them. (``click.echo``
    would write past rich's hold on the stream, and the next frame of the bars over it.)"""
    print(one_line(redact(text)), file=sys.stderr, flush=True)


def in_a_line(error: HdmError) -> str:
    """The error with its hint, for a line of a table or among others."""
    return _cell(f"{error.message} ({error.hint})" if error.hint else error.message)


def on_terminal() -> bool:
    """Whether a person watches."""
    return sys.stderr.isatty()
