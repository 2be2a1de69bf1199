"""Rows that share the watermark's value: told apart by digests, or, where they are very many, only
counted; then they are merged once more or refused, never guessed."""

from __future__ import annotations

from collections import Counter

import pytest

from hdm.model import Mode
from hdm.sql import window
from tests.unit.linkkit import Run
from tests.unit.sqlkit import sqlite_system

BOUND = 5


class Table:
    """A table ``t`` with a nullable cursor ``n``, moved run by run into ``u`` of the same database."""

    def __init__(self, run: Run, path: str, mode: Mode) -> None:
        self.run, self.system = run, sqlite_system(path)
        self.system.run("CREATE TABLE t (id integer PRIMARY KEY, n integer)")
        source = self.system.source("t", watermark={"column": "n"}, chunk={"rows": 3})
        run.add(source, self.system.sink("u"), mode=mode)
        self.failed: list[str] = []

    def put(self, first: int, count: int, n: int | None) -> None:
        for number in range(first, first + count):
            self.system.run("INSERT INTO t VALUES (?, ?)", number, n)

    def move(self) -> int:
        """One run; how many rows it read."""
        planner, read = self.run.again().carry()
        self.failed = list(planner.failed.values())
        return read

    def is_moved(self) -> bool:
        return Counter(self.system.run("SELECT id, n FROM t")) == Counter(
            self.system.run("SELECT id, n FROM u")
        )

    def kept(self) -> tuple[int, int]:
        """Digests, and rows, that the state database keeps."""
        found = self.run.query("SELECT digests, row_count FROM hdm_boundary")
        return sum(len(digests.split()) for digests, _ in found), sum(rows for _, rows in found)


@pytest.fixture
def table(run: Run, tmp_path, monkeypatch, request):
    monkeypatch.setattr(window, "TIES_TOLD_APART", BOUND)
    return Table(run, str(tmp_path / "t.db"), getattr(request, "param", Mode.APPEND))


@pytest.mark.parametrize("n", [7, None])
@pytest.mark.slow
def test_few_are_told_apart(table, n):
    table.put(0, 4, 1)
    table.put(10, BOUND - 1, n)
    table.move()
    assert table.kept() == (BOUND - 1 + (4 if n is None else 0), BOUND - 1 + (4 if n is None else 0))
    assert table.move() == 0
    table.put(20, 1, n)
    assert table.move() == BOUND, "all of them are read, and one is new"
    assert table.is_moved()


@pytest.mark.parametrize("n", [7, None])
@pytest.mark.slow
def test_many_are_moved_and_only_counted(table, n):
    table.put(0, 2, 1)
    table.put(10, 3 * BOUND, n)
    table.move()
    assert table.is_moved()
    assert table.kept() == (2 if n is None else 0, 3 * BOUND + (2 if n is None else 0))
    assert table.move() == 0


@pytest.mark.slow
def test_what_comes_above_many_arrives_and_they_are_forgotten(table):
    table.put(10, 3 * BOUND, 7)
    table.move()
    table.put(50, 2, 8)
    assert table.move() == 2
    assert table.is_moved()
    assert table.kept() == (2, 2)


@pytest.mark.parametrize("n", [7, None])
@pytest.mark.slow
def test_one_more_among_many_is_refused_and_nothing_is_doubled(table, n):
    table.put(0, 1, 1)
    table.put(10, 3 * BOUND, n)
    table.move()
    table.put(90, 1, n)
    assert table.move() == 0
    (said,) = table.failed
    assert f"{3 * BOUND} rows with one n were moved and now there are {3 * BOUND + 1}" in said
    assert "mode: merge" in said
    table.system.run("DELETE FROM t WHERE id = 90")
    assert (table.move(), table.failed) == (0, [])
    assert table.is_moved()


@pytest.mark.parametrize("n", [7, None])
@pytest.mark.slow
def test_few_that_become_many_are_told_apart_once_more_and_counted_from_then_on(table, n):
    table.put(10, 4, n)
    table.move()
    assert table.kept() == (4, 4)
    table.put(20, 4, n)
    assert table.move() == 8
    assert table.is_moved()
    assert table.kept() == (0, 8)
    assert (table.move(), table.failed) == (0, [])


@pytest.mark.parametrize("table", [Mode.MERGE], indirect=True)
@pytest.mark.parametrize("n", [7, None])
@pytest.mark.slow
def test_many_that_are_merged_are_read_again_when_their_number_changes(table, n):
    table.put(0, 2, 1)
    table.put(10, 3, n)
    table.move()
    table.put(20, 1, n)
    assert table.move() == 4
    assert table.is_moved()
    assert table.kept()[0] > 0, "few are told apart, so that only the new one is written"
    for first in (30, 60):
        table.put(first, BOUND, n)
        table.move()
        assert (table.is_moved(), table.failed) == (True, [])
        assert table.kept()[1] - (2 if n is None else 0) == first // 30 * BOUND + 4
        assert table.move() == 0, "the number is known"


@pytest.mark.slow
def test_ties_without_a_key_are_ties_all_the_same(table):
    table.system.run("DROP TABLE t")
    table.system.run("CREATE TABLE t (id text PRIMARY KEY, n integer)")  # SQLite lets it be NULL
    table.system.run("INSERT INTO t VALUES (NULL, 7), (NULL, 7)")
    table.put(1, 2, 7)
    table.move()
    table.put(3, 1, 7)
    assert table.move() == 5
    assert table.is_moved()


def test_the_digests_are_kept_in_one_place_only(table):
    table.put(0, 4, 1)
    table.move()
    digest = table.run.query("SELECT digests FROM hdm_boundary")[0][0].split()[0]
    others = [
        row for name in ("chunk", "event", "artifact") for row in table.run.query(f"SELECT * FROM hdm_{name}")
    ]
    assert digest not in repr(others)
