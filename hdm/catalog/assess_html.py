"""Makes one HTML page with charts of an assessment; the page loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hdm.catalog.assess import Assessment, Risk
from hdm.catalog.pages import render

_COLOURS = {"converted": "#2e7d32", "approximated": "#f9a825", "manual": "#c62828"}
_INVENTORY = ("table", "rows", "bytes", "columns", "foreign_keys", "indexes", "wave", "seconds")


def to_html(made: Assessment, shown: int = 200) -> str:
    """Return the HTML page of an assessment.

    Long lists show their first ``shown`` entries and say how many there are. Raises ``MissingDriver`` if
    Jinja2 is not installed.
    """
    return render(
        "assessment.html",
        title=f"{made.source} to {made.target}",
        tiles=_tiles(made),
        fates=_bar(made.counts),
        legend=", ".join(f"{made.counts.get(name, 0):,} {name}" for name in _COLOURS),
        largest=_largest(made),
        by_kind=_table(
            ("kind", *_COLOURS),
            [(kind, *(counts[name] for name in _COLOURS)) for kind, counts in made.by_kind.items()],
        ),
        waves=_table(
            ("wave", "tables", "names"),
            [(number, len(names), _some(names)) for number, names in enumerate(made.waves, 1)],
        ),
        risks=_table(
            ("column", "type", "becomes", "why"),
            [(risk.column, risk.native, risk.becomes, _why(risk)) for risk in made.risks],
            shown,
        ),
        effort=_table(
            ("kind", "fate", "reason", "objects", "minutes"),
            [(e["kind"], e["fate"], e["reason"], e["objects"], e["minutes"]) for e in made.effort],
            shown,
        ),
        inventory=_table(
            tuple(name.replace("_", " ") for name in _INVENTORY),
            [tuple(one[name] for name in _INVENTORY) for one in made.tables],
            shown,
        ),
    )


def duration(seconds: float) -> str:
    """Return a duration as a short text for people: 90 s, 12 min, 3.5 h, 2.1 d."""
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 86400:.3g} d"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a page.

    It has the texts of its rows, the numbers of the columns that are aligned to the ``right``, and how many
    rows are left out.
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Sequence[bool]
    more: str


def _table(headers: Sequence[str], rows: Sequence[Sequence[object]], shown: int | None = None) -> Table:
    kept = rows[:shown]
    right = [any(isinstance(cell, int | float) for cell in column) for column in zip(*kept, strict=True)]
    text = [[_cell(cell, header) for cell, header in zip(row, headers, strict=True)] for row in kept]
    left = len(rows) - len(kept)
    return Table(headers, text, right, f"{left:,}" if left else "")


def _cell(cell: object, header: str) -> str:
    if not isinstance(cell, int | float):
        return str(cell or "")
    return _size(cell) if header == "bytes" else f"{cell:,}"


def _why(risk: Risk) -> str:
    return f"values may change: {risk.why}" if risk.grave else risk.why


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:40]) + (f" and {len(names) - 40} more" if len(names) > 40 else "")


def _tiles(made: Assessment) -> list[tuple[str, str]]:
    source = made.measured or "assumed"
    return [
        (f"{len(made.tables):,}", "tables"),
        (f"{made.rows:,}", "rows, by estimate"),
        (_size(made.bytes), "by estimate") if made.sized else ("unknown", "size: the catalogue has none"),
        (str(len(made.waves)), "waves"),
        (duration(made.seconds), f"to move at {made.rate:,.0f} rows/s ({source})"),
        (duration(made.minutes_of_work * 60), "of work for the gaps, by rule of thumb"),
    ]


def _bar(counts: dict[str, int]) -> list[dict[str, str]]:
    """Return the parts of one bar of 900 units."""
    total, x, parts = sum(counts.values()) or 1, 0.0, []
    for name, colour in _COLOURS.items():
        number = counts.get(name, 0)
        width = 900 * number / total
        parts.append(
            {"x": f"{x:.1f}", "width": f"{width:.1f}", "colour": colour, "title": f"{number} {name}"}
        )
        x += width
    return parts


def _largest(made: Assessment) -> list[dict[str, Any]]:
    """Return bars of the largest tables by bytes, or of all by rows if the catalogue knows no bytes."""
    if made.sized:
        return _bars([(one["table"], one["bytes"] or 0) for one in made.tables[:15]], _size)
    return _bars([(one["table"], one["rows"] or 0) for one in made.tables[:15]], lambda n: f"{n:,} rows")


def _bars(rows: Sequence[tuple[str, int]], shown: Callable[[int], str]) -> list[dict[str, Any]]:
    most = max((size for _, size in rows), default=0) or 1
    return [
        {
            "name": name if len(name) < 36 else name[:34] + "...",
            "width": max(1.0, 560 * size / most),
            "size": shown(size),
        }
        for name, size in rows
    ]


def _size(count: object) -> str:
    amount, unit = float(str(count or 0)), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:.3g} {unit}"
