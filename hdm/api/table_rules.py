"""Runs the checks of whole tables against the targets of a run, after the run has loaded them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hdm.errors import HdmError
from hdm.planning.preflight import Pipeline
from hdm.runtime.checking import of_target
from hdm.runtime.link import DataLink
from hdm.state import StateManager


@dataclass(frozen=True, slots=True)
class Judged:
    """Broken rules about whole tables, one line each without values: ``failed`` ends the run with 1."""

    failed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def judge(
    state: StateManager, run_id: str, links: Mapping[str, DataLink], pipelines: Iterable[Pipeline]
) -> Judged:
    """Check each target by the rules about whole tables, and record the results with its newest job.

    A target that cannot be asked has failed, since nothing was looked at.
    """
    failed: list[str] = []
    notes: list[str] = []
    for one in pipelines:
        link = links.get(one.link.key)
        if link is None or not one.link.checks:
            continue
        table = link.outgoing(one.source)
        try:
            results = of_target(link.sink, table, link.checks(table))
        except HdmError as error:
            failed.append(f"{one.target.dataset.name}: checks not asked: {error.in_one_line}")
            continue
        newest = [
            job for job in state.reports.link_jobs(one.link.key) if job.pipeline_key == one.pipeline_key
        ]
        if newest and results:
            state.jobs.record_checks(newest[0], run_id, results)
        for result in results:
            if result.found:
                line = f"{one.target.dataset.name}: {result.kind}: {result.found}"
                (failed if result.severity == "error" else notes).append(line)
    return Judged(tuple(failed), tuple(notes))
