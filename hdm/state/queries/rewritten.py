"""Finds what has written rows of a target beside the chunks of its jobs: repairs, syncs and replays."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, select

from hdm.state.db.tables import dataset, event, job

Row = dict[str, Any]
Place = tuple[str, str]
"""Namespace and name of a dataset."""
_BEGINS = {"table.repairing": "table.repaired", "table.syncing": "table.synced"}
_REPLAYED = "quarantine.replayed"
_KINDS = {"table.repaired": "repair", "table.synced": "sync", _REPLAYED: "replay"}


def rewritten(conn: Connection, targets: Iterable[Place]) -> dict[Place, list[Row]]:
    """Return the repairs, syncs and replays that wrote rows of each target, by target, oldest first.

    Each is a dictionary: ``kind`` (repair, sync or replay), ``run``, ``began`` and ``by``; ``until``, the
    time from which on a comparison has seen all of it, None if it changed nothing; ``ended``, False if its
    end is not on record; ``done``, how many rows by kind of change; ``equal``, what it found at its end. A
    sync is known by the name of the table: one under another name is not found.
    """
    found: dict[Place, list[Row]] = {one: [] for one in targets}
    open_: dict[tuple[str, str, Any], Row] = {}
    query = (
        select(event, dataset.c.namespace, dataset.c.name)
        .outerjoin(job, job.c.job_id == event.c.job_id)
        .outerjoin(dataset, dataset.c.dataset_id == job.c.sink_dataset_id)
        .where(event.c.event_type.in_([*_BEGINS, *_KINDS]))
        .order_by(event.c.at_db, event.c.run_id, event.c.seq)
    )
    for row in conn.execute(query).mappings():
        told = json.loads(row["payload"])
        place = _place(row, told)
        if place not in found:
            continue
        kind = row["event_type"]
        key = (row["run_id"], _BEGINS.get(kind, kind), told.get("ledger_key"))
        if kind in _BEGINS:
            open_[key] = _made(row, told, _BEGINS[kind])
            found[place].append(open_[key])
            continue
        one = open_.pop(key, None)
        if one is None:
            one = _made(row, told, kind)
            found[place].append(one)
        one["ended"] = True
        one["done"] = told.get("done") or {"new": int(told.get("rows") or 0)}
        one["equal"] = told.get("equal")
        one["until"] = row["at_db"] if "error" in told or kind == _REPLAYED else told.get("until")
    return found


def _made(row: Any, told: Row, kind: str) -> Row:
    return {
        "kind": _KINDS[kind],
        "run": row["run_id"],
        "began": row["at_db"],
        "by": told.get("by"),
        "ended": False,
        "until": row["at_db"],
        "done": {},
        "equal": None,
    }


def _place(row: Any, told: Row) -> Place:
    said = told.get("target") or told.get("second")
    return (said["namespace"], said["name"]) if said else (row["namespace"], row["name"])
