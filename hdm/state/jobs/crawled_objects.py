"""Records the database objects that crawls of catalogues found, as versions of datasets.

The name of such a dataset is the object's with ``#kind`` (or ``#kind:batch``) appended; ``columns_json`` is
the whole object.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from hdm.model import Dataset, Table, digest
from hdm.state.db.tables import chunk, dataset, dataset_schema, job
from hdm.state.tx import datasets
from hdm.state.tx.context import Base
from hdm.state.tx.transaction import Tx


class Crawls:
    """Records and returns what crawls of catalogues have found; used as ``StateManager.crawls``."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def record(
        self,
        run_id: str,
        tables: list[tuple[Table, dict[str, Any]]],
        views: Mapping[Dataset, dict[str, Any]] | None = None,
    ) -> dict[str, int]:
        """Record the tables and views that a crawl found; return how many are new, changed and the same.

        A table comes with a dictionary of its keys, indexes and the like.
        """

        def work(tx: Tx) -> dict[str, int]:
            counts = {"new": 0, "changed": 0, "same": 0}
            for table, body in tables:
                datasets.register(tx, table)
                counts[_keep(tx, table.dataset, "relation", body)] += 1
            for named, body in (views or {}).items():
                counts[_keep(tx, named, "view", body)] += 1
            tx.event("catalog.crawled", counts=counts, schemas=tx.recorded.told())
            return counts

        return self._base.change(run_id, work)

    def keep(self, run_id: str, kind: str, objects: Mapping[Dataset, dict[str, Any]]) -> None:
        """Record those objects of one kind that changed, as new versions, with an event that names them.

        Does nothing if none changed.
        """

        def work(tx: Tx) -> None:
            fates = {named.name: _keep(tx, named, kind, body) for named, body in objects.items()}
            changed = sorted(name for name, fate in fates.items() if fate != "same")
            if changed:
                tx.event("catalog.kept", objects=kind, changed=changed, schemas=tx.recorded.told())

        self._base.change(run_id, work)

    def newest(self, kind: str, namespace: str) -> dict[str, dict[str, Any]]:
        """Return the newest recorded version of every object of a kind in a namespace.

        The keys are the objects' names. Empty if the catalogue of the namespace was never crawled.
        """
        latest = (
            select(dataset_schema.c.dataset_id, func.max(dataset_schema.c.version).label("version"))
            .group_by(dataset_schema.c.dataset_id)
            .subquery()
        )
        query = (
            select(dataset.c.name, dataset_schema.c.columns_json)
            .join(dataset_schema, dataset_schema.c.dataset_id == dataset.c.dataset_id)
            .join(
                latest,
                (latest.c.dataset_id == dataset_schema.c.dataset_id)
                & (latest.c.version == dataset_schema.c.version),
            )
            .where(dataset.c.namespace == namespace, dataset.c.kind == kind.partition(":")[0])
            .order_by(dataset.c.name)
        )
        rows = self._base.db.read(lambda connection: connection.execute(query).all())
        end = f"#{kind}"
        return {
            row.name.removesuffix(end): json.loads(row.columns_json) for row in rows if row.name.endswith(end)
        }

    def throughput(self, runs: int = 10) -> float | None:
        """Return the highest loading rate of the newest ``runs`` runs that loaded rows, in rows per second.

        None if no run has loaded any.
        """
        loaded = (
            select(
                job.c.run_id,
                func.sum(chunk.c.rows_loaded).label("rows"),
                func.min(chunk.c.sourcing_start_time).label("first"),
                func.max(chunk.c.sinking_end_time).label("last"),
            )
            .join(chunk, chunk.c.job_id == job.c.job_id)
            .where(chunk.c.rows_loaded > 0)
            .group_by(job.c.run_id)
            .order_by(func.max(chunk.c.sinking_end_time).desc())
            .limit(runs)
        )
        found = self._base.db.read(lambda connection: connection.execute(loaded).all())
        rates = [int(row.rows) / spent for row in found if (spent := _seconds(row.first, row.last)) > 0]
        return max(rates, default=None)


def _seconds(first: str | None, last: str | None) -> float:
    if not first or not last:
        return 0.0
    began, ended = (datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (first, last))
    return (ended - began).total_seconds()


def _keep(tx: Tx, named: Dataset, kind: str, body: dict[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    sha = digest("catalog", text)
    named = Dataset(named.namespace, f"{named.name}#{kind}")
    datasets.ensure(tx, named, kind.partition(":")[0])
    newest = tx.conn.execute(
        select(dataset_schema.c.version, dataset_schema.c.schema_sha256)
        .where(dataset_schema.c.dataset_id == named.dataset_id)
        .order_by(dataset_schema.c.version.desc())
        .limit(1)
    ).one_or_none()
    if newest is not None and newest.schema_sha256 == sha:
        return "same"
    change = "new" if newest is None else "changed"
    datasets.keep_version(
        tx,
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
