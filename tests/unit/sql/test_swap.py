"""The swap of mode ``replace`` where each definition commits at once, as on Oracle and MySQL."""

from __future__ import annotations

from typing import Any

import pytest

from hdm.connectors.sqlite import SQLiteDatabase
from hdm.errors import TransientError
from hdm.model import Attempt, Mode
from hdm.sql.database import Database
from tests.unit.sql_fixtures import lite, pg, system  # noqa: F401
from tests.unit.sqlkit import JOB, System, move, plan


@pytest.mark.parametrize("dies_after", [1, 2, 3])
def test_a_death_between_definitions_that_commit(
    system: System,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    dies_after: int,
) -> None:
    """The claim is committed with the first of them; the next who finishes goes on from there."""
    # SQLite stands for a database that renames; itself it moves the rows.
    monkeypatch.setattr(SQLiteDatabase, "swap", Database.swap)
    monkeypatch.setattr(Database, "is_bare", lambda *_: True)
    system.run("CREATE TABLE src (id integer PRIMARY KEY, v text)")
    system.run("INSERT INTO src VALUES (1, 'a'), (2, 'b')")
    source, sink = system.source("src"), system.sink("dst")
    move(source, sink, Mode.REPLACE)
    system.run("INSERT INTO src VALUES (3, 'c')")
    table, chunks = plan(source)
    sink.prepare(table, JOB, 2, Mode.REPLACE)
    for chunk in (one.at(epoch=2) for one in chunks):
        sink.write(table, chunk, Attempt(1), source.read(table, chunk), Mode.REPLACE)
    database, defined = type(sink.database), 0
    change = database.change

    def commits(self: Any, connection: Any, sql: str, *values: Any) -> int:
        nonlocal defined
        touched: int = change(self, connection, sql, *values)
        if sql.startswith(("ALTER", "DROP")):
            defined += 1
            self.commit(connection)
            self.begin(connection, write=True)
            if defined == dies_after:
                raise TransientError("killed")
        return touched

    with monkeypatch.context() as patched:
        patched.setattr(database, "change", commits)
        with pytest.raises(TransientError, match="killed"):
            sink.finish(table, JOB, 2, Mode.REPLACE)
    assert len(system.run("SELECT 1 FROM _hdm_load_ledger WHERE receipt_json IS NULL")) == 1
    for _ in range(2):
        sink.finish(table, JOB, 2, Mode.REPLACE)
        assert sorted(system.run("SELECT id, v FROM dst")) == [(1, "a"), (2, "b"), (3, "c")]
    assert system.run("SELECT 1 FROM _hdm_load_ledger WHERE receipt_json IS NULL") == []
