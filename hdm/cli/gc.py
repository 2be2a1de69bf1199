"""hdm gc: remove what dead attempts left behind, and nothing else."""

from __future__ import annotations

from typing import cast

import click

from hdm import failpoints
from hdm.cli.options import json_option, manifest_options, site_option
from hdm.cli.output import emit, in_a_line, remark
from hdm.errors import HdmError
from hdm.files.atomic_file import disk_error
from hdm.files.sink import FileSink
from hdm.model import Chunk
from hdm.project import Project, open_project
from hdm.runtime.host import take_over_dead
from hdm.runtime.link import DataLink
from hdm.state import Job, StateManager
from hdm.state.records import StaleArtifact


@click.command()
@manifest_options
@site_option
@click.option("--dry-run", is_flag=True, help="List only.")
@click.option(
    "--staged", is_flag=True, help="Also delete staged files that `keep:` of their sink no longer keeps."
)
@json_option
def command_gc(
    manifest: str,
    env: str,
    profiles: str | None,
    log_settings: str | None,
    site: str | None,
    dry_run: bool,
    staged: bool,
    as_json: bool,
) -> int:
    """Remove temporary files, objects and uploads of MANIFEST's dead attempts.

    What a live lease may still need, or a receipt names, is never touched. With --staged, files
    go whose every row is verified further down, where their sink says `keep:`. The files of a sink
    that cannot be asked what it holds are left; it is named, and the exit code is 1.
    """
    project = open_project(manifest, env, profiles, site)
    known = project.recall_state()
    if known is None:
        emit([], as_json=as_json, empty="nothing was run yet")
        return 0
    with known as state:
        take_over_dead(state)
        found = [(one, _discard) for one in state.stale_artifacts()]
        if staged:
            found += [(one, _retire) for one in _expendable(project, state)]
        rows, silent = [], set[str]()
        for one, act in found:
            job = state.reports.job(one["job_id"])
            link = project.links.get(job.link_key)
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
                silent.add(link.sink.name)
                said = in_a_line(
                    trouble if isinstance(trouble, HdmError) else disk_error(trouble, one["uri"])
                )
                remark(f"hdm: sink {link.sink.name}: {said}; its files are left")
                continue
            if not dry_run:
                state.artifact_deleted(one["artifact_id"])
            rows.append({"uri": one["uri"], "chunk": one["chunk_id"][:12], "attempt": one["attempt"]})
    title = f"{len(rows)} object(s) {'would be ' if dry_run else ''}removed"
    emit(rows, as_json=as_json, title=title, empty="nothing to remove")
    return 1 if silent else 0


def is_held(link: DataLink, job: Job, chunk: Chunk, uri: str) -> bool:
    """Whether the target itself has committed the file, though the state does not know of it yet."""
    held = link.sink.committed(link.outgoing(job.info.source), chunk, job.info.mode)
    return held is not None and any(file.uri == uri for file in held.files)


def _discard(link: DataLink, job: Job, chunk: Chunk, one: StaleArtifact) -> None:
    link.sink.discard(link.outgoing(job.info.source), chunk, one["attempt"])
    link.sink.remove(one["uri"])


def _retire(link: DataLink, job: Job, chunk: Chunk, one: StaleArtifact) -> None:
    cast(FileSink, link.sink).retire(chunk, one["uri"])


def _expendable(project: Project, state: StateManager) -> list[StaleArtifact]:
    found: list[StaleArtifact] = []
    for key, link in project.links.items():
        if isinstance(link.sink, FileSink) and link.sink.config.keep is not None:
            keep = link.sink.config.keep
            readers = frozenset(k for k, other in project.specs.items() if key in other.upstream)
            found += state.expendable_artifacts(key, readers, 0 if keep == "verified" else keep)
    return found
