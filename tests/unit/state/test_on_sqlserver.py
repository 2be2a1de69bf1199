"""The store over TDS, by Microsoft's driver and by FreeTDS: the paths that every run takes.

The suites of chunks, jobs and queries run on it under ``--long`` (``SHARED`` in ``conftest.py``). Behind the
stand-in is a PostgreSQL: what it shows is that drivers, T-SQL, types and errors go together; plans and locks
are not SQL Server's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text

from hdm.errors import LeaseLost, StateError
from hdm.state import Lease, StateManager
from hdm.state.db import upgrade as schema
from hdm.state.db.database import Database
from hdm.state.db.rights import missing_grants
from tests.servers.sqlserver import SQLServerDatabase, freetds_driver, microsoft_driver
from tests.unit.state.conftest import World, in_threads

DRIVERS = {"microsoft": microsoft_driver, "freetds": freetds_driver}
OPTIONS = {"microsoft": {}, "freetds": {"TDS_Version": "7.4", "Encryption": "require"}}


@pytest.fixture(scope="module", params=sorted(DRIVERS))
def address(request: pytest.FixtureRequest, fresh_sqlserver: Callable[[], SQLServerDatabase]) -> Any:
    """A database of the stand-in, and the URL of a state database in it."""
    database = fresh_sqlserver()
    return database, database.url(DRIVERS[request.param](), **OPTIONS[request.param])


@pytest.fixture
def lone(address: Any) -> Iterator[World]:
    with StateManager.open(address[1], lease_ttl=20) as store:
        yield World(store)


def test_the_schema_is_made_once_and_by_one(address: Any) -> None:
    url, found = address[1], []
    in_threads(2, lambda: found.append(schema.upgrade(url)))
    assert sorted(found, key=str) == [(schema.REVISIONS[-1],) * 2, (None, schema.REVISIONS[-1])]
    db = Database(url)
    assert db.read(schema.tables) >= {"hdm_run", "hdm_chunk", "hdm_trail"}
    assert db.read(lambda conn: conn.execute(text("SELECT COUNT(*) FROM state_manager")).scalar()) == 0
    db.close()


def test_chunks_are_claimed_carried_and_committed(lone: World) -> None:
    job = lone.planned(3)
    taken: list[Lease] = []
    guard = threading.Lock()

    def claims() -> None:
        lease = lone.store.chunks.claim(lone.new_worker(), lone.run)
        with guard:
            taken.extend([lease] if lease else [])

    in_threads(3, claims)
    assert sorted(lease.chunk.number for lease in taken) == [0, 1, 2]
    for lease in taken:
        lone.finish(lease, rows=10, target_rows=10)
    assert lone.store.chunks.claim(lone.worker, lone.run) is None
    counted = lone.query("SELECT SUM(rows_loaded) FROM hdm_chunk WHERE job_id = :k", k=job.job_id)
    assert [int(row[0]) for row in counted] == [30]


def test_who_lost_a_lease_changes_nothing(lone: World) -> None:
    lone.planned(1)
    first = lone.claim()
    lone.expire(first)
    second = lone.claim(lone.new_worker())
    assert second.chunk_id == first.chunk_id and second.attempt == first.attempt + 1
    with pytest.raises(LeaseLost):
        lone.finish(first)
    lone.finish(second)


def test_a_failover_in_a_transaction_is_carried_out_again(address: Any, lone: World) -> None:
    lone.planned(1)
    lease = lone.claim()
    address[0].refuse("(?i)UPDATE.*hdm_chunk", 1205)
    lone.finish(lease)
    assert lone.row(lease.chunk_id, "status") == ("committed",)


def test_a_race_for_a_new_lease_is_lost_without_an_error(address: Any, lone: World) -> None:
    """Under XACT_ABORT the error ends the transaction, and the savepoint that was to be gone back to."""
    job = lone.planned(1)
    address[0].refuse("(?i)INSERT INTO hdm_lease", 2627)
    with lone.store.jobs.plan_lease(job) as mine:
        assert mine
        with lone.store.jobs.plan_lease(job) as theirs:
            assert not theirs


def test_names_differ_by_case_and_are_kept_as_they_are(lone: World) -> None:
    for key in (f"{lone.key}-Ä-é-🎈", f"{lone.key}-ä-é-🎈"):
        lone.planned(1, key=key)
    rows = lone.query(
        "SELECT COUNT(DISTINCT pipeline_key) FROM hdm_job WHERE pipeline_key LIKE :k", k=f"{lone.key}-%"
    )
    assert int(rows[0][0]) == 2


def test_the_rights_that_are_missing_are_named(address: Any, lone: World) -> None:
    database, url = address
    db, none = Database(url), list[str]()
    try:
        assert missing_grants(db, made=False) == none and missing_grants(db, made=True) == none
        database.set("refused", "CREATE VIEW")
        assert missing_grants(db, made=True) == none
        found = missing_grants(db, made=False)
        assert found == ["lacks CREATE VIEW on the database: GRANT CREATE VIEW TO [dbo];"]
        database.set("refused", "INSERT")
        assert missing_grants(db, made=True) == [
            "lacks INSERT on the schema: GRANT INSERT ON SCHEMA::[dbo] TO [dbo];"
        ]
    finally:
        database.set("refused", "")
        db.close()


def test_a_constraint_refuses_what_no_status_is(lone: World) -> None:
    lone.planned(1)
    lease = lone.claim()
    with pytest.raises(StateError):
        lone.alter("UPDATE hdm_chunk SET status = 'lost' WHERE chunk_id = :id", id=lease.chunk_id)
