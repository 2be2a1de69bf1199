"""Any dialect as ODBC carries it: ``?`` marks, SQLSTATEs in tuples, doubtful types as text.

What ODBC drivers damage, and why such columns travel as text: psqlODBC shows infinity as
9999-12-31 and numerics without bound as (28,6); MariaDB's shows 0000-00-00 as NULL and unsigned
bigints as negative; SQLite's cuts fractions of seconds and makes decimals floats.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa

from hdm.dialects import dialect
from hdm.dialects.types import INTEGERS
from hdm.errors import (
    ConnectionLost,
    Deadlock,
    HdmError,
    MissingDriver,
    PermanentError,
    RejectedRows,
    SchemaDrift,
    TransientError,
    UsageError,
)
from hdm.model import Column, Kind

if TYPE_CHECKING:
    from hdm.dialects.base import Dialect

_NATIVE_CODE = re.compile(r"\((\d+)\) \(SQL|Native error: (\d+)")
_STATE = re.compile(r"(?:State: |^)([0-9A-Z]{5})\b")
_TEMPORAL = (Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
_STATES: dict[str, type[HdmError]] = {
    # https://learn.microsoft.com/sql/odbc/reference/appendixes/appendix-a-odbc-error-codes
    "01000": UsageError, "01004": PermanentError,
    "08": ConnectionLost, "HYT": ConnectionLost, "28": UsageError, "IM002": UsageError,
    "IM003": MissingDriver, "IM": UsageError, "40": Deadlock, "22": RejectedRows, "23": RejectedRows,
    "42S": SchemaDrift, "42P01": SchemaDrift, "42703": SchemaDrift, "42": PermanentError,
    "HY001": TransientError, "HY013": TransientError, "HY": TransientError,
    "0A": PermanentError,
}  # fmt: skip
_SQLITE = (
    # SQLite's driver gives no codes, only the library's words
    ("UNIQUE constraint failed", "SQLITE_CONSTRAINT_UNIQUE"),
    ("constraint failed", "SQLITE_CONSTRAINT"),
    ("database is locked", "SQLITE_BUSY"),
    ("no such table", "SQLITE_SCHEMA"),
    ("no such column", "SQLITE_SCHEMA"),
    ("readonly database", "SQLITE_READONLY"),
    ("disk is full", "SQLITE_FULL"),
)
_OCTETS = {
    "postgres": "OCTET_LENGTH({}::text)",
    "mysql": "LENGTH({})",
    "mariadb": "LENGTH({})",
    "sqlite": "LENGTH(CAST({} AS BLOB))",
    "sqlserver": "DATALENGTH({})",
    "snowflake": "OCTET_LENGTH({})",
}
_OWN_CODES = frozenset({"sqlserver", "netezza", "oracle"})
"""Dialects whose ``code`` reads ODBC errors itself."""
_SAFE_TEMPORALS = frozenset({"sqlserver", "oracle", "netezza", "snowflake"})


def octets(base: str, expression: str, column: Column) -> str:
    """How many bytes a value has as UTF-8, or a little more."""
    if base == "postgres" and column.kind is Kind.BINARY:
        return f"OCTET_LENGTH({expression})"
    return _OCTETS.get(base, "4 * CHAR_LENGTH({})").format(expression)


@cache
def through_odbc(name: str) -> Dialect:
    """The dialect ``name`` for sessions that go through an ODBC driver."""
    inner = dialect(name)
    base: type[Dialect] = type(inner)

    class Odbc(base):  # type: ignore[misc, valid-type]
        """The same SQL, other marks and other errors."""

        paramstyle = "qmark"
        page_ranges = False

        def select_expression(self, column: Column) -> str:
            """What the driver might damage goes as text; ``wire`` says what comes back."""
            shown: str = super().select_expression(column)
            ready = self.name in _SAFE_TEMPORALS and shown != self.quote(column.name)
            if ready or not as_text(self.name, column):
                return shown
            text: str = self.text_of(shown, column)
            if self.name == "postgres" and column.kind in (*_TEMPORAL, Kind.UUID):
                text = f"{text}::varchar(64)"  # or the driver would have 8 kB ready for each
            return f"LOWER({text})" if column.kind is Kind.UUID else text

        def code(self, error: BaseException) -> str | None:
            """The system's own code where the dialect knows it, else the SQLSTATE."""
            if self.name in _OWN_CODES:
                own: str | None = super().code(error)
                return own
            if self.name == "sqlite":
                return next((code for words, code in _SQLITE if words in str(error)), _code(error, self))
            return _code(error, self)

        def describe_error(self, error: BaseException) -> str:
            """The system's name and the code."""
            code = self.code(error)
            return f"{self.name} through ODBC" + (f": {code}" if code else f": {type(error).__name__}")

        def classify(self, error: BaseException) -> HdmError:
            """By the dialect's own codes, then by ODBC's SQLSTATEs."""
            if isinstance(error, HdmError):
                return error
            code = self.code(error) or ""
            for table in (self.errors, _STATES):
                for size in range(len(code), 0, -1):
                    if code[:size] in table:
                        hint = _HINTS.get(code) or self.hint(code)
                        return table[code[:size]](self.describe_error(error), hint=hint)
            return TransientError(self.describe_error(error))

    Odbc.__name__ = Odbc.__qualname__ = f"Odbc{base.__name__}"
    made: Dialect = Odbc()
    return made


_HINTS = {
    "IM002": "correct dsn: or driver: in the profile (odbcinst -q -d lists the drivers)",
    "01000": "install the ODBC driver that driver: in the profile names (odbcinst -q -d)",
}


def as_text(base: str, column: Column) -> bool:
    """Whether the driver is asked for the column's text."""
    kind = column.kind
    if kind in INTEGERS or kind in (Kind.FLOAT32, Kind.FLOAT64, Kind.BOOLEAN, Kind.BINARY):
        return False
    if kind in _TEMPORAL:
        return base not in _SAFE_TEMPORALS or (kind is Kind.TIME)
    if kind is Kind.DECIMAL:
        narrow = pa.types.is_decimal128(column.type) and (column.scale or 0) >= 0
        return base in ("sqlite", "mysql", "mariadb") or not narrow
    return not (kind is Kind.TEXT and base != "sqlite")


def wire(base: str, column: Column) -> pa.DataType:
    """The Arrow type that the driver is asked to deliver the column in."""
    if as_text(base, column) or pa.types.is_large_string(column.type):
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
    first = error.args[0] if error.args else ""
    if isinstance(first, str) and re.fullmatch(r"[0-9A-Z]{5}", first):
        return first
    state = _STATE.search(text)
    return state[1] if state else None
