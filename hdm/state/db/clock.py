"""The database's clock as SQL expressions: UTC text ``YYYY-MM-DDTHH:MM:SS.ffffffZ``.

Times never come from a worker's clock. The text has a fixed width, so it sorts like time in every database.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, String, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler


class Now(ColumnElement[str]):
    """SQL expression for the current time."""

    inherit_cache = True
    _traverse_internals: Any = ()
    type = String(32)

    def __init__(self) -> None:
        super().__init__()


class Later(ColumnElement[str]):
    """SQL expression for the current time plus the bound parameter ``later_ms``, which may be negative."""

    inherit_cache = True
    _traverse_internals: Any = ()
    type = String(32)


def _shift(compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(bindparam("later_ms", type_=BigInteger()), **kw)


@compiles(Now, "sqlite")
def _(element: Now, compiler: SQLCompiler, **kw: Any) -> str:
    return "(strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z')"


@compiles(Later, "sqlite")
def _(element: Later, compiler: SQLCompiler, **kw: Any) -> str:
    shift = f"printf('%+.3f seconds', {_shift(compiler, **kw)} / 1000.0)"
    return f"(strftime('%Y-%m-%dT%H:%M:%f', 'now', {shift}) || '000Z')"


_PG = "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"


@compiles(Now, "postgresql")
def _(element: Now, compiler: SQLCompiler, **kw: Any) -> str:
    return _PG.format("clock_timestamp()")


@compiles(Later, "postgresql")
def _(element: Later, compiler: SQLCompiler, **kw: Any) -> str:
    shift = f"(clock_timestamp() + {_shift(compiler, **kw)} * interval '1 millisecond')"
    return _PG.format(shift)


_MY = "DATE_FORMAT({}, '%%Y-%%m-%%dT%%H:%%i:%%s.%%fZ')"


@compiles(Now, "mysql")
def _(element: Now, compiler: SQLCompiler, **kw: Any) -> str:
    return _MY.format("UTC_TIMESTAMP(6)")


@compiles(Later, "mysql")
def _(element: Later, compiler: SQLCompiler, **kw: Any) -> str:
    return _MY.format(f"(UTC_TIMESTAMP(6) + INTERVAL ({_shift(compiler, **kw)} * 1000) MICROSECOND)")


_MS = "(REPLACE(CONVERT(VARCHAR(26), CAST({} AS DATETIME2(6)), 121), ' ', 'T') + 'Z')"
"""Style 121 has all six digits; 126 leaves out a fraction of 0, and that text sorts after its own second."""


@compiles(Now, "mssql")
def _(element: Now, compiler: SQLCompiler, **kw: Any) -> str:
    return _MS.format("SYSUTCDATETIME()")


@compiles(Later, "mssql")
def _(element: Later, compiler: SQLCompiler, **kw: Any) -> str:
    return _MS.format(f"DATEADD(millisecond, {_shift(compiler, **kw)}, SYSUTCDATETIME())")


now = Now()
later = Later()
