"""Defines a side of a comparison, and reads its rows: by SQL in one transaction, or as a plain
stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pyarrow as pa

from hdm.arrow.batches import rebatch
from hdm.components.source import Source
from hdm.dialects.hashing import Bucketing
from hdm.errors import UsageError
from hdm.model import Chunk, Column, Condition, Table
from hdm.proof.buckets import Buckets
from hdm.sql.cursor import highest
from hdm.sql.database import Database
from hdm.sql.sessions import looking
from hdm.sql.source import SqlSource

BATCH_ROWS = 32_768


class Reader(Protocol):
    """Reads one side for as long as a comparison lasts."""

    @property
    def seeks(self) -> bool:
        """Whether ``batches`` takes conditions, so that single rows and ranges of keys can be read."""

    def count(self) -> int:
        """Return how many rows there are."""

    def extent(self, column: Column) -> tuple[int, int] | None:
        """Return the least and the greatest value of a column of whole numbers; None if all are NULL."""

    def batches(
        self, columns: Sequence[Column], conditions: Sequence[Condition] = ()
    ) -> Iterator[pa.RecordBatch]:
        """Yield the given columns of all rows that fulfil the conditions."""

    def sums(self, buckets: Buckets, *, first: bool) -> pa.Table | None:
        """Return the sums of all rows by bucket, computed where they lie; None if they have to be read."""


class Side(Protocol):
    """One of two tables to compare."""

    @property
    def label(self) -> str:
        """What the table is called in results."""

    @property
    def table(self) -> Table:
        """The table's columns and key."""

    def open(self) -> AbstractContextManager[Reader]:
        """Open the table for reading, until the ``with`` block ends."""


# -- tables of databases ---------------------------------------------------------

Select = Callable[[Sequence[Column], Sequence[Condition]], str]
"""Writes the SELECT statement for some columns and conditions."""


@dataclass(frozen=True)
class SqlSide:
    """A table or query of a database; all of it is read in one transaction.

    Where the system gives a transaction one view, every reading of a comparison has that view.
    """

    label: str
    table: Table
    database: Database
    select: Select
    sums: bool = True
    """Whether the columns are of the types that the database knows, so that it can spell their values."""

    @contextmanager
    def open(self) -> Iterator[Reader]:
        """Open a database session and a transaction in it, until the ``with`` block ends."""
        connection = self.database.connect("hdm:proof")
        try:
            self.database.begin(connection)
            yield SqlReader(self, connection)
        finally:
            connection.close()


@dataclass(frozen=True)
class SqlReader:
    """Reads a ``SqlSide`` in one open transaction."""

    side: SqlSide
    connection: Any
    seeks: bool = True

    def count(self) -> int:
        """Return how many rows there are, by ``COUNT(*)``."""
        return int(self._one("COUNT(*)", self.side.table.columns[:1])[0])

    def extent(self, column: Column) -> tuple[int, int] | None:
        """Return the least and the greatest value of a column of whole numbers; None if all are NULL."""
        name = self.side.database.dialect.quote(column.name)
        low, high = self._one(f"MIN({name}), MAX({name})", (column,))
        return None if low is None or high is None else (int(low), int(high))

    def _one(self, what: str, columns: Sequence[Column]) -> tuple[Any, ...]:
        origin = self.side.database.dialect.derived(self.side.select(columns, ()))
        return self.side.database.run(self.connection, f"SELECT {what} FROM {origin}")[0]

    def batches(
        self, columns: Sequence[Column], conditions: Sequence[Condition] = ()
    ) -> Iterator[pa.RecordBatch]:
        """Yield the given columns of all rows that fulfil the conditions, which the database evaluates."""
        sql = self.side.select(columns, conditions)
        return rebatch(self.side.database.stream(self.connection, sql, columns), BATCH_ROWS)

    def sums(self, buckets: Buckets, *, first: bool) -> pa.Table | None:
        """Return the sums of all rows by bucket, which the database computes; None if it cannot."""
        database = self.side.database
        asked = database.dialect.can_sum
        if not self.side.sums or not asked or not database.run(self.connection, asked)[0][0]:
            return None
        sql = self._summing(buckets, first=first)
        if sql is None:
            return None
        columns: list[list[int]] = [[], [], [], [], []]
        for row in database.run(self.connection, sql):
            if None in row:
                return None
            for number, value in enumerate(row):
                columns[number].append(int(value) % 2**64 if number else int(value))
        arrays = [pa.array(columns[0], pa.int64()), *(pa.array(one, pa.uint64()) for one in columns[1:])]
        return pa.table(arrays, names=["bucket", "count", "key", "hash", "product"])

    def _summing(self, buckets: Buckets, *, first: bool) -> str | None:
        dialect, columns, values = self.side.database.dialect, [], []
        for pair in buckets.pairs:
            column = pair.a if first else pair.b
            rules = pair.accepted.rules(first=first)
            if rules is None:
                return None
            value = dialect.spelled(dialect.quote(column.name), column, pair.form.value, rules)
            if value is None:
                return None
            columns.append(column)
            values.append(value)
        if buckets.ranges:
            name = (buckets.key.a if first else buckets.key.b).name
            how = Bucketing(dialect.quote(name), buckets.low, buckets.width)
        else:
            how = Bucketing(hashed=buckets.keys, buckets=buckets.hashed)
        forms = [pair.form.value for pair in buckets.pairs]
        return dialect.sums_by_bucket(dialect.derived(self.side.select(columns, ())), values, forms, how)


def sql_side(database: Database, path: Sequence[str], label: str = "") -> SqlSide:
    """Return a table of a database as a side; raise ``UsageError`` if there is no such table."""
    table = database.look(path) if database.is_there() else None
    if table is None:
        raise UsageError(
            f"there is no table {'.'.join(path)} in {database.dataset(path).namespace}",
            hint="check its name, or run the manifest first",
        )

    def select(columns: Sequence[Column], conditions: Sequence[Condition]) -> str:
        dialect = database.dialect
        shown = ", ".join(f"{dialect.select_expression(c)} AS {dialect.quote(c.name)}" for c in columns)
        where = dialect.predicate(conditions, table)
        return f"SELECT {shown} FROM {dialect.qualify(table.path)}" + (f" WHERE {where}" if where else "")

    return SqlSide(label or named(table), table, database, select)


def side_of(source: Source, table: Table | None = None, *, moved: str | None = None) -> Side:
    """Return a source's table as a side, read by SQL if the source reads by SQL, else as a stream.

    ``table`` is the one that ``describe`` returns if it is left out. ``moved`` is the watermark up to which
    the rows of a SQL source were moved: later ones are left out.
    """
    table = source.describe() if table is None else table
    if not isinstance(source, SqlSource):
        return StreamSide(named(table), table, lambda: read_whole(source, table))
    also = "" if moved is None or table.cursor is None else _moved(source, table, table.cursor, moved)

    def select(columns: Sequence[Column], conditions: Sequence[Condition]) -> str:
        chunk = Chunk("proof", table.dataset, 0, conditions=tuple(conditions))
        return source.selecting(table, chunk, columns, also)

    return SqlSide(named(table), table, source.database, select, sums=not source.config.types)


def _moved(source: SqlSource, table: Table, cursor: str, mark: str) -> str:
    """Return SQL for the rows up to a watermark, and for those that have no place in its order."""
    dialect, column = source.dialect, table.column(cursor)
    setting = source.config.watermark
    top = setting.max if setting is not None else None
    if top is None:
        with looking(source.database, "hdm:proof") as connection:
            top = highest(dialect, column, source.database.now(connection))
    wanted = [Condition(cursor, "<=", mark)]
    wanted.append(Condition(cursor, "null") if top is None else Condition(cursor, "beyond", top))
    return f"({' OR '.join(dialect.condition(one, table) for one in wanted)})"


def named(table: Table) -> str:
    """Return a table's name for results."""
    return f"{table.dataset.namespace}/{table.dataset.name}"


# -- everything else --------------------------------------------------------------


@dataclass(frozen=True)
class StreamSide:
    """Rows that can only be read from the first to the last; each reading starts anew."""

    label: str
    table: Table
    read: Callable[[], Iterator[pa.RecordBatch]]

    def open(self) -> AbstractContextManager[Reader]:
        """Return a reader; there is nothing to open or close."""
        return nullcontext(StreamReader(self))


@dataclass
class StreamReader:
    """Reads a ``StreamSide``."""

    side: StreamSide
    seeks: bool = False

    def count(self) -> int:
        """Return how many rows there are, by reading them."""
        return sum(batch.num_rows for batch in self.side.read())

    def extent(self, column: Column) -> tuple[int, int] | None:
        """Return None: a stream does not know its values before it is read."""
        return None

    def batches(
        self, columns: Sequence[Column], conditions: Sequence[Condition] = ()
    ) -> Iterator[pa.RecordBatch]:
        """Yield the given columns of all rows; a stream takes no conditions."""
        assert not conditions
        names = [column.name for column in columns]
        for batch in rebatch(self.side.read(), BATCH_ROWS):
            yield batch.select(names)

    def sums(self, buckets: Buckets, *, first: bool) -> pa.Table | None:
        """Return None: only a database sums rows; those of a stream have to be read."""
        return None


def read_whole(source: Source, table: Table) -> Iterator[pa.RecordBatch]:
    """Yield all rows of a source, cut into chunks as it would be for a first run."""
    window = replace(source.window(), after=None)
    for chunk in source.split(table, window, "proof", None):
        yield from source.read(table, chunk).batches()
