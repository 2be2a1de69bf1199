"""Records datasets, the versions of their schemas, and their column lineage."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import func, insert, select

from hdm.model import Column, Dataset, Origin, Table
from hdm.model.json import table_to_json, type_text
from hdm.state.db.tables import column_lineage, dataset, dataset_schema
from hdm.state.records import JobInfo
from hdm.state.tx.seals import COLUMNS, SCHEMA, Sum, sum_of
from hdm.state.tx.transaction import Tx


def register(tx: Tx, table: Table) -> int:
    """Record a dataset and, if it is new, the version of its schema; return the version's number."""
    ensure(tx, table.dataset)
    newest = tx.conn.execute(
        select(dataset_schema.c.version, dataset_schema.c.schema_sha256, dataset_schema.c.columns_json)
        .where(dataset_schema.c.dataset_id == table.dataset.dataset_id)
        .order_by(dataset_schema.c.version.desc())
        .limit(1)
    ).one_or_none()
    if newest is not None and newest.schema_sha256 == table.schema_sha:
        version: int = newest.version
        return version
    version = 1 if newest is None else newest.version + 1
    columns = json.dumps(json.loads(table_to_json(table))["columns"], sort_keys=True, separators=(",", ":"))
    keep_version(
        tx,
        {
            "dataset_id": table.dataset.dataset_id,
            "version": version,
            "schema_sha256": table.schema_sha,
            "columns_json": columns,
            "captured_at": tx.now,
            "run_id": tx.run_id,
            "change_kind": "new" if newest is None else "changed",
            "change_detail": None if newest is None else _difference(newest.columns_json, columns),
        },
    )
    return version


def keep_version(tx: Tx, row: dict[str, Any]) -> None:
    """Insert a version of a dataset's schema.

    The caller must write an event with ``tx.recorded`` in the same transaction.
    """
    tx.conn.execute(insert(dataset_schema), row)
    tx.recorded.add("dataset_schema", SCHEMA, row)


def ensure(tx: Tx, named: Dataset, kind: str = "table") -> str:
    """Record a dataset if it is not known; return its id."""
    known = tx.conn.execute(
        select(func.count()).select_from(dataset).where(dataset.c.dataset_id == named.dataset_id)
    ).scalar()
    if not known:
        tx.conn.execute(
            insert(dataset),
            {"dataset_id": named.dataset_id, "namespace": named.namespace, "name": named.name, "kind": kind},
        )
    return named.dataset_id


_SUBTYPES = {
    "identity": ("DIRECT", "IDENTITY"),
    "transformation": ("DIRECT", "TRANSFORMATION"),
    "aggregation": ("DIRECT", "AGGREGATION"),
    "constant": ("NONE", "CONSTANT"),
    "generated": ("NONE", "GENERATED"),
    "unknown": ("UNKNOWN", "UNKNOWN"),
}
"""``Origin.how`` as OpenLineage's type and subtype. Two types are hdm's own: NONE (of no column), UNKNOWN."""


def lineage_of_columns(tx: Tx, job_id: str, info: JobInfo) -> Sum:
    """Record the source columns of each target column, from ``info.origins``; return the sum of the seals.

    A seal is a row's digest, carried by the event that reports the row.
    """
    rows = [{"job_id": job_id, **line} for line in _lines(tx, info)]
    if rows:
        tx.conn.execute(insert(column_lineage), rows)
    return sum_of("column_lineage", COLUMNS, rows)


def _lines(tx: Tx, info: JobInfo) -> Iterator[dict[str, Any]]:
    reasons = dict(info.losses)
    read = {column.name: column for column in info.source.columns}
    made = [one for one in info.origins if one.column != "*"]
    for place, sink in enumerate(info.target.columns):
        origin = made[place] if place < len(made) else None
        if origin is None and made:
            origin = Origin(sink.name, how="generated", expression="hdm's own column")
        elif origin is None or origin.column.lower() != sink.name.lower():
            origin = Origin(sink.name, how="unknown", expression=_NOT_SAID)
        lost = reasons.get(origin.column) or reasons.get(sink.name)
        kind, subtype = _SUBTYPES[origin.how]
        for name in origin.sources or ("",):
            source = read.get(name)
            same = source is None or (source.kind, source.type) == (sink.kind, sink.type)
            changed = subtype == "IDENTITY" and (lost or not same)
            yield {
                "sink_column": sink.name,
                "source_column": name,
                "source_type": _type(source),
                "sink_type": _type(sink),
                "transform_type": kind,
                "transform_subtype": "TRANSFORMATION" if changed else subtype,
                "expression": tx.mask("; ".join(filter(None, (origin.expression, lost)))) or None,
                "masking": int(name in origin.masked),
                "lossy": int(bool(lost)),
            }
        yield from (
            _deciding(sink.name, _type(sink), name, read, "CONDITIONAL") for name in origin.conditions
        )
    for origin in info.origins:
        if origin.column == "*":
            yield from (_deciding("*", "", name, read, "FILTER") for name in origin.conditions)


_NOT_SAID = "not derived: nothing is declared of it"


def _deciding(column: str, kind: str, name: str, read: Mapping[str, Column], how: str) -> dict[str, Any]:
    """Return the row of a column whose value is not stored in the target, but decides what is."""
    return {
        "sink_column": column,
        "source_column": name,
        "source_type": _type(read.get(name)),
        "sink_type": kind,
        "transform_type": "INDIRECT",
        "transform_subtype": how,
        "expression": None,
        "masking": 0,
        "lossy": 0,
    }


def _type(column: Column | None) -> str:
    return "" if column is None else (column.native or type_text(column.type))[:128]


def _difference(old: str, new: str) -> str:
    """Return JSON that names the columns added, removed and altered."""
    was = {c["name"]: c for c in json.loads(old)}
    now = {c["name"]: c for c in json.loads(new)}
    return json.dumps(
        {
            "added": sorted(now.keys() - was.keys()),
            "removed": sorted(was.keys() - now.keys()),
            "altered": sorted(n for n in now.keys() & was.keys() if now[n] != was[n]),
        },
        sort_keys=True,
    )
