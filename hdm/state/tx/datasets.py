"""Datasets, the versions of their schemas, and which column went where."""

from __future__ import annotations

import json

from sqlalchemy import func, insert, select

from hdm.model import Dataset, Table
from hdm.model.json import table_to_json, type_text
from hdm.state.db.tables import column_lineage, dataset, dataset_schema
from hdm.state.records import JobInfo
from hdm.state.tx.transaction import Tx


def register(tx: Tx, table: Table) -> int:
    """Record the dataset and, if its schema is new, its next version; the version's number."""
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
    tx.conn.execute(
        insert(dataset_schema),
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


def ensure(tx: Tx, named: Dataset, kind: str = "table") -> str:
    """Record the dataset unless it is there; its id."""
    known = tx.conn.execute(
        select(func.count()).select_from(dataset).where(dataset.c.dataset_id == named.dataset_id)
    ).scalar()
    if not known:
        tx.conn.execute(
            insert(dataset),
            {"dataset_id": named.dataset_id, "namespace": named.namespace, "name": named.name, "kind": kind},
        )
    return named.dataset_id


def lineage_of_columns(tx: Tx, job_id: str, info: JobInfo) -> None:
    """Record source column -> sink column, paired by name or, failing that, by position."""
    lossy = {column for column, _ in info.losses}
    reasons = dict(info.losses)
    rows = []
    for place, sink in enumerate(info.target.columns):
        named = [c for c in info.source.columns if c.name == sink.name]
        folded = [c for c in info.source.columns if c.name.lower() == sink.name.lower()]
        paired = named or folded or list(info.source.columns[place : place + 1])
        if not paired:
            continue
        source = paired[0]
        same = (source.kind, source.type) == (sink.kind, sink.type)
        lost = source.name in lossy or sink.name in lossy
        rows.append(
            {
                "job_id": job_id,
                "sink_column": sink.name,
                "source_column": source.name,
                "source_type": (source.native or type_text(source.type))[:128],
                "sink_type": (sink.native or type_text(sink.type))[:128],
                "transform_type": "DIRECT",
                "transform_subtype": "IDENTITY" if same and not lost else "TRANSFORMATION",
                "expression": reasons.get(source.name) or reasons.get(sink.name),
                "masking": 0,
                "lossy": int(lost),
            }
        )
    if rows:
        tx.conn.execute(insert(column_lineage), rows)


def _difference(old: str, new: str) -> str:
    """What changed, by column name: added, removed, altered."""
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
