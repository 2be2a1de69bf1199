"""Collects what the tables must contain according to the events of all runs, in chain order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hdm.state.tx.seals import CHECK, FOLLOW, Sum

_RACE = 30.0
"""Seconds within which two runs' changes of one job may be in either order: the longest wait for a lock."""


@dataclass(slots=True)
class Told:
    """A value that an event recorded: with the event's time, its run and its place in the chain."""

    at: str
    run_id: str
    seq: int
    value: Any


@dataclass(slots=True)
class JobFacts:
    """What the events say about one job.

    ``sealed``: the job was opened by a version of hdm that records row digests (seals).
    """

    sealed: bool = False
    pipeline: str | None = None
    status: str | None = None
    imported: Sum | None = None
    rows: dict[str, Told] = field(default_factory=dict)
    upstream: dict[str, Told] = field(default_factory=dict)
    columns: dict[str, Told] = field(default_factory=dict)
    plan: Sum = field(default_factory=Sum)
    counted: Sum = field(default_factory=Sum)
    results: Sum = field(default_factory=Sum)
    marks: Sum = field(default_factory=Sum)
    followed: Sum = field(default_factory=Sum)


@dataclass(slots=True)
class RunFacts:
    """What a run's own events say about the run.

    ``there``: the run's row was found in its table.
    """

    opened: dict[str, Any] | None = None
    end: dict[str, Any] | None = None
    end_status: str | None = None
    end_at: str | None = None
    schemas: Sum = field(default_factory=Sum)
    old_import: bool = False
    there: bool = False
    first_hash: str = ""


def newest(told: Mapping[str, Told]) -> list[Told]:
    """Return the newest recorded value, and values of other runs that may be newer.

    The latter are recorded so shortly before the newest that their order is not certain. Empty without any
    value.
    """
    from datetime import datetime

    ordered = sorted(told.values(), key=lambda one: (one.at, one.seq))
    if not ordered:
        return []
    last = datetime.fromisoformat(ordered[-1].at.replace("Z", "+00:00"))

    def near(one: Told) -> bool:
        return (last - datetime.fromisoformat(one.at.replace("Z", "+00:00"))).total_seconds() < _RACE

    return [one for one in ordered if one is ordered[-1] or near(one)]


class Facts:
    """What all events say, by run, job and worker."""

    def __init__(self) -> None:
        self.runs: dict[str, RunFacts] = {}
        self.jobs: dict[str, JobFacts] = {}
        self.workers: dict[str, str | None] = {}
        self.pairs: set[tuple[str, str]] = set()
        self.texts: set[str] = set()
        self.events = 0

    def job(self, job_id: str) -> JobFacts:
        """Return what the events say about a job; empty if no event was taken about it yet."""
        return self.jobs.setdefault(job_id, JobFacts())

    def take(self, row: Mapping[str, Any]) -> None:
        """Add the facts that one event's row records; an event whose payload cannot be read adds none."""
        self.events += 1
        try:
            payload = json.loads(row["payload"])
        except ValueError:
            return  # its hash cannot match, so the check of the chain reports it
        run = self.runs.setdefault(row["run_id"], RunFacts())
        if row["seq"] == 1:
            run.first_hash = row["hash"]
        kind: str = row["event_type"]
        room, _, what = kind.partition(".")
        if schemas := payload.get("schemas"):
            run.schemas.merge(schemas)
        if room == "run":
            self._run(run, row, what, payload)
        elif kind == "worker.registered":
            self.workers[row["worker_id"]] = payload.get("seal")
        elif row["job_id"] is not None:
            self._job(row, room, what, payload)

    def _run(self, run: RunFacts, row: Mapping[str, Any], what: str, payload: dict[str, Any]) -> None:
        if what == "opened":
            run.opened = payload
            run.end_status = row["to_status"]
            run.end = {"seal": payload["end"]} if "end" in payload else None
            if payload.get("text_sha256"):
                self.texts.add(payload["text_sha256"])
        elif what in ("closed", "aborted"):
            run.end, run.end_status, run.end_at = payload, row["to_status"], row["at_db"]
        elif what == "imported":
            run.old_import = run.opened is None

    def _job(self, row: Mapping[str, Any], room: str, what: str, payload: dict[str, Any]) -> None:
        job = self.job(row["job_id"])
        told = (row["at_db"], row["run_id"], row["seq"])
        run_id: str = row["run_id"]
        if room == "job":
            if what in ("opened", "adopted", "imported") and (what != "imported" or "seal" in payload):
                self.pairs.add((run_id, row["job_id"]))
            if what in ("opened", "imported") and "seal" in payload:
                job.sealed = True
            job.pipeline = payload.get("pipeline", job.pipeline)
            job.status = row["to_status"] or job.status
            for name, kept in (("seal", job.rows), ("upstream", job.upstream), ("columns", job.columns)):
                if name in payload and (name != "upstream" or isinstance(payload[name], list)):
                    kept[run_id] = Told(*told, payload[name])
            if "imported" in payload:
                job.imported = job.imported or Sum()
                job.imported.merge(payload["imported"])
            if what == "followed":
                values = (None, payload["upstream"], row["job_id"], payload["chunks"], row["at_db"])
                job.followed.add("follow", FOLLOW[1:], dict(zip(FOLLOW, values, strict=True)))
        if plan := payload.get("plan"):
            job.plan.merge(plan)
        if room == "chunk" and what in ("verified", "mismatch"):
            job.counted.add("validation", CHECK, _compared(row, payload))
        elif what == "checked" and "results" in payload:
            job.results.merge(payload["results"])
        elif room == "watermark" and "seal" in payload:
            job.marks.merge([1, payload["seal"]])


def _compared(row: Mapping[str, Any], payload: dict[str, Any]) -> dict[str, Any]:
    """Return the row of ``hdm_validation`` that belongs to the event of a comparison."""
    source, target = payload["source_rows"], payload["target_rows"]
    return {
        "job_id": row["job_id"],
        "chunk_id": row["chunk_id"],
        "kind": "row_count",
        "source_value": str(source),
        "target_value": str(target),
        "status": "pass" if source == target else "fail",
        "severity": "error",
        "executed_at": row["at_db"],
    }
