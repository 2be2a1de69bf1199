"""Knows replays of rows in quarantine by the target's ledger, and finds those that a target has lost."""

from __future__ import annotations

from hdm.api.standing import mine
from hdm.errors import HdmError
from hdm.model import Chunk, Table, digest
from hdm.project import Assembly, user
from hdm.state import Job, StateManager
from hdm.state.queries.set_aside import SetAside


def missed(made: Assembly, state: StateManager) -> list[SetAside]:
    """Return the chunks whose replayed rows the targets do not hold any more; these are open again then.

    The target's ledger is asked, once for each link and table; a link that left the manifest, or a target
    that does not answer, is left out.
    """
    found, asked = [], dict[str, tuple[Job, Table, set[str]] | None]()
    for one in state.reports.set_aside(*mine(made.plan)):
        if one.state != "replayed" or one.file is None:
            continue
        if one.job_id not in asked:
            asked[one.job_id] = _replays(made, state.reports.job(one.job_id))
        held = asked[one.job_id]
        if held is None or replay_chunk(held[0], one, held[1]).chunk_id in held[2]:
            continue
        if state.operators.decide_rows(one.job_id, one.chunk_id, "lost", user(), None, one.rows):
            found.append(one)
    return found


def _replays(made: Assembly, job: Job) -> tuple[Job, Table, set[str]] | None:
    """Return the job, its table as the sink gets it, and the ids of the replays that the ledger holds."""
    link = made.links.get(job.link_key)
    if link is None:
        return None
    table = link.outgoing(job.info.source)
    try:
        held = link.sink.present(table, _replay_key(job))
        return job, table, {chunk.chunk_id for chunk, _ in held}
    except HdmError:
        return None  # whatever it is, the run says so itself


def replay_chunk(job: Job, aside: SetAside, table: Table) -> Chunk:
    """Return the chunk under which the target's ledger records the replay of another chunk's rows.

    It is the same however the table's columns have changed since, so that rows are loaded once; its job key
    is one of its own, so that nobody takes it for a chunk of the reading. It has no ``upstream``, since it
    comes out of turn: in mode merge the cursor then decides whether the target has a newer row.
    """
    assert aside.file is not None
    return Chunk(_replay_key(job), table.dataset, aside.number, files=(aside.file,))


def _replay_key(job: Job) -> str:
    return digest("quarantine", job.pipeline_key)[:32]
