"""Finds rows that lie below the watermark and were not moved, and says where the source differs.

Three witnesses: the ids that were missing when the last reading ended (``gaps``), the transactions that
wrote a row (where the database shows them), and the number of rows that were there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hdm.dialects.types import INTEGERS
from hdm.model import Column, Condition, Table, Window

if TYPE_CHECKING:
    from hdm.sql_split import Splitter

LOOKS_BACK = 1_000_000
"""How far below the end of a reading missing ids are noted."""
GAPS = 1_000
"""How many gaps between ids are noted, the newest first."""


def is_alone(table: Table, column: Column) -> bool:
    """Whether the column is the whole key and a whole number: then an id that was missing is a new row."""
    return table.key == (column.name,) and column.kind in INTEGERS


def gaps_below(splitter: Splitter, column: Column, high: str) -> str:
    """The ids that are missing below ``high``, as ``within`` takes them; the newest ``GAPS`` of them."""
    dialect, name, floor = splitter.database.dialect, column.name, int(high) - LOOKS_BACK
    quoted = dialect.quote(name)
    inside = (Condition(name, ">", str(floor)), Condition(name, "<=", high))
    before = f"COALESCE(LAG({quoted}) OVER (ORDER BY {quoted}), {floor})"
    inner = splitter.select(f"{quoted} AS hdm_c, {before} AS hdm_p", splitter.where_of(inside))
    found = splitter.database.run(
        splitter.connection,
        f"SELECT hdm_p, hdm_c FROM {dialect.derived(inner)} WHERE hdm_c - hdm_p > 1 "
        f"ORDER BY hdm_c DESC LIMIT {GAPS:d}",
    )
    return ",".join(_range(int(low) + 1, int(end) - 1) for low, end in found)


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}..{high}"


@dataclass(frozen=True, slots=True)
class Late:
    """Rows below the watermark that are to be moved: ``condition`` names them. ``added`` of them were
    not there before. ``changes`` were made below it and are not moved."""

    condition: Condition | None = None
    rows: int = 0
    added: int = 0
    changes: int = 0


def find_late(splitter: Splitter, column: Column, below: Sequence[Condition], held: int | None) -> Late:
    """What of the rows ``below`` the watermark came since the last reading. ``held``: how many there are."""
    window, database = splitter.window, splitter.database
    surplus = None if held is None or window.moved is None else held - window.moved
    gaps = _counted(splitter, below, _in_gaps(window, column))
    since = _counted(splitter, below, database.since(splitter.connection, splitter.table, window))
    if window.again:
        chosen = since if since[0] is not None else gaps
        return Late(*chosen, added=min(chosen[1], max(surplus or 0, 0))) if chosen[1] else Late()
    late = _counted(splitter, below, database.late(splitter.connection, splitter.table, window))
    chosen = _new_rows(window, surplus, gaps, since, late)
    changes = max(since[1] - chosen[1], 0)
    return Late(*chosen, added=chosen[1], changes=changes) if chosen[1] else Late(changes=changes)


_Found = tuple[Condition | None, int]


def _new_rows(window: Window, surplus: int | None, gaps: _Found, since: _Found, late: _Found) -> _Found:
    """In mode append a row that is there must not come again: those that are new beyond doubt."""
    if gaps[1] and (window.exact or surplus == gaps[1]):
        return gaps
    if surplus is None:
        return late
    return next((one for one in (since, late) if one[1] and one[1] == surplus), (None, 0))


def _in_gaps(window: Window, column: Column) -> Condition | None:
    gaps = window.last.get("gaps")
    return Condition(column.name, "in", str(gaps)) if gaps else None


def _counted(splitter: Splitter, below: Sequence[Condition], condition: Condition | None) -> _Found:
    return (None, 0) if condition is None else (condition, splitter.count((*below, condition)))


def said_of_late(window: Window, held: int, late: Late, rose: int, name: str, *, back: bool) -> str | None:
    """What is to be said of ``held`` rows below the watermark; None if they are those that were moved.

    ``rose``: how many of them may since have got a greater value, and are read again for it.
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
    if back:
        parts.append(f"its greatest {name} is below the watermark: the source went backwards")
    if drift > 0:
        parts.append(f"{'at least ' if rose else ''}{drift:,} are gone")
    if drift < 0:
        parts.append(f"{-drift:,} came below the watermark and were not moved")
    if changes:
        parts.append(f"{changes:,} changes below the watermark were not moved: mode append")
    if not parts:
        return None
    moved = held + drift
    return f"the source holds {held:,} rows below the watermark, {moved:,} were moved: {'; '.join(parts)}"
