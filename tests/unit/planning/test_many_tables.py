"""The work per table does not grow with the number of tables: counted in calls and SQL, not in seconds."""

from __future__ import annotations

import sqlite3
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import CodeType, FrameType, SimpleNamespace
from typing import Any

import pytest

import hdm
from hdm.catalog.patterns import Selection, exactly, select
from hdm.cli.progress import _Board
from hdm.model import Attempt, Dataset, Mode
from hdm.runtime.back_pressure import BackPressure
from hdm.state import StateManager
from hdm.state.chunks.claims import _candidate
from tests.unit.linkkit import TABLE, Listed, Run, Shelf, words

HDM = str(Path(hdm.__file__).parent)
FEW = 8


class Staged(Listed):
    chunks_from_files = True


class Calls:
    """Counts the calls of each function of hdm, and the SQL statements, of this thread."""

    def __init__(self) -> None:
        self.found: Counter[CodeType | str] = Counter()

    def __enter__(self) -> Counter[CodeType | str]:
        sys.setprofile(self._count)
        return self.found

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _count(self, frame: FrameType, event: str, what: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(HDM):
            self.found[frame.f_code] += 1
        elif event == "c_call" and isinstance(getattr(what, "__self__", None), sqlite3.Cursor):
            self.found["SQL"] += what.__name__.startswith("execute")


def grown(few: Counter[Any], many: Counter[Any]) -> dict[str, tuple[int, int]]:
    """What was called more than 2.5 times as often for twice as many tables."""
    return {
        one if isinstance(one, str) else f"{one.co_filename}:{one.co_firstlineno} {one.co_name}": (
            few[one],
            n,
        )
        for one, n in many.items()
        if n > 2.5 * few[one] + 4
    }


def moved(state: StateManager, tables: int, **options: Any) -> Counter[CodeType | str]:
    """Move so many tables, each staged and loaded, in this thread; return what was called."""
    run = Run(state)
    for n in range(tables):
        table = replace(TABLE, dataset=Dataset("list", f"t{n}"), path=(f"t{n}",))
        above = run.add(Listed(words(2), table), Shelf("middle"), **options)
        run.add(Staged(words(2), table), Shelf("last"), upstream=(above.spec.key,), **options)
    with Calls() as calls:
        planner = run.planner()
        pressure = BackPressure(planner, 8, 10)
        more = True
        while more:
            more = planner.tick()
            pressure.recount()
            planner.progress()
            while lease := run.state.chunks.claim(run.worker_id, run.run_id, skip_jobs=pressure.full_jobs()):
                pressure.started(lease.job)
                run.move(lease, Attempt(lease.attempt))
                pressure.settled(lease.job)
    assert planner.succeeded() and len(planner.closed()) == 2 * tables
    calls["steps of a claim"] = steps_of_claim(run)
    return calls


def steps_of_claim(run: Run) -> int:
    """How many steps SQLite needs to find that the run has no chunk left."""
    steps = []

    def look(conn: Any) -> None:
        raw = conn.connection.driver_connection
        raw.set_progress_handler(lambda: steps.append(1), 1)
        assert conn.execute(_candidate(False, hold=False), {"run": run.run_id}).first() is None
        raw.set_progress_handler(None, 1)

    run.state._base.db.read(look)
    return len(steps)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [Mode.APPEND, Mode.REPLACE])
def test_no_function_and_no_statement_is_run_more_often_for_a_table_among_many(state, mode) -> None:
    few = moved(state, FEW, mode=mode)
    many = moved(state, 2 * FEW, mode=mode)
    assert few["SQL"] > 20 * FEW and few["steps of a claim"] > 10
    assert grown(few, many) == {}
    assert many["steps of a claim"] == few["steps of a claim"]


def chosen(selection: Selection, tables: int) -> Counter[CodeType | str]:
    with Calls() as calls:
        found = [n for n in range(2 * tables) if selection.has(("shop", f"t{n}"))]
    assert found == list(range(tables))
    return calls


@pytest.mark.parametrize(
    "make",
    [
        lambda names: exactly([("shop", name) for name in names]),
        lambda names: select([f"shop.{name}" for name in names]),
        lambda names: select(["*"], [f"Shop.T{n}" for n in range(len(names), 2 * len(names))]),
    ],
    ids=["exactly", "included", "excluded"],
)
def test_names_without_wildcards_are_looked_up(make) -> None:
    selections = [make([f"t{n}" for n in range(tables)]) for tables in (FEW, 2 * FEW)]
    few, many = (chosen(one, n * FEW) for n, one in enumerate(selections, 1))
    assert grown(few, many) == {}


def test_a_display_of_many_links_draws_only_what_has_changed() -> None:
    drawn: list[Any] = []
    screen = SimpleNamespace(
        add_task=lambda name, **how: name, update=lambda task, **how: drawn.append(task), advance=drawn.append
    )
    board = _Board(screen, lambda key: "")
    known = {f"k{n}": (f"t{n}", 2, 2) for n in range(FEW)}
    board.show(known)
    drawn.clear()
    board.show({**known, "k3": ("t3", 2, 4), "k5": ("t5", 1, 2)})
    assert drawn == ["t3", "t5", "all"]
    drawn.clear()
    board.advance("k3")
    board.show(known)
    assert drawn == ["t3", "all", "t3", "t5", "all"]
    drawn.clear()
    board.show(known)
    assert drawn == ["all"]
