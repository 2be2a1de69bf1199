"""Converts between BigQuery's fields, hdm's columns and Arrow types."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from hdm.dialects.base import Dialect
from hdm.model import Column

_SQL: Final = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}
"""The REST API's older names of types -> those of SQL."""


def native_of(field: Any) -> str:
    """Return a field's type as SQL declares it: ``NUMERIC(10, 2)``, ``ARRAY<STRUCT<a INT64>>``."""
    word = _SQL.get(field.field_type.upper(), field.field_type.upper())
    if word == "STRUCT":
        word = "STRUCT<" + ", ".join(f"{one.name} {native_of(one)}" for one in field.fields) + ">"
    numbers = [str(one) for one in (field.max_length, field.precision, field.scale) if one is not None]
    if numbers:
        word += f"({', '.join(numbers)})"
    return f"ARRAY<{word}>" if field.mode == "REPEATED" else word


def column_of(dialect: Dialect, field: Any) -> Column:
    """Return the column that a field of a table or result describes."""
    return dialect.column_from_catalog(
        field.name,
        native_of(field),
        nullable=field.mode != "REQUIRED",
        default=field.default_value_expression,
        comment=field.description or None,
    )


def loaded_type(kind: pa.DataType) -> str:
    """Return the type of the column into which a load job puts Parquet values of an Arrow type."""
    if pa.types.is_boolean(kind):
        return "BOOL"
    if pa.types.is_integer(kind):
        return "INT64"
    if pa.types.is_floating(kind):
        return "FLOAT64"
    if pa.types.is_decimal(kind):
        fits = kind.scale <= 9 and kind.precision - kind.scale <= 29
        return "NUMERIC" if fits else "BIGNUMERIC"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return "BYTES"
    if pa.types.is_date(kind):
        return "DATE"
    if pa.types.is_time(kind):
        return "TIME"
    if pa.types.is_timestamp(kind):
        return "DATETIME" if kind.tz is None else "TIMESTAMP"
    return "STRING"


def moved(name: str, loaded: str, native: str) -> str:
    """Return SQL that makes a value of the type ``native`` of the quoted column ``name``, as it was loaded.

    Conversions that would lose something fail: SAFE functions are not used.
    """
    word = native.upper().partition("(")[0].strip()
    if word == loaded:
        return name
    if word == "JSON":
        return f"PARSE_JSON({name}, wide_number_mode => 'exact')"
    if loaded == "STRING" and word == "GEOGRAPHY":
        return f"ST_GEOGFROMTEXT({name})"
    return f"CAST({name} AS {word})"
