"""Checks that a target still contains the chunks that the state database calls committed.

A target's own ledger shows which target it is and which chunks it holds. By that a run notices a target
that was restored, emptied or dropped, or is another one of the same name. Nothing is moved into such a target
until a person has said what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from hdm.errors import PermanentError
from hdm.model import Chunk, Condition, Dataset, Holding, LinkSpecs
from hdm.planning.preflight import Pipeline

if TYPE_CHECKING:
    from hdm.runtime.link import DataLink
    from hdm.state import Job, StateManager

Known = tuple[Chunk, int]
PHYSICAL = ("@page", "@rowid")
"""Pseudo-columns for ranges of a whole table by physical position."""
RELOAD = "hdm state reconcile --reload"


def look(state: StateManager, one: Pipeline, link: DataLink, specs: LinkSpecs) -> bool:
    """Compare a target with the state database; return True if it has to be prepared once more.

    True if nothing is committed yet, and the target is not the one that was prepared: its ledger has another
    identity, or is missing. False if all is in order, or nothing can be compared. Raises ``PermanentError``
    if committed rows are gone, or are in another database. In mode replace only the chunks of an unfinished
    epoch are compared. Files between two links of ``specs`` are not compared, since they may be removed once
    they are loaded.
    """
    publishes = specs.feeds(one.link.key) and link.sink.publishes_files
    if publishes or one.link.mode.rules.compares:
        return False  # a sync compares the rows themselves
    epoch = None
    if one.link.mode.rules.swaps_at_end:
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
    _compare(state, one, link, epoch, known, held)
    return False


def _compare(
    state: StateManager, one: Pipeline, link: DataLink, epoch: int | None, known: Holding, held: Holding
) -> None:
    """Raise ``PermanentError`` if ``held``, asked for after ``known``, lacks chunks or rows of it."""
    another = is_another(known, held)
    same = (held.chunks, held.least, held.greatest) == (known.chunks, known.least, known.greatest)
    if (another or not same) and (gone := _gone(state, one, link, epoch, another=another)):
        raise _missed(one, known, held, gone)
    if epoch is None and (lacks := _lacks(known, held)):
        raise PermanentError(
            f"{one.target.dataset.name} does not hold {lacks:,} of {known.rows:,} rows that were "
            "committed, though its ledger names them",
            hint=f"if others delete there, write others_delete: true in the sink's conf; else: {RELOAD}",
        )


def still_there(state: StateManager, job: Job, link: DataLink, *, feeds: bool) -> None:
    """Raise ``PermanentError`` unless the target still holds every chunk that was committed to it.

    A server that failed over to a standby, or was restored, since the run began may have lost some. In mode
    replace only the chunks of the reading that is to take the table's place are compared. ``feeds``: another
    link reads what this one publishes; then files are not compared, as they may be removed once loaded.
    """
    if feeds and link.sink.publishes_files:
        return
    one = as_pipeline(job, link)
    rules = job.info.mode.rules
    epoch = job.epoch if rules.swaps_at_end or rules.compares else None
    known = state.reports.committed(one.pipeline_key, epoch)
    held = link.sink.holding(link.outgoing(one.source), one.pipeline_key, one.link.mode)
    if held is not None:
        _compare(state, one, link, epoch, known, held)


def is_another(known: Holding, held: Holding) -> bool:
    """Return True if the target is another one than was written to, by the identities in their ledgers.

    ``known`` has the recorded identity, ``held`` that of the target now. False if either is unknown: such
    targets are compared by their chunks.
    """
    return bool(known.target and held.target and known.target != held.target)


def is_another_target(state: StateManager, job: Job, link: DataLink) -> bool:
    """Return True if the sink's target is another one than the pipeline's rows were written to.

    False if one of the two has no identity.
    """
    one = as_pipeline(job, link)
    known = state.reports.committed(one.pipeline_key)
    held = link.sink.holding(link.outgoing(one.source), one.pipeline_key, one.link.mode)
    return held is not None and is_another(known, held)


def _missed(one: Pipeline, known: Holding, held: Holding, gone: Sequence[Known]) -> PermanentError:
    """Return the error for chunks ``gone`` that the target lacks, with what is likely and what to do."""
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
    if one.link.mode.rules.swaps_at_end and not one.upstream_keys:
        what, way = (
            f"{what} of a reading that is not finished",
            way.replace(RELOAD, f"hdm run --full-refresh {one.source.dataset.name}"),
        )
    return PermanentError(f"{what}: {why}", hint=way)


def missing(state: StateManager, one: Pipeline, link: DataLink) -> tuple[list[Chunk], int, set[str]]:
    """Return the committed chunks that a target has lost, their number of rows, and ids not to copy again.

    The chunks are in order. The ids are of lost chunks whose rows come back when other lost chunks are read
    again. In a merging chain all chunks after the first lost one are included: an older row must not be
    merged after a newer one. In mode replace, only staged files of an unfinished reading are loaded again.
    Raises ``PermanentError`` if rows would be doubled, or if it is not clear which are lost.
    """
    epoch, merges = None, one.link.mode.rules.merges_by_key
    if one.link.mode.rules.compares:
        return [], 0, set()
    if one.link.mode.rules.swaps_at_end:
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
    if gone and one.link.mode.rules.only_adds and (another or not held.chunks) and held.there:
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


def _doubled(one: Pipeline, rows: int, *, another: bool) -> PermanentError:
    """The table holds rows, and no ledger of this target says whose they are."""
    why = "the ledger of another target" if another else "no ledger"
    return PermanentError(
        f"{one.target.dataset.name} holds {rows:,} rows, and {why} is beside it: to append to them what was "
        "committed could double it",
        hint="correct the profile, or bring the ledger back; or empty the table and try again. If the rows "
        "are others': write others_delete: true in the sink's conf for this time",
    )


def _lacks(known: Holding, held: Holding) -> int:
    """Return how many committed rows the table cannot hold, judged by its number of rows."""
    return 0 if held.there is None else max(known.rows - held.there, 0)


def as_pipeline(job: Job, link: DataLink) -> Pipeline:
    """Return the pipeline (one link over one table) that a job carries out."""
    info = job.info
    return Pipeline(link.spec, job.pipeline_key, info.source, info.target, (), info.upstream_keys)


def load_again(
    state: StateManager, links: Mapping[str, DataLink], jobs: Sequence[Job], by: str
) -> Iterator[tuple[Job, int, int]]:
    """Plan lost chunks to be loaded again; yield each job with its number of lost chunks and rows.

    Each target is prepared first. The chunks are loaded from staged files if these still exist, else from the
    source. ``by`` is the person who asked.
    """
    newest = {job.pipeline_key: job for job in jobs}
    specs = LinkSpecs(link.spec for link in links.values())
    for job in jobs:
        link = links[job.link_key]
        if specs.feeds(job.link_key) and link.sink.publishes_files:
            continue
        gone, rows, within = missing(state, as_pipeline(job, link), link)
        unstaged = state.reports.unstaged({one.upstream for one in gone if one.upstream})
        if unstaged:
            _stage_again(state, job, newest, unstaged, by)
        within |= {one.chunk_id for one in gone if one.upstream in unstaged}
        if gone:
            table = link.outgoing(job.info.source)
            link.sink.prepare(table, job.pipeline_key, job.epoch, job.info.mode)
            into = link.sink.identity(table)
            yield job, state.chunks.reload(job, gone, by, uncopied=within, target_id=into), rows


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
        if not below.info.mode.rules.merges_by_key:
            within = _given_by_others(below.info.target.dataset, key, again, every)
        state.chunks.reload(above, [chunk for chunk, _ in again], by, uncopied=within)


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


def _gone(
    state: StateManager, one: Pipeline, link: DataLink, epoch: int | None, *, another: bool
) -> list[Known]:
    """Return the committed chunks that the target does not hold, in order; all of them if it is ``another``.

    Chunks of another target were loaded by others, even if their ids are equal.
    """
    every = state.reports.committed_chunks(one.pipeline_key, epoch)
    if another:
        return every
    held = {chunk.chunk_id for chunk, _ in link.sink.present(link.outgoing(one.source), one.pipeline_key)}
    return [(chunk, rows) for chunk, rows in every if chunk.chunk_id not in held]
