"""Adds up rows by bucket, so that two tables are compared without any order, and names a single wrong row.

For each bucket of rows there are four numbers: how many rows, the sum of their keys, of their hashes, and of
key times hash. The differences of the sums give the key of a wrong row if it is the only one of its bucket:
key x hash over hash if it was changed, the key itself if it is missing or extra.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import md5

import pyarrow as pa
import pyarrow.compute as pc

LOW = 2**31 - 1
"""The bits of a hash that are multiplied with a key's place in its bucket, so that a product fits 64 bits."""
_ALL = 2**64
_COMPACT_AT = 500_000
_NUMBERS = ("count", "key", "hash", "product")


def hashes(rows: Sequence[bytes]) -> pa.Array:
    """Return 64 bits of each row's MD5, the same that a database can compute of the same bytes."""
    step = slice(7, None, -1) if sys.byteorder == "little" else slice(0, 8)
    raw = b"".join([md5(row, usedforsecurity=False).digest()[step] for row in rows])
    return pa.Array.from_buffers(pa.uint64(), len(rows), [None, pa.py_buffer(raw)])


@dataclass(frozen=True, slots=True)
class Unequal:
    """A bucket whose sums differ: second side minus first, and how many rows both sides have in it."""

    bucket: int
    count: int
    key: int
    hash: int
    product: int
    rows: int

    def single(self, width: int) -> int | None:
        """Return the place in the bucket of the only wrong row, if the sums can mean that; else None.

        ``width`` is how many keys the bucket spans. The row must be looked at: several may add up to the
        same.
        """
        if abs(self.count) == 1:
            place = self.count * _signed(self.key)
            return place if 0 <= place < width else None
        if self.count or self.key:
            return None
        low, product = self.hash & LOW, _signed(self.product)
        for part in (low, low - LOW - 1):
            if part and product % part == 0 and 0 <= product // part < width:
                return product // part
        return None


def _signed(number: int) -> int:
    return number - _ALL if number >= _ALL // 2 else number


class Sums:
    """The sums of one side's rows, by bucket; of bounded size, since there are only so many buckets."""

    def __init__(self) -> None:
        self.rows = 0
        self._parts: list[pa.Table] = []
        self._size = 0

    def add(self, bucket: pa.Array, place: pa.Array, row_hash: pa.Array) -> None:
        """Add the rows of one batch: each one's bucket, the place of its key in it, and its hash."""
        self.rows += len(bucket)
        low = pc.bit_wise_and(row_hash, pa.scalar(LOW, pa.uint64()))
        part = pa.table(
            {
                "bucket": bucket,
                "count": pa.repeat(pa.scalar(1, pa.uint64()), len(bucket)),
                "key": place,
                "hash": row_hash,
                "product": pc.multiply(place, low),
            }
        )
        self._parts.append(_grouped(part))
        self._size += self._parts[-1].num_rows
        if self._size > _COMPACT_AT:
            self._parts = [_grouped(pa.concat_tables(self._parts))]
            self._size = self._parts[0].num_rows

    def table(self) -> pa.Table:
        """Return the sums, one row for each bucket: bucket, count, key, hash, product."""
        return _grouped(pa.concat_tables(self._parts)) if self._parts else _EMPTY

    def load(self, table: pa.Table) -> None:
        """Add sums that a database computed, in the form of ``table``."""
        self._parts.append(table.cast(_EMPTY.schema))
        self.rows += pc.sum(table["count"]).as_py() or 0


_EMPTY = pa.table(
    {"bucket": pa.array([], pa.int64()), **{name: pa.array([], pa.uint64()) for name in _NUMBERS}}
)


def _grouped(table: pa.Table) -> pa.Table:
    made = table.group_by("bucket", use_threads=False).aggregate([(name, "sum") for name in _NUMBERS])
    return made.rename_columns([name.removesuffix("_sum") for name in made.column_names]).select(
        _EMPTY.column_names
    )


def unequal(a: Sums, b: Sums) -> list[Unequal]:
    """Return every bucket whose sums differ between the sides, in the order of the buckets."""
    first, second = a.table(), b.table()
    negative = {
        name: pc.subtract(pa.scalar(0, pa.uint64()), first[name].combine_chunks()) for name in _NUMBERS
    }
    turned = pa.table({"bucket": first["bucket"], **negative, "rows": first["count"]})
    kept = second.append_column("rows", second["count"])
    both = pa.concat_tables([turned, kept.select(turned.column_names)])
    names = (*_NUMBERS, "rows")
    made = both.group_by("bucket", use_threads=False).aggregate([(name, "sum") for name in names])
    differs = [pc.not_equal(made[f"{name}_sum"], pa.scalar(0, pa.uint64())) for name in _NUMBERS]
    mask = differs[0]
    for one in differs[1:]:
        mask = pc.or_(mask, one)
    found = made.filter(mask).sort_by("bucket").to_pylist()
    return [
        Unequal(
            row["bucket"],
            _signed(row["count_sum"]),
            row["key_sum"],
            row["hash_sum"],
            row["product_sum"],
            row["rows_sum"],
        )
        for row in found
    ]
