"""Reads columns from the names of folders, ``dt=2024-01-01/``, as Hive and Spark write them."""

from __future__ import annotations

from urllib.parse import unquote

import pyarrow as pa

from hdm.model import Column, Kind, Table

NULL = "__HIVE_DEFAULT_PARTITION__"
"""The value in a folder's name that stands for NULL: Hive's ``hive.exec.default.partition.name``."""


def values_of(key: str) -> dict[str, str | None]:
    """Return the columns and values that the folders in an object's key give, outermost first."""
    found: dict[str, str | None] = {}
    for part in key.split("/")[:-1]:
        name, mark, value = part.partition("=")
        if mark and name:
            found[unquote(name)] = None if value == NULL else unquote(value)
    return found


def folder_without(key: str) -> str:
    """Return an object's folder without the parts such as ``dt=2024-01-01`` that give columns."""
    return "/".join(part for part in key.split("/")[:-1] if part.find("=") < 1)


def with_columns(table: Table, names: list[str]) -> tuple[Column, ...]:
    """Return the table's columns, followed by text columns called ``names``, whose values folders give."""
    return (*table.columns, *(Column(name, Kind.TEXT, pa.string()) for name in names))


def without_columns(table: Table, names: dict[str, str | None]) -> tuple[Column, ...]:
    """Return the table's columns except those called ``names``, whose values folders give."""
    return tuple(column for column in table.columns if column.name not in names)


def completed(batch: pa.RecordBatch, table: Table, values: dict[str, str | None]) -> pa.RecordBatch:
    """Return a file's batch with the columns that its folders give, in the table's order of columns."""
    arrays = [
        pa.repeat(pa.scalar(values[column.name], column.type), batch.num_rows)
        if column.name in values
        else batch.column(column.name)
        for column in table.columns
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=table.schema)
