"""Checks that a target still holds what the state database calls committed (decision 0012).

A target's own ledger shows whether it was restored, emptied or dropped, or is another one of the same name.
Nothing is moved into such a target until a person has said what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from hdm.errors import PermanentError
from hdm.model import Chunk, Condition, Dataset, Holding, LinkSpec, Mode
from hdm.planning.preflight import Pipeline

if TYPE_CHECKING:
    from hdm.runtime.link import DataLink
    from hdm.state import Job, StateManager

Known = tuple[Chunk, int]
PHYSICAL = ("@page", "@rowid")
"""Pseudo-columns for ranges of a whole table by physical position."""


def look(state: StateManager, one: Pipeline, link: DataLink, specs: Mapping[str, LinkSpec]) -> None:
    """Raise ``PermanentError`` if the target lost committed chunks or rows.

    Not asked for tables in mode replace, which are read again anyway, nor for files between two links of
    ``specs``, which may be removed once they are loaded.
    """
    feeds = any(one.link.key in spec.upstream for spec in specs.values())
    if one.link.mode is Mode.REPLACE or (feeds and link.sink.publishes_files):
        return
    known = state.reports.committed(one.pipeline_key)
    if not known.chunks:
        return
    held = link.sink.holding(link.outgoing(one.source), one.pipeline_key, one.link.mode)
    if held is None:
        return
    same = (held.chunks, held.least, held.greatest) == (known.chunks, known.least, known.greatest)
    if not same and (gone := _gone(state, one, link)):
        rows = sum(rows for _, rows in gone)
        raise PermanentError(
            f"{one.target.dataset.name} does not hold {len(gone)} of {known.chunks} chunks ({rows:,} rows) "
            "that were committed: it was restored, emptied or dropped, or it is another one",
            hint="correct the profile, if it names another target; else: hdm state reconcile --reload",
        )
    if lacks := _lacks(known, held):
        raise PermanentError(
            f"{one.target.dataset.name} does not hold {lacks:,} of {known.rows:,} rows that were "
            "committed, though its ledger names them",
            hint="if others delete there, write others_delete: true in the sink's conf; "
            "else: hdm state reconcile --reload",
        )


def missing(state: StateManager, one: Pipeline, link: DataLink) -> tuple[list[Chunk], int, set[str]]:
    """Return the committed chunks that the target lost, in order, their rows, and ids not to copy again.

    The ids are of chunks whose rows come back when other lost chunks are read again. In a merging chain all
    chunks after the first lost one are included: an older row must not be merged after a newer one.
    """
    if one.link.mode is Mode.REPLACE:
        return [], 0, set()
    known = state.reports.committed(one.pipeline_key)
    held = link.sink.holding(link.outgoing(one.source), one.pipeline_key, one.link.mode)
    if held is None or not known.chunks:
        return [], 0, set()
    gone: Sequence[Known] = _gone(state, one, link)
    every = state.reports.committed_chunks(one.pipeline_key)
    merges = one.link.mode is Mode.MERGE
    if gone and merges and one.upstream_keys:
        first = gone[0][0].chunk_id
        gone = every[next(n for n, (chunk, _) in enumerate(every) if chunk.chunk_id == first) :]
    elif not gone and (lacks := _lacks(known, held)):
        if not merges and lacks != known.rows:
            raise _unclear(one.target.dataset, one.pipeline_key, f"{lacks:,} of {known.rows:,} rows")
        gone = every
    within = set()
    if not merges and not one.upstream_keys:
        within = _given_by_others(one.target.dataset, one.pipeline_key, gone, every)
    return [chunk for chunk, _ in gone], sum(rows for _, rows in gone), within


def _lacks(known: Holding, held: Holding) -> int:
    """Return how many committed rows the table cannot hold, judged by its number of rows."""
    return 0 if held.there is None else max(known.rows - held.there, 0)


def as_pipeline(job: Job, link: DataLink) -> Pipeline:
    """Return the pipeline of a job."""
    info = job.info
    return Pipeline(link.spec, job.pipeline_key, info.source, info.target, (), info.upstream_keys)


def load_again(
    state: StateManager, links: Mapping[str, DataLink], jobs: Sequence[Job], by: str
) -> Iterator[tuple[Job, int, int]]:
    """Mark lost chunks to be loaded again; yield each job with its number of such chunks and rows.

    They are loaded from staged files if these still exist, else from the source.
    """
    newest = {job.pipeline_key: job for job in jobs}
    for job in jobs:
        link = links[job.link_key]
        if any(job.link_key in other.spec.upstream for other in links.values()) and link.sink.publishes_files:
            continue
        gone, rows, within = missing(state, as_pipeline(job, link), link)
        unstaged = state.reports.unstaged({one.upstream for one in gone if one.upstream})
        if unstaged:
            _stage_again(state, job, newest, unstaged, by)
        within |= {one.chunk_id for one in gone if one.upstream in unstaged}
        if gone:
            link.sink.prepare(link.outgoing(job.info.source), job.pipeline_key, job.epoch, job.info.mode)
            yield job, state.reload(job, gone, by, uncopied=within), rows


def _stage_again(
    state: StateManager, below: Job, newest: Mapping[str, Job], chunk_ids: set[str], by: str
) -> None:
    """Mark upstream chunks whose staged files were removed to be read from their source again."""
    for key in below.info.upstream_keys:
        above = newest.get(key)
        if above is None or above.info.upstream_keys:
            raise PermanentError(
                f"{below.info.target.dataset.name}: the files that it was loaded from were removed",
                hint="reload it from the site that stages them: hdm state reconcile --reload without --site",
            )
        every = state.reports.committed_chunks(key)
        again = [known for known in every if known[0].chunk_id in chunk_ids]
        within = set()
        if below.info.mode is not Mode.MERGE:
            within = _given_by_others(below.info.target.dataset, key, again, every)
        state.reload(above, [chunk for chunk, _ in again], by, uncopied=within)


def _given_by_others(target: Dataset, key: str, gone: Sequence[Known], every: Sequence[Known]) -> set[str]:
    """Return the ids of lost source chunks whose rows come back when the other lost ones are read again.

    Those are late rows, which lie in another chunk's range, and chunks of ties with equal conditions. Raises
    ``PermanentError`` if reading again could repeat rows that the target still holds.
    """
    lost = {chunk.chunk_id for chunk, _ in gone}
    there = [chunk for chunk, _ in every if chunk.chunk_id not in lost]
    held = {chunk.conditions for chunk in there}
    unclear = any(chunk.conditions in held or _is_late(chunk) for chunk, _ in gone)
    if lost and there and (unclear or any(map(_is_late, there))):
        raise _unclear(target, key, f"{len(gone)} of {len(every)} chunks")
    first: dict[tuple[Condition, ...], str] = {}
    for chunk, _ in gone:
        if not _is_late(chunk):
            first.setdefault(chunk.conditions, chunk.chunk_id)
    return lost - set(first.values())


def _is_late(chunk: Chunk) -> bool:
    """Return whether the chunk holds late rows: committed at the source after their range was read."""
    return any(
        c.op == "in" or (c.column.startswith("@") and c.column not in PHYSICAL) for c in chunk.conditions
    )


def _unclear(target: Dataset, key: str, what: str) -> PermanentError:
    """Return the error that refuses to append rows again which the target may still hold."""
    return PermanentError(
        f"{target.name} lacks {what}, and which rows they are cannot be told",
        hint="empty the table and what the ledger says of it (_hdm_load_ledger, job_key "
        f"{key}), then: hdm state reconcile --reload",
    )


def _gone(state: StateManager, one: Pipeline, link: DataLink) -> list[Known]:
    held = {chunk.chunk_id for chunk, _ in link.sink.ledger(link.outgoing(one.source), one.pipeline_key)}
    every = state.reports.committed_chunks(one.pipeline_key)
    return [(chunk, rows) for chunk, rows in every if chunk.chunk_id not in held]
