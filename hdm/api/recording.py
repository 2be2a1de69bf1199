"""Puts comparisons of targets with their sources on record in the state database, without values of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hdm.errors import HdmError
from hdm.planning.preflight import Pipeline
from hdm.proof.result import Comparison
from hdm.state import RunInfo, StateManager


@dataclass(frozen=True, slots=True)
class Before:
    """The state before a comparison: the database's time, and the newest job of each pipeline compared.

    ``broken`` says why the state could not be asked; None if it was.
    """

    began: str = ""
    jobs: Mapping[str, str] = field(default_factory=dict)
    broken: str | None = None


def before(state: StateManager | None, group: Sequence[Pipeline]) -> Before:
    """Return the state before the targets of ``group`` are compared; empty without a state database."""
    if state is None:
        return Before()
    try:
        began = state.reports.clock()
        return Before(began, state.trail.newest_jobs([one.pipeline_key for one in group]))
    except HdmError as error:
        return Before(broken=error.in_one_line)


def record(state: StateManager, info: RunInfo, known: Before, found: Comparison) -> str | None:
    """Record a comparison with each job whose rows it looked at; return why not, None if it is on record.

    A user who may only read the state database can compare, too: the result then says that it is not on
    record.
    """
    if known.broken is not None:
        return known.broken
    facts = {**facts_of(found), "began": known.began, "by": info.started_by}
    facts |= {"manifest_sha256": info.manifest_sha256, "version": info.hdm_version}
    try:
        for job_id in known.jobs.values():
            state.trail.record_comparison(job_id, facts)
    except HdmError as error:
        return error.in_one_line
    return None


def facts_of(found: Comparison) -> dict[str, Any]:
    """Return what may be recorded of a comparison: the verdict, numbers, names of columns, declared rules."""
    return {
        "source": found.a,
        "target": found.b,
        "level": found.level.value,
        "equal": found.equal,
        "key": list(found.key),
        "source_rows": found.rows_a,
        "target_rows": found.rows_b,
        "missing": found.missing,
        "extra": found.extra,
        "different": found.changed,
        "within_tolerance": found.within,
        "unsteady": found.unsteady,
        "only_one_side": list(found.schema),
        "notes": list(found.notes),
        "totals_differ": {one.column: list(one.facts) for one in found.columns},
        "causes": [[column, why, count] for (column, why), count in sorted(found.causes.items())],
    }
