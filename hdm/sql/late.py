"""Finds rows below the watermark that were not moved yet, and reports how the source differs.

Three facts of the last reading tell which rows are new: the ids that were missing when it ended (``gaps``),
the transactions that wrote the rows (if the database shows them), and the number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hdm.dialects.types import INTEGERS
from hdm.model import Column, Condition, Table, Window
from hdm.sql.chunking import all_of

if TYPE_CHECKING:
    from hdm.sql.chunking import Splitter

LOOKS_BACK = 100_000
"""Ids below the greatest one of a reading among which missing ids are recorded."""
GAPS = 1_000
"""Greatest number of gaps between ids that are recorded; the newest are kept."""


def numbered_by(table: Table) -> Column | None:
    """Return the key column if the key is one column of whole numbers; else None.

    A row whose number was missing at the last reading is then known to be new.
    """
    if len(table.key) != 1:
        return None
    column = table.column(table.key[0])
    return column if column.kind in INTEGERS else None


def missing_ids(splitter: Splitter, column: Column, moved: str) -> str | None:
    """Return the ranges of ids that none of the moved rows has, as the value of a condition ``in``.

    ``moved`` is the SQL predicate of the moved rows. The ranges are all ids above the greatest, and the
    newest ``GAPS`` gaps among the ``LOOKS_BACK`` ids below it. None if there is no row.
    """
    dialect, name = splitter.database.dialect, column.name
    quoted, least = dialect.quote(name), -(2 ** (INTEGERS[column.kind] - 1))
    (high,) = splitter.one(splitter.select(f"MAX({quoted})", all_of((splitter.where, moved))))
    if high is None:
        return None
    floor = max(int(high) - LOOKS_BACK, least)
    inside = splitter.where_of((Condition(name, ">", str(floor)),))
    above = [(int(high) + 1, -least - 1)] if int(high) < -least - 1 else []
    if int(splitter.one(splitter.select("COUNT(*)", all_of((inside, moved))))[0]) == int(high) - floor:
        return ",".join(_range(low, end) for low, end in above)  # none is missing
    before = f"COALESCE(LAG({quoted}) OVER (ORDER BY {quoted}), {floor})"
    inner = splitter.select(f"{quoted} AS hdm_c, {before} AS hdm_p", all_of((inside, moved)))
    found = splitter.database.run(
        splitter.connection,
        f"SELECT hdm_p, hdm_c FROM {dialect.derived(inner)} WHERE hdm_c - hdm_p > 1 "
        f"ORDER BY hdm_c DESC LIMIT {GAPS:d}",
    )
    gaps = [(int(low) + 1, int(end) - 1) for low, end in found]
    return ",".join(_range(low, end) for low, end in (*above, *gaps))


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}..{high}"


@dataclass(frozen=True, slots=True)
class Late:
    """Rows below the watermark that must still be moved: ``rows`` rows, which ``condition`` selects.

    ``added`` of them are new. ``changes`` is how many other rows below the watermark were changed; they are
    not moved.
    """

    condition: Condition | None = None
    rows: int = 0
    added: int = 0
    changes: int = 0


def find_late(splitter: Splitter, below: Sequence[Condition], held: int | None) -> Late:
    """Return the rows below the watermark that came after the last reading.

    ``below`` selects the rows below the watermark; ``held`` is how many the source has there, None if they
    were not counted.
    """
    window, database = splitter.window, splitter.database
    surplus = None if held is None or window.moved is None else held - window.moved
    gaps = _counted(splitter, below, _in_gaps(splitter))
    since = _counted(splitter, below, database.since(splitter.connection, splitter.table, window))
    if window.again:
        chosen = since if since[0] is not None else gaps
        return Late(*chosen, added=min(chosen[1], max(surplus or 0, 0))) if chosen[1] else Late()
    if window.unclear:  # a range that is read later will find its late rows itself
        return Late()
    late = _counted(splitter, below, database.late(splitter.connection, splitter.table, window))
    chosen = _new_rows(window, surplus, gaps, since, late)
    changes = max(since[1] - chosen[1], 0)
    return Late(*chosen, added=chosen[1], changes=changes) if chosen[1] else Late(changes=changes)


_Found = tuple[Condition | None, int]


def _new_rows(window: Window, surplus: int | None, gaps: _Found, since: _Found, late: _Found) -> _Found:
    """Return the rows that are certainly new, since mode append must not store a row twice."""
    if gaps[1] and (window.exact or surplus == gaps[1]):
        return gaps
    if surplus is None:
        return late
    return next((one for one in (since, late) if one[1] and one[1] == surplus), (None, 0))


def _in_gaps(splitter: Splitter) -> Condition | None:
    gaps, column = splitter.window.last.get("gaps"), numbered_by(splitter.table)
    return Condition(column.name, "in", str(gaps)) if gaps and column is not None else None


def _counted(splitter: Splitter, below: Sequence[Condition], condition: Condition | None) -> _Found:
    return (None, 0) if condition is None else (condition, splitter.count((*below, condition)))


def said_of_late(window: Window, held: int, late: Late, rose: int, name: str, *, back: bool) -> str | None:
    """Return a report on how rows below the watermark differ from those moved; None if they do not.

    ``held`` is how many rows the source has there, ``late`` those still to be moved. ``rose`` is how many
    moved rows may since have got a greater value, so that they are above the watermark now. ``name`` is the
    cursor column. ``back``: no row reaches the watermark any more. The sums are put into
    ``window.findings.kept``.
    """
    kept, drift = window.findings.kept, int(window.last.get("drift", 0))
    kept["changes"] = changes = int(window.last.get("changes", 0)) + late.changes
    parts = []
    if window.moved is None:
        missing = 0
    else:
        missing = window.moved + late.added - held
        if 0 < missing <= rose:
            missing = 0
        elif missing > 0:
            missing -= rose
    kept["drift"] = drift = drift + missing
    if window.last.get("some_moved") or (window.unclear and missing < 0):
        kept["some_moved"] = True
    if back:
        parts.append(f"its greatest {name} is below the watermark: the source went backwards")
    if drift > 0:
        parts.append(f"{'at least ' if rose else ''}{drift:,} are gone")
    if drift < 0:
        most = "up to " if kept.get("some_moved") else ""
        parts.append(f"{most}{-drift:,} came below the watermark and were not moved")
    if changes:
        parts.append(f"{changes:,} changes below the watermark were not moved: mode append")
    if not parts:
        return None
    moved = held + drift
    return f"the source holds {held:,} rows below the watermark, {moved:,} were moved: {'; '.join(parts)}"
