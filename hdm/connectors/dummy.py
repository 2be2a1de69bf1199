"""A source that generates rows and a sink that counts and discards them, for trials and load tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Annotated, Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, Field

from hdm.arrow.batches import BATCH_BYTES, BATCH_ROWS
from hdm.components.settings import Settings
from hdm.components.sink import Sink
from hdm.components.source import Source
from hdm.config.deprecated import DUMMY, ENV
from hdm.files.layout import Split
from hdm.model import (
    Attempt,
    Chunk,
    Column,
    Condition,
    Dataset,
    Kind,
    Mode,
    Payload,
    Receipt,
    Table,
    Window,
)

_FIXED_BYTES = 40


class _Rows(Settings):
    """Number and shape of the generated rows."""

    rows: int = Field(default=1000, ge=0)
    """How many rows there are to read."""
    columns: int = Field(default=5, ge=1)
    """How many columns a row has, its key ``id`` among them."""
    bytes_per_row: int = Field(default=64, ge=1)
    """About how many bytes a row has; the text columns are filled up to it."""
    seed: int = Field(default=0, ge=0)
    """Number that the values are made from: the same seed gives the same rows."""
    chunk: Annotated[int, Field(gt=0)] | Split = 100_000
    """How many rows one chunk holds, or ``{rows, bytes}``."""
    table_name: str = "dummy"
    """Says what the table is called; dots cut it into schema and table."""
    env: str | None = Field(None, deprecated=ENV)
    """Has no effect, and is taken as in other sources: there is nothing to connect to."""
    dummy: Any = Field(None, deprecated=DUMMY)
    """Has no effect, and is taken so that older manifests still work: each run says so."""


class DummySource(Source):
    """Generates rows from their numbers and a seed alone, so that every chunk can be read again."""

    Config: ClassVar[type[BaseModel]] = _Rows

    def describe(self) -> Table:
        """Return the generated table, whose key and cursor is ``id``.

        The other columns are integers, texts, decimals and timestamps in turn.
        """
        config = self.config
        path = tuple(config.table_name.split("."))
        columns = [Column("id", Kind.INT64, pa.int64(), nullable=False)]
        for number in range(1, config.columns):
            kind, carrier, _ = _MAKERS[(number - 1) % len(_MAKERS)]
            decimal = kind is Kind.DECIMAL
            columns.append(
                Column(
                    f"{kind.value}_{number}",
                    kind,
                    carrier,
                    precision=12 if decimal else None,
                    scale=2 if decimal else None,
                )
            )
        return Table(
            Dataset("dummy", config.table_name), path, tuple(columns), ("id",), "id",
            rows=config.rows, bytes=config.rows * config.bytes_per_row,
        )  # fmt: skip

    def window(self) -> Window:
        """Return a window over the cursor ``id``; a later run reads only rows by which ``rows`` has grown."""
        return Window(column="id")

    def split(self, table: Table, window: Window, job_key: str, snapshot: str | None) -> Iterator[Chunk]:
        """Yield chunks that are ranges of ``id`` of equal length."""
        start = int(window.after) + 1 if window.after is not None else 0
        size = self._size(window)
        for number, low in enumerate(range(start, self.config.rows, size)):
            high = min(low + size, self.config.rows)
            yield Chunk(
                job_key,
                table.dataset,
                number,
                conditions=(Condition("id", ">=", str(low)), Condition("id", "<", str(high))),
                schema_sha=table.schema_sha,
                snapshot=snapshot,
                upto=str(high - 1) if window.column else None,
                estimate_rows=high - low,
            )

    def read(self, table: Table, chunk: Chunk) -> Payload:
        """Return generated rows for the chunk's range of ``id``."""
        bounds = {condition.op: int(condition.value or 0) for condition in chunk.conditions}
        low, high = bounds.get(">=", 0), bounds.get("<", self.config.rows)
        return Payload(table, lambda: self._batches(table, low, high))

    def _size(self, window: Window) -> int:
        asked = self.config.chunk
        bound = Split(rows=asked) if isinstance(asked, int) else asked
        sizes = [window.rows_per_chunk or bound.rows or self.config.rows]
        limit = window.bytes_per_chunk or bound.bytes
        if limit:
            sizes.append(limit // self.config.bytes_per_row)
        return max(1, min(sizes))

    def _batches(self, table: Table, low: int, high: int) -> Iterator[pa.RecordBatch]:
        texts = sum(column.kind is Kind.TEXT for column in table.columns)
        width = max(1, (self.config.bytes_per_row - _FIXED_BYTES) // max(1, texts))
        step = max(1, min(BATCH_ROWS, BATCH_BYTES // self.config.bytes_per_row))
        for start in range(low, high, step):
            ids = pa.array(range(start, min(start + step, high)), pa.int64())
            columns = [ids]
            for number, column in enumerate(table.columns[1:]):
                make = _MAKERS[number % len(_MAKERS)][2]
                columns.append(
                    make(_mixed(ids, (self.config.seed * 1_000 + number) * 0x9E3779B1), width).cast(
                        column.type
                    )
                )
            yield pa.RecordBatch.from_arrays(columns, schema=table.schema)


def _mixed(ids: pa.Array, seed: int) -> pa.Array:
    """Return one pseudo-random number from 0 to 2^31 - 1 per id, and NULL for about one id in 32."""
    spread = pc.add(pc.multiply(pc.add(ids, seed), 0x5851F42D4C957F2D), 0x14057B7EF767814F)
    found = pc.bit_wise_and(pc.shift_right(spread, 24), 0x7FFFFFFF)
    rare = pc.equal(pc.bit_wise_and(found, 31), 31)
    return pc.if_else(rare, pa.scalar(None, pa.int64()), found)


def _number(values: pa.Array, width: int) -> pa.Array:
    return values.cast(pa.int32())


def _amount(values: pa.Array, width: int) -> pa.Array:
    cent = pa.scalar(Decimal("0.01"), pa.decimal128(3, 2))
    return pc.multiply(values.cast(pa.decimal128(19, 0)), cent)


def _moment(values: pa.Array, width: int) -> pa.Array:
    return pc.multiply(values, 1_000_003).cast(pa.timestamp("us"))


def _text(values: pa.Array, width: int) -> pa.Array:
    return pc.utf8_rpad(values.cast(pa.string()), width, "x")


_MAKERS: tuple[tuple[Kind, pa.DataType, Callable[[pa.Array, int], pa.Array]], ...] = (
    (Kind.INT32, pa.int32(), _number),
    (Kind.TEXT, pa.string(), _text),
    (Kind.DECIMAL, pa.decimal128(12, 2), _amount),
    (Kind.TIMESTAMP, pa.timestamp("us"), _moment),
)


class _Nothing(Settings):
    """Keys of the dummy sink, none of which has an effect."""

    env: str | None = Field(None, deprecated=ENV)
    """Has no effect, and is taken as in other sinks: there is nothing to connect to."""
    dummy: Any = Field(None, deprecated=DUMMY)
    """Has no effect, and is taken so that older manifests still work: each run says so."""


class DummySink(Sink):
    """Counts and discards all rows.

    The sink stores nothing, so it never reports a chunk as written: after a crash the chunk is read again.
    """

    Config: ClassVar[type[BaseModel]] = _Nothing
    modes: ClassVar[frozenset[Mode]] = frozenset(one for one in Mode if not one.rules.compares)

    def dataset(self, table: Table) -> Dataset:
        """Return a dataset of namespace ``dummy`` with the name of the source's table."""
        return Dataset("dummy", table.dataset.name)

    def target(self, table: Table) -> Table:
        """Return a table with the source's columns, key and cursor."""
        return Table(self.dataset(table), table.path, table.columns, table.key, table.cursor)

    def write(self, table: Table, chunk: Chunk, attempt: Attempt, payload: Payload, mode: Mode) -> Receipt:
        """Count the rows and bytes of a chunk, hash its batches, and return the receipt."""
        rows = size = 0
        total = hashlib.sha256()
        for batch in payload.batches():
            attempt.check()
            rows += batch.num_rows
            size += batch.nbytes
            total.update(batch.serialize())
        return Receipt(
            chunk.chunk_id, attempt.number, rows, bytes=size, sha256=total.hexdigest(), location="dummy:"
        )
