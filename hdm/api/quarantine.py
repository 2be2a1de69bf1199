"""Lists, shows, replays and waives the rows that the links of a manifest have set aside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import pyarrow as pa

from hdm import failpoints
from hdm.api.project import Project
from hdm.api.replays import replay_chunk
from hdm.api.standing import mine
from hdm.components.check import Check, RowCheck
from hdm.errors import CheckFailed, HdmError, UsageError
from hdm.files import quarantine
from hdm.files.sink import FileSink
from hdm.model import Attempt, Mode, Payload, Table
from hdm.project import Assembly, read_plan
from hdm.runtime.checking import InFlight
from hdm.runtime.link import DataLink
from hdm.state import Job, StateManager
from hdm.state.queries.set_aside import SetAside


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one chunk's rows: ``rows`` were loaded, or ``refused`` says why none was."""

    aside: SetAside
    rows: int
    refused: str | None = None


def listed(project: Project, table: str | None, chunk: str | None, *, decided: bool) -> list[SetAside]:
    """Return the chunks with rows set aside: the open ones, with ``decided`` the others, too.

    ``table``, or the beginning of an id in ``chunk``, chooses them. Raises ``UsageError`` if one of them is
    given and nothing matches.
    """
    with project.recall_state() or nullcontext() as state:
        return _chosen(project, state, table, chunk, decided=decided)


def rows(
    project: Project, table: str | None, chunk: str | None, *, decided: bool
) -> Iterator[tuple[SetAside, pa.RecordBatch]]:
    """Yield the rows of the chosen chunks, with number, rule and reason; see ``hdm.files.quarantine``."""
    made = project.assemble()
    with made.recall_state() or nullcontext() as state:
        for one in _chosen(project, state, table, chunk, decided=decided):
            assert state is not None
            store = _place(made, state.reports.job(one.job_id)).store
            if one.file is not None:
                for batch in quarantine.read(store, one.file):
                    yield one, batch


def waive(project: Project, by: str, reason: str, table: str | None, chunk: str | None) -> list[SetAside]:
    """Record that a person accepts that the rows stay out of the target; return their chunks.

    Rows that a replay has loaded, though it was killed before that was on record, are recorded as replayed:
    the target's ledger is asked for each chunk whose link is in the manifest.
    """
    if not by.strip() or not reason.strip():
        raise UsageError("--by and --reason must not be empty", hint="name the person and say why")
    made = project.assemble()
    with made.recall_state() or nullcontext() as state:
        chosen = _chosen(project, state, table, chunk, decided=False)
        found = []
        for one in chosen if state is not None else ():
            assert state is not None
            what, rows = _fate(made, state, one)
            if state.operators.decide_rows(one.job_id, one.chunk_id, what, by, reason, rows):
                found.append(replace(one, state=what, by=by, reason=reason))
        return found


def _fate(made: Assembly, state: StateManager, one: SetAside) -> tuple[str, int]:
    """Return ``replayed`` if the target's ledger has the rows, else ``waived``, with the number of rows."""
    job = state.reports.job(one.job_id)
    link = made.links.get(job.link_key)
    if link is None or one.file is None:
        return "waived", one.rows
    table = link.outgoing(job.info.source)
    held = link.sink.committed(table, replay_chunk(job, one, table), _mode_of(job.info.mode))
    return ("waived", one.rows) if held is None else ("replayed", held.rows)


def replay(project: Project, by: str, table: str | None, chunk: str | None) -> list[Replayed]:
    """Load the rows of the chosen chunks into their targets, each chunk's exactly once.

    They are judged by the link's checks as these are now, but for those about a chunk as a whole; a chunk
    with a row that breaks one, or that the target refuses, stays as it is.
    """
    made = project.assemble()
    with made.recall_state() or nullcontext() as state:
        chosen = _chosen(project, state, table, chunk, decided=False)
        return [] if state is None else [_replayed(made, state, one, by) for one in chosen]


def _replayed(made: Assembly, state: StateManager, one: SetAside, by: str) -> Replayed:
    job = state.reports.job(one.job_id)
    try:
        store, link = _place(made, job).store, made.links[job.link_key]
        table = link.outgoing(job.info.source)
        _may_replay(link, job, table, one)
        part, mode = replay_chunk(job, one, table), _mode_of(job.info.mode)
        held = link.sink.committed(table, part, mode)
        if held is None:
            flight = InFlight(_of_part(link.checks(table), one.of))

            def batches() -> Iterator[pa.RecordBatch]:
                assert one.file is not None
                for batch in quarantine.read(store, one.file):
                    yield flight.look(quarantine.rows_of(batch, table))
                flight.judged(table, part)

            payload = Payload(table, batches)
            held = link.sink.write(table, part, Attempt(1, by, job.run_id), payload, mode)
            failpoints.point("Q2")
    except HdmError as error:
        return Replayed(one, 0, error.in_one_line)
    state.operators.decide_rows(one.job_id, one.chunk_id, "replayed", by, None, held.rows)
    return Replayed(one, held.rows)


def _of_part(checks: Sequence[Check], rows: int) -> list[Check]:
    """Return the rules that can judge some of a chunk's rows; shares count as those of all its ``rows``."""
    found = [check for check in checks if check.judges_parts]
    for check in found:
        if isinstance(check, RowCheck):
            check.of = rows
    return found


def _mode_of(mode: Mode) -> Mode:
    """Return the mode in which rows are replayed: what replaces a table would replace it by these rows."""
    return Mode.MERGE if mode.rules.merges_by_key else Mode.APPEND


def _may_replay(link: DataLink, job: Job, table: Table, one: SetAside) -> None:
    if one.file is None:
        raise CheckFailed("no file of its rows is on record", hint="read the table anew, or waive the rows")
    if link.sink.goes_in_order(table, job.info.mode, repeats=True):
        raise UsageError(
            "mode merge without a watermark that the target can compare cannot tell whether the target has "
            "newer rows by now",
            hint="mend the rows at the source, and read them again: hdm reload",
        )


def _place(made: Assembly, job: Job) -> FileSink:
    link = made.links.get(job.link_key)
    if link is None or link.quarantine is None:
        raise UsageError(
            f"the link that set rows of {job.info.source.dataset.name} aside has no quarantine: now",
            hint="write it on the link again, as it was",
        )
    return link.quarantine


def _chosen(
    project: Project, state: StateManager | None, table: str | None, chunk: str | None, *, decided: bool
) -> list[SetAside]:
    found: Sequence[SetAside] = (
        state.reports.set_aside(*mine(read_plan(project.manifest, project.env))) if state is not None else ()
    )
    kept = [
        one
        for one in found
        if (decided or one.state == "open")
        and (table is None or one.table == table or one.table.endswith("." + table))
        and (chunk is None or one.chunk_id.startswith(chunk))
    ]
    if not kept and (table or chunk):
        raise UsageError(
            f"no rows of {table or chunk!r} are set aside",
            hint="hdm quarantine list shows the chunks that have some",
        )
    return kept
