"""What a target says of a job as a whole."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Holding:
    """What a target says it holds of a job: ``chunks``, the least and the greatest of their ids, and
    the ``rows`` that they brought. ``there``: how many rows the table has, if that was looked at.
    ``target``: the identity of the target, as its ledger gives it; None if it gives none, '' if there is
    no ledger."""

    chunks: int = 0
    least: str | None = None
    greatest: str | None = None
    rows: int = 0
    there: int | None = None
    target: str | None = None
