"""Finds rows of a PostgreSQL table that an earlier snapshot did not see, by their writing transactions.

Every version of a row carries the id of the transaction or savepoint that wrote it (``xmin``). A snapshot
``xmin:xmax:running`` sees the committed ids below ``xmin``, and none from ``xmax`` on. Between these two,
``running`` names the open transactions, but not their savepoints, and on a standby it is empty. So each
epoch records the ids between the two whose rows it saw: a row there with another id was committed later.
This works for cursors of any kind. https://www.postgresql.org/docs/current/functions-info.html (pg_snapshot)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

WRITTEN = "@written"
"""The pseudo-column of writing transactions, with values ``first:end:seen``.

``seen`` are ranges of ids, counted from ``first``.
"""
MOST_RANGES = 1_000
IDS = 2**32
"""Number of transaction ids that ``xmin`` can tell apart: it shows an id's lower 32 bits."""
_VALUE = re.compile(r"(\d+):(\d+):((?:\d+-\d+)(?:,\d+-\d+)*)?\Z")

IS_PLAIN = "SELECT 1 FROM pg_class WHERE oid = to_regclass(%s) AND relkind IN ('r', 'p')"
"""Query whether a table's rows show their writing transactions.

Those of views and foreign tables do not; a materialized view's rows get new ids at each refresh.
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """The bounds of a snapshot, as transaction ids, and the ``running`` transactions between them.

    The snapshot saw every committed transaction below ``first``, and none from ``end`` on. ``running`` lists
    no savepoints, and is empty on a standby.
    """

    first: int
    end: int
    running: str

    @classmethod
    def of(cls, token: str | None) -> Seen | None:
        """Return the snapshot in a token ``exported id|snapshot|relation``; None if the token has none."""
        parts = (token or "").split("|")
        found = parts[1].split(":") if len(parts) > 1 else []
        return cls(int(found[0]), int(found[1]), found[2]) if len(found) == 3 else None


def noted(origin: str, where: str, first: int, end: int) -> str:
    """Return a query for the transaction ids from ``first`` to below ``end`` whose rows this session sees.

    It gives them as ``id - first``, at most ``MOST_RANGES`` times 100 of them. ``origin`` and ``where`` say
    which rows.
    """
    condition = f"{_offset(first)} < {end - first}"
    filters = f"{condition} AND {where}" if where else condition
    return (
        f"SELECT DISTINCT {_offset(first)} AS n FROM {origin} WHERE {filters} "
        f"ORDER BY n LIMIT {MOST_RANGES * 100:d}"
    )


def ranges(numbers: Iterable[int]) -> str | None:
    """Return ascending numbers as a text of ranges, ``3-3,7-9``.

    None if there are more ranges than ``MOST_RANGES``.
    """
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(f"{low}-{high}" for low, high in found) if len(found) <= MOST_RANGES else None


def condition(value: str) -> str | None:
    """Return the SQL condition for a value of the pseudo-column ``WRITTEN``; None for any other text.

    It selects the rows with transaction ids from ``first`` to below ``end``, except the ids that the value
    lists as seen.
    """
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
    """Return an expression for the row's id minus ``first``, which allows for wrap-around at 32 bits."""
    return f"((xmin::text::bigint - {first % IDS} + {IDS}) % {IDS})"
