"""Makes one table from files whose columns differ: the union of the columns, or those of the first file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

import pyarrow as pa

from hdm.arrow.batches import conform
from hdm.errors import SchemaDrift
from hdm.files.formats import Format, RowOffsets
from hdm.files.formats.declared import column_of
from hdm.model import Column, Kind, Table

_DIGITS = {Kind.INT8: 3, Kind.INT16: 5, Kind.INT32: 10, Kind.INT64: 19}
_SIZES = (Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64)
_EXACT_AS_DOUBLE = (Kind.INT8, Kind.INT16, Kind.INT32, Kind.FLOAT32, Kind.FLOAT64)
_MOMENTS = (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)


def united(table: Table, other: Table) -> Table:
    """Return a table that holds the rows of both: all columns, each of a type that holds the values of both.

    A column that one of them lacks may be NULL. Raises ``SchemaDrift`` for a column whose types have no
    common one.
    """
    theirs = {column.name: column for column in other.columns}
    ours = {column.name for column in table.columns}
    kept = [
        _wider(column, theirs[column.name]) if column.name in theirs else replace(column, nullable=True)
        for column in table.columns
    ]
    more = [replace(column, nullable=True) for column in other.columns if column.name not in ours]
    return replace(table, columns=(*kept, *more))


def _wider(one: Column, other: Column) -> Column:
    nullable = one.nullable or other.nullable
    if (one.kind, one.type) == (other.kind, other.type):
        return replace(one, nullable=nullable)
    kinds = {one.kind, other.kind}
    found = None
    if kinds <= {*_SIZES}:
        found = max(kinds, key=_SIZES.index).value
    elif kinds <= {*_EXACT_AS_DOUBLE}:
        found = "float64"
    elif kinds <= {*_SIZES, Kind.DECIMAL}:
        found = _decimal(one, other)
    elif kinds == {Kind.DATE, Kind.TIMESTAMP}:
        found = f"timestamp({max(one.precision or 0, other.precision or 0)})"
    elif len(kinds) == 1 and one.kind in _MOMENTS:
        found = f"{one.kind.value}({max(one.precision or 6, other.precision or 6)})"
    if found is None:
        raise SchemaDrift(
            f"column {one.name} is {other.type}, and {one.type} in the files before: no type holds both "
            "exactly",
            hint="convert one of the files, or give it a folder of its own",
        )
    return column_of(one.name, found, nullable=nullable)


def _decimal(one: Column, other: Column) -> str | None:
    scale = max(one.scale or 0, other.scale or 0)
    whole = max(_DIGITS.get(each.kind, (each.precision or 0) - (each.scale or 0)) for each in (one, other))
    return f"decimal({whole + scale},{scale})" if whole + scale <= 76 else None


def misfit(form: Format, stream: BinaryIO, table: Table, compression: str, *, fills: bool) -> str | None:
    """Return why a file's rows cannot be made rows of the table; None if they can.

    They cannot if the file lacks a column, unless ``fills`` is set and the column may be NULL.
    """
    names = {column.name for column in form.describe(stream, compression, table.dataset, table.path).columns}
    lacking = (column for column in table.columns if column.name not in names)
    missing = [column.name for column in lacking if not (fills and column.nullable)]
    return f"it lacks {missing}" if missing else None


def read(
    form: Format,
    stream: BinaryIO,
    table: Table,
    compression: str,
    first: int,
    count: int | None,
    marks: RowOffsets | None,
) -> Iterator[pa.RecordBatch]:
    """Yield rows of a file whose columns differ, as rows of the table: further columns are left out, missing
    ones are NULL.

    Raises ``UnrepresentableValue`` for a value that does not fit the table's type.
    """
    own = form.describe(stream, compression, table.dataset, table.path)
    names = {column.name for column in own.columns}
    for batch in form.read(stream, own, compression, first, count, marks):
        arrays = [
            batch.column(column.name) if column.name in names else pa.nulls(batch.num_rows, column.type)
            for column in table.columns
        ]
        made = pa.RecordBatch.from_arrays(arrays, names=[column.name for column in table.columns])
        yield conform(made, table.schema)
