"""Cuts a table or a watermark's window into disjoint chunks; the source compares all values.

Without a cursor: ranges of the first key column (then of the next, where one value has very
many rows), or physical page ranges, or one chunk. With a cursor, in this order: rows that
committed late, rows tied at the watermark, NULLs, then ranges ``(lo, hi]`` up to the window's
end, whose ties are a chunk of their own (``boundary``). What is empty is not planned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from hdm.dialects.base import PAGE, Dialect
from hdm.errors import TiesUnknown, UsageError
from hdm.model import Chunk, Column, Condition, Kind, Table, Window
from hdm.sql.database import Database

ROWS_PER_CHUNK = 250_000
TIES_TOLD_APART = 1_000_000
"""Of more rows with the window's last value, or without one, only the number is kept."""
BYTES_PER_CHUNK = 256 * 1024 * 1024
_WIDTHS = {Kind.BOOLEAN: 1, Kind.INT8: 1, Kind.INT16: 2, Kind.INT32: 4, Kind.DATE: 4, Kind.FLOAT32: 4}
_SENTINELS = ("infinity", "9999-12-31", "9999-01-01")


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that one chunk will hold; ``upto`` as in ``Chunk``."""

    conditions: tuple[Condition, ...]
    rows: int | None = None
    upto: str | None = None
    boundary: bool = False
    seen_key: str | None = None
    counted: bool = False


def uncut(
    dialect: Dialect, table: Table, chunks: Sequence[Chunk], rows: int | None, size: int | None
) -> str | None:
    """What is to be said if a table of more than ``rows`` or ``size`` bytes, or of nobody knows how
    many, is one chunk for want of a key."""
    if len(chunks) != 1 or chunks[0].conditions or _sortable_key(dialect, table):
        return None
    known = [(chunks[0].estimate_rows, rows), (table.bytes, size)]
    if any(found is not None for found, _ in known) and not any(
        found is not None and most is not None and found > most for found, most in known
    ):
        return None
    return "moved as one chunk whatever chunk says: it has no key to be cut by"


def _sortable_key(dialect: Dialect, table: Table) -> list[Column]:
    key = [table.column(name) for name in table.key]
    return [c for c in key if dialect.is_sortable(c) or c.kind is Kind.DECIMAL]


@dataclass(frozen=True, slots=True)
class Splitter:
    """One split, on one connection whose view does not change meanwhile.

    ``origin`` is the table expression to read from, ``where`` the configured filter in brackets.
    """

    database: Database
    connection: Any
    table: Table
    window: Window
    origin: str
    where: str = ""

    def chunks(self, job_key: str, snapshot: str | None) -> Iterator[Chunk]:
        """All chunks, numbered from 0 in cursor order."""
        parts = self._window(self.window.column) if self.window.column else self._everything()
        for number, part in enumerate(parts):
            yield Chunk(
                job_key,
                self.table.dataset,
                number,
                part.conditions,
                schema_sha=self.table.schema_sha,
                snapshot=snapshot,
                boundary=part.boundary,
                counted=part.counted,
                seen_key=part.seen_key,
                upto=part.upto,
                estimate_rows=part.rows,
            )

    # -- a whole table -----------------------------------------------------------

    def _everything(self) -> Iterator[Part]:
        step, columns = self._step(), self._key_columns(())
        if not columns and not self._has_pages():
            yield Part((), self.table.rows)
            return
        rows = self.table.rows if self.table.rows is not None and not self.where else self._count(())
        if rows <= step:
            yield Part((), rows)
        elif columns:
            yield from self._by_key((), columns, rows)
        else:
            yield from self._by_page((), rows)

    def _by_key(self, base: tuple[Condition, ...], columns: Sequence[Column], rows: int) -> Iterator[Part]:
        """Ranges of the first column; its NULLs are in none of them, but in one that has no bounds."""
        parts = list(self._cut(base, columns, None, None, rows))
        if columns[0].nullable and len(parts) > 1:
            conditions = (*base, Condition(columns[0].name, "null"))
            found = self._count(conditions)
            if found:
                yield Part(conditions, found)
        yield from parts

    def _key_columns(self, apart_from: Sequence[str]) -> list[Column]:
        return [c for c in _sortable_key(self.database.dialect, self.table) if c.name not in apart_from]

    def _has_pages(self) -> bool:
        return self.database.dialect.page_ranges and self.database.pages(self.connection, self.table) > 1

    # -- a window of a cursor ------------------------------------------------------

    def _window(self, name: str) -> Iterator[Part]:
        column, window = self._cursor(name), self.window
        after = window.after
        if after is not None and window.offset:
            shifted = self.database.dialect.minus(self._literal(column, after), window.offset, column)
            shown = self.database.dialect.text_of(shifted, column)
            after = str(self._one(f"SELECT {shown}")[0])
        high, rows = self._end(column, after)
        if window.after is not None and after is not None:
            yield from self._late(column, after, tied=not window.offset)
            if not window.offset:
                yield from self._ties(column, after, newer=rows > 0)
        if column.nullable:
            yield from self._new_nulls(column)
        if high is not None and rows:
            low = None if after is None else Condition(name, ">", after)
            yield from self._up_to(column, low, high, rows)

    def _cursor(self, name: str) -> Column:
        try:
            column = self.table.column(name)
        except KeyError:
            raise UsageError(
                f"{self.table.dataset.name} has no column {name!r} to be its watermark",
                hint="watermark.column names one of: " + ", ".join(c.name for c in self.table.columns),
            ) from None
        if not self.database.dialect.is_sortable(column) or column.kind is Kind.UUID:
            raise UsageError(
                f"watermark column {name} is {column.kind} ({column.native}), which has no useful order",
                hint="choose a number, date or timestamp column",
            )
        return column

    def _end(self, column: Column, after: str | None) -> tuple[str | None, int]:
        """The frozen end of the window, and how many rows lie in ``(after, end]``."""
        dialect, name = self.database.dialect, self.database.dialect.comparable(column)
        filters = [self._where(() if after is None else (Condition(column.name, ">", after),))]
        if self.window.lag:
            lagged = dialect.minus(f"MAX({dialect.quote(column.name)})", self.window.lag, column)
            inner = self._select(lagged, self._where(()))
            filters.append(f"{name} <= ({inner})")
        horizon = self.database.horizon(self.connection, self.table, column)
        if horizon is not None:
            filters.append(f"{name} < {horizon}")
        most = dialect.text_of(f"MAX({dialect.quote(column.name)})", column)
        counted = f"COUNT({dialect.quote(column.name)})"
        high, rows = self._one(self._select(f"{most}, {counted}", _all(filters)))
        if high is not None and str(high).startswith(_SENTINELS):
            raise UsageError(
                f"{self.table.dataset.name}: the largest {column.name} is a sentinel (9999 or infinity); "
                "taken as a watermark, nothing would ever be new again",
                hint="leave such rows out with where:, or choose another watermark column",
            )
        return (None if high is None else str(high)), int(rows)

    def _late(self, column: Column, after: str, *, tied: bool) -> Iterator[Part]:
        late = self.database.late(self.window)
        if late is not None:
            conditions = (Condition(column.name, "<" if tied else "<=", after), late)
            found = self._count(conditions)
            if found:
                yield Part(conditions, found, upto=after)

    def _ties(self, column: Column, after: str, *, newer: bool) -> Iterator[Part]:
        conditions = (Condition(column.name, "=", after),)
        found = self._count(conditions)
        if found != self.window.ties:
            self._can_tell(column, self.window.ties, found, counted=self.window.ties_counted)
            counted = not newer and found > TIES_TOLD_APART
            yield Part(conditions, found, upto=after, boundary=not newer, counted=counted, seen_key="point")

    def _new_nulls(self, column: Column) -> Iterator[Part]:
        conditions = (Condition(column.name, "null"),)
        found = self._count(conditions)
        if found != self.window.nulls:
            self._can_tell(column, self.window.nulls, found, counted=self.window.nulls_counted)
            seen = "null" if self.window.nulls else None
            yield Part(conditions, found, boundary=True, counted=found > TIES_TOLD_APART, seen_key=seen)

    def _can_tell(self, column: Column, known: int, found: int, *, counted: bool) -> None:
        """``TiesUnknown`` if only a number is known and the rows must not be read again."""
        if counted and not self.window.again:
            raise TiesUnknown(
                f"{self.table.dataset.name}: {known:,} rows with one {column.name} were moved and now there "
                f"are {found:,}; beyond {TIES_TOLD_APART:,} hdm does not keep which ones",
                hint="write mode: merge or mode: replace, or choose a watermark that fewer rows share; "
                "watermark.lag keeps away from a value that still grows",
            )

    def _up_to(self, column: Column, low: Condition | None, high: str, rows: int) -> Iterator[Part]:
        at_end = (Condition(column.name, "=", high),)
        ties = self._count(at_end)
        if rows > ties:
            below = Condition(column.name, "<", high)
            columns = [column, *self._key_columns((column.name,))]
            yield from self._cut((), columns, low, below, rows - ties, watermark=True)
        pieces = list(self._finer(at_end, self._key_columns((column.name,)), ties))
        for number, piece in enumerate(pieces, 1):
            upto = high if number == len(pieces) else None
            yield Part(piece.conditions, piece.rows, upto, boundary=True, counted=ties > TIES_TOLD_APART)

    # -- ranges ----------------------------------------------------------------

    def _cut(
        self,
        base: tuple[Condition, ...],
        columns: Sequence[Column],
        low: Condition | None,
        high: Condition | None,
        rows: int,
        *,
        watermark: bool = False,
    ) -> Iterator[Part]:
        """Ranges of the first column above ``low`` and below ``high``; open where those are None."""
        column, step = columns[0], self._step()
        inside = (*base, *filter(None, (low, high)))
        edges = []
        if rows > step:
            filters = self._where(inside)
            edges = self.database.edges(self.connection, self.origin, column, filters, step, rows)
        for value, repeated in groupby(edges):
            times = len(list(repeated))
            until = Condition(column.name, "<=", value)
            if times > 1:
                before = (*base, *filter(None, (low,)), Condition(column.name, "<", value))
                yield Part(before, step)
                at_value = (*base, Condition(column.name, "=", value))
                pieces = list(self._finer(at_value, columns[1:], times * step))
                yield from pieces[:-1]
                last = pieces[-1]
                yield Part(last.conditions, last.rows, upto=value if watermark else None)
            else:
                upto = value if watermark else None
                yield Part((*base, *filter(None, (low,)), until), min(step, rows), upto)
            low = Condition(column.name, ">", value)
        rest = max(rows - len(edges) * step, 0)
        if not edges or rest or high is None or self._count((*base, *filter(None, (low, high)))):
            yield Part((*base, *filter(None, (low, high))), rest)

    def _finer(self, base: tuple[Condition, ...], columns: Sequence[Column], rows: int) -> Iterator[Part]:
        """The rows of one heavy value, by the next key columns or by page."""
        if rows <= self._step() or not (columns or self._has_pages()):
            yield Part(base, rows)
        elif columns:
            yield from self._by_key(base, columns, rows)
        else:
            yield from self._by_page(base, rows)

    def _by_page(self, base: tuple[Condition, ...], rows: int) -> Iterator[Part]:
        pages = self.database.pages(self.connection, self.table)
        wanted = max(-(-rows // self._step()), 1)
        size = max(pages // wanted, 1)
        starts = list(range(0, pages, size))[:wanted] or [0]
        for start, end in zip(starts, [*starts[1:], None], strict=True):
            above = (Condition(PAGE, ">=", str(start)),) if start else ()
            below = (Condition(PAGE, "<", str(end)),) if end is not None else ()
            yield Part((*base, *above, *below), rows // len(starts))

    def _step(self) -> int:
        """Rows per chunk: as configured, or by bytes at the table's mean width."""
        window = self.window
        if window.rows_per_chunk and not window.bytes_per_chunk:
            return window.rows_per_chunk
        size = window.bytes_per_chunk or BYTES_PER_CHUNK
        if self.table.rows and self.table.bytes:
            width = self.table.bytes / self.table.rows
        else:
            width = sum(_WIDTHS.get(c.kind, 16) for c in self.table.columns)
        return max(min(window.rows_per_chunk or ROWS_PER_CHUNK, int(size / max(width, 1))), 1)

    # -- asking ------------------------------------------------------------------

    def _where(self, conditions: Sequence[Condition]) -> str:
        return _all([self.where, self.database.dialect.predicate(conditions, self.table)])

    def _select(self, what: str, where: str) -> str:
        return f"SELECT {what} FROM {self.origin}" + (f" WHERE {where}" if where else "")

    def _count(self, conditions: Sequence[Condition]) -> int:
        return int(self._one(self._select("COUNT(*)", self._where(conditions)))[0])

    def _one(self, sql: str) -> tuple[Any, ...]:
        return self.database.run(self.connection, sql)[0]

    def _literal(self, column: Column, text: str) -> str:
        return self.database.dialect.literal(text, column)


def _all(filters: Sequence[str]) -> str:
    return " AND ".join(filter(None, filters))
