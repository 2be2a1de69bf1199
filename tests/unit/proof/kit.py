"""Tables in memory to compare: columns of every kind, rows by number, and sides that read them in batches."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pyarrow as pa

from hdm.model import Column, Condition, Dataset, Kind, Table
from hdm.proof.side import Reader, StreamReader, StreamSide

COLUMNS = (
    Column("id", Kind.INT64, pa.int64()),
    Column("name", Kind.TEXT, pa.string()),
    Column("note", Kind.TEXT, pa.string()),
    Column("price", Kind.DECIMAL, pa.decimal128(18, 4), precision=18, scale=4),
    Column("ratio", Kind.FLOAT64, pa.float64()),
    Column("born", Kind.DATE, pa.date32()),
    Column("seen", Kind.TIMESTAMP, pa.timestamp("us")),
    Column("flag", Kind.BOOLEAN, pa.bool_()),
    Column("raw", Kind.BINARY, pa.binary()),
)
Rows = list[tuple[Any, ...]]


def table(columns: Sequence[Column] = COLUMNS, key: tuple[str, ...] = ("id",)) -> Table:
    return Table(Dataset("memory", "t"), ("t",), tuple(columns), key)


def side(rows: Rows, key: tuple[str, ...] = ("id",), columns: Sequence[Column] = COLUMNS) -> StreamSide:
    made = table(columns, key)

    def read() -> Iterator[pa.RecordBatch]:
        for start in range(0, len(rows), 500):
            cells = list(zip(*rows[start : start + 500], strict=True))
            arrays = [pa.array(values, one.type) for values, one in zip(cells, columns, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=made.schema)

    return StreamSide("memory", made, read)


@dataclass
class Seeking(StreamReader):
    """Reads rows in memory by conditions on ``id``, as a database would; counts what was read."""

    seeks: bool = True
    read_rows: int = 0
    asked: list[Sequence[Condition]] = field(default_factory=list)

    def extent(self, column: Column) -> tuple[int, int] | None:
        names = [one.name for one in self.side.table.columns]
        numbers = [
            value
            for batch in self.side.read()
            for value in batch.column(names.index(column.name)).to_pylist()
            if value is not None
        ]
        return (min(numbers), max(numbers)) if numbers else None

    def batches(
        self, columns: Sequence[Column], conditions: Sequence[Condition] = ()
    ) -> Iterator[pa.RecordBatch]:
        self.asked.append(conditions)
        for batch in StreamReader.batches(self, columns):
            keep = [
                all(fulfils(value, one) for one in conditions) for value in batch.column("id").to_pylist()
            ]
            found = batch.filter(pa.array(keep, pa.bool_()))
            self.read_rows += found.num_rows
            yield found


def fulfils(value: int | None, one: Condition) -> bool:
    if one.op == "null" or value is None:
        return one.op == "null" and value is None
    if one.op == "in":
        return value in {int(each) for each in (one.value or "").split(",")}
    bound = int(one.value or "")
    return value >= bound if one.op == ">=" else value <= bound


@dataclass(frozen=True)
class SeekingSide(StreamSide):
    readers: list[Seeking] = field(default_factory=list)

    def open(self) -> AbstractContextManager[Reader]:
        self.readers.append(Seeking(self))
        return nullcontext(self.readers[-1])


def seeking(rows: Rows, key: tuple[str, ...] = ("id",)) -> SeekingSide:
    """A side that can read single rows and ranges of keys."""
    plain = side(rows, key)
    return SeekingSide(plain.label, plain.table, plain.read)


def plain_rows(count: int) -> Rows:
    return [
        (
            n,
            f"n\u00e4me {n}",
            None if n % 5 == 0 else "" if n % 5 == 1 else f"note {n}",
            Decimal(n) / 4 + Decimal("0.0001"),
            n / 7,
            dt.date(2024, 1, 1) + dt.timedelta(n % 700),
            dt.datetime(2024, 3, 31, 0, 30, 0, 123_456) + dt.timedelta(seconds=n),
            n % 3 == 0,
            f"bytes {n}".encode(),
        )
        for n in range(count)
    ]


def random_table(seed: int) -> tuple[Rows, tuple[str, ...], Sequence[Column]]:
    """Rows of some random columns, with NULLs and repeats, and a key that may be none or repeat itself."""
    draw = random.Random(seed)
    values = {
        "id": lambda: draw.choice([draw.randrange(-(2**63), 2**63), draw.randrange(50), None]),
        "name": lambda: draw.choice(
            ["", "a", "A", "a ", "\u00e9", "e\u0301", "\U0001f600", "N", "1:", "x" * 300]
        ),
        "note": lambda: "".join(draw.choices("ab \n\t\u00df", k=draw.randrange(6))),
        "price": lambda: Decimal(draw.randrange(-(10**17), 10**17)).scaleb(-4),
        "ratio": lambda: draw.choice([0.0, -0.0, float("nan"), float("inf"), draw.uniform(-1e300, 1e300)]),
        "born": lambda: dt.date.fromordinal(draw.randrange(1, 3_652_059)),
        "seen": lambda: dt.datetime(1, 1, 1) + dt.timedelta(microseconds=draw.randrange(3 * 10**17)),
        "flag": lambda: draw.random() < 0.5,
        "raw": lambda: draw.randbytes(draw.randrange(5)),
    }
    columns = [one for one in COLUMNS if one.name == "id" or draw.random() < 0.7]
    rows = [
        tuple(None if one.name != "id" and draw.random() < 0.1 else values[one.name]() for one in columns)
        for _ in range(draw.randrange(0, 60))
    ]
    rows += draw.choices(rows, k=draw.randrange(0, 10)) if rows else []
    key = draw.choice([("id",), (), (columns[-1].name,), ("id", columns[-1].name)])
    return rows, tuple(dict.fromkeys(key)), columns


def changed(rows: Rows, number: int, **values: Any) -> Rows:
    """The rows with some values of row ``number`` replaced."""
    names = [column.name for column in COLUMNS]
    made = [*rows[number]]
    for name, value in values.items():
        made[names.index(name)] = value
    return [*rows[:number], tuple(made), *rows[number + 1 :]]


def with_type(name: str, kind: Kind, carrier: pa.DataType) -> tuple[Column, ...]:
    """The columns with one of another type."""
    return tuple(replace(c, kind=kind, type=carrier) if c.name == name else c for c in COLUMNS)
