"""Column lineage: the source columns from which a target column is made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """The source columns from which a link makes one target column, and in which way.

    ``sources`` are the columns whose values go into it; ``masked`` are those sources whose values cannot be
    recovered from it; ``conditions`` are columns that only decide which value it gets. ``how`` is
    ``identity`` (also under another name), ``transformation``, ``aggregation``, ``constant``, ``generated``
    (from no column, e.g. by ``now()``), ``filter`` (``column`` is then ``*``, and ``conditions``
    decide which rows pass), or ``unknown``.
    """

    column: str
    sources: tuple[str, ...] = ()
    how: str = "identity"
    expression: str | None = None
    masked: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
