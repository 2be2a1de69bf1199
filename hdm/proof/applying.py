"""Makes one table equal another: compares them, changes the rows that differ, and compares again."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hdm import failpoints
from hdm.errors import HdmError, MissingParent, PermanentError, RejectedRows, UnrepresentableValue, UsageError
from hdm.model import Attempt, Change, Chunk, Column, Condition, Dataset, Table, digest
from hdm.proof.compare import compare
from hdm.proof.differing import KEYS_AT_MOST, Block, Differing
from hdm.proof.forms import Pair
from hdm.proof.pairing import Paired, Wishes, paired
from hdm.proof.result import Comparison
from hdm.proof.side import Side
from hdm.sql.patch import Patch
from hdm.sql.sink import SqlSink

ROWS_AT_ONCE = 5_000
"""Most rows that one transaction changes."""
NO_DELETES = "0"
"""How many rows are deleted unless the caller says how many: none."""
_ORDER = (Change.DELETED, Change.CHANGED, Change.NEW)
"""Deletes first, so that what is inserted finds its unique values free."""
_SINGLY = 100
"""Refused rows up to which a refused chunk is cut in two, to find the rows that are refused."""


@dataclass(frozen=True, slots=True)
class Applied:
    """Result of making one table equal to another: what differed, what was done, what differs now.

    ``done`` counts the rows that were inserted, changed and deleted. ``kept`` counts rows that were not
    deleted because the first table has them: by now, beyond the watermark, or outside of the condition.
    ``after`` is None if nothing was changed because of ``stopped``, or because it was a dry run. ``refused``
    says in the server's words why rows could not be changed.
    """

    before: Comparison
    after: Comparison | None
    done: Mapping[Change, int]
    kept: int = 0
    chunks: int = 0
    stopped: str | None = None
    refused: str | None = None
    until: str | None = None
    """The state database's time after the last change and before the last comparison; None if nothing was
    changed."""

    @property
    def equal(self) -> bool:
        """Whether the last comparison found no difference."""
        return (self.after or self.before).equal

    @property
    def exit_code(self) -> int:
        """0 if the last comparison found no difference, else 1."""
        return 0 if self.equal else 1

    def facts(self) -> dict[str, Any]:
        """Return names and counts for the record; no value of a row is among them."""
        last = self.after or self.before
        return {
            "level": last.level.value,
            "key": list(self.before.key),
            "found": _counts(self.before),
            "done": {change.value: self.done.get(change, 0) for change in Change},
            "kept": self.kept,
            "chunks": self.chunks,
            "left": _counts(last),
            "equal": self.equal,
            "stopped": self.stopped,
            "refused": self.refused,
            "until": self.until,
        }


def _counts(one: Comparison) -> dict[str, int]:
    return {
        "rows_first": one.rows_a,
        "rows_second": one.rows_b,
        "missing": one.missing,
        "changed": one.changed,
        "extra": one.extra,
    }


def allowed(text: str, rows: int, word: str = "--max-deletes") -> int:
    """Return how many deletes ``N`` or ``N%`` (of ``rows``) allows; raise ``UsageError`` for another form."""
    found = re.fullmatch(r"(\d+)(?:\.(\d+))?(%?)", text.strip())
    if not found or (found[2] and not found[3]) or (found[3] and float(text.strip()[:-1]) > 100):
        raise UsageError(f"{word} {text!r} is no limit", hint="write a number of rows, or a part such as 1%")
    return int(found[1]) if not found[3] else int(rows * float(text.strip()[:-1]) / 100)


@dataclass(frozen=True, slots=True)
class Task:
    """One task of ``make_equal``: two sides, how they are compared, and how the second is changed.

    ``alive`` is the first side without watermark and condition: what it has is not deleted. ``columns`` are
    those of the first side that are written. ``patch`` writes the second side; ``job_key`` names its chunks
    in the ledger.
    """

    a: Side
    b: Side
    wishes: Wishes
    columns: tuple[Column, ...]
    patch: Patch
    job_key: str
    alive: Side
    max_deletes: str = NO_DELETES
    deleted: int = 0
    """Rows that earlier attempts have deleted, which count towards ``max_deletes``."""
    mark: Condition | None = None
    """Stands in the ledger with each transaction, so that they are found again."""
    limit_word: str = "--max-deletes"
    """How the user writes ``max_deletes``, for errors."""
    attempt: Attempt = field(default_factory=lambda: Attempt(1))
    clock: Callable[[], str] = lambda: ""
    """Returns the state database's time."""


def checked(a: Table, b: Table, wishes: Wishes) -> Paired:
    """Return how two tables are compared; raise ``UsageError`` if rows cannot be changed by that.

    Changing rows needs a key, the same columns in both tables, and no rule by which different values count
    as equal.
    """
    plan = paired(a, b, wishes)
    if plan.schema:
        raise UsageError(
            f"the tables have not the same columns: {'; '.join(plan.schema)}",
            hint="add the column to the other table, or leave it out with --exclude",
        )
    if not plan.keys:
        raise UsageError(
            f"neither {a.dataset.name} nor {b.dataset.name} has a primary key, so that no row can be changed "
            "by it",
            hint="name a key that is unique and never NULL in both tables: --key, or key: in the manifest",
        )
    for number, pair in enumerate(plan.pairs):
        _refuse_rules(pair, is_key=number in plan.keys)
    return plan


def _refuse_rules(pair: Pair, *, is_key: bool) -> None:
    accepted = pair.accepted
    if accepted.tolerance is not None or accepted.values:
        raise UsageError(
            f"accept: {pair.a.name} may differ by a tolerance or has values that stand for others, so that "
            "it is not known what to write",
            hint="leave the rule out, or reload the rows instead",
        )
    if is_key and accepted.words():
        raise UsageError(
            f"accept: {pair.a.name} is part of the key", hint="leave the rule out for columns of the key"
        )
    if is_key and pair.b.generated:
        raise UsageError(
            f"{pair.b.name} is part of the key, and the second table generates it",
            hint="name a key of columns that can be written: --key, or key: in the manifest",
        )


def patched(table: Table, plan: Paired, target: Table, sink: SqlSink) -> Patch:
    """Return the ``Patch`` that changes ``target`` by the key; ``table`` describes the rows to write."""
    key = tuple(plan.pairs[number].b.name for number in plan.keys)
    compared = tuple(pair.b for pair in plan.pairs)
    return Patch(sink, table, replace(target, key=key), compared)


def given(pair: Pair) -> Column:
    """Return the column that is sent to the second table, with its type there if Arrow can convert to it."""
    if pair.a.type == pair.b.type:
        return replace(pair.a, name=pair.b.name)
    try:
        pa.array([], pair.a.type).cast(pair.b.type)
    except pa.ArrowNotImplementedError:
        return replace(pair.a, name=pair.b.name)
    return pair.b


def _fitted(rows: pa.RecordBatch, table: Table) -> pa.RecordBatch:
    """Return rows with names and types of ``table``; raise ``UnrepresentableValue`` if one does not fit."""
    arrays = []
    for array, column in zip(rows.columns, table.columns, strict=True):
        try:
            arrays.append(array.cast(column.type))
        except pa.ArrowInvalid:
            raise UnrepresentableValue(
                f"{column.name}: a value does not fit the second table's {column.native or column.kind}",
                hint="alter the column there, or leave it out",
            ) from None
    return pa.RecordBatch.from_arrays(arrays, schema=table.schema)


def key_of(kind: str, *names: str) -> str:
    """Return the key under which the ledger keeps the chunks of a sync or repair, apart from those of
    jobs."""
    return digest(kind, *names)[:32]


def make_equal(task: Task) -> Applied:
    """Compare two tables, change the second until it equals the first, and compare again.

    Changes nothing if more rows would have to be deleted than allowed. What was found first is compared again
    when it was changed, and only that last comparison says whether the tables are equal. Raises what reading
    raises, and ``TransientError`` if a system was lost: the rows of finished transactions stay.
    """
    done: dict[Change, int] = dict.fromkeys(Change, 0)
    first: Comparison | None = None
    kept = chunks = 0
    until: str | None = None
    while True:
        keep = Differing(KEYS_AT_MOST)
        found = compare(task.a, task.b, replace(task.wishes, show=0), keep)
        first = first or found
        if not (found.missing or found.extra or found.changed):
            return Applied(first, found, done, kept, chunks, until=until)
        keep.refuse_unusable(task.a, task.b)
        limit = allowed(task.max_deletes, first.rows_b + task.deleted) - task.deleted - done[Change.DELETED]
        if found.extra > limit:
            stopped = _too_many(found.extra, first, task.max_deletes, task.limit_word)
            return Applied(first, found if chunks else None, done, kept, chunks, stopped, until=until)
        work = _Changing(task, keep, limit, chunks)
        failpoints.point("Y0")
        work.all()
        for change, count in work.done.items():
            done[change] += count
        kept, chunks = kept + work.kept, work.number
        until = task.clock()
        failpoints.point("Y5")
        if not keep.more or work.refused or not sum(work.done.values()):
            last = compare(task.a, task.b, task.wishes)
            return Applied(first, last, done, kept, chunks, refused=work.refused, until=until)


def foreseen(
    a: Side, b: Side, wishes: Wishes, max_deletes: str, limit_word: str = "--max-deletes"
) -> Applied:
    """Compare two tables as ``make_equal`` would; return what it would find, and why it would stop.

    Raises what it would raise before the first change. Changes nothing.
    """
    keep = Differing(KEYS_AT_MOST)
    found = compare(a, b, wishes, keep)
    stopped = None
    if found.missing or found.extra or found.changed:
        keep.refuse_unusable(a, b)
        if found.extra > allowed(max_deletes, found.rows_b):
            stopped = _too_many(found.extra, found, max_deletes, limit_word)
    return Applied(found, None, {}, stopped=stopped)


def _too_many(extra: int, first: Comparison, max_deletes: str, word: str) -> str:
    share = f" ({100 * extra / first.rows_b:.1f} % of its rows)" if first.rows_b else ""
    return (
        f"{extra:,} rows would be deleted from the second table{share}, and {word} {max_deletes} "
        f"allows fewer; look at them first, then write {word} {extra}"
    )


class _Changing:
    """Changes the rows that one comparison found, chunk by chunk.

    What a server refuses is tried again after the rest, and in halves, since rows may refer to each other.
    """

    def __init__(self, task: Task, keep: Differing, limit: int, number: int) -> None:
        self.task, self.keep, self.limit = task, keep, limit
        self.number = number
        self.epoch = task.patch.open(task.job_key, task.attempt)
        self.done: dict[Change, int] = dict.fromkeys(Change, 0)
        self.kept = 0
        self.refused: str | None = None
        self._error: HdmError | None = None
        self._singles = 0

    def all(self) -> None:
        """Make every change; ``refused`` says afterwards why some could not be made."""
        left = {change: self.keep.keys(change) for change in _ORDER}
        while any(len(keys) for keys in left.values()):
            before, self._singles = sum(self.done.values()), 0
            left = {change: self._kind(change, left[change]) for change in _ORDER}
            count = sum(len(keys) for keys in left.values())
            if count and (self.refused or sum(self.done.values()) == before):
                self.refused = self.refused or self._words(count)
                return

    def _words(self, count: int) -> str:
        said = self._error.in_one_line if self._error is not None else ""
        return f"{count:,} rows could not be changed: {said}"

    def _kind(self, change: Change, keys: pa.Array) -> pa.Array:
        """Make one kind of change to the rows with these keys; return the keys that were refused."""
        again: list[pa.Array] = []
        if not len(keys) or self.refused:
            return keys
        if change is Change.DELETED:
            keys = self._gone(keys)
        first = change is not Change.DELETED
        side = self.task.a if first else self.task.b
        columns = self.task.columns if first else tuple(pair.b for pair in self.keep.buckets.pairs)
        for block in self.keep.rounds(side, columns, keys, first=first):
            for start in range(0, len(block), ROWS_AT_ONCE):
                again += self._piece(change, block.cut(start, min(start + ROWS_AT_ONCE, len(block))))
            if self.refused:
                break
        return pa.chunked_array(again, pa.uint64()).combine_chunks()

    def _gone(self, keys: pa.Array) -> pa.Array:
        """Return the keys that the first table still does not have, whatever the watermark says."""
        columns = [pair.a for pair in self.keep.buckets.pairs]
        for block in self.keep.rounds(self.task.alive, columns, keys, first=True):
            there = pc.is_in(keys, value_set=block.keys)
            self.kept += pc.sum(there.cast(pa.int64())).as_py() or 0
            keys = keys.filter(pc.invert(there))
        return keys

    def _piece(self, change: Change, block: Block) -> Sequence[pa.Array]:
        """Change the rows of one chunk; return the keys of those that the server refused."""
        waiting, again = [block], []
        while waiting:
            one = waiting.pop()
            if self.refused:
                again.append(one.keys)
                continue
            try:
                self._apply(change, one)
            except (MissingParent, PermanentError) as error:
                self._error = error
                if not _said_by_server(error):
                    self.refused = error.in_one_line
                if self.refused or len(one) == 1 or self._singles >= _SINGLY:
                    self._singles += len(one) == 1
                    again.append(one.keys)
                    continue
                half = len(one) // 2
                waiting += [one.cut(half, len(one)), one.cut(0, half)]
            else:
                self.done[change] += len(one)
        return again

    def _apply(self, change: Change, block: Block) -> None:
        if change is Change.DELETED and self.done[change] + len(block) > self.limit:
            raise RejectedRows("more rows would be deleted than --max-deletes allows")
        task, target = self.task, self.task.patch.target
        name = Chunk(
            task.job_key, _of(target, change), self.number,
            (Condition("@sync", "=", str(self.number)), *filter(None, (task.mark,))),
            schema_sha=target.schema_sha, epoch=self.epoch,
        )  # fmt: skip
        self.number += 1
        rows, fault = block.rows, _fault(self.keep, block)
        if change is Change.DELETED:
            rows = rows.select([self.keep.buckets.pairs[n].b.name for n in self.keep.buckets.keys])
        else:
            rows = _fitted(rows, task.patch.source)
        task.patch.apply(change, rows, name, task.attempt, fault)


def _of(target: Table, change: Change) -> Dataset:
    """Return the dataset of a chunk's row in the ledger, which also says what was done."""
    return replace(target.dataset, name=f"{target.dataset.name}#{change.value}")


def _fault(keep: Differing, block: Block) -> Callable[[Any], str | None]:
    return lambda batches: keep.fault(block, batches)


def _said_by_server(error: HdmError) -> bool:
    """Whether single rows were refused, mostly by the server, whose exception is then the error's context.

    Else hdm refused the chunk, for a reason that other chunks have, too.
    """
    return isinstance(error, MissingParent | UnrepresentableValue) or isinstance(error.__context__, Exception)
