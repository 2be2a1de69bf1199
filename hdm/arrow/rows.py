"""Converts columns of Python values to Arrow and back without loss; refuses values that do not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hdm.arrow import temporal
from hdm.errors import UnrepresentableValue
from hdm.model import Column

Decoder = Callable[[Sequence[Any], pa.DataType], pa.Array]
"""Turns the values of one column into an array; raises ``ValueError`` or ``TypeError`` if one does
not fit."""


def unrepresentable(column: str, why: str) -> UnrepresentableValue:
    """Return the error for a value that its column's type cannot hold, in Arrow or at the target.

    The error never shows the value.
    """
    return UnrepresentableValue(
        f"column {column}: {why}",
        hint="give it another type with types:, read it as text with query:, or leave rows out with where:",
    )


def nul_in_text(columns: Sequence[str]) -> UnrepresentableValue:
    """Return the error for a text that PostgreSQL refuses because it contains a NUL character."""
    return UnrepresentableValue(
        f"column {', '.join(columns)}: PostgreSQL's text cannot hold a NUL character",
        hint="take it out with transform: SELECT ..., replace(column, chr(0), '') AS column FROM batch",
    )


def check_length(texts: pa.Array, column: str, length: int) -> None:
    """Raise ``UnrepresentableValue`` if a text has more than ``length`` characters.

    An array that is not of text is not looked at.
    """
    if not pa.types.is_string(texts.type) and not pa.types.is_large_string(texts.type):
        return
    if (pc.max(pc.binary_length(texts)).as_py() or 0) <= length:
        return
    if (pc.max(pc.utf8_length(texts)).as_py() or 0) > length:
        raise unrepresentable(column, f"a text is longer than the {length} characters of the target")


def to_batch(
    rows: Sequence[Sequence[Any]], columns: Sequence[Column], decoders: Mapping[str, Decoder] | None = None
) -> pa.RecordBatch:
    """Return a driver's rows as one batch with the columns' Arrow types.

    ``decoders`` convert a column's values, by its name; without one, the values are taken as they are. Raises
    ``UnrepresentableValue``, which names the column, if a value does not fit.
    """
    values: Iterator[Sequence[Any]] = zip(*rows, strict=True) if rows else iter([()] * len(columns))
    arrays = []
    for column, cells in zip(columns, values, strict=True):
        decode = (decoders or {}).get(column.name, plain)
        try:
            arrays.append(decode(cells, column.type))
        except (ValueError, TypeError, OverflowError, pa.ArrowException):
            raise unrepresentable(column.name, f"a value does not fit {column.type}") from None
    fields = [pa.field(c.name, c.type, c.nullable) for c in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def plain(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return an Arrow array of values that are already Python values of type ``kind``."""
    return pa.array(values, kind)


def cells(array: pa.Array, zone: str = "+00:00") -> list[Any]:
    """Return an array as Python values for any DB-API driver.

    Dates, times, timestamps and decimals become exact text; ``zone`` ends the text of timestamps with a time
    zone.
    """
    kind = array.type
    if pa.types.is_temporal(kind):
        return list(temporal.to_texts(array, zone).to_pylist())
    if pa.types.is_decimal(kind):
        return list(decimal_texts(array).to_pylist())
    return list(array.to_pylist())


def decimal_texts(array: pa.Array) -> pa.Array:
    """Return decimals as text with every digit, never with an exponent."""
    texts = array.cast(pa.string())
    if any(text is not None and "E" in text for text in texts.to_pylist()):
        shown = [None if v is None else f"{v:f}" for v in array.to_pylist()]
        return pa.array(shown, pa.string())
    return texts
