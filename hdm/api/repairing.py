"""Repairs the targets of a manifest: writes the rows again that differ from the source, and records it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from hdm.api.comparing import Found, Validated, of_links
from hdm.errors import UsageError
from hdm.model import Attempt
from hdm.project import Assembly, user
from hdm.proof.applying import NO_DELETES, Applied, Task, allowed, checked, key_of, make_equal, patched
from hdm.state import StateManager


def repair(
    made: Assembly, chosen: Sequence[str], show: int | None, max_deletes: str = NO_DELETES
) -> tuple[Validated, ...]:
    """Compare each target with its source, write the rows again that differ, and compare again.

    Raises ``UsageError`` if nothing was run yet, if a run of the manifest is at work, or for a table that
    cannot be repaired by its key.
    """
    allowed(max_deletes, 0)
    state = made.recall_state()
    if state is None:
        raise UsageError("nothing was run yet, so that there is nothing to repair", hint="hdm run MANIFEST")
    with state:
        if (run := state.runs.joinable(made.plan.manifest_name, made.plan.env)) is not None:
            raise UsageError(
                f"run {run[:8]} has not ended: what it moves is not to be repaired meanwhile",
                hint="wait until it has ended; if it was killed, run the manifest again first",
            )
        mend = partial(_mend, state, max_deletes)
        return tuple(of_links(made, chosen, None, show, mend=mend))


def _mend(state: StateManager, max_deletes: str, found: Found) -> Applied:
    one = found.group[0]
    job = next(filter(None, (state.operators.newest_job(each.pipeline_key) for each in found.group)), None)
    if job is None:
        raise UsageError(
            f"{one.target.dataset.name} was never filled by this manifest", hint="hdm run MANIFEST first"
        )
    plan = checked(found.source.table, found.target.table, found.wishes)
    table = found.source.table
    patch = patched(table, plan, found.sink.target(table), found.sink)
    task = Task(
        found.source, found.target, found.wishes, table.columns, patch,
        key_of("repair", *sorted(each.pipeline_key for each in found.group)), found.alive, max_deletes,
        attempt=Attempt(1, run_id="repair"), clock=state.reports.clock,
    )  # fmt: skip
    target = {"namespace": one.target.dataset.namespace, "name": one.target.dataset.name}
    facts = {"by": user(), "target": target, "ledger_key": task.job_key}
    state.operators.repair(job, facts, begins=True)
    try:
        applied = make_equal(task)
    except BaseException as error:
        state.operators.repair(job, {**facts, "error": type(error).__name__})
        raise
    state.operators.repair(job, {**facts, **applied.facts()})
    return applied
