"""Removes files of dead attempts, and staged files that need not be kept any longer; nothing else."""

from __future__ import annotations

from typing import cast

from hdm import failpoints
from hdm.api.results import Collected, Removed
from hdm.config.secrets import redact
from hdm.errors import HdmError
from hdm.files.atomic_file import disk_error
from hdm.files.sink import FileSink
from hdm.model import Chunk
from hdm.project import Assembly
from hdm.runtime.host import take_over_dead
from hdm.runtime.link import DataLink
from hdm.state import Job, StateManager
from hdm.state.records import StaleArtifact


def collect(made: Assembly, state: StateManager, *, dry_run: bool, staged: bool) -> Collected:
    """Remove the files of dead attempts; return what was removed.

    First ends the leases of dead processes of this host. Unfinished chunk records and the like are removed,
    too. A file that the target's own record names stays, as do all files of links that were not made. With
    ``dry_run``, files are only listed. With ``staged``, staged files that their sink's ``keep:`` no longer
    protects are removed, too. If a sink cannot say which files it has committed, all its files stay, and the
    result names the sink and the reason.
    """
    take_over_dead(state)
    found = [(one, _discard) for one in state.files.stale()]
    if staged:
        found += [(one, _retire) for one in _expendable(made, state)]
    rows: list[Removed] = []
    silent: dict[str, str] = {}
    for one, act in found:
        job = state.reports.job(one["job_id"])
        link = made.links.get(job.link_key)
        if link is None or link.sink.name in silent:
            continue
        chunk = state.reports.chunk(one["chunk_id"])
        try:
            if act is _discard and is_held(link, job, chunk, one["uri"]):
                continue
            if not dry_run:
                failpoints.point("G1")
                act(link, job, chunk, one)
                failpoints.point("G2")
        except (HdmError, OSError) as trouble:
            error = trouble if isinstance(trouble, HdmError) else disk_error(trouble, one["uri"])
            said = error.in_one_line
            silent[link.sink.name] = redact(said)
            continue
        if not dry_run:
            state.files.deleted(one["artifact_id"])
        rows.append(Removed(one["uri"], one["chunk_id"][:12], one["attempt"]))
    rows += _leftovers(made, silent, dry_run=dry_run)
    return Collected(tuple(rows), tuple(silent.items()))


def _leftovers(made: Assembly, silent: dict[str, str], *, dry_run: bool) -> list[Removed]:
    """Remove what was left of chunk records and the like, which belong to no attempt; return what it was."""
    rows: list[Removed] = []
    sinks = {link.sink.name: link.sink for link in made.links.values() if isinstance(link.sink, FileSink)}
    for name, sink in sinks.items():
        if name in silent:
            continue
        try:
            for uri in sink.leftovers():
                if dry_run or sink.store.delete(sink.store.key(uri)):
                    rows.append(Removed(uri, "", 0))
        except (HdmError, OSError) as trouble:
            error = trouble if isinstance(trouble, HdmError) else disk_error(trouble, name)
            silent[name] = redact(error.in_one_line)
    return rows


def is_held(link: DataLink, job: Job, chunk: Chunk, uri: str) -> bool:
    """Return True if the target's own record names the file ``uri`` as committed for the chunk.

    Otherwise False, also if the target has no record of the chunk. The state database is not asked.
    """
    held = link.sink.committed(link.outgoing(job.info.source), chunk, job.info.mode)
    return held is not None and any(file.uri == uri for file in held.files)


def _discard(link: DataLink, job: Job, chunk: Chunk, one: StaleArtifact) -> None:
    link.sink.discard(link.outgoing(job.info.source), chunk, one["attempt"])
    link.sink.remove(one["uri"])


def _retire(link: DataLink, job: Job, chunk: Chunk, one: StaleArtifact) -> None:
    cast(FileSink, link.sink).retire(chunk, one["uri"])


def _expendable(made: Assembly, state: StateManager) -> list[StaleArtifact]:
    found: list[StaleArtifact] = []
    for key, link in made.links.items():
        if isinstance(link.sink, FileSink) and link.sink.config.keep is not None:
            keep = link.sink.config.keep
            readers = frozenset(other.key for other in made.specs.readers(key))
            found += state.files.expendable(key, readers, 0 if keep == "verified" else keep)
    return found
