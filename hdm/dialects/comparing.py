"""Writes values and conditions in a database's SQL, for values that were rendered as text."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import date
from typing import ClassVar

from hdm.dialects.native_type import own_type
from hdm.dialects.types import INTEGERS, ORDERED, Stored
from hdm.dialects.user_input import seconds
from hdm.errors import UsageError
from hdm.model import Column, Condition, Kind, Table

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\Z")


class Comparing(ABC):
    """The part of a dialect that writes values and conditions in SQL."""

    name: ClassVar[str] = ""
    text_type: ClassVar[str] = "VARCHAR"

    @abstractmethod
    def quote(self, name: str) -> str:
        """Return a name in quotation marks.

        Raises ``UsageError`` if the database cannot have that name.
        """

    @abstractmethod
    def stored(self, column: Column) -> Stored:
        """Return the type that stores a column in a table that hdm creates."""

    def string(self, text: str) -> str:
        """Return a string literal with this text."""
        return "'" + text.replace("'", "''") + "'"

    def literal(self, text: str, column: Column) -> str:
        """Return a SQL literal of the column's type, for a value that the source rendered as ``text``."""
        if column.kind in INTEGERS:
            return self.number(text, column)
        return f"CAST({self.string(text)} AS {self.cast_type(column)})"

    def number(self, text: str, column: Column) -> str:
        """Return ``text`` as a number in SQL; raise ``UsageError`` if it is no number.

        ``column`` is named in the error.
        """
        if not _NUMBER.match(text):
            raise UsageError(f"not a number for column {column.name}", hint="plan again")
        return text

    def is_sortable(self, column: Column) -> bool:
        """Return True if the database sorts the column's values by their meaning."""
        return column.kind in ORDERED

    def cast_type(self, column: Column) -> str:
        """Return the SQL type to which a text is cast to compare it with the column."""
        return own_type(column) or self.stored(column).native

    def forms(self, column: Column) -> str:
        """Return a SQL expression that gives the format of a value of the column, as text.

        SQLite stores dates as text: ``2024-01-31`` and ``2024-01-31 00:00:00`` are two formats. Only values
        of the same format sort by their meaning. The expression is NULL for a value of no known form. Returns
        '' if the column's type allows one form only.
        """
        return ""

    def comparable(self, column: Column) -> str:
        """Return the SQL expression by which the column is compared and sorted."""
        return self.quote(column.name)

    def predicate(self, conditions: Sequence[Condition], table: Table) -> str:
        """Return conditions as one SQL expression, joined by AND; '' if there are none."""
        return " AND ".join(self.condition(one, table) for one in conditions)

    def condition(self, one: Condition, table: Table) -> str:
        """Return one condition as SQL, which the database evaluates in the column's own type.

        Raises ``UsageError`` for a column that the table does not have, and for an unknown comparison.
        """
        if one.column.startswith("@"):
            return self.physical(one)
        try:
            column = table.column(one.column)
        except KeyError:
            raise UsageError(
                f"{table.dataset.name} has no column {one.column!r}", hint="plan again"
            ) from None
        if one.op == "null":
            return f"{self.quote(one.column)} IS NULL"
        if one.op == "beyond" and one.value is not None:
            greater = f"{self.comparable(column)} > {self.literal(one.value, column)}"
            return f"({self.quote(one.column)} IS NULL OR {greater})"
        if one.op == "in" and one.value is not None:
            return self.within(column, one.value)
        if one.op not in (">=", ">", "<=", "<", "=") or one.value is None:
            raise UsageError(f"not a condition: {one.op!r}", hint="use >= > <= < = null beyond or in")
        return f"{self.comparable(column)} {one.op} {self.literal(one.value, column)}"

    def within(self, column: Column, ranges: str) -> str:
        """Return a SQL test that an integer column is in a list of numbers and ranges, such as ``3,7..9``."""
        name, alone, parts = self.comparable(column), [], []
        for piece in ranges.split(","):
            low, _, high = piece.partition("..")
            if high:
                parts.append(f"{name} BETWEEN {self.number(low, column)} AND {self.number(high, column)}")
            else:
                alone.append(self.number(low, column))
        if alone:
            parts.append(f"{name} IN ({', '.join(alone)})")
        while len(parts) > 1:  # join in pairs, because some databases limit the depth of an expression
            parts = [" OR ".join(parts[n : n + 2]) for n in range(0, len(parts), 2)]
            parts = [f"({part})" for part in parts]
        return f"({parts[0]})"

    def day(self, day: date, column: Column) -> str:
        """Return the beginning of a day as the text that ``text_of`` gives for the column's type."""
        return day.isoformat() if column.kind is Kind.DATE else f"{day.isoformat()} 00:00:00"

    def greatest_decimal(self, column: Column) -> str | None:
        """Return a decimal column's greatest finite value, as text.

        None if the column cannot have NaN or infinity, which is the default.
        """
        return None

    def physical(self, one: Condition) -> str:
        """Return SQL for a condition on a pseudo-column such as ``@page``.

        Raises ``UsageError`` for one that the database does not have; the default knows none.
        """
        raise UsageError(f"{self.name} has no {one.column} ranges", hint="plan again")

    def select_expression(self, column: Column) -> str:
        """Return a SQL expression that reads a column so that its Arrow type holds the value exactly."""
        return self.quote(column.name)

    def text_of(self, expression: str, column: Column) -> str:
        """Return SQL that renders the value of ``expression``, a cursor or key, as exact text.

        ``literal`` makes the same value of this text.
        """
        return f"CAST({expression} AS {self.text_type})"

    def minus(self, expression: str, amount: str, column: Column) -> str:
        """Return SQL for ``expression`` minus a lag or offset: a number, or a duration for dates.

        Raises ``UsageError`` if ``amount`` is neither, or if the column is of another kind.
        """
        if column.kind in INTEGERS or column.kind is Kind.DECIMAL:
            if not _NUMBER.match(amount):
                raise UsageError(
                    f"lag or offset {amount!r} of numeric column {column.name}", hint="write a number"
                )
            return f"({expression} - {amount})"
        if column.kind in (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            return self.earlier(expression, seconds(amount, days=column.kind is Kind.DATE), column)
        raise UsageError(
            f"column {column.name} is {column.kind}: no lag or offset",
            hint="use a number, date or timestamp column as watermark",
        )

    def earlier(self, expression: str, amount: float, column: Column) -> str:
        """Return SQL for ``expression`` minus ``amount`` seconds."""
        return f"({expression} - INTERVAL '{amount:.6f}' SECOND)"

    def modulo(self, expression: str, step: int) -> str:
        """Return SQL for the remainder of an integer expression divided by ``step``."""
        return f"MOD({expression}, {step:d})"
