"""Makes one HTML page with charts of an assessment; the page loads nothing from elsewhere."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Sequence

from hdm.catalog.assess import Assessment, Risk

_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that neither HTML nor XML may hold: https://www.w3.org/TR/xml/#charsets."""
_COLOURS = {"converted": "#2e7d32", "approximated": "#f9a825", "manual": "#c62828"}
_INVENTORY = ("table", "rows", "bytes", "columns", "foreign_keys", "indexes", "wave", "seconds")
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#222}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
td,th{border-bottom:1px solid #ddd;padding:.25rem .5rem;text-align:left;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.tiles{display:flex;flex-wrap:wrap;gap:1rem}
.tile{background:#f4f6f8;border-radius:.5rem;padding:.75rem 1.25rem}.tile b{display:block;font-size:1.4rem}
.grave{color:#c62828;font-weight:600}svg text{font:12px system-ui,sans-serif}
@media(prefers-color-scheme:dark){body{background:#15181c;color:#dde}.tile{background:#22272e}
td,th{border-color:#3a4048}svg text{fill:#dde}}
"""


def to_html(made: Assessment, shown: int = 200) -> str:
    """Return an assessment as an HTML page; lists show ``shown`` entries and how many more there are."""
    parts = [
        f"<h1>{escape(made.source)} to {escape(made.target)}</h1>",
        _tiles(made),
        "<h2>What becomes of every object</h2>",
        _bar(made.counts),
        _table(
            ("kind", "converted", "approximated", "manual"),
            [(kind, *(counts[name] for name in _COLOURS)) for kind, counts in made.by_kind.items()],
        ),
        "<h2>The largest tables</h2>",
        _largest(made),
        "<h2>Waves</h2><p>Each table refers only to tables of earlier waves.</p>",
        _waves(made.waves),
        "<h2>Types at risk</h2>",
        _limited(
            ("column", "type", "becomes", "why"),
            [(r.column, r.native, r.becomes, _why(r)) for r in made.risks],
            shown,
        ),
        "<h2>Gaps by effort</h2>",
        _limited(
            ("kind", "fate", "reason", "objects", "minutes"),
            [(e["kind"], e["fate"], e["reason"], e["objects"], e["minutes"]) for e in made.effort],
            shown,
        ),
        "<h2>Inventory</h2>",
        _limited(
            ("table", "rows", "bytes", "columns", "foreign keys", "indexes", "wave", "seconds"),
            [tuple(t[name] for name in _INVENTORY) for t in made.tables],
            shown,
        ),
    ]  # fmt: skip
    title = f"{escape(made.source)} to {escape(made.target)}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"/><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"/><style>{_STYLE}</style></head>'
        f"<body>{''.join(parts)}</body></html>\n"
    )


def escape(text: str) -> str:
    """Return text escaped for HTML content and attributes; characters that HTML forbids become U+FFFD."""
    return html.escape(_UNPRINTABLE.sub("\ufffd", text))


def _why(risk: Risk) -> str:
    return f"values may change: {risk.why}" if risk.grave else risk.why


def duration(seconds: float) -> str:
    """Return a duration as a short text for people: 90 s, 12 min, 3.5 h, 2.1 d."""
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 86400:.3g} d"


def _tiles(made: Assessment) -> str:
    source = made.measured or "assumed"
    tiles = [
        (f"{len(made.tables):,}", "tables"),
        (f"{made.rows:,}", "rows, by estimate"),
        (_size(made.bytes), "by estimate") if made.sized else ("unknown", "size: the catalogue has none"),
        (str(len(made.waves)), "waves"),
        (duration(made.seconds), f"to move at {made.rate:,.0f} rows/s ({source})"),
        (duration(made.minutes_of_work * 60), "of work for the gaps, by rule of thumb"),
    ]
    inner = "".join(f'<div class="tile"><b>{escape(big)}</b>{escape(small)}</div>' for big, small in tiles)
    return f'<div class="tiles">{inner}</div>'


def _bar(counts: dict[str, int]) -> str:
    total, x, parts = sum(counts.values()) or 1, 0.0, []
    for name, colour in _COLOURS.items():
        width = 900 * counts.get(name, 0) / total
        title = f"<title>{counts.get(name, 0)} {name}</title>"
        parts.append(
            f'<rect x="{x:.1f}" y="0" width="{width:.1f}" height="22" fill="{colour}">{title}</rect>'
        )
        x += width
    legend = ", ".join(f"{counts.get(name, 0):,} {name}" for name in _COLOURS)
    return (
        f'<svg viewBox="0 0 900 44" role="img" aria-label="{escape(legend)}">{"".join(parts)}'
        f'<text x="0" y="38" fill="currentColor">{escape(legend)}</text></svg>'
    )


def _largest(made: Assessment) -> str:
    """Draw the largest tables by bytes, or all by rows if the catalogue knows no bytes."""
    if made.sized:
        return _bars([(one["table"], one["bytes"] or 0) for one in made.tables[:15]], _size)
    return _bars([(one["table"], one["rows"] or 0) for one in made.tables[:15]], lambda n: f"{n:,} rows")


def _bars(rows: Sequence[tuple[str, int]], shown: Callable[[int], str]) -> str:
    if not rows:
        return "<p>none</p>"
    most, parts = max(size for _, size in rows) or 1, []
    for number, (name, size) in enumerate(rows):
        y, width = number * 22, max(1.0, 560 * size / most)
        parts.append(f'<rect x="240" y="{y}" width="{width:.1f}" height="16" fill="#1565c0"/>')
        label = name if len(name) < 36 else name[:34] + "..."
        parts.append(
            f'<text x="234" y="{y + 13}" text-anchor="end" fill="currentColor">{escape(label)}</text>'
        )
        parts.append(f'<text x="{244 + width:.1f}" y="{y + 13}" fill="currentColor">{shown(size)}</text>')
    height = len(rows) * 22
    return f'<svg viewBox="0 0 900 {height}" role="img" aria-label="largest tables">{"".join(parts)}</svg>'


def _waves(waves: Sequence[Sequence[str]]) -> str:
    rows = []
    for number, names in enumerate(waves, 1):
        some = ", ".join(names[:40]) + (f" and {len(names) - 40} more" if len(names) > 40 else "")
        rows.append((number, len(names), some))
    return _table(("wave", "tables", "names"), rows)


def _limited(headers: Sequence[str], rows: Sequence[Sequence[object]], shown: int) -> str:
    made = _table(headers, rows[:shown])
    return made + (f"<p>{len(rows) - shown:,} more in the JSON.</p>" if len(rows) > shown else "")


def _table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    body = list(rows)
    if not body:
        return "<p>none</p>"
    numeric = [any(isinstance(cell, int | float) for cell in column) for column in zip(*body, strict=True)]
    lines = [_line(headers, "th", headers, numeric), *(_line(row, "td", headers, numeric) for row in body)]
    return f"<table>{''.join(lines)}</table>"


def _line(cells: Sequence[object], tag: str, headers: Sequence[str], numeric: Sequence[bool]) -> str:
    made = []
    for cell, header, right in zip(cells, headers, numeric, strict=True):
        number = isinstance(cell, int | float)
        text = _size(cell) if number and header == "bytes" else f"{cell:,}" if number else str(cell or "")
        aligned = ' class="n"' if right else ""
        made.append(f"<{tag}{aligned}>{escape(text)}</{tag}>")
    return f"<tr>{''.join(made)}</tr>"


def _size(count: object) -> str:
    amount, unit = float(str(count or 0)), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:.3g} {unit}"
