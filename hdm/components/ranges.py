"""Cuts a table into disjoint chunks by four questions, which any system can answer that counts and sorts.

Ranges of the first key column (then of the next, where one value has very many rows), or ranges of the places
at which rows lie, or one chunk. What is empty is not planned. The system compares all values, never hdm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Protocol

from hdm.dialects.base import PAGE
from hdm.model import Chunk, Column, Condition, Kind, Table, Window

ROWS_PER_CHUNK = 250_000
BYTES_PER_CHUNK = 256 * 1024 * 1024
_WIDTHS = {Kind.BOOLEAN: 1, Kind.INT8: 1, Kind.INT16: 2, Kind.INT32: 4, Kind.DATE: 4, Kind.FLOAT32: 4}


class Ranges(Protocol):
    """What a system answers about one table, in one view of it that does not change meanwhile."""

    def is_sortable(self, column: Column) -> bool:
        """Whether the system orders the column's values, so that ranges of it hold each row once."""

    def count(self, conditions: Sequence[Condition]) -> int:
        """How many rows meet all of the conditions."""

    def edges(self, column: Column, conditions: Sequence[Condition], step: int, rows: int) -> list[str]:
        """Of the rows that meet the conditions, sorted by the column without its NULLs, the value of every
        ``step``-th, as text. ``rows`` is how many there are, roughly."""

    def pages(self) -> int:
        """Of how many places (``@page`` in a condition) the table consists; 0 if it has no such thing."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that one chunk will hold; ``upto`` as in ``Chunk``."""

    conditions: tuple[Condition, ...]
    rows: int | None = None
    upto: str | None = None
    boundary: bool = False
    seen_key: str | None = None
    counted: bool = False


@dataclass(frozen=True, slots=True)
class Cutter:
    """Cuts one table, or a window of it.

    ``relation`` as in ``Chunk``. ``exact``: chunks are read under the snapshot that is cut under, so all
    rows are counted, even where an estimate would do; False: and may still find others; None: they are not.
    ``filtered``: the table's own estimate of its rows does not hold.
    """

    ranges: Ranges
    table: Table
    window: Window
    relation: str | None = None
    exact: bool | None = None
    filtered: bool = False
    known: list[int] = field(default_factory=list)

    def chunks(self, job_key: str, snapshot: str | None) -> Iterator[Chunk]:
        """All chunks, numbered from 0 in cursor order; the last one says how many rows all of them hold,
        where they were counted."""
        last: Chunk | None = None
        for number, part in enumerate(self.parts()):
            if last is not None:
                yield last
            last = Chunk(
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
                relation=self.relation,
                again=self.window.again,
            )
        if last is not None:
            told = self.known and self.exact is not False
            yield last.at(rows_in_all=sum(self.known)) if told else last

    # -- a whole table -----------------------------------------------------------

    def parts(self) -> Iterator[Part]:
        """What each chunk will hold, in the order of the chunks."""
        step, columns = self._step(), self.key_columns(())
        uncuttable = not columns and not self._has_pages()
        rows = None if self.filtered else self.table.rows
        if self.exact or (rows is None and not uncuttable):
            rows = self.count(())
            self.known.append(rows)
        if uncuttable or rows is None:
            yield Part((), rows)
        elif rows <= step:
            yield Part((), rows)
        elif columns:
            yield from self._by_key((), columns, rows)
        else:
            yield from self._by_page((), rows)

    def _by_key(self, base: tuple[Condition, ...], columns: Sequence[Column], rows: int) -> Iterator[Part]:
        """Ranges of the first column; its NULLs are in none of them, but in one that has no bounds."""
        parts = list(self.cut(base, columns, None, None, rows))
        if columns[0].nullable and len(parts) > 1:
            conditions = (*base, Condition(columns[0].name, "null"))
            found = self.count(conditions)
            if found:
                yield Part(conditions, found)
        yield from parts

    def key_columns(self, apart_from: Sequence[str]) -> list[Column]:
        """The sortable columns of the key, but those that are named."""
        key = [self.table.column(name) for name in self.table.key if name not in apart_from]
        return [column for column in key if self.ranges.is_sortable(column)]

    def _has_pages(self) -> bool:
        return self.ranges.pages() > 1

    # -- ranges ----------------------------------------------------------------

    def cut(
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
            edges = self.ranges.edges(column, inside, step, rows)
        for value, repeated in groupby(edges):
            times = len(list(repeated))
            until = Condition(column.name, "<=", value)
            if times > 1:
                before = (*base, *filter(None, (low,)), Condition(column.name, "<", value))
                yield Part(before, step)
                at_value = (*base, Condition(column.name, "=", value))
                pieces = list(self.finer(at_value, columns[1:], times * step))
                yield from pieces[:-1]
                last = pieces[-1]
                yield Part(last.conditions, last.rows, upto=value if watermark else None)
            else:
                upto = value if watermark else None
                yield Part((*base, *filter(None, (low,)), until), min(step, rows), upto)
            low = Condition(column.name, ">", value)
        rest = max(rows - len(edges) * step, 0)
        if not edges or rest or high is None or self.count((*base, *filter(None, (low, high)))):
            yield Part((*base, *filter(None, (low, high))), rest)

    def finer(self, base: tuple[Condition, ...], columns: Sequence[Column], rows: int) -> Iterator[Part]:
        """The rows of one heavy value, by the next key columns or by page."""
        if rows <= self._step() or not (columns or self._has_pages()):
            yield Part(base, rows)
        elif columns:
            yield from self._by_key(base, columns, rows)
        else:
            yield from self._by_page(base, rows)

    def _by_page(self, base: tuple[Condition, ...], rows: int) -> Iterator[Part]:
        pages = self.ranges.pages()
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

    def count(self, conditions: Sequence[Condition]) -> int:
        """How many rows meet the conditions."""
        return self.ranges.count(conditions)


def cut(
    ranges: Ranges, table: Table, window: Window, job_key: str, snapshot: str | None = None
) -> Iterator[Chunk]:
    """The chunks of a whole table, for ``Source.split``: as large as the window's ``rows_per_chunk`` or
    ``bytes_per_chunk`` says, else about 250,000 rows or 256 MiB."""
    return Cutter(ranges, table, window).chunks(job_key, snapshot)
