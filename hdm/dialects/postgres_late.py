"""Which rows of a PostgreSQL table an earlier snapshot did not see, by the transactions that wrote them.

Every version of a row carries the id of the transaction or savepoint that wrote it (``xmin``). A snapshot
``xmin:xmax:running`` sees all ids below the first that had ended well, and none from the second on; between
them ``running`` names the open transactions, but not their savepoints, and none at all on a standby. So each
reading notes the ids between the two whose rows it saw: what has another id there committed later. That
holds for cursors of any kind. https://www.postgresql.org/docs/current/functions-info.html (pg_snapshot)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

WRITTEN = "@written"
"""The pseudo-column of the ids: ``first:end:seen``; ``seen`` are ranges, counted from ``first``."""
MOST_RANGES = 1_000
IDS = 2**32
"""``xmin`` shows the lower 32 bits of an id."""
_VALUE = re.compile(r"(\d+):(\d+):((?:\d+-\d+)(?:,\d+-\d+)*)?\Z")

IS_PLAIN = "SELECT 1 FROM pg_class WHERE oid = to_regclass(%s) AND relkind IN ('r', 'p')"
"""Views, foreign tables and materialized views do not show who wrote a row, or show it anew each time."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A snapshot's bounds and its open transactions, of a token ``exported id|snapshot|file node``."""

    first: int
    end: int
    running: str

    @classmethod
    def of(cls, token: str | None) -> Seen | None:
        """The snapshot in a token; None if there is none."""
        parts = (token or "").split("|")
        found = parts[1].split(":") if len(parts) > 1 else []
        return cls(int(found[0]), int(found[1]), found[2]) if len(found) == 3 else None


def noted(origin: str, where: str, first: int, end: int) -> str:
    """Asks which ids from ``first`` to ``end`` wrote rows that this session sees, as ``id - first``."""
    condition = f"{_offset(first)} < {end - first}"
    filters = f"{condition} AND {where}" if where else condition
    return (
        f"SELECT DISTINCT {_offset(first)} AS n FROM {origin} WHERE {filters} "
        f"ORDER BY n LIMIT {MOST_RANGES * 100:d}"
    )


def ranges(numbers: Iterable[int]) -> str | None:
    """Ascending numbers as ``3-3,7-9``; None if that are more than ``MOST_RANGES``."""
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(f"{low}-{high}" for low, high in found) if len(found) <= MOST_RANGES else None


def condition(value: str) -> str | None:
    """The predicate of ``WRITTEN``: ids from ``first`` to ``end`` but the ``seen``; None if it is none."""
    found = _VALUE.match(value)
    if found is None:
        return None
    first, end = int(found[1]), int(found[2])
    written = f"{_offset(first)} < {end - first}"
    parts = [piece.split("-") for piece in (found[3] or "").split(",") if piece]
    if not parts:
        return f"({written})"
    bounds = [f"ARRAY[{','.join(edge)}]::bigint[]" for edge in zip(*parts, strict=True)]
    seen = f"SELECT 1 FROM unnest({bounds[0]}, {bounds[1]}) AS s(low, high)"
    return f"({written} AND NOT EXISTS ({seen} WHERE {_offset(first)} BETWEEN s.low AND s.high))"


def _offset(first: int) -> str:
    """How many ids after ``first`` the row's is, past the end of 32 bits too."""
    return f"((xmin::text::bigint - {first % IDS} + {IDS}) % {IDS})"
