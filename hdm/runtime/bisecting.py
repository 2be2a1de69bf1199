"""Finds the rows of a chunk that its target refuses, by loading parts of it without a commit."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc

from hdm import failpoints
from hdm.errors import Drained, HdmError, RejectedRows, UnrepresentableValue
from hdm.model import Attempt, Chunk, Mode, Payload, Receipt, Table
from hdm.runtime.checking import Sieve
from hdm.sql.sink import SqlSink

MOST_REFUSED = 1_000
"""Most rows of one chunk that are looked for one by one; a chunk with more is dead, as without quarantine."""
ABOUT_ROWS = (RejectedRows, UnrepresentableValue)
"""Errors that dialects give for what is wrong with rows. ``MissingParent`` is not among them: such rows
can be loaded once what they refer to is there."""


class _TakenBack(Drained):
    """Raised between the load and the commit of a trial, so that the sink rolls it back."""


class Spool:
    """The rows of one chunk in a local file without a name, to be read several times, in any part."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by close()
        self._writer = pa.ipc.new_file(self._file, schema)
        self.starts = [0]

    def add(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        self._writer.write_batch(batch)
        self.starts.append(self.starts[-1] + batch.num_rows)

    def seal(self) -> None:
        """End writing; the rows can be read from now on."""
        self._writer.close()
        self._reader = pa.ipc.open_file(self._file)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.starts[-1]

    def part(self, low: int, high: int, without: Sequence[int] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the rows at places from ``low`` up to but excluding ``high``, except those in ``without``."""
        for number, start in enumerate(self.starts[:-1]):
            end = self.starts[number + 1]
            if end <= low or start >= high:
                continue
            batch: pa.RecordBatch = self._reader.get_batch(number)
            batch = batch.slice(max(low - start, 0), min(high, end) - max(low, start))
            first = max(low, start)
            gone = [place - first for place in without if first <= place < first + batch.num_rows]
            if gone:
                places = pa.array(range(batch.num_rows))
                batch = batch.filter(pc.invert(pc.is_in(places, value_set=pa.array(gone, places.type))))
            if batch.num_rows:
                yield batch

    def close(self) -> None:
        """Remove the file."""
        self._file.close()


@dataclass
class Trials:
    """Loads parts of one chunk into a SQL sink, each in a transaction that is rolled back."""

    sink: SqlSink
    table: Table
    chunk: Chunk
    attempt: Attempt
    mode: Mode
    spool: Spool

    def why_not(self, low: int, high: int, without: Sequence[int] = ()) -> HdmError | None:
        """Return the error with which the target refuses a part of the rows; None if it takes them.

        Raises every other error of the sink.
        """
        ended = False

        def batches() -> Iterator[pa.RecordBatch]:
            nonlocal ended
            yield from self.spool.part(low, high, without)
            ended = True

        def check() -> None:
            self.attempt.check()
            if ended:
                raise _TakenBack("taken back")

        trial = replace(
            self.attempt, check=check, will_write=lambda uri, kind: None, count=lambda rows, size: None
        )
        try:
            done = self.sink.write(self.table, self.chunk, trial, Payload(self.table, batches), self.mode)
        except _TakenBack:
            return None
        except ABOUT_ROWS as refused:
            return refused
        raise Adopted(done)

    def refused(self) -> dict[int, str]:
        """Return the places of the rows that the target refuses, each with the error's text.

        First rows that are refused by themselves, by halves; then, in order, those that are refused together
        with rows before them. Raises the target's error if more than ``MOST_REFUSED`` or all rows are.
        """
        found: dict[int, str] = {}
        todo = [(0, self.spool.rows)]
        while todo:
            low, high = todo.pop()
            error = self.why_not(low, high)
            if error is None:
                continue
            if high - low > 1:
                middle = (low + high) // 2
                todo += [(middle, high), (low, middle)]
                continue
            self._note(found, low, error)
        start = 0
        while (error := self.why_not(0, self.spool.rows, [*found])) is not None:
            low, high = (
                start,
                self.spool.rows,
            )  # the rows to before low go together, those to before high do not
            while high - low > 1:
                middle = (low + high) // 2
                if self.why_not(0, middle, [*found]) is None:
                    low = middle
                else:
                    high = middle
            self._note(found, high - 1, error)
            start = high - 1
        return found

    def _note(self, found: dict[int, str], place: int, error: HdmError) -> None:
        found[place] = f"{type(error).__name__}: {error.message}"
        if len(found) > MOST_REFUSED or len(found) == self.spool.rows:
            raise error


def load_others(
    sink: SqlSink, table: Table, chunk: Chunk, attempt: Attempt, mode: Mode, payload: Payload, sieve: Sieve
) -> Receipt:
    """Load the rows of a chunk, but set aside those that the target refuses; return the receipt.

    ``payload`` is a new reading of the chunk through ``sieve``, which must keep its file open. Raises the
    target's error if too many rows are refused, or if it is not about single rows.
    """
    numbers: list[pa.Array] = []
    with closing(Spool(table.schema)) as spool:
        for batch in payload.batches():
            spool.add(batch)
            numbers.append(sieve.flight.numbers)
        spool.seal()
        try:
            refused = Trials(sink, table, chunk, attempt, mode, spool).refused()
        except Adopted as other:
            return other.receipt
        aside, every = sieve.aside, pa.concat_arrays(numbers) if numbers else pa.array([], pa.int64())
        assert aside is not None
        for place in sorted(refused):
            (row,) = spool.part(place, place + 1)
            aside.put(row, every.slice(place, 1), pa.array(["target"]), pa.array([refused[place]]))
        payload.tally.rejected += len(refused)
        payload.tally.quarantine = aside.finish(attempt.check)
        failpoints.point("Q1")
        rest = Payload(table, lambda: spool.part(0, spool.rows, [*refused]), tally=payload.tally)
        return sink.write(table, chunk, attempt, rest, mode)


class Adopted(Exception):
    """Another attempt committed the chunk while parts of it were tried; ``receipt`` is that attempt's."""

    def __init__(self, receipt: Receipt) -> None:
        super().__init__(receipt.chunk_id)
        self.receipt = receipt
