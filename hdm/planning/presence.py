"""Whether a target still holds what the state database calls committed (decisions 0012 and 0021).

A target says who it is, and which chunks it holds. One that was restored, emptied or dropped, or another
one under the same name, is told by that. Nothing is moved into it until a person has said what is to be done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from hdm.errors import PermanentError
from hdm.model import Chunk, Condition, Dataset, Holding, LinkSpec, Mode
from hdm.planning.preflight import Prospect

if TYPE_CHECKING:
    from hdm.runtime.link import DataLink
    from hdm.state import Job, StateManager

Known = tuple[Chunk, int]
PHYSICAL = ("@page", "@rowid")
"""Pseudo-columns by which a whole table is cut."""
RELOAD = "hdm state reconcile --reload"


def look(state: StateManager, one: Prospect, link: DataLink, specs: Mapping[str, LinkSpec]) -> bool:
    """Hold the target against what was committed, in mode replace only what an unfinished reading brought.
    True if another target is to be made ready: nothing was committed yet. Raises ``PermanentError`` with what
    is gone. Files between two links of ``specs``, which may go once they are loaded, are not asked for."""
    feeds = any(one.link.key in spec.upstream for spec in specs.values())
    if feeds and link.sink.publishes_files:
        return False
    epoch = None
    if one.link.mode is Mode.REPLACE:
        epoch = state.reports.open_epoch(one.pipeline_key)
        if epoch is None:
            return False
    known = state.reports.committed(one.pipeline_key, epoch)
    if not known.chunks and known.target is None:
        return False
    held = link.sink.holding(link.outgoing(one.source), one.pipeline_key, one.link.mode)
    if held is None:
        return False
    another = is_another(known, held)
    if not known.chunks:
        return another or held.target == ""
    same = (held.chunks, held.least, held.greatest) == (known.chunks, known.least, known.greatest)
    if (another or not same) and (gone := _gone(state, one, link, epoch, another=another)):
        raise _missed(one, known, held, gone)
    if epoch is None and (lacks := _lacks(known, held)):
        raise PermanentError(
            f"{one.target.dataset.name} does not hold {lacks:,} of {known.rows:,} rows that were "
            "committed, though its ledger names them",
            hint=f"if others delete there, write others_delete: true in the sink's conf; else: {RELOAD}",
        )
    return False


def whole(state: StateManager, job: Job, link: DataLink) -> None:
    """Before a reading takes a table's place: raises ``PermanentError`` unless the target holds every chunk
    of it. A server that fell back to a standby, or was restored, since the run began may have lost some."""
    if job.info.mode is not Mode.REPLACE or link.sink.publishes_files:
        return
    one = as_prospect(job, link)
    held = link.sink.holding(link.outgoing(one.source), one.pipeline_key, one.link.mode)
    if held is None:
        return
    known = state.reports.committed(one.pipeline_key, job.epoch)
    if gone := _gone(state, one, link, job.epoch, another=is_another(known, held)):
        raise _missed(one, known, held, gone)


def is_another(known: Holding, held: Holding) -> bool:
    """Whether a target says that it is not the one that was written to. One that was written to by an hdm
    before targets had identities, or that cannot say who it is, is told by its chunks alone."""
    return bool(known.target and held.target and known.target != held.target)


def _missed(one: Prospect, known: Holding, held: Holding, gone: Sequence[Known]) -> PermanentError:
    """What to raise where ``gone`` is missing."""
    name, rows = one.target.dataset.name, sum(rows for _, rows in gone)
    what = f"{name} does not hold {len(gone)} of {known.chunks} chunks ({rows:,} rows) that were committed"
    if is_another(known, held):
        why = "it is in another database than the one they were written to, by the identity in its ledger"
        way = f"correct the profile; to load what was moved into this target too: {RELOAD}"
    elif held.target == "":
        why = "no ledger is there; the database was emptied or made anew, or it is another one"
        way = f"correct the profile, if it names another target; else: {RELOAD}"
    elif known.target and held.target:
        why = "it is the database that they were written to, restored or emptied since"
        way = RELOAD
    else:
        why = "it was restored, emptied or dropped, or it is another one"
        way = f"correct the profile, if it names another target; else: {RELOAD}"
    if one.link.mode is Mode.REPLACE and not one.upstream_keys:
        what, way = (
            f"{what} of a reading that is not finished",
            way.replace(RELOAD, f"hdm run --full-refresh {one.source.dataset.name}"),
        )
    return PermanentError(f"{what}: {why}", hint=way)


def missing(state: StateManager, one: Prospect, link: DataLink) -> tuple[list[Chunk], int, set[str]]:
    """The committed chunks that are not there any more, in order, their rows, and the ids of those whose
    rows others of them give, read again. Where rows are merged, those after the first that is gone, too:
    it must not come in after them. Of what is replaced, only files that were staged are loaded again."""
    epoch, merges = None, one.link.mode is Mode.MERGE
    if one.link.mode is Mode.REPLACE:
        epoch = state.reports.open_epoch(one.pipeline_key)
        if epoch is None or not one.upstream_keys:
            return [], 0, set()
    known = state.reports.committed(one.pipeline_key, epoch)
    held = link.sink.holding(link.outgoing(one.source), one.pipeline_key, one.link.mode)
    if held is None or not known.chunks:
        return [], 0, set()
    another = is_another(known, held)
    gone: Sequence[Known] = _gone(state, one, link, epoch, another=another)
    if epoch is not None:
        return [chunk for chunk, _ in gone], sum(rows for _, rows in gone), set()
    every = state.reports.committed_chunks(one.pipeline_key)
    if gone and one.link.mode is Mode.APPEND and (another or not held.chunks) and held.there:
        raise _doubled(one, held.there, another=another)
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


def _doubled(one: Prospect, rows: int, *, another: bool) -> PermanentError:
    """The table holds rows, and no ledger of this target says whose they are."""
    why = "the ledger of another target" if another else "no ledger"
    return PermanentError(
        f"{one.target.dataset.name} holds {rows:,} rows, and {why} is beside it: to append to them what was "
        "committed could double it",
        hint="correct the profile, or bring the ledger back; or empty the table and try again. If the rows "
        "are others': write others_delete: true in the sink's conf for this time",
    )


def _lacks(known: Holding, held: Holding) -> int:
    """How many committed rows the table cannot hold, by how many it has."""
    return 0 if held.there is None else max(known.rows - held.there, 0)


def as_prospect(job: Job, link: DataLink) -> Prospect:
    """A job as what it is asked for."""
    info = job.info
    return Prospect(link.spec, job.pipeline_key, info.source, info.target, (), info.upstream_keys)


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
        gone, rows, within = missing(state, as_prospect(job, link), link)
        unstaged = state.reports.unstaged({one.upstream for one in gone if one.upstream})
        if unstaged:
            _stage_again(state, job, newest, unstaged, by)
        within |= {one.chunk_id for one in gone if one.upstream in unstaged}
        if gone:
            table = link.outgoing(job.info.source)
            link.sink.prepare(table, job.pipeline_key, job.epoch, job.info.mode)
            into = link.sink.identity(table)
            yield job, state.reload(job, gone, by, uncopied=within, target_id=into), rows


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


def _gone(
    state: StateManager, one: Prospect, link: DataLink, epoch: int | None, *, another: bool
) -> list[Known]:
    """Committed chunks, in their order, that the target does not hold: all, of ``another`` target, whose
    chunks were read by others, whatever they are called."""
    every = state.reports.committed_chunks(one.pipeline_key, epoch)
    if another:
        return every
    held = {chunk.chunk_id for chunk, _ in link.sink.ledger(link.outgoing(one.source), one.pipeline_key)}
    return [(chunk, rows) for chunk, rows in every if chunk.chunk_id not in held]
