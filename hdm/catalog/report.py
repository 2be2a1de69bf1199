"""Reports for every object whether it was converted, approximated or left to a person, and why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum

EFFORT = {
    "table": 60, "column": 20, "default": 10, "generated": 30, "identity": 15, "primary key": 20,
    "unique": 15, "foreign key": 15, "check": 20, "index": 10, "comment": 2, "view": 60,
    "sequence": 15, "partitioning": 30, "distribution": 15, "trigger": 90, "routine": 180,
}  # fmt: skip
"""Minutes of a person's work for one manual object of each kind: a rule of thumb, for sums only."""


class Status(StrEnum):
    """What became of an object of the source on the target.

    Converted: it is there as the source has it. Approximated: it is there in a similar form. Manual: it is
    not there, so that a person must act.
    """

    CONVERTED = "converted"
    APPROXIMATED = "approximated"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of the mapping for one object.

    ``name`` is dotted, for people.
    """

    kind: str
    name: str
    status: Status = Status.CONVERTED
    reason: str = ""
    hint: str = ""

    @property
    def minutes(self) -> int:
        """How many minutes of work remain for a person, by rule of thumb."""
        if self.status is Status.CONVERTED:
            return 0
        whole = EFFORT.get(self.kind, 30)
        return whole if self.status is Status.MANUAL else max(1, whole // 10)


@dataclass(slots=True)
class Report:
    """The results of one mapping for all objects, in the order of the objects."""

    source: str = ""
    target: str = ""
    findings: list[Finding] = field(default_factory=list)

    def converted(self, kind: str, name: str) -> None:
        """Record that the target has the object as the source has it."""
        self.findings.append(Finding(kind, name))

    def approximated(self, kind: str, name: str, reason: str, hint: str) -> None:
        """Record that the target has the object in a similar form."""
        self.findings.append(Finding(kind, name, Status.APPROXIMATED, reason, hint))

    def manual(self, kind: str, name: str, reason: str, hint: str) -> None:
        """Record that the target lacks an object, so that a person must act."""
        self.findings.append(Finding(kind, name, Status.MANUAL, reason, hint))

    def demote(self, kind: str, name: str, reason: str, hint: str) -> None:
        """Record that the target refused an object when its DDL was executed.

        Earlier results for the object are replaced.
        """
        self.findings = [one for one in self.findings if (one.kind, one.name) != (kind, name)]
        self.manual(kind, name, reason, hint)

    @property
    def counts(self) -> dict[str, int]:
        """The number of objects with each status."""
        found = Counter(one.status.value for one in self.findings)
        return {status.value: found.get(status.value, 0) for status in Status}

    @property
    def by_kind(self) -> dict[str, dict[str, int]]:
        """The number of objects by kind and status; kinds are sorted."""
        kinds = sorted({one.kind for one in self.findings})
        return {
            kind: Report(findings=[one for one in self.findings if one.kind == kind]).counts for kind in kinds
        }

    @property
    def gaps(self) -> list[Finding]:
        """The results for objects that were not simply converted; those left to a person come first."""
        rest = [one for one in self.findings if one.status is not Status.CONVERTED]
        return sorted(rest, key=lambda one: (one.status is not Status.MANUAL, one.kind, one.name))

    @property
    def minutes(self) -> int:
        """How many minutes of work remain for all objects, by rule of thumb."""
        return sum(one.minutes for one in self.findings)


def worst(findings: Iterable[Finding]) -> Status:
    """Return the worst status among results: manual, else approximated, else converted.

    Converted if there are no results.
    """
    statuses = {one.status for one in findings}
    for status in (Status.MANUAL, Status.APPROXIMATED):
        if status in statuses:
            return status
    return Status.CONVERTED


def report_to_json(report: Report) -> str:
    """Return the counts, the counts by kind, and every finding as JSON."""
    body = {
        "source": report.source,
        "target": report.target,
        "counts": report.counts,
        "by_kind": report.by_kind,
        "minutes": report.minutes,
        "findings": [{**asdict(one), "status": one.status.value} for one in report.findings],
    }
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


def report_to_markdown(report: Report) -> str:
    """Return the report for people: counts by kind, then every gap with its reason and hint."""
    lines = [f"# {report.source} to {report.target}", ""]
    lines += ["| kind | converted | approximated | manual |", "|---|---:|---:|---:|"]
    for kind, counts in report.by_kind.items():
        lines.append(f"| {kind} | {counts['converted']} | {counts['approximated']} | {counts['manual']} |")
    total = report.counts
    lines.append(f"| **all** | {total['converted']} | {total['approximated']} | {total['manual']} |")
    if report.gaps:
        lines += ["", "| object | fate | reason | what to do |", "|---|---|---|---|"]
    for one in report.gaps:
        cells = (f"{one.kind} {one.name}", one.status.value, one.reason, one.hint)
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
