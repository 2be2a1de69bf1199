"""What crawls found, as versions of datasets: one of kind ``relation`` or ``view`` beside each table.

Their names are the table's with ``#relation`` or ``#view``; ``columns_json`` holds the whole object.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, insert, select

from hdm.model import Dataset, Table, digest
from hdm.state import datasets
from hdm.state.base import Base
from hdm.state.events import Tx
from hdm.state.models import dataset, dataset_schema


def record(
    base: Base,
    run_id: str,
    tables: list[tuple[Table, dict[str, Any]]],
    others: Mapping[Dataset, dict[str, Any]],
) -> dict[str, int]:
    """Keep tables (with all that hangs on them) and other objects; how many were new, changed."""

    def work(tx: Tx) -> dict[str, int]:
        counts = {"new": 0, "changed": 0, "same": 0}
        for table, body in tables:
            datasets.register(tx, table)
            named = Dataset(table.dataset.namespace, table.dataset.name + "#relation")
            counts[_keep(tx, named, "relation", body)] += 1
        for named, body in others.items():
            view = Dataset(named.namespace, named.name + "#view")
            counts[_keep(tx, view, "view", body)] += 1
        tx.event("catalog.crawled", counts=counts)
        return counts

    return base.change(run_id, work)


def known(base: Base, namespace: str, kind: str = "relation") -> dict[str, dict[str, Any]]:
    """Name -> the newest version of every object of that kind in the namespace."""
    newest = (
        select(dataset_schema.c.dataset_id, func.max(dataset_schema.c.version).label("version"))
        .group_by(dataset_schema.c.dataset_id)
        .subquery()
    )
    query = (
        select(dataset.c.name, dataset_schema.c.columns_json)
        .join(dataset_schema, dataset_schema.c.dataset_id == dataset.c.dataset_id)
        .join(
            newest,
            (newest.c.dataset_id == dataset_schema.c.dataset_id)
            & (newest.c.version == dataset_schema.c.version),
        )
        .where(dataset.c.namespace == namespace, dataset.c.kind == kind)
        .order_by(dataset.c.name)
    )
    rows = base.db.read(lambda connection: connection.execute(query).all())
    return {row.name.removesuffix(f"#{kind}"): json.loads(row.columns_json) for row in rows}


def _keep(tx: Tx, named: Dataset, kind: str, body: dict[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    sha = digest("catalog", text)
    datasets.ensure(tx, named, kind)
    newest = tx.conn.execute(
        select(dataset_schema.c.version, dataset_schema.c.schema_sha256)
        .where(dataset_schema.c.dataset_id == named.dataset_id)
        .order_by(dataset_schema.c.version.desc())
        .limit(1)
    ).one_or_none()
    if newest is not None and newest.schema_sha256 == sha:
        return "same"
    change = "new" if newest is None else "changed"
    tx.conn.execute(
        insert(dataset_schema),
        {
            "dataset_id": named.dataset_id,
            "version": 1 if newest is None else newest.version + 1,
            "schema_sha256": sha,
            "columns_json": text,
            "captured_at": tx.now,
            "run_id": tx.run_id,
            "change_kind": change,
        },
    )
    return change
