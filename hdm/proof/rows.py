"""Compares two tables row by row: one reading of each if they are equal; names every row that differs if not.

Rows are compared as multisets: a row may have a NULL key, a key may occur twice, and a table may have none.
1. Both sides are added up by bucket (``sums``). Equal sums of all buckets are the verdict that nothing
differs.
2. A bucket whose sums mean a single wrong row gives its key; that row is read to make sure.
3. Of the other buckets, key and hash of each row are read again: by ranges of keys, or in one more reading.
4. The values of the first rows that differ are read, for the result.
Memory does not grow with the tables: what is kept are sums by bucket, and 16 bytes for each row of one group
of buckets that differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from hdm.model import Condition
from hdm.proof.buckets import NO_KEY, Buckets, PlacedRows, choose
from hdm.proof.cells import Row, rows_of
from hdm.proof.forms import Pair
from hdm.proof.side import Reader
from hdm.proof.spill import Spill
from hdm.proof.sums import Sums, Unequal, unequal

if TYPE_CHECKING:
    from hdm.proof.differing import Differing

ROWS_AT_ONCE = 1_000_000
"""About how many rows of differing buckets are held in memory at a time, 16 bytes each."""
_IN_LIST = 500
_PAIRS = pa.schema([("key", pa.uint64()), ("hash", pa.uint64()), ("a", pa.int64()), ("b", pa.int64())])


@dataclass(slots=True)
class Found:
    """Counts of rows that differ, and the first of them: (key, hash) -> how often each side has the row.

    ``singles`` counts the buckets whose only wrong row was named by the sums, ``reread`` those read again.
    """

    missing: int = 0
    extra: int = 0
    changed: int = 0
    rows_a: int = 0
    rows_b: int = 0
    singles: int = 0
    reread: int = 0
    named: dict[tuple[int | None, int], tuple[int, int]] = field(default_factory=dict)
    keys: dict[int | None, str] = field(default_factory=dict)
    """Key of each named row -> ``missing``, ``extra`` or ``changed``."""
    unsteady: bool = False
    """Whether the sums of the first reading differ, but no row of the second does."""


class RowsCompared:
    """One comparison of two sides; ``find`` counts and names the differences, ``values`` reads them.

    ``keep`` collects the keys of all rows that differ, not only of the first ``limit``.
    """

    def __init__(
        self,
        a: Reader,
        b: Reader,
        pairs: Sequence[Pair],
        keys: tuple[int, ...],
        limit: int,
        keep: Differing | None = None,
    ) -> None:
        self.a, self.b, self.pairs, self.keys, self.limit = a, b, pairs, keys, limit
        self.found = Found()
        self.buckets = self._chosen()
        self.keep = keep
        if keep is not None:
            keep.begin(self.buckets)

    def _chosen(self) -> Buckets:
        seeks = self.a.seeks and self.b.seeks
        extents: list[tuple[int, int] | None] = []
        if seeks and len(self.keys) == 1 and self.pairs[self.keys[0]].is_whole_number:
            pair = self.pairs[self.keys[0]]
            extents = [self.a.extent(pair.a), self.b.extent(pair.b)]
        rows = max((one.count() for one in (self.a, self.b) if one.seeks), default=1_000_000)
        return choose(self.pairs, self.keys, extents, rows, seeks=seeks)

    # -- the verdict -----------------------------------------------------------

    def find(self) -> Found:
        """Compare all rows; return how many differ, and name the first ones."""
        with ThreadPoolExecutor(1) as beside:  # two servers work at the same time
            one = beside.submit(self.a.sums, self.buckets, first=True)
            other = self.b.sums(self.buckets, first=False)
            sums = (self._sums(one.result(), first=True), self._sums(other, first=False))
        self.found.rows_a, self.found.rows_b = sums[0].rows, sums[1].rows
        wrong = unequal(*sums)
        if self.buckets.ranges:
            left = self._singles(wrong)
            for group in _groups(left):
                self.found.reread += len(group)
                self._count(self._reread(group))
        elif wrong:
            self.found.reread = len(wrong)
            for both in self._again(wrong):
                self._count(both)
        named = self.found.missing or self.found.extra or self.found.changed
        self.found.unsteady = bool(wrong) and not named
        return self.found

    def _sums(self, computed: pa.Table | None, *, first: bool) -> Sums:
        """Return one side's sums: those that its database has computed, else those of the rows that are
        read."""
        sums = Sums()
        if computed is not None:
            sums.load(computed)
            return sums
        for rows, _ in self._placed(first=first):
            sums.add(rows.bucket, rows.place, rows.hash)
        return sums

    def _placed(
        self, conditions: Sequence[Condition] = (), *, first: bool
    ) -> Iterator[tuple[PlacedRows, pa.RecordBatch]]:
        reader = self.a if first else self.b
        columns = [pair.a if first else pair.b for pair in self.pairs]
        for batch in reader.batches(columns, conditions):
            yield self.buckets.place(batch, first=first), batch

    # -- buckets with one wrong row ----------------------------------------------

    def _singles(self, wrong: Sequence[Unequal]) -> list[Unequal]:
        """Name the only wrong row of each bucket that has one; return the buckets that are left.

        The named rows are read from both sides, and must explain their bucket's sums to the last bit.
        """
        buckets, left = self.buckets, []
        guesses: dict[int, Unequal] = {}
        for one in wrong:
            place = one.single(buckets.width) if one.bucket != NO_KEY else None
            if place is None:
                left.append(one)
            else:
                guesses[buckets.low + one.bucket * buckets.width + place] = one
        for some in _pieces(sorted(guesses), _IN_LIST):
            both, explained = self._proven(some)
            by_bucket = {one.bucket: one for one in explained}
            right = {key for key in some if _same(by_bucket.get(guesses[key].bucket), guesses[key])}
            left += [guesses[key] for key in some if key not in right]
            self.found.singles += len(right)
            chosen = pc.is_in(both["key"], value_set=_as_keys(right))
            self._count(both.filter(chosen))
        return sorted(left, key=lambda one: one.bucket)

    def _proven(self, keys: Sequence[int]) -> tuple[pa.Table, list[Unequal]]:
        """Read the rows of some keys; return them, and by how much they make the sums differ."""
        listed, parts, sums = ",".join(map(str, keys)), [], []
        for first in (True, False):
            name = (self.buckets.key.a if first else self.buckets.key.b).name
            total = Sums()
            for rows, _ in self._placed((Condition(name, "in", listed),), first=first):
                total.add(rows.bucket, rows.place, rows.hash)
                parts.append(_pairs(rows, first=first))
            sums.append(total)
        return self._differing(parts), unequal(*sums)

    # -- buckets with several wrong rows -------------------------------------------

    def _reread(self, group: Sequence[Unequal]) -> pa.Table:
        parts = []
        for first in (True, False):
            for low, high in _runs(group):
                for rows, _ in self._placed(self.buckets.conditions(low, high, first=first), first=first):
                    parts.append(_pairs(rows, first=first))
        return self._differing(parts)

    def _again(self, wrong: Sequence[Unequal]) -> Iterator[pa.Table]:
        """Read all rows again, keep key and hash of those in the given buckets; yield what differs."""
        wanted = pa.array([one.bucket for one in wrong], pa.int64())
        total = sum(one.rows for one in wrong)
        with Spill(_PAIRS, -(-total // ROWS_AT_ONCE)) as spill:
            for first in (True, False):
                for rows, _ in self._placed(first=first):
                    mask = pc.is_in(rows.bucket, value_set=wanted)
                    spill.add(_pairs(rows, first=first).filter(mask), rows.bucket.filter(mask))
            for part in spill.parts():
                yield self._differing([part])

    # -- counting and naming ---------------------------------------------------------

    def _differing(self, parts: Sequence[pa.Table]) -> pa.Table:
        """Return the (key, hash) that one side has more often than the other; ``keep`` sees all of them."""
        made = _tallied(parts)
        if self.keep is not None:
            self.keep.look(made)
        return made.filter(pc.not_equal(made["a"], made["b"]))

    def _count(self, rows: pa.Table) -> None:
        """Count rows that differ, of whole keys: a key with one other row on each side has changed."""
        if not rows.num_rows:
            return
        only_a = pc.max_element_wise(pc.subtract(rows["a"], rows["b"]), 0)
        only_b = pc.max_element_wise(pc.subtract(rows["b"], rows["a"]), 0)
        table = rows.append_column("only_a", only_a).append_column("only_b", only_b)
        by_key = table.group_by("key", use_threads=False).aggregate([("only_a", "sum"), ("only_b", "sum")])
        by_key = by_key.rename_columns([name.removesuffix("_sum") for name in by_key.column_names]).sort_by(
            "key"
        )
        changed = pc.and_(pc.equal(by_key["only_a"], 1), pc.equal(by_key["only_b"], 1))
        rest = by_key.filter(pc.invert(changed))
        self.found.changed += pc.sum(changed.cast(pa.int64())).as_py() or 0
        self.found.missing += pc.sum(rest["only_a"]).as_py() or 0
        self.found.extra += pc.sum(rest["only_b"]).as_py() or 0
        if self.keep is not None:
            self.keep.add(by_key)
        self._name(table, by_key)

    def _name(self, table: pa.Table, by_key: pa.Table) -> None:
        room = self.limit - len(self.found.keys)
        for row in by_key.slice(0, max(room, 0)).to_pylist():
            one_each = self.keys and row["only_a"] == row["only_b"] == 1
            mixed = row["only_a"] and row["only_b"]
            kind = "changed" if one_each else "missing" if row["only_a"] and not mixed else "extra"
            self.found.keys[row["key"]] = "several" if mixed and not one_each else kind
        chosen = list(self.found.keys)
        mask = pc.is_in(table["key"], value_set=_as_keys(chosen))
        for row in table.filter(mask).to_pylist():
            self.found.named[row["key"], row["hash"]] = (row["a"], row["b"])

    # -- values ------------------------------------------------------------------------

    def values(self) -> dict[int | None, tuple[list[Row], list[Row]]]:
        """Return the values of each named row, by its key: those of the first side, those of the second."""
        found: dict[int | None, tuple[list[Row], list[Row]]] = {key: ([], []) for key in self.found.keys}
        if not found:
            return found
        wanted = _as_keys(found)
        for first in (True, False):
            seen: Counter[tuple[int | None, int]] = Counter()
            for conditions in self._where(first=first):
                for rows, batch in self._placed(conditions, first=first):
                    mask = pc.is_in(_unsigned(rows.key), value_set=wanted)
                    for key, row_hash, row in rows_of(rows, batch, mask):
                        place = key if key is None else key % 2**64
                        if (place, row_hash) in self.found.named and not seen[place, row_hash]:
                            seen[place, row_hash] += 1
                            found[place][0 if first else 1].append(row)
        return found

    def _where(self, *, first: bool) -> Iterable[tuple[Condition, ...]]:
        if not self.buckets.ranges:
            yield ()
            return
        name = (self.buckets.key.a if first else self.buckets.key.b).name
        if None in self.found.keys:
            yield (Condition(name, "null"),)
        numbers = sorted(_signed_key(key) for key in self.found.keys if key is not None)
        for some in _pieces(numbers, _IN_LIST):
            yield (Condition(name, "in", ",".join(map(str, some))),)


def _signed_key(key: int) -> int:
    return key - 2**64 if key >= 2**63 else key


def _unsigned(keys: pa.Array) -> pa.Array:
    return keys.view(pa.uint64()) if pa.types.is_int64(keys.type) else keys


def _as_keys(keys: Iterable[int | None]) -> pa.Array:
    return pa.array([None if key is None else key % 2**64 for key in keys], pa.uint64())


def _pairs(rows: PlacedRows, *, first: bool) -> pa.Table:
    ones, zeros = (pa.repeat(pa.scalar(n, pa.int64()), len(rows.hash)) for n in (1, 0))
    return pa.table(
        [_unsigned(rows.key), rows.hash, ones if first else zeros, zeros if first else ones], schema=_PAIRS
    )


def _tallied(parts: Sequence[pa.Table]) -> pa.Table:
    """Return each (key, hash) once, with how often each side has it."""
    if not parts:
        return _PAIRS.empty_table()
    both = pa.concat_tables(parts).group_by(["key", "hash"], use_threads=False)
    made = both.aggregate([("a", "sum"), ("b", "sum")]).rename_columns(["key", "hash", "a", "b"])
    return made.select(_PAIRS.names)


def _same(one: Unequal | None, other: Unequal) -> bool:
    if one is None:
        return False
    return (one.count, one.key, one.hash, one.product) == (other.count, other.key, other.hash, other.product)


def _groups(wrong: Sequence[Unequal]) -> Iterator[list[Unequal]]:
    group: list[Unequal] = []
    rows = 0
    for one in wrong:
        if group and rows + one.rows > ROWS_AT_ONCE:
            yield group
            group, rows = [], 0
        group.append(one)
        rows += one.rows
    if group:
        yield group


def _runs(group: Sequence[Unequal]) -> Iterator[tuple[int, int]]:
    """The first and last bucket of each run of consecutive buckets."""
    start = last = None
    for one in group:
        if start is None or last is None or last == NO_KEY or one.bucket != last + 1:
            if start is not None and last is not None:
                yield start, last
            start = one.bucket
        last = one.bucket
    if start is not None and last is not None:
        yield start, last


def _pieces(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
