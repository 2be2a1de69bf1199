"""Finds what a target still contains of a job, from its ledger and from the table itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hdm.model import Holding, Mode, Table
from hdm.sql.database import Database
from hdm.sql.ledger import Ledger
from hdm.sql.sessions import looking

COUNTED = 5_000_000
"""Rows up to which a run counts the table; of a larger table it only checks that it is not empty."""
NO_LEDGER = Holding(target="")


def held_by(database: Database, ledger: Ledger, target: Table, job_key: str, looks: Mode | None) -> Holding:
    """Return counts of a job's chunks and rows, from the ledger and from the target's table.

    ``looks`` is the job's mode, which decides what is asked of the table; if it is None, only the ledger is
    read. Asked in one transaction.
    """
    with looking(database, "hdm:holding") as connection:
        held = NO_LEDGER
        if ledger.is_there(connection):
            held = replace(ledger.holding(connection, job_key), target=ledger.identity(connection))
        if looks is None or (held.chunks and not held.rows):
            return held
        counts = looks.rules.only_adds and held.rows <= COUNTED
        rows = _rows(database, connection, target, counts=counts)
        return replace(held, there=rows if counts or not rows else None)


def _rows(database: Database, connection: Any, target: Table, *, counts: bool) -> int:
    """Count the table's rows; without ``counts``, return 1 if it has any, else 0. 0 if it is missing."""
    found, fold = database.find(connection, target.path), database.dialect.folded
    if found is None or fold(found.path[-1]) != fold(target.path[-1]):
        return 0
    name = database.dialect.qualify(target.path)
    if not counts:
        return len(database.run(connection, database.dialect.first(f"SELECT 1 FROM {name}")))
    return int(database.run(connection, f"SELECT COUNT(*) FROM {name}")[0][0])
