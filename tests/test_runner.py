"""How the tests are run: samples, rooms, the budget, the desk that hands out servers."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.runner import budget, desk, rooms, scratch
from tests.runner.budget import Budget, folder_of
from tests.runner.sample import Sample
from tests.servers.process import Server, ServerFailed


def test_a_sample_is_repeated_by_its_seed_and_differs_by_matrix() -> None:
    one, again = Sample("a", whole=False), Sample("a", whole=False)
    cases = list(range(1000))
    assert one.of("x", cases, 5) == again.of("x", cases, 5) == sorted(one.of("x", cases, 5))
    assert one.of("x", cases, 5) != one.of("y", cases, 5)
    assert one.of("x", cases, 5) != Sample("b", whole=False).of("x", cases, 5)


def test_the_long_run_takes_all() -> None:
    assert Sample("a", whole=True).of("x", [3, 1, 2]) == [3, 1, 2]


def test_every_case_is_drawn_by_some_seed() -> None:
    drawn = {case for seed in range(200) for case in Sample(str(seed), whole=False).of("x", "abcdef")}
    assert drawn == set("abcdef")


def _report(nodeid: str, seconds: float, yardstick: float = 0.01) -> Any:
    return SimpleNamespace(
        nodeid=nodeid, duration=1.0, when="teardown", cpu_seconds=seconds, yardstick=yardstick
    )


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Budget:
    path = tmp_path / "budget.toml"
    path.write_text('yardstick = 0.01\n[cpu_seconds]\n"tests/unit" = 10\n"tests/unit/state" = 5\n')
    monkeypatch.setattr(budget, "FILE", path)
    return Budget()


def test_a_folder_beyond_its_budget_is_named(counted: Budget) -> None:
    counted.pytest_runtest_logreport(_report("tests/unit/state/test_a.py::test", 6.4))
    assert counted.over() == []
    counted.pytest_runtest_logreport(_report("tests/unit/state/test_a.py::other", 0.2))
    assert counted.over() == ["tests/unit/state took 7 CPU s; its budget is 5, its limit 6"]


def test_a_slow_machine_is_no_excuse_and_no_fault(counted: Budget) -> None:
    counted.pytest_runtest_logreport(_report("tests/unit/state/test_a.py::test", 12.0, yardstick=0.02))
    assert counted.over() == []
    counted.pytest_runtest_logreport(_report("tests/unit/state/test_a.py::other", 2.0, yardstick=0.02))
    assert len(counted.over()) == 1


def test_a_machine_that_is_slow_for_a_while_is_no_fault_of_the_tests_of_that_while(counted: Budget) -> None:
    for n in range(9):
        counted.pytest_runtest_logreport(_report(f"tests/unit/test_a.py::{n}", 0.1))
    counted.pytest_runtest_logreport(_report("tests/unit/state/test_a.py::test", 12.0, yardstick=0.02))
    assert (counted.slowness, counted.over()) == (1.0, [])


def test_a_new_folder_needs_a_budget(counted: Budget) -> None:
    counted.pytest_runtest_logreport(_report("tests/new/test_a.py::test", 0.1))
    assert counted.over() == ["tests/new has no budget: give it one in budget.toml"]


def test_the_longest_folder_counts() -> None:
    budgets = {"tests/unit": 1.0, "tests/unit/state": 1.0}
    assert folder_of("tests/unit/state/test_a.py::test", budgets) == "tests/unit/state"
    assert folder_of("tests/unit/statement/test_a.py::test", budgets) == "tests/unit"


def test_every_room_has_tests(request: pytest.FixtureRequest) -> None:
    items = request.session.items
    if {item.path.parent.name for item in items} >= {"crash", "flows", "conformance", "state"}:
        assert {room for room in rooms.known() if not rooms.choose(room, items)[0]} == set()
    with pytest.raises(pytest.UsageError, match="no room 'kitchen'"):
        rooms.choose("kitchen", items)


class _Fake:
    """A server that only counts its starts."""

    started = 0

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> Any:
        _Fake.started += 1
        return _FakeServer(Server(self.name, [], home=None), self.name)  # type: ignore[arg-type]

    def __exit__(self, *error: object) -> None:
        _Fake.started -= 1


@desk.dataclasses.dataclass
class _FakeServer:
    server: Server
    name: str


def test_the_desk_starts_a_server_once_for_all_and_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("s3", "postgres"):
        monkeypatch.setitem(desk._RUNNING, name, lambda ask, name=name: _Fake(name))
    shared = desk.Desk()
    try:
        address, key = shared.address()
        one, other = desk.ask_at(address, key, "gw0"), desk.ask_at(address, key, "gw1")
        assert one("s3").name == other("s3").name == "s3"
        assert _Fake.started == 1
        assert one("postgres").name == other("postgres").name == "postgres"
        assert _Fake.started == 3, "each process has a PostgreSQL of its own"
    finally:
        shared.stop()
    assert _Fake.started == 0


def test_a_server_that_does_not_start_fails_each_test_that_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(ask: desk.Ask) -> Any:
        raise ServerFailed("no such program")

    monkeypatch.setitem(desk._RUNNING, "s3", broken)
    shared = desk.Desk()
    try:
        address, key = shared.address()
        for ask in (shared.ask, desk.ask_at(address, key, "gw0")):
            with pytest.raises(ServerFailed, match="no such program"):
                ask("s3")
    finally:
        shared.stop()


def test_tests_write_to_memory_where_there_is_room_and_dead_runs_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", None)
    dead = tmp_path / f"hdm-tests-{os.getuid()}-999999999"
    dead.mkdir()
    monkeypatch.setattr(scratch, "ROOM", 1)
    made = scratch.take(tmp_path)
    assert made is not None
    assert (tempfile.gettempdir(), dead.exists(), made.stat().st_mode & 0o7777) == (str(made), False, 0o1777)
    assert scratch.take(tmp_path) is None, "TMPDIR is set"
    for name in ("pytest-of-x", "pymp-x"):
        (made / name).mkdir()
    scratch.leave(made)
    assert [one.name for one in made.iterdir()] == ["pymp-x"]
    monkeypatch.setattr(scratch, "ROOM", 1 << 60)
    assert scratch.take(tmp_path) is None, "no room"
