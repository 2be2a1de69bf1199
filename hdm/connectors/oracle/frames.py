"""Names the columns whose values python-oracledb's data frames refuse or round; its errors name none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import pyarrow as pa

from hdm.errors import UnrepresentableValue
from hdm.model import Column, Kind
from hdm.sql import blame


@contextmanager
def naming(
    classified: Callable[[], AbstractContextManager[None]], columns: Sequence[Column]
) -> Iterator[None]:
    """Translate driver errors in the ``with`` block by ``classified``.

    Raises ``UnrepresentableValue``, which names the columns that may be meant, for a value that the driver
    cannot give.
    """
    try:
        with classified():
            try:
                yield
            except (ValueError, OverflowError) as error:
                number = "Decimal" in str(error)
                raise UnrepresentableValue(
                    "oracle: a number has more than 38 digits (Decimal)"
                    if number
                    else "oracle: a date or timestamp is before the year 1 or after 9999",
                    hint="have it sent as text: types: {NAME: " + ("NUMBER}" if number else "text}"),
                ) from None
    except UnrepresentableValue as error:
        blame.named(error, suspects(columns, error.message))
        raise


def suspects(columns: Sequence[Column], text: str) -> list[str]:
    """Return the names of the columns that the driver's frames may refuse with the error ``text``.

    The driver names none. It means a number, a date, or a type that Arrow does not have.
    """
    if "DPY-303" in text:
        kinds: tuple[Kind, ...] = (Kind.OTHER,)
    elif "DPY-" in text or "Decimal" in text:
        kinds = (Kind.DECIMAL,)
    else:
        kinds = (Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
    return [column.name for column in columns if column.kind in kinds]


def hold_to_decimals(batch: pa.RecordBatch, columns: Sequence[Column]) -> None:
    """Raise ``UnrepresentableValue`` if the driver gave floats for a column of decimals.

    It does so for numbers of which the server does not tell the precision.
    """
    for array, column in zip(batch.columns, columns, strict=True):
        if pa.types.is_floating(array.type) and column.kind is Kind.DECIMAL:
            raise UnrepresentableValue(
                f"column {column.name}: the driver rounds its numbers to floats",
                hint=f"have it sent as text: types: {{{column.name}: NUMBER}}",
            )
