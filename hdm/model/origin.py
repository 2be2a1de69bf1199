"""Column lineage as a value: what one column is made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one column of what a link writes comes from.

    ``sources`` are the columns whose values go into it, ``masked`` those of them whose values cannot be
    read from it, ``conditions`` columns that only decide what it is. ``how``: ``identity`` (also under
    another name), ``transformation``, ``aggregation``, ``constant``, ``generated`` (of no column, e.g.
    ``now()``), ``filter`` (``column`` is ``*``: which rows are left), or ``unknown``.
    """

    column: str
    sources: tuple[str, ...] = ()
    how: str = "identity"
    expression: str | None = None
    masked: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
