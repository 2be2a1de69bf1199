"""Defines the result of a comparison: equal or not, what was looked at, and every difference that was found.

Values of rows stand only in ``RowDifference`` and ``ColumnFacts``, for the caller's screen or file. hdm
itself neither logs nor records them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

UNSTEADY = "rows changed while they were read: the first reading differs, the second does not"


class Level(StrEnum):
    """How closely two tables are compared; each level but ``none`` compares the columns' names, too."""

    NONE = "none"
    COUNTS = "counts"
    """Number of rows."""
    COLUMNS = "columns"
    """Also, for each column: NULLs, least, greatest and sum, and how many values are distinct."""
    ROWS = "rows"
    """Every value of every row."""


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """What the level ``columns`` knows of one column on one side.

    ``distinct`` is exact up to 1,024 values, and beyond that an estimate that is the same for the same
    values. Other values differ in it though there are as many.
    """

    nulls: int
    least: Any = field(default=None, repr=False)
    greatest: Any = field(default=None, repr=False)
    total: Any = field(default=None, repr=False)
    distinct: int = 0


@dataclass(frozen=True, slots=True)
class ColumnDifference:
    """A column whose facts differ, with the names of the facts."""

    column: str
    facts: tuple[str, ...]
    a: ColumnFacts
    b: ColumnFacts


@dataclass(frozen=True, slots=True)
class RowDifference:
    """One row that differs.

    ``kind``: ``missing`` (only the first side has it), ``extra`` (only the second) or ``changed``. ``key`` is
    the key's value, empty without a key. ``columns`` names the columns that differ in a changed row, each
    with the likely cause. ``times`` says how often each side has the row.
    """

    kind: str
    key: Mapping[str, Any] = field(repr=False)
    a: Mapping[str, Any] | None = field(repr=False)
    b: Mapping[str, Any] | None = field(repr=False)
    columns: Mapping[str, str] = field(default_factory=dict)
    times: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What comparing two tables found.

    ``rows_a`` and ``rows_b`` are the numbers of rows. ``missing``, ``extra`` and ``changed`` count rows, at
    the level ``rows``; ``within`` counts changed rows that an accepted tolerance covers. ``shown`` has the
    first of these rows. ``causes`` counts (column, likely cause) over the changed rows in ``shown``.
    """

    a: str
    b: str
    level: Level
    key: tuple[str, ...] = ()
    rows_a: int = 0
    rows_b: int = 0
    schema: tuple[str, ...] = ()
    """Columns that only one side has."""
    notes: tuple[str, ...] = ()
    """What was not compared, or accepted, and types that differ."""
    columns: tuple[ColumnDifference, ...] = ()
    missing: int = 0
    extra: int = 0
    changed: int = 0
    within: int = 0
    unsteady: bool = False
    """Whether the first reading found a difference that the second did not: rows changed in between."""
    shown: tuple[RowDifference, ...] = ()
    causes: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        """Whether nothing that was looked at differs."""
        wrong = self.schema or self.columns or self.missing or self.extra or self.changed or self.unsteady
        return not wrong and self.rows_a == self.rows_b

    @property
    def exit_code(self) -> int:
        """0 if nothing differs, else 1."""
        return 0 if self.equal else 1
