"""How results are printed: a table for people, JSON for programs; secrets masked in both."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from hdm.config.secrets import redact
from hdm.errors import HdmError


def emit(
    rows: Sequence[Mapping[str, Any]], *, as_json: bool, title: str = "", empty: str = "nothing"
) -> None:
    """Print rows that share their keys, as a table or as one JSON array."""
    if as_json:
        click.echo(redact(json.dumps(list(rows), indent=2, default=str, ensure_ascii=False)))
        return
    if title:
        click.echo(title)
    if not rows:
        click.echo(empty)
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
        click.echo(redact(text.rstrip()))


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
    print(redact(text), file=sys.stderr, flush=True)


def in_a_line(error: HdmError) -> str:
    """The error with its hint, for a line of a table or among others."""
    return _cell(f"{error.message} ({error.hint})" if error.hint else error.message)


def on_terminal() -> bool:
    """Whether a person watches."""
    return sys.stderr.isatty()
