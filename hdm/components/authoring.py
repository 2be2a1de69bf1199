"""Functions for people who write a source: declare a table, cast batches, cut a cursor into chunks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

import pyarrow as pa

from hdm.arrow.batches import conform
from hdm.dialects.types import carrier
from hdm.errors import UsageError
from hdm.model import Chunk, Column, Condition, Dataset, Kind, Payload, Table

MAX_CHUNKS = 100_000
_WORDS = re.compile(r"([a-z0-9]+)(?:\((\d+)(?:,\s*(\d+))?\))?( not null)?\Z")
_WIDTHS = (Kind.TEXT, Kind.BINARY, Kind.BIT)


def declare(
    namespace: str,
    name: str,
    columns: Mapping[str, str],
    *,
    key: tuple[str, ...] = (),
    cursor: str | None = None,
) -> Table:
    """Return a ``Table`` made from a short text for each column, such as ``"decimal(12,2)"``.

    E.g. ``declare("file://plant", "orders", {"day": "date not null", "item": "text(40)",
    "price": "decimal(12,2)", "at": "timestamp(3)"}, cursor="day")``. The types are the values of ``Kind``.
    Raises ``UsageError`` for an unknown type, or for a key or cursor that is not a column.
    """
    made = tuple(_column(column, words) for column, words in columns.items())
    for wanted in (*key, *((cursor,) if cursor else ())):
        if wanted not in columns:
            raise UsageError(f"table {name} has no column {wanted!r}", hint="name one that is declared")
    return Table(Dataset(namespace, name), (name,), made, key, cursor)


def _column(name: str, words: str) -> Column:
    found = _WORDS.match(words.strip().lower())
    if found is None or found[1] not in set(Kind):
        raise UsageError(
            f"column {name}: {words!r} is no type",
            hint=f"write one of {', '.join(Kind)}, with (length) or (precision,scale), and 'not null'",
        )
    kind, first = Kind(found[1]), int(found[2]) if found[2] else None
    scale = int(found[3] or 0) if kind is Kind.DECIMAL and first is not None else None
    length, digits = (first, None) if kind in _WIDTHS else (None, first)
    nullable = found[4] is None
    return Column(
        name, kind, carrier(kind, digits, scale), nullable, length=length, precision=digits, scale=scale
    )


def payload(table: Table, batches: Iterable[pa.RecordBatch]) -> Payload:
    """Return a chunk's payload: the given batches, with their columns cast by name to the table's types.

    A cast never changes a value. While the payload is read, ``SchemaDrift`` or ``UnrepresentableValue`` is
    raised, with the column's name, for a batch that does not fit.
    """
    return Payload(table, lambda: (conform(batch, table.schema) for batch in batches))


# -- ranges of a cursor of whole numbers or days -----------------------------------


def cursor_value(table: Table, text: str) -> Any:
    """Convert the text of a cursor value to an int, or to a date if the cursor column is one.

    The cursor is the column by which the rows are ordered.
    """
    return date.fromisoformat(text) if _column_of(table).kind is Kind.DATE else int(text)


def ranges(table: Table, low: Any, high: Any, step: int, job_key: str) -> Iterator[Chunk]:
    """Cut the cursor values from ``low`` to ``high``, both included, into chunks of ``step`` values each.

    The last chunk may have fewer. ``low`` and ``high`` are int or date. Raises ``UsageError``, when the first
    chunk is asked for, if there would be more than ``MAX_CHUNKS``.
    """
    first, last, column = _ordinal(low), _ordinal(high), _column_of(table)
    if (last - first) // step >= MAX_CHUNKS:
        raise UsageError(
            f"{table.dataset.name}: {column.name} would be cut into more than {MAX_CHUNKS:,} chunks",
            hint="give the source a larger values_per_chunk",
        )
    for number, start in enumerate(range(first, last + 1, step)):
        end = min(start + step, last + 1)
        yield Chunk(
            job_key,
            table.dataset,
            number,
            conditions=(
                Condition(column.name, ">=", _text(column, start)),
                Condition(column.name, "<", _text(column, end)),
            ),
            schema_sha=table.schema_sha,
            upto=_text(column, end - 1),
        )


def values(table: Table, chunk: Chunk) -> list[Any]:
    """Return every int or date that lies in a chunk's cursor range.

    Only for chunks that ``ranges`` made.
    """
    bounds = {one.op: _ordinal(cursor_value(table, str(one.value))) for one in chunk.conditions}
    numbers = range(bounds[">="], bounds["<"])
    is_date = _column_of(table).kind is Kind.DATE
    return [date.fromordinal(n) for n in numbers] if is_date else list(numbers)


def _column_of(table: Table) -> Column:
    if table.cursor is None:
        raise UsageError(f"{table.dataset.name} has no cursor", hint="declare the table with cursor=")
    return table.column(table.cursor)


def _ordinal(value: Any) -> int:
    return value.toordinal() if isinstance(value, date) else int(value)


def _text(column: Column, ordinal: int) -> str:
    return date.fromordinal(ordinal).isoformat() if column.kind is Kind.DATE else str(ordinal)
