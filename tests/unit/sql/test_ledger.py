"""The ledger in a real SQLite file: one row for a chunk, in the transaction of its rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hdm.model import Attempt, Chunk, Dataset, Receipt
from hdm.sql.ledger import NAME, Ledger
from hdm.sql.swap import swap_chunk
from tests.unit.sqlkit import JOB, sqlite_system

CHUNK = Chunk(JOB, Dataset("ns", "t"), 0)
RECEIPT = Receipt(CHUNK.chunk_id, 1, 5, 50, sha256="a" * 64, boundary_digests=("d" * 64,))


@pytest.fixture
def system(tmp_path):
    return sqlite_system(str(tmp_path / "t.db"))


@pytest.fixture
def database(system):
    return system.sink("t").database


@pytest.fixture
def ledger(database):
    made = Ledger(database, ())
    connection = database.connect("hdm:test", write=True)
    made.create(connection)
    connection.close()
    return made


def within(ledger, work, *, commit=True):
    connection = ledger.database.connect("hdm:test", write=True)
    try:
        ledger.database.begin(connection, write=True)
        found = work(connection)
        (ledger.database.commit if commit else ledger.database.rollback)(connection)
        return found
    finally:
        connection.close()


def test_it_is_made_once_and_found_by_another_process(system, ledger):
    assert system.run(f"SELECT COUNT(*) FROM {NAME}") == [(0,)]
    other = Ledger(system.sink("t").database, ())
    connection = other.database.connect("hdm:test", write=True)
    other.create(connection)
    assert other.exists(connection)
    assert not other.exists(connection, ("_hdm_other",))
    connection.close()


def test_a_chunk_is_there_with_its_receipt_once_both_are_committed(ledger):
    assert within(ledger, lambda c: ledger.claim(c, CHUNK, Attempt(1, run_id="r")))
    assert within(ledger, lambda c: ledger.find(c, CHUNK.chunk_id)) is None, "claimed is not loaded"
    assert within(ledger, lambda c: list(ledger.entries(c, JOB))) == []
    within(ledger, lambda c: ledger.fill(c, RECEIPT))
    assert within(ledger, lambda c: ledger.find(c, CHUNK.chunk_id)) == RECEIPT
    assert within(ledger, lambda c: list(ledger.entries(c, JOB))) == [(CHUNK, RECEIPT)]
    assert within(ledger, lambda c: list(ledger.entries(c, "other"))) == []


def test_older_epochs_come_first(ledger):
    """What re-reads a boundary replaces what was kept of it, so it must be taken over after it."""
    for epoch in (3, 1, 2):
        one = CHUNK.at(epoch=epoch)
        receipt = replace(RECEIPT, chunk_id=one.chunk_id)
        within(ledger, lambda c, one=one: ledger.claim(c, one, Attempt(1)))
        within(ledger, lambda c, receipt=receipt: ledger.fill(c, receipt))
    assert [chunk.epoch for chunk, _ in within(ledger, lambda c: list(ledger.entries(c, JOB)))] == [1, 2, 3]


def test_a_second_claim_is_refused(ledger):
    assert within(ledger, lambda c: ledger.claim(c, CHUNK, Attempt(1)))
    assert not within(ledger, lambda c: ledger.claim(c, CHUNK, Attempt(2)), commit=False)
    assert within(ledger, lambda c: ledger.claim(c, CHUNK.at(epoch=2), Attempt(1)))


def test_a_claim_that_is_rolled_back_leaves_nothing(ledger, system):
    def work(connection):
        ledger.claim(connection, CHUNK, Attempt(1))
        ledger.fill(connection, RECEIPT)

    within(ledger, work, commit=False)
    assert system.run(f"SELECT COUNT(*) FROM {NAME}") == [(0,)]


def test_a_swap_is_known_by_its_epoch():
    one, other = swap_chunk(JOB, CHUNK.dataset, 1), swap_chunk(JOB, CHUNK.dataset, 2)
    assert one.chunk_id not in (other.chunk_id, CHUNK.chunk_id)
    assert swap_chunk(JOB, CHUNK.dataset, 1).chunk_id == one.chunk_id
