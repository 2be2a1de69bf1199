"""The ledger in a real SQLite file: one row for a chunk, in the transaction of its rows."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, repeat

import pytest

from hdm.model import Attempt, Chunk, Dataset, Receipt
from hdm.sql.ledger import NAME, SELF, Ledger
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


CHUNKS = f"SELECT COUNT(*) FROM {NAME} WHERE job_key <> '{SELF}'"


def test_it_is_made_once_and_found_by_another_process(system, ledger):
    assert system.run(CHUNKS) == [(0,)]
    other = Ledger(system.sink("t").database, ())
    connection = other.database.connect("hdm:test", write=True)
    assert other.create(connection) == ledger.database.ledgers[ledger.path]
    assert other.exists(connection)
    assert not other.exists(connection, ("_hdm_other",))
    connection.close()


@pytest.mark.parametrize("enforced", [True, False])
def test_a_target_has_one_identity_whoever_makes_the_ledger(tmp_path, monkeypatch, enforced):
    """Though two make it at once: each looked before the other had written."""
    monkeypatch.setattr("hdm.dialects.sqlite.SQLiteDialect.enforces_keys", enforced)
    said = []
    for path in ("one.db", "other.db"):
        system = sqlite_system(str(tmp_path / path))
        for _ in range(3):
            made = Ledger(system.sink("t").database, ())
            answers = chain([lambda _: None], repeat(made.identity))
            monkeypatch.setattr(made, "identity", lambda c, answers=answers: next(answers)(c))
            connection = made.database.connect("hdm:test", write=True)
            said.append(made.create(connection))
            connection.close()
        assert system.run(f"SELECT COUNT(*) FROM {NAME}") == [(1,)]
        assert within(made, lambda c, made=made: list(made.entries(c, JOB))) == []
    assert len(set(said[:3])) == len(set(said[3:])) == 1
    assert said[0] != said[3]


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
    assert system.run(CHUNKS) == [(0,)]


def test_a_swap_is_known_by_its_epoch():
    one, other = swap_chunk(JOB, CHUNK.dataset, 1), swap_chunk(JOB, CHUNK.dataset, 2)
    assert one.chunk_id not in (other.chunk_id, CHUNK.chunk_id)
    assert swap_chunk(JOB, CHUNK.dataset, 1).chunk_id == one.chunk_id
