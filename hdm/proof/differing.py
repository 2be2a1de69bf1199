"""Collects the keys of all rows that differ between two tables, and reads these rows again, in rounds.

Changes nothing. In memory are 8 bytes for each key, and the rows of one round.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hdm.errors import UsageError
from hdm.model import Change, Column, Condition
from hdm.proof.buckets import Buckets, PlacedRows
from hdm.proof.side import Side

KEYS_AT_MOST = 2_000_000
"""Most keys that one comparison collects; the rest is found by the next comparison."""
ROUND_BYTES = 64 * 1024 * 1024
"""About how many bytes of rows are read before they are used."""
_PIECE = 500
_DENSE = 4
"""Keys of a piece are read as one range if it has at most so many times as many numbers as keys."""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one side that differ, each with its key and hash as the comparison computes them."""

    keys: pa.Array
    hashes: pa.Array
    rows: pa.RecordBatch

    def __len__(self) -> int:
        return len(self.keys)

    def cut(self, start: int, stop: int) -> Block:
        """Return the rows from number ``start`` up to, but without, number ``stop``."""
        count = stop - start
        return Block(
            self.keys.slice(start, count), self.hashes.slice(start, count), self.rows.slice(start, count)
        )


@dataclass(slots=True)
class Differing:
    """The keys of the rows that differ, by what a sync has to do to them.

    ``repeated`` counts keys that differ and that one side has more than once, ``nulls`` those that are NULL;
    neither can be synced. ``more``: further rows differ, whose keys were not kept.
    """

    most: int = KEYS_AT_MOST
    repeated: int = 0
    nulls: int = 0
    more: bool = False
    _buckets: Buckets | None = None
    _kept: dict[Change, list[pa.Array]] = field(default_factory=lambda: {one: [] for one in Change})
    _count: int = 0

    @property
    def buckets(self) -> Buckets:
        """How the comparison put rows into buckets, and what it took for a row's key."""
        assert self._buckets is not None
        return self._buckets

    # -- what the comparison tells ------------------------------------------------

    def begin(self, buckets: Buckets) -> None:
        """Set how rows are put into buckets; must be called before any row is read."""
        self._buckets = buckets

    def look(self, rows: pa.Table) -> None:
        """Count the differing keys that occur more than once; ``rows`` has key, hash and both counts."""
        wrong = rows.filter(pc.not_equal(rows["a"], rows["b"]))
        if not wrong.num_rows:
            return
        same = rows.filter(pc.is_in(rows["key"], value_set=wrong["key"].combine_chunks()))
        made = same.group_by("key", use_threads=False).aggregate([("a", "sum"), ("b", "sum")])
        twice = pc.or_(pc.greater(made["a_sum"], 1), pc.greater(made["b_sum"], 1))
        self.repeated += pc.sum(twice.cast(pa.int64())).as_py() or 0

    def add(self, by_key: pa.Table) -> None:
        """Keep the keys of rows that differ, each with how many rows only one of the sides has."""
        a, b = pc.greater(by_key["only_a"], 0), pc.greater(by_key["only_b"], 0)
        masks = {
            Change.NEW: pc.and_(a, pc.invert(b)),
            Change.CHANGED: pc.and_(a, b),
            Change.DELETED: pc.and_(b, pc.invert(a)),
        }
        for change, mask in masks.items():
            keys = by_key["key"].filter(mask).combine_chunks()
            self.nulls += keys.null_count
            keys = pc.drop_null(keys)
            room = self.most - self._count
            self.more = self.more or len(keys) > room
            keys = keys.slice(0, max(room, 0))
            self._count += len(keys)
            self._kept[change].append(keys)

    # -- what a sync asks -----------------------------------------------------------

    def keys(self, change: Change) -> pa.Array:
        """Return the keys of the rows to which ``change`` is to be done, in ascending order."""
        keys = pa.chunked_array(self._kept[change], pa.uint64()).combine_chunks()
        return self._ordered(keys)

    def refuse_unusable(self, a: Side, b: Side) -> None:
        """Raise ``UsageError`` if the key cannot tell the rows apart that differ.

        Where the comparison does not know which keys are NULL, both tables are asked for any.
        """
        names = [self.buckets.pairs[n].b.name for n in self.buckets.keys]
        if self.repeated:
            raise unusable(names, "repeats itself in rows that differ")
        if self.nulls or (not self.buckets.ranges and any(map(self._has_nulls, (a, b), (True, False)))):
            raise unusable(names, "is NULL in some rows")

    def _has_nulls(self, side: Side, first: bool) -> bool:
        pairs = [self.buckets.pairs[n] for n in self.buckets.keys]
        columns = [pair.a if first else pair.b for pair in pairs]
        with side.open() as reader:
            return reader.seeks and any(
                batch.num_rows
                for column in columns
                if column.nullable
                for batch in reader.batches([column], (Condition(column.name, "null"),))
            )

    def _ordered(self, keys: pa.Array) -> pa.Array:
        if not self.buckets.ranges:
            return keys.take(pc.sort_indices(keys))
        signed = keys.view(pa.int64())
        return signed.take(pc.sort_indices(signed)).view(pa.uint64())

    def rounds(
        self, side: Side, columns: Sequence[Column], keys: pa.Array, *, first: bool
    ) -> Iterator[Block]:
        """Yield the rows of one side that have the given keys, round by round, each ready in memory.

        The side is open while a round is read, and closed when it is yielded. ``columns`` are those to read,
        with all that are compared among them. A key that the side does not have is passed over. Raises
        ``UsageError`` for a key that is NULL or occurs twice.
        """
        left = keys
        while len(left):
            block, whole = self._round(side, columns, left, first=first)
            if block is not None:
                self._usable(block, first=first)
                yield block
            if whole or block is None:
                return
            left = left.filter(pc.invert(pc.is_in(left, value_set=block.keys)))

    def _round(
        self, side: Side, columns: Sequence[Column], keys: pa.Array, *, first: bool
    ) -> tuple[Block | None, bool]:
        """Read rows until they are enough for a round; return them, and whether these are all."""
        parts: list[Block] = []
        size, whole = 0, True
        with side.open() as reader:
            for conditions in self._where(keys, first=first):
                for batch in reader.batches(columns, conditions):
                    block = self._chosen(batch, keys, first=first)
                    if len(block):
                        parts.append(block)
                        size += block.rows.nbytes
                    if size >= ROUND_BYTES:
                        whole = False
                        break
                if not whole:
                    break
        return (_joined(parts) if parts else None), whole

    def _chosen(self, batch: pa.RecordBatch, keys: pa.Array, *, first: bool) -> Block:
        placed = self.placed(batch, first=first)
        mask = pc.is_in(_unsigned(placed.key), value_set=keys)
        return Block(_unsigned(placed.key).filter(mask), placed.hash.filter(mask), batch.filter(mask))

    def placed(self, batch: pa.RecordBatch, *, first: bool) -> PlacedRows:
        """Return the rows of a batch with key and hash; it may have more columns than are compared."""
        names = [(pair.a if first else pair.b).name for pair in self.buckets.pairs]
        return self.buckets.place(batch.select(names), first=first)

    def _usable(self, block: Block, *, first: bool) -> None:
        names = [
            (self.buckets.pairs[n].a if first else self.buckets.pairs[n].b).name for n in self.buckets.keys
        ]
        if any(block.rows.column(name).null_count for name in names):
            raise unusable(names, "is NULL in rows that differ")
        if len(pc.unique(block.keys)) != len(block):
            raise unusable(names, "occurs more than once among the rows that differ")

    def _where(self, keys: pa.Array, *, first: bool) -> Iterator[tuple[Condition, ...]]:
        """Yield the conditions of each SELECT that is needed; the rows may be more than those of the keys."""
        if not self.buckets.ranges:
            yield ()
            return
        name = (self.buckets.key.a if first else self.buckets.key.b).name
        numbers = keys.view(pa.int64())
        for start in range(0, len(numbers), _PIECE):
            some: list[int] = numbers.slice(start, _PIECE).to_pylist()
            if some[-1] - some[0] < _DENSE * len(some):
                yield Condition(name, ">=", str(some[0])), Condition(name, "<=", str(some[-1]))
            else:
                yield (Condition(name, "in", ",".join(map(str, some))),)

    def fault(self, given: Block, batches: Iterable[pa.RecordBatch]) -> str | None:
        """Return a text on how rows stored by the second side differ from those given; None if they match.

        ``batches`` are the stored rows, with the compared columns of the second side. No value is named.
        """
        found = list(batches)
        stored = sum(batch.num_rows for batch in found)
        if stored != len(given):
            return f"it holds {stored:,} rows under the keys of the {len(given):,} that it was given"
        one = self.placed(given.rows, first=True)
        other = self.placed(_one_batch(found), first=False)
        places = [pc.sort_indices(_unsigned(side.key)) for side in (one, other)]
        if one.hash.take(places[0]).equals(other.hash.take(places[1])):
            return None
        wrong = [
            pair.b.name
            for n, pair in enumerate(self.buckets.pairs)
            if not one.values[n].take(places[0]).equals(other.values[n].take(places[1]))
        ]
        return f"it stored other values than it was given in {', '.join(wrong)}"


def unusable(names: Sequence[str], why: str) -> UsageError:
    """Return the error for a key that does not tell the rows of a table apart."""
    return UsageError(
        f"the key ({', '.join(names)}) {why}, so that rows cannot be changed by it",
        hint="name a key that is unique and never NULL in both tables: --key, or key: in the manifest",
    )


def _unsigned(keys: pa.Array) -> pa.Array:
    return keys.view(pa.uint64()) if pa.types.is_int64(keys.type) else keys


def _joined(parts: Sequence[Block]) -> Block:
    return Block(
        pa.concat_arrays([part.keys for part in parts]),
        pa.concat_arrays([part.hashes for part in parts]),
        _one_batch([part.rows for part in parts]),
    )


def _one_batch(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    table = pa.Table.from_batches(batches).combine_chunks()
    arrays: list[Any] = [column.combine_chunks() for column in table.columns]
    return pa.RecordBatch.from_arrays(arrays, schema=table.schema)
