"""Writes the SQL that adds up a table's rows by bucket inside its database, for ``hdm.proof``.

What a database computes is the same, bit for bit, as what ``hdm.proof`` computes of the rows that it reads:
see ``hdm.proof.forms`` for the spelling of values and ``hdm.proof.sums`` for the sums. A dialect that cannot
spell some column says so, and the rows are read instead.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

from hdm.model import Column

LOW = 2**31 - 1
"""The bits of a hash that are multiplied with a key's place in its bucket."""


@dataclass(frozen=True, slots=True)
class Bucketing:
    """How rows are put into buckets, as SQL has to know it.

    ``key`` is the SQL of a whole-number key, of which ``width`` numbers from ``low`` on are a bucket; None:
    rows go by the last bits of a hash of the columns at the places ``hashed``, of the whole row if there are
    none. ``buckets`` is how many such buckets there are, a power of two.
    """

    key: str | None = None
    low: int = 0
    width: int = 1
    hashed: tuple[int, ...] = ()
    buckets: int = 1


class Hashing:
    """The part of a dialect that hashes rows in the database; by default it cannot."""

    can_sum: ClassVar[str] = ""
    """Query for whether this server can run what ``sums_by_bucket`` writes; empty: none can."""

    def spelled(self, expression: str, column: Column, form: str, rules: Collection[str] = ()) -> str | None:
        """Return SQL that spells a value of the column as ``hdm.proof.forms`` does; None if there is none.

        ``form`` is the letter of a ``Form``. ``rules`` are of ``trailing_blanks``, ``empty_is_null`` and
        ``zero_sign``.
        """
        return None

    def sums_by_bucket(
        self, rows: str, values: Sequence[str], forms: Sequence[str], bucketing: Bucketing
    ) -> str | None:
        """Return a query for bucket, count, sum of places, sum of hashes and sum of products; None if it
        cannot.

        ``rows`` is the SQL to read from, ``values`` are its spelled columns and ``forms`` their letters. Sums
        are exact, or modulo 2^64; hashes may be signed.
        """
        return None
