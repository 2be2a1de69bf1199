"""hdm plan: what would run now. Touches nothing: no state database, no table, no file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hdm.cli.options import json_option, manifest_options, site_option
from hdm.cli.output import emit, remark, size
from hdm.errors import PermanentError
from hdm.model import Chunk, Mode, Table
from hdm.orchestrators.drift import settle
from hdm.planning.preflight import Prospect
from hdm.planning.windows import UNFINISHED, feeds_merges, next_window, unread
from hdm.project import open_project
from hdm.runtime.link import DataLink
from hdm.sql.sessions import kept

if TYPE_CHECKING:
    from hdm.state import StateManager

T = TypeVar("T")


@click.command()
@manifest_options
@site_option
@json_option
def command_plan(
    manifest: str, env: str, profiles: str | None, log_settings: str | None, site: str | None, as_json: bool
) -> int:
    """Show what MANIFEST would run now: links, tables, chunks, bytes, declared losses.

    What earlier runs have moved is left out, as the state database knows it. Links that load what
    others stage have no chunks before those run.
    """
    project = open_project(manifest, env, profiles, site)
    prospects = project.survey()
    for said in project.orchestrator.notes:
        remark(f"note: {said}")
    for said in project.orchestrator.refused.values():
        remark(f"cannot be moved: {said}")
    with project.recall_state() or nullcontext() as state:
        if state is not None:
            settled = settle(state, prospects, project.links, project.orchestrator.weighed)
            prospects = settled.prospects
            for said in (*settled.notes, *settled.held.values()):
                remark(f"note: {said}")
        with kept():
            merged = {key for key in project.links if feeds_merges(key, project.specs)}
            rows = [_row(project.links[p.link.key], p, state, merged) for p in prospects]
    if not as_json:
        for row in rows:
            for text in row.pop("notes"):
                remark(f"note: {row['table']}: {text}")
        rows = [{**row, "bytes": size(row["bytes"]), "losses": "; ".join(row["losses"])} for row in rows]
    least = ("site", "target", "mode", "watermark", "bytes", "link")
    emit(rows, as_json=as_json, empty="the manifest has no links", least=least)
    return 1 if project.orchestrator.refused else 0


def _row(
    link: DataLink, one: Prospect, state: StateManager | None, merged: Collection[str]
) -> dict[str, Any]:
    chunks: int | None = None
    notes: list[str] = []
    table, rows, count = one.source, one.source.rows, one.source.bytes
    if not one.upstream_keys:
        left = _named(table, lambda: _left(link, one, state, notes, merged))
        chunks, known = (left, None) if isinstance(left, int) else (len(left), _rows(left))
        if isinstance(left, int) or not left:
            rows = count = None if left else 0
        elif known is not None:
            count = int(count * known / rows) if rows and count else count
            rows = known
    return {
        "link": f"{one.link.source.name} -> {one.link.sink.name}",
        "table": table.dataset.name,
        "target": one.target.dataset.name,
        "mode": one.link.mode.value,
        "site": one.link.site,
        "watermark": table.cursor,
        "rows (estimate)": rows,
        "bytes": count,
        "chunks": chunks,
        "losses": [f"{name}: {why}" for name, why in one.losses],
        "notes": notes,
    }


def _named(table: Table, look: Callable[[], T]) -> T:
    try:
        return look()
    except PermanentError as error:
        error.message = f"{table.dataset.name}: {error.message}"
        raise


def _left(
    link: DataLink, one: Prospect, state: StateManager | None, notes: list[str], merged: Collection[str]
) -> Sequence[Chunk] | int:
    """The chunks that the next run would plan, or how many an unfinished plan has left.
    ``notes`` gets what is to be said of the table."""
    window, key = link.source.window(), one.pipeline_key
    if state is not None:
        newest = next((job for job in state.reports.link_jobs(one.link.key) if job.pipeline_key == key), None)
        if newest is not None and newest.planned and newest.status != "success":
            counts = state.counts(newest.job_id)
            return sum(counts.get(status, 0) for status in UNFINISHED)
        last = state.last_closed(key)
        if last is not None and _reads_once(link, one) and not state.reports.moved_nothing(key):
            return ()
        feeds = one.link.key in merged
        window = next_window(key, one.link.mode, link, state, one.source, merged=feeds)
    with link.source.snapshot() as token:
        chunks = list(link.source.split(one.source, window, key, token))
    found = window.findings
    limits = () if one.link.mode is Mode.REPLACE else found.limits
    said = (link.source.uncut(one.source, chunks), *found.differs, *found.notes, *limits)
    notes.extend(text for text in said if text)
    if state is not None and link.source.chunks_are_content and one.link.mode is not Mode.REPLACE:
        return list(unread(state, key, one.link.mode, link, chunks))
    return chunks


def _reads_once(link: DataLink, one: Prospect) -> bool:
    return one.link.mode is Mode.APPEND and one.source.cursor is None and not link.source.chunks_are_content


def _rows(chunks: Sequence[Chunk]) -> int | None:
    """How many rows the chunks hold, if all say so."""
    counts = [chunk.estimate_rows for chunk in chunks]
    return None if None in counts else sum(count or 0 for count in counts)
