"""What a database still holds of a job, by its ledger and by the table itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hdm.model import Holding, Mode, Table
from hdm.sql.database import Database
from hdm.sql.ledger import Ledger

COUNTED = 5_000_000
"""Of a table that was given more rows, a run only looks whether it has any."""
NO_LEDGER = Holding(target="")


def held_by(database: Database, ledger: Ledger, target: Table, job_key: str, looks: Mode | None) -> Holding:
    """What the ledger names; with ``looks``, the job's mode, also what is in the table. One session."""
    connection = database.connect("hdm:holding")
    try:
        held, there = NO_LEDGER, ledger.exists(connection)
        database.begin(connection)
        if there:
            held = replace(ledger.holding(connection, job_key), target=ledger.identity(connection))
        if looks is None or (held.chunks and not held.rows):
            return held
        counts = looks is Mode.APPEND and held.rows <= COUNTED
        rows = _rows(database, connection, target, counts=counts)
        return replace(held, there=rows if counts or not rows else None)
    finally:
        connection.close()


def _rows(database: Database, connection: Any, target: Table, *, counts: bool) -> int:
    """How many rows the table has, or, unless that ``counts``, whether it has any; 0 if it is gone."""
    found, fold = database.find(connection, target.path), database.dialect.folded
    if found is None or fold(found.path[-1]) != fold(target.path[-1]):
        return 0
    name = database.dialect.qualify(target.path)
    if not counts:
        return len(database.run(connection, database.dialect.first(f"SELECT 1 FROM {name}")))
    return int(database.run(connection, f"SELECT COUNT(*) FROM {name}")[0][0])
