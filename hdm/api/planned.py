"""Finds out what a run would do now for each table of a manifest, without changing anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TypeVar

from hdm.api.results import PlannedTable, PlanReport
from hdm.api.running import Preflight
from hdm.config.secrets import redact
from hdm.errors import PermanentError
from hdm.model import Chunk, Table
from hdm.orchestrators.drift import settle
from hdm.planning.look_ahead import Outlook, look_ahead
from hdm.planning.preflight import Pipeline
from hdm.sql.sessions import kept
from hdm.state import StateManager

T = TypeVar("T")


def planned(ready: Preflight) -> PlanReport:
    """Return what a run would do now with each table; write nothing.

    The same functions that plan a run compute the result, from the state database if there is one.
    """
    made, pipelines = ready.made, ready.pipelines
    notes = list(made.orchestrator.notes)
    with made.recall_state() or nullcontext() as state:
        if state is not None:
            settled = settle(state, pipelines, made.links, made.orchestrator.weighed)
            pipelines = settled.pipelines
            notes += [*settled.notes, *settled.held.values()]
        with kept():
            tables = tuple(_table(ready, one, state) for one in pipelines)
    refused = made.orchestrator.refused.values()
    return PlanReport(tables, tuple(map(redact, notes)), tuple(map(redact, refused)))


def _table(ready: Preflight, one: Pipeline, state: StateManager | None) -> PlannedTable:
    table = one.source
    found = PlannedTable(
        link=f"{one.link.source.name} -> {one.link.sink.name}",
        table=table.dataset.name,
        target=one.target.dataset.name,
        mode=one.link.mode.value,
        site=one.link.site,
        watermark=table.cursor,
        rows=table.rows,
        bytes=table.bytes,
        chunks=None,
        losses=one.losses,
    )
    if one.upstream_keys:
        return found
    link, whole = ready.made.links[one.link.key], one.pipeline_key in ready.refresh
    seen = _named(table, lambda: look_ahead(state, one, link, ready.made.specs, whole=whole))
    rows, size = _estimates(table, seen)
    return replace(
        found,
        rows=rows,
        bytes=size,
        chunks=seen.chunks,
        left=seen.left,
        notes=tuple(map(redact, seen.notes)),
        refused=redact(seen.refused) if seen.refused else None,
    )


def _estimates(table: Table, seen: Outlook) -> tuple[int | None, int | None]:
    """Return how many rows and bytes would be moved; None if that is not known."""
    if seen.chunks is None or seen.left:
        return None, None
    if not seen.chunks:
        return 0, 0
    known = _rows(seen.chunks)
    if known is None:
        return table.rows, table.bytes
    size = int(table.bytes * known / table.rows) if table.rows and table.bytes else table.bytes
    return known, size


def _rows(chunks: Sequence[Chunk]) -> int | None:
    """Return how many rows the chunks have together; None unless every chunk has an estimate."""
    counts = [chunk.estimate_rows for chunk in chunks]
    return None if None in counts else sum(count or 0 for count in counts)


def _named(table: Table, look: Callable[[], T]) -> T:
    try:
        return look()
    except PermanentError as error:
        error.message = f"{table.dataset.name}: {error.message}"
        raise
