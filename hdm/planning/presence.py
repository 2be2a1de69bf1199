"""Whether a target still holds what the state database calls committed (decision 0012).

A target that was restored, emptied or dropped, or another one under the same name, is told by its own
ledger. Nothing is moved into it until a person has said what is to be done.
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
"""Pseudo-columns by which a whole table is cut."""


def look(state: StateManager, one: Pipeline, link: DataLink, specs: Mapping[str, LinkSpec]) -> None:
    """Raises ``PermanentError`` with what is gone. What is replaced is read anew, and not asked for, nor
    are files between two links of ``specs``, which may go once they are loaded."""
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
    """The committed chunks that are not there any more, in order, their rows, and the ids of those whose
    rows others of them give, read again. Where rows are merged, those after the first that is gone, too:
    it must not come in after them."""
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
    """How many committed rows the table cannot hold, by how many it has."""
    return 0 if held.there is None else max(known.rows - held.there, 0)


def as_pipeline(job: Job, link: DataLink) -> Pipeline:
    """A job as what it is asked for."""
    info = job.info
    return Pipeline(link.spec, job.pipeline_key, info.source, info.target, (), info.upstream_keys)


def load_again(
    state: StateManager, links: Mapping[str, DataLink], jobs: Sequence[Job], by: str
) -> Iterator[tuple[Job, int, int]]:
    """Mark what targets do not hold any more to be loaded again; each job with how many chunks and rows.
    From the staged files where those are there, else from the source."""
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
    """Have chunks upstream, whose staged files were removed, read from their source again."""
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
    """Of a source's chunks that are gone, those whose rows the others give when they are read again: late
    rows lie in some range, and ties have one condition. Raises ``PermanentError`` if what the gone ones give
    again is not what is gone: if others that are there hold rows of it."""
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
    """It holds rows of ranges that other chunks hold, which were committed after those were read."""
    return any(
        c.op == "in" or (c.column.startswith("@") and c.column not in PHYSICAL) for c in chunk.conditions
    )


def _unclear(target: Dataset, key: str, what: str) -> PermanentError:
    """To append again what is there would double it."""
    return PermanentError(
        f"{target.name} lacks {what}, and which rows they are cannot be told",
        hint="empty the table and what the ledger says of it (_hdm_load_ledger, job_key "
        f"{key}), then: hdm state reconcile --reload",
    )


def _gone(state: StateManager, one: Pipeline, link: DataLink) -> list[Known]:
    held = {chunk.chunk_id for chunk, _ in link.sink.ledger(link.outgoing(one.source), one.pipeline_key)}
    every = state.reports.committed_chunks(one.pipeline_key)
    return [(chunk, rows) for chunk, rows in every if chunk.chunk_id not in held]
