"""Cuts a table of a database into chunks: how SQL answers the questions of ``hdm.components.ranges``.

``window`` cuts the window of a cursor.
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
    """What is to be said if a table of more than ``rows`` or ``size`` bytes, or of nobody knows how
    many, is one chunk for want of a key."""
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
    """One table or query on one connection, whose view does not change meanwhile.

    ``origin`` is the table expression to read from, ``where`` the configured filter in brackets.
    """

    database: Database
    connection: Any
    table: Table
    origin: str
    where: str = ""

    def is_sortable(self, column: Column) -> bool:
        """By the dialect; decimals in any case, which every database orders in some way."""
        return _orders(self.database.dialect, column)

    def count(self, conditions: Sequence[Condition]) -> int:
        """By COUNT(*)."""
        return int(self.one(self.select("COUNT(*)", self.where_of(conditions)))[0])

    def edges(self, column: Column, conditions: Sequence[Condition], step: int, rows: int) -> list[str]:
        """By the database, in its own way."""
        filters = self.where_of(conditions)
        return self.database.edges(self.connection, self.origin, column, filters, step, rows)

    def pages(self) -> int:
        """Where the dialect can name them."""
        return self.database.pages(self.connection, self.table) if self.database.dialect.page_ranges else 0

    def where_of(self, conditions: Sequence[Condition]) -> str:
        """The configured filter and these conditions, ANDed."""
        return all_of([self.where, self.database.dialect.predicate(conditions, self.table)])

    def select(self, what: str, where: str) -> str:
        """A SELECT from the table; all rows if ``where`` is empty."""
        return f"SELECT {what} FROM {self.origin}" + (f" WHERE {where}" if where else "")

    def one(self, sql: str) -> tuple[Any, ...]:
        """The first row of a query."""
        return self.database.run(self.connection, sql)[0]


@dataclass(frozen=True, slots=True)
class Splitter(Cutter):
    """One split of a table of a database; what it asks beside the four questions is SQL as well."""

    ranges: SqlRanges

    @property
    def database(self) -> Database:
        """The database."""
        return self.ranges.database

    @property
    def connection(self) -> Any:
        """The connection whose view is split."""
        return self.ranges.connection

    @property
    def origin(self) -> str:
        """The table expression."""
        return self.ranges.origin

    @property
    def where(self) -> str:
        """The configured filter."""
        return self.ranges.where

    def where_of(self, conditions: Sequence[Condition]) -> str:
        """See ``SqlRanges``."""
        return self.ranges.where_of(conditions)

    def select(self, what: str, where: str) -> str:
        """See ``SqlRanges``."""
        return self.ranges.select(what, where)

    def one(self, sql: str) -> tuple[Any, ...]:
        """See ``SqlRanges``."""
        return self.ranges.one(sql)


def all_of(filters: Sequence[str]) -> str:
    """These filters, ANDed; empty ones are left out."""
    return " AND ".join(filter(None, filters))
