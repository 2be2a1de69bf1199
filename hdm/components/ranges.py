"""Cuts a table into disjoint chunks; the table's system counts and sorts the rows (protocol ``Ranges``).

The chunks are ranges of the first key column. Where one value of that column has very many rows, they are
ranges of the next key column within that value. Without a usable key, they are ranges of physical pages, or
one chunk for the whole table. Ranges without rows give no chunk. hdm itself never compares values.
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
    """Interface to a system that can count and sort the rows of one table, in one snapshot of it."""

    def is_sortable(self, column: Column) -> bool:
        """Return True if the system can sort this column's values.

        Each row then lies in exactly one range.
        """

    def count(self, conditions: Sequence[Condition]) -> int:
        """Count the table's rows that meet all of the conditions."""

    def edges(self, column: Column, conditions: Sequence[Condition], step: int, rows: int) -> list[str]:
        """Return the column's value in every ``step``-th row, as text, in ascending order.

        These values serve as limits between chunks. Only rows that meet the conditions, and are not NULL in
        the column, are counted. ``rows`` is an estimate of their number.
        """

    def pages(self) -> int:
        """Return how many physical pages the table has; 0 if pages cannot be read one by one."""


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one chunk that is about to be planned; see ``Chunk`` for its fields."""

    conditions: tuple[Condition, ...]
    rows: int | None = None
    upto: str | None = None
    boundary: bool = False
    seen_key: str | None = None
    counted: bool = False


@dataclass(frozen=True, slots=True)
class Cutter:
    """Cuts one table, or a window of its rows, into chunks.

    ``relation`` says what holds the rows, as in ``Chunk``. ``filtered``: a condition selects rows, so that
    the system's estimate for the whole table does not apply. ``exact`` says how chunks are read later. True:
    in the snapshot in which they are cut, so all rows are counted even where an estimate would do. False: in
    that snapshot, but a chunk may find other rows than were counted. None: not in that snapshot.
    """

    ranges: Ranges
    table: Table
    window: Window
    relation: str | None = None
    exact: bool | None = None
    filtered: bool = False
    known: list[int] = field(default_factory=list)

    def chunks(self, job_key: str, snapshot: str | None) -> Iterator[Chunk]:
        """Yield all chunks, numbered from 0 in cursor order.

        If the rows were counted, and ``exact`` is not False, the last chunk has the total as ``rows_in_all``.
        """
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
        """Yield the rows of each chunk as a ``Part``, in the order of the chunks."""
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
        """Yield ranges of the first column, after a part with its NULLs.

        A single range has no bounds and includes the NULLs.
        """
        parts = list(self.cut(base, columns, None, None, rows))
        if columns[0].nullable and len(parts) > 1:
            conditions = (*base, Condition(columns[0].name, "null"))
            found = self.count(conditions)
            if found:
                yield Part(conditions, found)
        yield from parts

    def key_columns(self, apart_from: Sequence[str]) -> list[Column]:
        """Return the table's key columns that the system can sort, except those named in ``apart_from``."""
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
        """Cut the rows that meet ``base``, ``low`` and ``high`` into ranges of the first of ``columns``.

        ``low`` and ``high`` are conditions on that column; without one, that side has no bound. ``rows`` is
        how many rows meet them all. The ranges come in ascending order. With ``watermark``, the part with
        which all rows up to a value of the column are covered has that value as ``upto``.
        """
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
        """Cut rows that are too many for one chunk by further key columns, or by physical page.

        The rows are those that meet the conditions ``base``, about ``rows`` of them. If they fit into one
        chunk, or there is neither column nor page, they stay one part. Yields the parts.
        """
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
        """Return the rows per chunk: as configured, or by bytes per chunk and the mean width of a row."""
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
        """Return the number of the table's rows that meet all of the conditions."""
        return self.ranges.count(conditions)


def cut(
    ranges: Ranges, table: Table, window: Window, job_key: str, snapshot: str | None = None
) -> Iterator[Chunk]:
    """Cut a whole table into chunks and yield them; ``Source.split`` may call this.

    If only the window's ``rows_per_chunk`` is set, a chunk has that many rows. Otherwise two limits hold:
    ``rows_per_chunk``, else 250,000 rows, and ``bytes_per_chunk``, else 256 MiB by the table's mean width of
    a row.
    """
    return Cutter(ranges, table, window).chunks(job_key, snapshot)
