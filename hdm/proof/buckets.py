"""Puts rows into buckets: of consecutive keys where the key is one whole number, else by the key's hash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from hdm.model import Condition
from hdm.proof.forms import Pair, framed, joined, spelled
from hdm.proof.sums import hashes

NO_KEY = -1
"""The bucket of rows whose key is NULL."""
ROWS_PER_BUCKET = 1_000
MOST_RANGES = 65_536
MOST_HASHED = 4_096
_WIDEST = 2**31 - 1
"""Most keys in a bucket, so that key times hash fits 64 bits."""


@dataclass(frozen=True, slots=True)
class PlacedRows:
    """The rows of one batch with what the comparison needs of them.

    ``key`` identifies the row: the key itself (a whole number), or a hash. ``place`` is the key's place in
    its bucket. ``values`` are the spelled values of each column.
    """

    key: pa.Array
    bucket: pa.Array
    place: pa.Array
    hash: pa.Array
    values: list[pa.Array]


@dataclass(frozen=True, slots=True)
class Buckets:
    """How the rows of both sides are put into buckets.

    ``pairs`` are all columns, ``keys`` the places of the key's columns among them. With ``ranges``, the one
    key column is cut into ranges of ``width`` numbers from ``low`` on; without, rows go by the hash of their
    key, or of the whole row if there is no key.
    """

    pairs: Sequence[Pair]
    keys: tuple[int, ...]
    ranges: bool = False
    low: int = 0
    width: int = 1
    hashed: int = MOST_HASHED

    @property
    def key(self) -> Pair:
        """The pair of key columns whose numbers are cut into ranges."""
        return self.pairs[self.keys[0]]

    def place(self, batch: pa.RecordBatch, *, first: bool) -> PlacedRows:
        """Return the rows of one batch with key, bucket and hash; ``first``: they are of the first side."""
        values = [spelled(batch.column(n), pair, first=first) for n, pair in enumerate(self.pairs)]
        parts = [framed(one, pair.form) for one, pair in zip(values, self.pairs, strict=True)]
        row_hash = hashes(joined(parts))
        if self.ranges:
            key = batch.column(self.keys[0]).cast(pa.int64())
            above = pc.subtract(key, self.low)
            bucket = pc.divide(above, self.width)
            bucket = pc.if_else(pc.less(above, 0), 0, bucket)  # a key that came after ``low`` was looked up
            place = pc.subtract(above, pc.multiply(bucket, self.width))
            place = pc.fill_null(place, 0).cast(pa.uint64(), safe=False)
            return PlacedRows(key, pc.fill_null(bucket, NO_KEY), place, row_hash, values)
        key = hashes(joined([parts[n] for n in self.keys])) if self.keys else row_hash
        bucket = pc.bit_wise_and(key, pa.scalar(self.hashed - 1, pa.uint64())).cast(pa.int64())
        return PlacedRows(key, bucket, pc.shift_right(key, pa.scalar(33, pa.uint64())), row_hash, values)

    def conditions(self, first_bucket: int, last_bucket: int, *, first: bool) -> tuple[Condition, ...]:
        """Return the conditions for the rows of consecutive buckets of ranges, for one side."""
        name = (self.key.a if first else self.key.b).name
        if first_bucket == NO_KEY:
            return (Condition(name, "null"),)
        low = self.low + first_bucket * self.width
        high = self.low + (last_bucket + 1) * self.width - 1
        return (Condition(name, ">=", str(low)), Condition(name, "<=", str(high)))


def choose(
    pairs: Sequence[Pair],
    keys: tuple[int, ...],
    extents: Sequence[tuple[int, int] | None],
    rows: int,
    *,
    seeks: bool,
) -> Buckets:
    """Return how to put rows into buckets.

    ``extents`` are the least and greatest key of both sides, ``rows`` is how many rows the larger side has;
    ``seeks``: ranges of keys can be read on both sides.
    """
    wanted = max(rows // ROWS_PER_BUCKET, 1)
    found = [one for one in extents if one is not None]
    if seeks and found and len(keys) == 1 and pairs[keys[0]].is_whole_number:
        low, high = min(one[0] for one in found), max(one[1] for one in found)
        width = -(-(high - low + 1) // min(wanted, MOST_RANGES))
        if width <= _WIDEST:
            return Buckets(pairs, keys, ranges=True, low=low, width=width)
    count = 16
    while count < min(wanted, MOST_HASHED):
        count *= 2
    return Buckets(pairs, keys, hashed=count)
