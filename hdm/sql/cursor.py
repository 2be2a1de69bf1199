"""Decides which columns may be a watermark (order of reading), and up to which value."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Literal

from pydantic import field_validator

from hdm.components.settings import Settings
from hdm.dialects.base import Dialect
from hdm.dialects.types import INTEGERS
from hdm.errors import HdmError, Recovery, UsageError
from hdm.model import Column, Kind
from hdm.sql.database import Database
from hdm.sql.sessions import looking

FLOATS = (Kind.FLOAT32, Kind.FLOAT64)
AHEAD = timedelta(days=2)
"""How far a date or timestamp may lie ahead of the server's clock to be the time of a written row.
Two days leave room for every time zone."""
_FINITE = {Kind.FLOAT32: "3.4028234e38", Kind.FLOAT64: "1.7976931348623157e308"}
LATER = (*INTEGERS, Kind.DECIMAL, Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
"""Kinds that may be a watermark without ``order: monotone``: later rows may have greater values."""


class WatermarkConf(Settings):
    """Configuration of ``watermark``: the column by which new rows are found, and facts about it."""

    column: str | None = None
    """Names the column whose later rows have greater values: a whole number, decimal, date or timestamp, or
    what ``order`` vouches for."""
    offset: str | None = None
    """In mode ``merge``, reads again the rows down to this distance below the watermark: a number, or a
    duration such as ``15m``, ``2h`` or ``1d``. Left out, none.
    """
    lag: str | None = None
    """Leaves rows to a later run that lie so near to the greatest value: a number, or a duration such as
    ``15m``; a bare number of a timestamp counts seconds, of a date days. Left out, none."""
    order: Literal["monotone"] | None = None
    """``monotone`` vouches for a text, float or time of day: every later row has a greater value, as the
    database compares them. Left out, such columns are refused."""
    max: str | None = None
    """Rows with a greater value are moved once and never become the watermark. Left out: NaN, infinity, the
    type's largest number, and what lies over two days ahead."""
    zone: Literal["utc"] | None = None
    """``utc`` vouches that every session stamps a MySQL or MariaDB DATETIME in UTC. Left out, new rows may
    wait up to twelve hours while others write."""

    @field_validator("offset", "lag", "max", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        dated = isinstance(value, date)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return str(value) if number or dated else value


def hold_to_order(database: Database, where: str, column: Column, mark: WatermarkConf) -> None:
    """Raise ``UsageError`` unless the column's values can be ordered as a watermark needs.

    ``mark`` is the watermark's configuration. ``where`` is the SQL of a table and its WHERE clause, to which
    conditions are added by AND.
    """
    admit(database.dialect, column, monotone=mark.order is not None)
    with looking(database, "hdm:ready") as connection:
        if mark.max is not None:
            check_top(database, connection, where, column, mark.max)
        if mark.order is None:
            check_forms(database, connection, where, column)


def admit(dialect: Dialect, column: Column, *, monotone: bool) -> None:
    """Raise ``UsageError`` unless rows that come later have greater values in the column.

    They are taken to have such values if the column's kind is in ``LATER``, or if the manifest says so
    (``monotone``). A kind without a useful order is always refused.
    """
    what = f"watermark column {column.name} is {column.kind} ({column.native})"
    if not dialect.is_sortable(column) or column.kind is Kind.UUID:
        raise UsageError(
            f"{what}, which has no useful order", hint="choose a number, date or timestamp column"
        )
    if monotone or column.kind in LATER:
        return
    why = {
        Kind.TEXT: "text sorts by its letters and the column's collation, so that '9' comes after '10'",
        Kind.TIME: "a time of day begins anew each day",
    }.get(column.kind, "NaN, infinity and rounding have no place in the order of time")
    raise UsageError(
        f"{what}: {why}",
        hint="choose a number, date or timestamp column; or, if every later row has a greater value in the "
        f"database's own order, write watermark: {{column: {column.name}, order: monotone}}",
    )


def highest(dialect: Dialect, column: Column, now: datetime | None) -> str | None:
    """Return the greatest value that may become a watermark, as text; None if any value may.

    ``now`` is the time of the server's clock; dates far ahead of it are no watermark.
    """
    if column.kind in INTEGERS:
        return str(2 ** (INTEGERS[column.kind] - 1) - 2)
    if column.kind in FLOATS:
        return _FINITE[column.kind]
    if column.kind is Kind.DECIMAL:
        return dialect.greatest_decimal(column)
    if now is None:
        return None
    return dialect.day((now + AHEAD).date(), column)


def check_top(database: Database, connection: Any, where: str, column: Column, top: str) -> None:
    """Raise ``UsageError`` unless the database can compare the column with the value ``top``.

    ``where`` is the SQL after FROM: a table with a condition.
    """
    try:
        literal = database.dialect.literal(top, column)
        name = database.dialect.quote(column.name)
        database.run(connection, f"SELECT 1 FROM {where} AND {name} > {literal} AND 1 = 0")
    except HdmError as error:
        if error.recovery is Recovery.RETRY:
            raise
        raise UsageError(
            f"watermark.max is no {column.kind} that {column.name} can be compared with",
            hint=f"write a value of {column.name} as the database shows it",
        ) from None


def check_forms(database: Database, connection: Any, where: str, column: Column) -> None:
    """Raise ``UsageError`` if the column's values are written in more than one form.

    Only for types that do not enforce one form, e.g. timestamps as text in SQLite.
    """
    forms = database.dialect.forms(column)
    if not forms:
        return
    name = database.dialect.quote(column.name)
    found = database.run(connection, f"SELECT DISTINCT {forms} FROM {where} AND {name} IS NOT NULL LIMIT 2")
    if len(found) > 1 or any(row[0] is None for row in found):
        raise UsageError(
            f"the values of watermark column {column.name} are not all written in one "
            "form, so that their order is not that of time",
            hint="bring them into one form (YYYY-MM-DD HH:MM:SS, one offset) or choose another column; or, "
            f"if the order holds all the same, write watermark: {{column: {column.name}, order: monotone}}",
        )
