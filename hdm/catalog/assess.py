"""Assesses a migration before it begins: sizes, types at risk, gaps by effort, order, a forecast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hdm.catalog.mapper import MappedSchema
from hdm.catalog.model import Path, Relation, Schema, dotted
from hdm.catalog.order import table_waves
from hdm.catalog.report import Status
from hdm.dialects import dialect
from hdm.dialects.types import Fidelity

DEFAULT_RATE = 50_000.0
"""Rows per second that are assumed when nothing was measured."""


@dataclass(frozen=True, slots=True)
class Risk:
    """A column whose values or declaration the target cannot keep exactly.

    ``grave``: its values may change, not only its declaration.
    """

    column: str
    native: str
    becomes: str
    why: str
    grave: bool


@dataclass(slots=True)
class Assessment:
    """Result of assessing a migration; ``hdm assess`` shows it.

    ``tables`` has a row for each table, ``waves`` the tables in groups, in the order of loading. ``counts``
    and ``by_kind`` count objects by their status, ``types`` counts columns by their kind. ``effort`` has the
    objects that were not simply converted, grouped by kind, status and reason. ``rate`` is in rows per
    second; ``measured`` says where the rate comes from.
    """

    source: str
    target: str
    tables: list[dict[str, Any]] = field(default_factory=list)
    risks: list[Risk] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    by_kind: dict[str, dict[str, int]] = field(default_factory=dict)
    effort: list[dict[str, Any]] = field(default_factory=list)
    waves: list[list[str]] = field(default_factory=list)
    rate: float = DEFAULT_RATE
    measured: str = ""
    types: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """The number of rows in all tables, by the catalogue's estimates."""
        return sum(one["rows"] or 0 for one in self.tables)

    @property
    def bytes(self) -> int:
        """The size of all tables in bytes, by the catalogue's estimates."""
        return sum(one["bytes"] or 0 for one in self.tables)

    @property
    def sized(self) -> bool:
        """Whether the source's catalogue has the size of any table."""
        return any(one["bytes"] is not None for one in self.tables)

    @property
    def seconds(self) -> float:
        """How many seconds it takes to move all rows at ``rate`` rows per second."""
        return self.rows / self.rate

    @property
    def minutes_of_work(self) -> int:
        """How many minutes a person needs for objects that were not simply converted, by rule of thumb."""
        return sum(int(one["minutes"]) for one in self.effort)

    def to_dict(self) -> dict[str, Any]:
        """Return the assessment as plain dicts and lists, for JSON."""
        return {
            "source": self.source,
            "target": self.target,
            "totals": {
                "tables": len(self.tables),
                "rows": self.rows,
                "bytes": self.bytes if self.sized else None,
            },
            "tables": self.tables,
            "types": self.types,
            "types_at_risk": [
                {
                    "column": r.column,
                    "type": r.native,
                    "becomes": r.becomes,
                    "why": r.why,
                    "values_change": r.grave,
                }
                for r in self.risks
            ],
            "objects": {"counts": self.counts, "by_kind": self.by_kind},
            "gaps_by_effort": self.effort,
            "waves": self.waves,
            "forecast": {
                "rows_per_second": self.rate,
                "measured": self.measured or None,
                "seconds": round(self.seconds, 1),
                "minutes_of_work": self.minutes_of_work,
            },
        }


def assess(schema: Schema, mapped: MappedSchema, rate: float | None = None, measured: str = "") -> Assessment:
    """Assess a migration from a crawled schema and its mapping to a target; return the assessment.

    ``rate`` is in rows per second; without it, a default is taken. ``measured`` says where the rate comes
    from.
    """
    made = Assessment(mapped.report.source, mapped.report.target, rate=rate or DEFAULT_RATE)
    made.measured = measured if rate else ""
    waves = table_waves(schema.relations)
    place: Mapping[Path, int] = {one.path: n for n, wave in enumerate(waves, 1) for one in wave}
    for relation in _whole(schema):
        made.tables.append(_row(relation, place[relation.path], made.rate))
    made.tables.sort(key=lambda one: (-(one["bytes"] or 0), -(one["rows"] or 0), one["table"]))
    listed = {row["table"] for row in made.tables}
    made.waves = [sorted({dotted(one.path) for one in wave} & listed) for wave in waves]
    made.waves = [wave for wave in made.waves if wave]
    made.risks = _risks(schema, mapped.schema.system)
    made.counts, made.by_kind = mapped.report.counts, mapped.report.by_kind
    made.effort = _effort(mapped)
    kinds = Counter(column.kind.value for one in schema.relations for column in one.table.columns)
    made.types = dict(kinds.most_common())
    return made


def _whole(schema: Schema) -> list[Relation]:
    """Return the tables that are no partitions of others; partitioned ones have the size of all parts."""
    parts: dict[Path, list[Relation]] = {}
    for one in schema.relations:
        if one.part_of is not None:
            parts.setdefault(one.part_of, []).append(one)

    def summed(one: Relation) -> Relation:
        own = [summed(part) for part in parts.get(one.path, ())]
        if not own:
            return one
        rows = [part.table.rows for part in own if part.table.rows is not None]
        used = [part.table.bytes for part in own if part.table.bytes is not None]
        table = replace(one.table, rows=sum(rows) if rows else None, bytes=sum(used) if used else None)
        return replace(one, table=table)

    known = {one.path for one in schema.relations}
    return [summed(one) for one in schema.relations if one.part_of is None or one.part_of not in known]


def _row(relation: Relation, wave: int, rate: float) -> dict[str, Any]:
    table = relation.table
    return {
        "table": dotted(relation.path),
        "rows": table.rows,
        "bytes": table.bytes,
        "columns": len(table.columns),
        "key": list(table.key),
        "foreign_keys": len(relation.foreign_keys),
        "indexes": len(relation.indexes) + len(relation.uniques),
        "wave": wave,
        "seconds": round((table.rows or 0) / rate, 2),
    }


def _risks(schema: Schema, target: str) -> list[Risk]:
    keeps, found = dialect(target), []
    for relation in schema.relations:
        for column in relation.table.columns:
            stored = keeps.stored(column)
            if stored.fidelity is not Fidelity.EXACT:
                grave = stored.fidelity is Fidelity.LOSSY
                name = f"{dotted(relation.path)}.{column.name}"
                found.append(Risk(name, column.native, stored.native, stored.why, grave))
    return sorted(found, key=lambda one: (not one.grave, one.column))


def _effort(mapped: MappedSchema) -> list[dict[str, Any]]:
    groups: dict[tuple[str, str, str], list[int]] = {}
    for one in mapped.report.findings:
        if one.status is not Status.CONVERTED:
            groups.setdefault((one.kind, one.status.value, one.reason), []).append(one.minutes)
    rows = [
        {"kind": kind, "fate": fate, "reason": reason, "objects": len(minutes), "minutes": sum(minutes)}
        for (kind, fate, reason), minutes in groups.items()
    ]
    return sorted(rows, key=lambda one: (-one["minutes"], one["kind"], one["reason"]))
