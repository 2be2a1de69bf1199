"""Summary of the chunks and rows that a target has recorded for one job."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Holding:
    """Counts of the chunks and rows that a target's own ledger shows for one job.

    ``chunks`` is the number of recorded chunks, ``least`` and ``greatest`` are their smallest and largest
    chunk id, ``rows`` is the number of rows that they brought. ``there`` is the number of rows in the table,
    None if nobody counted them. ``target`` is the random identity of the target in its ledger: None if the
    target gives none, '' if it has no ledger.
    """

    chunks: int = 0
    least: str | None = None
    greatest: str | None = None
    rows: int = 0
    there: int | None = None
    target: str | None = None
