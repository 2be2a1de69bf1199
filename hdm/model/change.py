"""What a sync does to one row of a table."""

from __future__ import annotations

from enum import StrEnum


class Change(StrEnum):
    """How a row of the second table differs from the first, and so what a sync does to it."""

    NEW = "new"
    """Only the first table has the row: it is inserted into the second."""
    CHANGED = "changed"
    """Both have the row, with other values: the second gets those of the first."""
    DELETED = "deleted"
    """Only the second table has the row: it is deleted there."""
