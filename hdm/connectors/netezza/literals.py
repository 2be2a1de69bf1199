"""Writes values as literals into a statement's text, since nzpy pastes bound values unescaped.

``nzpy.core.Connection.Prepare`` (1.17.8) replaces each ``?`` by ``'{}'``: a quote in a value ends the
literal, and a ``?`` in a value consumes the next value. Therefore nzpy is given no values at all.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from hdm.errors import BrokenContract, UnrepresentableValue
from hdm.model import Column, Kind

LATIN = "iso8859-15"
"""The character set of CHAR and VARCHAR (Latin-9); each of its 256 bytes is one character in Python."""
CAST_WIDTH = 16_000
"""Characters from which a JSON or unknown value is refused: it is cast to text, which truncates silently."""
_MARK = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")|\?""")


def bound(sql: str, values: Sequence[Any], string: Callable[[str], str]) -> str:
    """Return a statement with a literal in place of each ``?`` that is not within quotes.

    ``string`` writes a text as a literal. Raises ``BrokenContract`` unless there are as many ``?`` as values.
    """
    left = iter(values)

    def filled(found: re.Match[str]) -> str:
        if found[1]:
            return found[1]
        try:
            return literal(next(left), string)
        except StopIteration:
            raise BrokenContract("a statement has more marks than values") from None

    made = _MARK.sub(filled, sql)
    if next(left, left) is not left:
        raise BrokenContract("a statement has fewer marks than values")
    return made


def literal(value: Any, string: Callable[[str], str]) -> str:
    """Return a value as a literal that Netezza reads back digit for digit.

    Raises ``UnrepresentableValue`` for a decimal that is NaN or infinite.
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, bytes | bytearray):
        return f"x'{bytes(value).hex()}'"
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise UnrepresentableValue("netezza: NUMERIC has no NaN and no infinity")
        return f"{value:f}"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dt.datetime):
        return string(value.isoformat(" "))
    if isinstance(value, dt.date | dt.time):
        return string(value.isoformat())
    return string(str(value))


def mark(column: Column, native: str) -> str:
    """Return the SQL that stands for a column's value in VALUES.

    Texts are not cast, since a cast silently truncates a long text, and bytes cannot be
    (https://www.ibm.com/docs/en/netezza: binary data types are written x'...').
    """
    if column.kind in (Kind.TEXT, Kind.BINARY) or native.startswith(("VARCHAR", "NVARCHAR")):
        return "?"
    return f"CAST(? AS {native})"


def is_cast(column: Column) -> bool:
    """Return True if a column is read by a cast to text that could truncate a long value."""
    return column.kind in (Kind.JSON, Kind.OTHER)


def cut(column: Column) -> UnrepresentableValue:
    """Return the error for a value that may have been truncated when it was read as text."""
    return UnrepresentableValue(
        f"column {column.name}: a value has {CAST_WIDTH} characters or more, and Netezza cuts it when it is "
        "read as text",
        hint="leave the column out with columns:",
    )


def _float(value: float) -> str:
    if math.isnan(value):
        return "CAST('NaN' AS DOUBLE PRECISION)"
    if math.isinf(value):
        return f"CAST('{'-' if value < 0 else ''}Infinity' AS DOUBLE PRECISION)"
    return f"CAST('{value!r}' AS DOUBLE PRECISION)"
