"""Adapts any dialect to JDBC: ``?`` placeholders, and errors by the vendor's code or by SQLSTATE."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from hdm.dialects import canonical, dialect
from hdm.dialects.classifying import Classifying
from hdm.dialects.sqlstates import STATES, longest
from hdm.errors import HdmError, UnknownComponent
from hdm.model import Column, Kind

if TYPE_CHECKING:
    from hdm.dialects.base import Dialect


_TEMPORAL = (Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)


class JdbcError(Exception):
    """An exception of a JDBC driver, as DB-API code can read it.

    ``sqlstate`` and ``vendor`` are those of ``java.sql.SQLException``; None and 0 if there are none.
    ``thrown`` is the Java class's name. The text may quote values, so it is never shown.
    """

    def __init__(self, text: str, sqlstate: str | None = None, vendor: int = 0, thrown: str = "") -> None:
        super().__init__(text)
        self.sqlstate, self.vendor, self.thrown = sqlstate or None, vendor, thrown


def of_url(url: str) -> str | None:
    """Return the name of the dialect that a JDBC URL names after ``jdbc:``; None if no dialect has it."""
    parts = url.split(":")
    try:
        return canonical(parts[1]) if len(parts) > 2 else None
    except UnknownComponent:
        return None


@cache
def through_jdbc(name: str) -> Dialect:
    """Return the dialect of that name, adapted to sessions that go through a JDBC driver."""
    base: type[Dialect] = type(dialect(name))

    class Jdbc(base):  # type: ignore[misc, valid-type]
        """The dialect's SQL with JDBC's placeholders and error codes."""

        paramstyle = "qmark"
        page_ranges = False
        states = STATES
        can_sum = ""  # columns are read as text, which is spelled otherwise

        def select_expression(self, column: Column) -> str:
            """Return SQL that reads dates and times as text, unless the driver is known to be exact."""
            shown: str = super().select_expression(column)
            if self.jdbc.exact_temporals or column.kind not in _TEMPORAL or shown != self.quote(column.name):
                return shown
            text: str = self.text_of(shown, column)
            return text

        def code(self, error: BaseException) -> str | None:
            """Return the vendor's own code if the dialect knows it, else the SQLSTATE."""
            if not isinstance(error, JdbcError) or self.jdbc.own_codes:
                own: str | None = super().code(error)
                return own or getattr(error, "sqlstate", None)
            numbered: str = self.jdbc.code.format(error.vendor)
            if error.vendor and numbered in self.errors:
                return numbered
            return error.sqlstate or (numbered if error.vendor else None)

        def state(self, error: BaseException) -> str | None:
            """Return the SQLSTATE, unless the dialect knows the error's own code, which says more."""
            state = getattr(error, "sqlstate", None)
            return state if longest(self.errors, self.code(error) or "") is None else None

        def describe_error(self, error: BaseException) -> str:
            """Return the system's name, and the error's code or Java class."""
            known = self.code(error) or getattr(error, "thrown", "") or type(error).__name__
            return f"{self.name} through JDBC: {known}"

        def classify(self, error: BaseException) -> HdmError:
            """Translate a driver's error by the dialect's own codes, then by its SQLSTATE."""
            return Classifying.classify(self, error)

    Jdbc.__name__ = Jdbc.__qualname__ = f"Jdbc{base.__name__}"
    made: Dialect = Jdbc()
    return made
