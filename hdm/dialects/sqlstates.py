"""Classifies errors by SQLSTATE, for databases whose own codes no table lists.

The classes are those of ISO/IEC 9075-2, table 38, and of ODBC
(https://learn.microsoft.com/sql/odbc/reference/appendixes/appendix-a-odbc-error-codes).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

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

T = TypeVar("T")


def by_code(*groups: tuple[T, str]) -> dict[str, T]:
    """Return a dictionary code -> value, from pairs of a value and its codes with blanks between."""
    return {code: value for value, codes in groups for code in codes.split()}


def longest(table: Mapping[str, T], code: str) -> T | None:
    """Return the value of the longest beginning of ``code`` that is in the table; None if there is none."""
    return next((table[code[:size]] for size in range(len(code), 0, -1) if code[:size] in table), None)


STATES: Final[Mapping[str, type[HdmError]]] = by_code(
    (ConnectionLost, "08 HYT HY117 S1T"),
    (Deadlock, "40"),
    (TransientError, "53 55 57 58 HY XX"),
    (UsageError, "01000 25006 28 3D 3F 42501 IM"),
    (MissingDriver, "IM003"),
    (RejectedRows, "21 22 23 27 40002 44"),
    (SchemaDrift, "42S 42P01 42703"),
    (
        PermanentError,
        "01004 02 03 07 09 0A 0B 0D 0E 0F 0K 0L 0M 0N 0P 0S 0T 0U 0V 0W 0X 0Y 0Z 10 20 2B 2C 2D 2E"
        " 2F 2H 33 34 35 36 38 39 3B 3C 42 45 46 54 F0 HV HY004 HY090 HY091 HY104 HYC P0",
    ),
)
"""SQLSTATE, or how it begins -> error class; the longest match counts."""
