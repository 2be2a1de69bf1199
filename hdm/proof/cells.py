"""Takes the values of single rows out of a batch: as bytes to compare, and as text for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hdm.arrow.rows import cells
from hdm.proof.buckets import PlacedRows


@dataclass(frozen=True, slots=True)
class Row:
    """One row of one side: what is shown, and what was compared; in the order of the column pairs."""

    hash: int
    shown: tuple[Any, ...]
    spelled: tuple[bytes | None, ...]


def rows_of(rows: PlacedRows, batch: pa.RecordBatch, mask: pa.Array) -> Iterator[tuple[int | None, int, Row]]:
    """Yield key, hash and values of the rows of a batch that ``mask`` selects."""
    places = pc.indices_nonzero(mask)
    if not len(places):
        return
    keys, found = rows.key.take(places).to_pylist(), rows.hash.take(places).to_pylist()
    shown = [cells(column) for column in batch.take(places).columns]
    spelled = [one.take(places).to_pylist() for one in rows.values]
    for number, key in enumerate(keys):
        row = Row(
            found[number],
            tuple(column[number] for column in shown),
            tuple(column[number] for column in spelled),
        )
        yield key, found[number], row
