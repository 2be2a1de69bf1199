"""Reads the progress of runs from the state database, and records people's decisions about dead chunks."""

from __future__ import annotations

from typing import Any

from hdm.api.results import (
    DeadChunk,
    ProcessStatus,
    Retried,
    RunStatus,
    TableStatus,
    Waiver,
    dead_chunk,
)
from hdm.errors import UsageError
from hdm.planning.plan import Plan
from hdm.project import find_run, link_keys
from hdm.runtime.host import host_identity, is_alive
from hdm.state import StateManager
from hdm.state.queries.standing import Process


def mine(plan: Plan) -> tuple[str, str, list[str]]:
    """Return a manifest's name, environment and link keys, by which its runs are found in the state."""
    return plan.manifest_name, plan.env, link_keys(plan)


def status_of(state: StateManager, plan: Plan, run: str | None) -> RunStatus | None:
    """Return the progress and result of one run; None if this manifest has none.

    ``run`` is the beginning of a run's id; None stands for the newest run. Raises ``UsageError`` if ``run``
    is given and no run's id begins with it.
    """
    run_id = find_run(state, plan, run)
    if run_id is None:
        return None
    row = state.runs.row(run_id) or {}
    processes = [_process(one, state.lease_ttl) for one in state.reports.processes(run_id)]
    busy = any(one.at_work for one in processes)
    return RunStatus(
        run_id=run_id,
        status=str(row.get("status")),
        started_at=str(row.get("started_at")),
        started_by=str(row.get("started_by")),
        manifest=str(row.get("manifest_name")),
        broken_off=row.get("status") == "in_progress" and not busy,
        tables=_tables(state.reports.job_rows(run_id), state.reports.failures(run_id)),
        processes=tuple(processes),
        waived=tuple(Waiver(**gap) for gap in state.reports.waived(*mine(plan))),
        quarantine=tuple(one for one in state.reports.set_aside(*mine(plan)) if one.state == "open"),
    )


def _process(one: Process, ttl: float) -> ProcessStatus:
    return ProcessStatus(one.host, one.pid, one.since, one.heard, at_work(one, ttl))


def at_work(one: Process, ttl: float) -> bool:
    """Return True if a process that worked on a run is still alive.

    A process of this host is alive if it exists; a process of another host, if the state database heard of it
    less than ``ttl`` seconds ago. A process that has signed off is not alive.
    """
    if one.state != "alive":
        return False
    return is_alive(one.pid, one.start_token) if one.host == host_identity() else one.silent < ttl


def _tables(jobs: list[dict[str, Any]], failures: dict[str, str]) -> tuple[TableStatus, ...]:
    """Return the status of each job, and of each table that failed before it had a job.

    A job that is still being planned counts as failed if there is a reason why it could not be planned.
    """
    known = {row["job"] for row in jobs}
    found = []
    for row in jobs:
        problem = failures.get(row["job"])
        status = "failure" if row["status"] == "planning" and problem is not None else row["status"]
        found.append(
            TableStatus(**{**row, "status": status, "differs": tuple(row["differs"])}, problem=problem)
        )
    blank = dict.fromkeys(name for name in TableStatus.__dataclass_fields__ if name != "problem")
    found += [TableStatus(**blank, problem=text) for key, text in failures.items() if key not in known]
    return tuple(found)


def on_record(state: StateManager, table: str) -> StateManager:
    """Return ``state`` if it has a dataset called ``table``, or ending with it; else raise ``UsageError``."""
    if not state.reports.find_datasets(table):
        raise unknown_table(table)
    return state


def unknown_table(table: str) -> UsageError:
    """Return the error that says that no table of that name is recorded."""
    return UsageError(
        f"no dataset named {table!r} is on record", hint="hdm status lists the tables of the newest run"
    )


def dead(state: StateManager, plan: Plan) -> tuple[DeadChunk, ...]:
    """Return the dead chunks of a manifest; empty if there are none."""
    return tuple(dead_chunk(row) for row in state.reports.dead(*mine(plan)))


def retry(state: StateManager, plan: Plan, table: str | None, chunk: str | None, *, reread: bool) -> Retried:
    """Let the next run try dead chunks again; return them.

    ``table``, or the beginning of an id in ``chunk``, chooses them; without either, all are chosen. With
    ``reread``, their rows are read from the source again. Raises ``UsageError`` if ``table`` or ``chunk`` is
    given and none matches.
    """
    chosen = _chosen(dead(state, plan), table, chunk)
    if reread:
        return Retried(chosen, len(state.gaps.read_again([one.chunk_id for one in chosen])))
    return Retried(chosen, sum(state.operators.retry(chunk_id=one.chunk_id) for one in chosen))


def waive(
    state: StateManager, plan: Plan, by: str, reason: str, table: str | None, chunk: str | None
) -> tuple[DeadChunk, ...]:
    """Record that a person, ``by``, accepts the missing rows of dead chunks; return these chunks.

    ``table``, or the beginning of an id in ``chunk``, chooses them; without either, all are waived. Raises
    ``UsageError`` if ``table`` or ``chunk`` is given and none matches.
    """
    chosen = _chosen(dead(state, plan), table, chunk)
    for one in chosen:
        state.operators.waive(one.chunk_id, by, reason)
    return chosen


def _chosen(rows: tuple[DeadChunk, ...], table: str | None, chunk: str | None) -> tuple[DeadChunk, ...]:
    kept = tuple(
        one
        for one in rows
        if (table is None or one.table == table or one.table.endswith("." + table))
        and (chunk is None or one.chunk_id.startswith(chunk))
    )
    if not kept and (table or chunk):
        raise UsageError(
            f"no dead chunk matches {table or chunk!r}", hint="hdm status --dead lists the dead chunks"
        )
    return kept
