"""Chooses SQL and driver type for each bound value; finds characters that Oracle cannot store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pyarrow as pa

from hdm.arrow import rows as row_codec
from hdm.errors import UnrepresentableValue
from hdm.model import Column, Kind

CHARSET = "SELECT value FROM nls_database_parameters WHERE parameter = 'NLS_CHARACTERSET'"
NATIONAL = ("NVARCHAR2", "NCHAR", "NCLOB")
"""Types of the national character set, which holds every character."""
UNICODE = frozenset({"AL32UTF8", "UTF8"})
_CODECS = {
    # https://docs.oracle.com/en/database/oracle/oracle-database/19/nlspg/appendix-A-locale-data.html
    "US7ASCII": "ascii", "WE8MSWIN1252": "cp1252", "WE8ISO8859P1": "latin-1", "WE8ISO8859P15": "iso8859-15",
    "WE8ISO8859P9": "iso8859-9", "EE8MSWIN1250": "cp1250", "EE8ISO8859P2": "iso8859-2",
    "CL8MSWIN1251": "cp1251", "CL8ISO8859P5": "iso8859-5", "EL8MSWIN1253": "cp1253",
    "EL8ISO8859P7": "iso8859-7", "TR8MSWIN1254": "cp1254", "IW8MSWIN1255": "cp1255",
    "AR8MSWIN1256": "cp1256", "BLT8MSWIN1257": "cp1257", "JA16SJIS": "shift_jis", "JA16EUC": "euc-jp",
    "ZHS16GBK": "gbk", "ZHT16BIG5": "big5", "KO16MSWIN949": "cp949",
}  # fmt: skip
"""Python's names of character sets. Of any other set, only ASCII is known to be stored unchanged."""
_LONG_NATIVES = ("CLOB", "NCLOB", "BLOB", "LONG", "XMLTYPE", "JSON")


def is_long(column: Column) -> bool:
    """Return True if a column's values may be too long for any type but a LOB."""
    return column.kind in (Kind.TEXT, Kind.BINARY, Kind.JSON) and column.length is None


def width(column: Column) -> int:
    """Return how many bytes a column's value may have.

    1 GiB for a LOB; the caller takes less. 64 for any other column without a length.
    """
    native = column.native.upper().partition("(")[0].strip()
    if native in _LONG_NATIVES or is_long(column):
        return 1 << 30
    return min(column.length, 4000) if column.length else 64


def mark(column: Column, number: int) -> str:
    """Return the SQL that converts a bound text to the column's type."""
    kind, bound = column.kind, f":{number}"
    if kind is Kind.DATE:
        return f"TO_DATE({bound}, 'SYYYY-MM-DD')"
    if kind is Kind.TIMESTAMP:
        return f"TO_TIMESTAMP({bound}, 'SYYYY-MM-DD HH24:MI:SS.FF9')"
    if kind is Kind.TIMESTAMPTZ:
        return f"FROM_TZ(TO_TIMESTAMP({bound}, 'SYYYY-MM-DD HH24:MI:SS.FF9'), 'UTC')"
    if kind is Kind.DECIMAL:
        return f"TO_NUMBER({bound})"
    return bound


def cells(array: pa.Array) -> list[Any]:
    """Return a column's values as they are bound.

    Booleans are 0 and 1; dates, times and decimals are texts.
    """
    if pa.types.is_boolean(array.type):
        return [None if value is None else int(value) for value in array.to_pylist()]
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.timestamp(array.type.unit))
    return row_codec.cells(array)


def input_sizes(oracledb: Any, columns: Sequence[Column], national: Collection[str]) -> list[Any]:
    """Return the driver's type for each bound column; None leaves the choice to the driver.

    ``national`` names the columns of the national character set. The driver would bind a float as NUMBER,
    which has no NaN, no infinity and nothing beyond 1e126. It would bind a text as VARCHAR, which loses
    characters that the database's character set lacks.
    """
    found: list[Any] = []
    for column in columns:
        if column.kind is Kind.FLOAT64:
            found.append(oracledb.DB_TYPE_BINARY_DOUBLE)
        elif column.kind is Kind.FLOAT32:
            found.append(oracledb.DB_TYPE_BINARY_FLOAT)
        elif column.name in national and column.kind is Kind.TEXT:
            kind = oracledb.DB_TYPE_LONG_NVARCHAR if is_long(column) else oracledb.DB_TYPE_NVARCHAR
            found.append(kind)
        else:
            found.append(None)
    return found


def hold_to(charset: str, column: Column, values: Sequence[Any]) -> None:
    """Raise ``UnrepresentableValue`` if a text has a character that the database cannot store.

    ``charset`` is the database's character set, which would store a replacement mark instead.
    """
    if charset in UNICODE:
        return
    codec = _CODECS.get(charset, "ascii")
    for value in values:
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode(codec)
            except UnicodeEncodeError:
                raise UnrepresentableValue(
                    f"column {column.name}: a text has a character that the database's character set, "
                    f"{charset}, does not have",
                    hint="make the target's column NVARCHAR2 or NCLOB, which hold every character",
                ) from None
