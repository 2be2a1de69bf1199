"""Cuts a database's table into chunks, by SQL that answers the questions of ``hdm.components.ranges``.

``hdm.sql.window`` cuts a table that has a watermark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hdm.components.ranges import Cutter, Part
from hdm.dialects.base import Dialect
from hdm.model import Chunk, Column, Condition, Kind, Table
from hdm.sql.database import Database

__all__ = ["Part", "Splitter", "SqlRanges", "all_of", "why_not_split"]


def why_not_split(
    dialect: Dialect, table: Table, chunks: Sequence[Chunk], rows: int | None, size: int | None
) -> str | None:
    """Return a warning if a large table is moved as one chunk because it has no key to split by; else None.

    Large is more than ``rows`` rows or ``size`` bytes. A table of unknown size counts as large.
    """
    if (
        len(chunks) != 1
        or chunks[0].conditions
        or any(_orders(dialect, table.column(name)) for name in table.key)
    ):
        return None
    known = [(chunks[0].estimate_rows, rows), (table.bytes, size)]
    if any(found is not None for found, _ in known) and not any(
        found is not None and most is not None and found > most for found, most in known
    ):
        return None
    return "moved as one chunk whatever chunk says: it has no key to be cut by"


def _orders(dialect: Dialect, column: Column) -> bool:
    return dialect.is_sortable(column) or column.kind is Kind.DECIMAL


@dataclass(frozen=True, slots=True)
class SqlRanges:
    """Answers, by SQL, the questions by which one table or query is cut into chunks (see ``Ranges``).

    Uses one connection and one snapshot. ``origin`` is the table expression to read from, ``where`` the
    configured filter in brackets.
    """

    database: Database
    connection: Any
    table: Table
    origin: str
    where: str = ""

    def is_sortable(self, column: Column) -> bool:
        """Return True if chunks can be cut by the order of the column's values; for decimals always."""
        return _orders(self.database.dialect, column)

    def count(self, conditions: Sequence[Condition]) -> int:
        """Count the rows that meet all of the conditions, by ``COUNT(*)``."""
        return int(self.one(self.select("COUNT(*)", self.where_of(conditions)))[0])

    def edges(self, column: Column, conditions: Sequence[Condition], step: int, rows: int) -> list[str]:
        """Return column values that divide the rows into ranges of ``step`` rows, as text, ascending.

        See ``Database.edges``.
        """
        filters = self.where_of(conditions)
        return self.database.edges(self.connection, self.origin, column, filters, step, rows)

    def pages(self) -> int:
        """Return how many physical pages the table has; 0 if the dialect cannot select rows by page."""
        return self.database.pages(self.connection, self.table) if self.database.dialect.page_ranges else 0

    def where_of(self, conditions: Sequence[Condition]) -> str:
        """Return SQL for the configured filter and the conditions, joined by AND."""
        return all_of([self.where, self.database.dialect.predicate(conditions, self.table)])

    def select(self, what: str, where: str) -> str:
        """Return a SELECT of ``what`` from the table, or from the source's query.

        ``where`` is the condition; all rows if it is empty.
        """
        return f"SELECT {what} FROM {self.origin}" + (f" WHERE {where}" if where else "")

    def one(self, sql: str) -> tuple[Any, ...]:
        """Run a query and return its first row."""
        return self.database.run(self.connection, sql)[0]


@dataclass(frozen=True, slots=True)
class Splitter(Cutter):
    """Cuts a table of a database into chunks; subclasses may also send SQL of their own to it."""

    ranges: SqlRanges

    @property
    def database(self) -> Database:
        """The database that has the table to be cut."""
        return self.ranges.database

    @property
    def connection(self) -> Any:
        """The connection on whose snapshot the table is cut."""
        return self.ranges.connection

    @property
    def origin(self) -> str:
        """The table expression to read from: a table's name, or a query in brackets."""
        return self.ranges.origin

    @property
    def where(self) -> str:
        """The configured filter in brackets; empty if there is none."""
        return self.ranges.where

    def where_of(self, conditions: Sequence[Condition]) -> str:
        """Return SQL for the configured filter and the conditions, joined by AND."""
        return self.ranges.where_of(conditions)

    def select(self, what: str, where: str) -> str:
        """Return a SELECT of ``what`` from the table.

        ``where`` is the condition; all rows if it is empty.
        """
        return self.ranges.select(what, where)

    def one(self, sql: str) -> tuple[Any, ...]:
        """Run a query and return its first row."""
        return self.ranges.one(sql)


def all_of(filters: Sequence[str]) -> str:
    """Return the SQL filters joined by AND.

    Empty filters are left out; the result is empty if there are no others.
    """
    return " AND ".join(filter(None, filters))
