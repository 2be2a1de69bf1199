"""Adapts any dialect to ODBC: ``?`` placeholders, SQLSTATEs, and types that drivers damage as text.

Such damage: psqlODBC shows infinity as 9999-12-31 and numerics without bound as (28,6); MariaDB's driver
shows 0000-00-00 as NULL and unsigned bigints as negative; SQLite's cuts fractions of seconds and turns
decimals into floats.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa

from hdm.dialects import dialect
from hdm.dialects.classifying import Classifying
from hdm.dialects.native_type import is_read_coarser
from hdm.dialects.odbc_facts import OdbcFacts
from hdm.dialects.sqlstates import STATES
from hdm.dialects.types import INTEGERS, SECONDS
from hdm.errors import HdmError
from hdm.model import Column, Kind

if TYPE_CHECKING:
    from hdm.dialects.base import Dialect

_NATIVE_CODE = re.compile(r"\((\d+)\) \(SQL|Native error: (\d+)")
_STATE = re.compile(r"(?:State: |^)([0-9A-Z]{5})\b")
_TEMPORAL = (Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)


def octets(facts: OdbcFacts, expression: str, column: Column) -> str:
    """Return SQL for the number of bytes that a value has as UTF-8, or slightly more."""
    binary = facts.octets_of_binary if column.kind is Kind.BINARY else None
    return (binary or facts.octets).format(expression)


@cache
def through_odbc(name: str) -> Dialect:
    """Return the dialect of that name, adapted to sessions that go through an ODBC driver."""
    inner = dialect(name)
    base: type[Dialect] = type(inner)

    class Odbc(base):  # type: ignore[misc, valid-type]
        """The dialect's SQL with ODBC's placeholders and error codes."""

        paramstyle = "qmark"
        page_ranges = False
        states = STATES
        can_sum = ""  # columns are read as text, which is spelled otherwise

        def select_expression(self, column: Column) -> str:
            """Return SQL that reads values as text that the driver might damage; see ``wire``."""
            shown: str = super().select_expression(column)
            ready = self.odbc.exact_temporals and shown != self.quote(column.name)
            if ready or not as_text(self.odbc, column):
                return shown
            text: str = self.text_of(shown, column)
            if column.kind in (*_TEMPORAL, Kind.UUID):
                text += self.odbc.text_suffix
            return f"LOWER({text})" if column.kind is Kind.UUID else text

        def code(self, error: BaseException) -> str | None:
            """Return the system's own code if the dialect knows it, else the SQLSTATE."""
            if self.odbc.own_codes:
                own: str | None = super().code(error)
                return own
            return next((code for words, code in self.odbc.words if words in str(error)), _code(error, self))

        def describe_error(self, error: BaseException) -> str:
            """Return the system's name and the error's code."""
            code = self.code(error)
            return f"{self.name} through ODBC" + (f": {code}" if code else f": {type(error).__name__}")

        def state(self, error: BaseException) -> str | None:
            """Return the SQLSTATE, unless the error has a code of the system's own, which says more."""
            state = _state(error)
            return state if self.code(error) in (None, state) else None

        def classify(self, error: BaseException) -> HdmError:
            """Translate a driver's error by the dialect's own codes, then by ODBC's SQLSTATEs."""
            return Classifying.classify(self, error)

        def hint(self, code: str) -> str | None:
            """Return a hint on what to do about an error code, of ODBC or of the system."""
            own: str | None = super().hint(code)
            return _HINTS.get(code) or own

    Odbc.__name__ = Odbc.__qualname__ = f"Odbc{base.__name__}"
    made: Dialect = Odbc()
    return made


_HINTS = {
    "IM002": "correct dsn: or driver: in the profile (odbcinst -q -d lists the drivers)",
    "01000": "install the ODBC driver that driver: in the profile names (odbcinst -q -d)",
}


def as_text(facts: OdbcFacts, column: Column) -> bool:
    """Return True if a column is read as text, because the driver would damage its values."""
    kind = column.kind
    if kind in INTEGERS or kind in (Kind.FLOAT32, Kind.FLOAT64, Kind.BOOLEAN, Kind.BINARY):
        return False
    if kind in _TEMPORAL:
        inexact = kind is Kind.TIME or pa.types.is_string(column.type)
        return inexact or not facts.exact_temporals or (kind in SECONDS and is_read_coarser(column))
    if kind is Kind.DECIMAL:
        narrow = pa.types.is_decimal128(column.type) and (column.scale or 0) >= 0
        return facts.inexact_decimals or not narrow
    return kind is not Kind.TEXT or facts.converts_text


def wire(facts: OdbcFacts, column: Column) -> pa.DataType:
    """Return the Arrow type in which the ODBC driver is asked to deliver a column."""
    if as_text(facts, column) or pa.types.is_large_string(column.type):
        return pa.string()
    if pa.types.is_large_binary(column.type):
        return pa.binary()
    if column.kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        return pa.timestamp(column.type.unit)
    return column.type


def _code(error: BaseException, inner: Dialect) -> str | None:
    text = str(error.args[1] if len(error.args) > 1 else error)
    for found in _NATIVE_CODE.finditer(text):
        number = found[1] or found[2]
        if number in inner.errors:
            return number
    return _state(error)


def _state(error: BaseException) -> str | None:
    first = error.args[0] if error.args else ""
    if isinstance(first, str) and re.fullmatch(r"[0-9A-Z]{5}", first):
        return first
    state = _STATE.search(str(error.args[1] if len(error.args) > 1 else error))
    return state[1] if state else None
