"""Makes the awkward table: a column of every Arrow type, with NULL, extreme values and difficult text."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa

from hdm.model import Column, Dataset, Kind, Table

TEXTS = (
    "",
    "NULL",
    "NA",
    "007",
    "1e5",
    "'",
    '"',
    "a,b;c\td",
    "line\nbreak\r\n",
    "\\N",
    "\\",
    "é ü ß",
    "日本",
    "😀 e\u0301",
    " pad ",
)
"""Strings each of which some tool has lost or altered."""

_DECIMAL = Decimal("99999999999999999999999999999999999.999")

_VALUES: dict[str, tuple[Kind, pa.DataType, list[Any]]] = {
    "flag": (Kind.BOOLEAN, pa.bool_(), [True, False]),
    "small": (Kind.INT16, pa.int16(), [-(2**15), 2**15 - 1, 0]),
    "medium": (Kind.INT32, pa.int32(), [-(2**31), 2**31 - 1, 0]),
    "big": (Kind.INT64, pa.int64(), [-(2**63), 2**63 - 1, 2**53 + 1]),
    "double": (Kind.FLOAT64, pa.float64(), [0.1, -1.5e308, 5e-324, 1.23456789012345e-7]),
    "amount": (Kind.DECIMAL, pa.decimal128(15, 2), [Decimal("0.10"), Decimal("-9999999999999.99")]),
    "wide": (Kind.DECIMAL, pa.decimal128(38, 3), [_DECIMAL, _DECIMAL.copy_negate(), Decimal("0.001")]),
    "words": (Kind.TEXT, pa.string(), list(TEXTS)),
    "raw": (Kind.BINARY, pa.binary(), [b"", b"\x00\x01\xff", b"\n\\'\"", bytes(range(256))]),
    "day": (Kind.DATE, pa.date32(), [date(1, 1, 1), date(9999, 12, 31), date(1970, 1, 1), date(2000, 2, 29)]),
    "clock": (Kind.TIME, pa.time64("us"), [time(0, 0), time(23, 59, 59, 999999)]),
    "moment": (
        Kind.TIMESTAMP,
        pa.timestamp("us"),
        [datetime(1900, 1, 1), datetime(2038, 1, 19, 3, 14, 8, 123456), datetime(9999, 12, 31, 23, 59, 59)],  # noqa: DTZ001
    ),
    "instant": (
        Kind.TIMESTAMPTZ,
        pa.timestamp("us", "UTC"),
        [datetime(2024, 3, 31, 1, 30, tzinfo=UTC), datetime(1970, 1, 2, tzinfo=UTC)],
    ),
}


def awkward_table(names: tuple[str, ...] = (), *, path: tuple[str, ...] = ("awkward",)) -> Table:
    """Return the awkward table: the key ``id``, and a nullable column for each Arrow type.

    ``names`` chooses among these columns; without it, all are there.
    """
    columns = [Column("id", Kind.INT64, pa.int64(), nullable=False)]
    for name, (kind, carrier, _) in _VALUES.items():
        if not names or name in names:
            digits = {}
            if kind is Kind.DECIMAL:
                digits = {"precision": carrier.precision, "scale": carrier.scale}
            columns.append(Column(name, kind, carrier, **digits))
    return Table(Dataset("test", ".".join(path)), path, tuple(columns), key=("id",))


def awkward_batch(table: Table, *, first_id: int = 1) -> pa.RecordBatch:
    """Return rows for the awkward table: every value, NULL in each column, a row that has only its ``id``."""
    values = {c.name: [*_VALUES[c.name][2], None] for c in table.columns if c.name != "id"}
    count = 1 + max((len(v) for v in values.values()), default=0)
    rows = {"id": list(range(first_id, first_id + count))}
    for name, known in values.items():
        rows[name] = [known[i % len(known)] for i in range(count - 1)] + [None]
    arrays = [pa.array(rows[c.name], c.type) for c in table.columns]
    return pa.RecordBatch.from_arrays(arrays, schema=table.schema)


def as_rows(batches: Any) -> list[tuple[Any, ...]]:
    """Return the rows of batches as a sorted list, to compare with others.

    NULL differs from any value.
    """
    rows = [tuple(row.values()) for batch in batches for row in batch.to_pylist()]
    return sorted_rows(rows)


def sorted_rows(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return rows in the order of ``as_rows``.

    NaN becomes the text '<NaN>', so that it equals itself.
    """
    plain = [tuple("<NaN>" if value != value else value for value in row) for row in rows]  # noqa: PLR0124
    return sorted(plain, key=_sortable)


def _sortable(row: tuple[Any, ...]) -> tuple[tuple[bool, str, str], ...]:
    return tuple((value is not None, type(value).__name__, repr(value)) for value in row)
