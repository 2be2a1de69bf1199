"""What the conformance tests of both object stores share: staged rows, and how users see them."""

from __future__ import annotations

from typing import Any

from hdm.components.sink import Sink
from hdm.components.source import Source
from hdm.model import Mode, Table, Window
from hdm.testing.rows import as_rows, awkward_batch, awkward_table
from hdm.testing.sinks import chunk_of, deliver

CANARY = "canary-Secret/4711+"
"""Stands in a profile and must never show."""


def staged(sink: Sink) -> list[tuple[Any, ...]]:
    """Stage two chunks of awkward rows; returns the rows."""
    table = awkward_table()
    sink.prepare(table, "staging", 1, Mode.APPEND)
    batches = [awkward_batch(table, first_id=1 + 1000 * number) for number in range(2)]
    for number, batch in enumerate(batches):
        deliver(sink, table, chunk_of(table, number), 1, batch)
    return as_rows(batches)


def read_back(source: Source, table: Table) -> list[tuple[Any, ...]]:
    """Everything that the source finds published; nothing, where it finds no table."""
    found = list(source.tables())
    if not found:
        return []
    chunks = source.split(found[0], Window(), "reading", None)
    return as_rows(batch for chunk in chunks for batch in source.read(found[0], chunk).batches())
