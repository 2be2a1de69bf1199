"""Seeded lives of tables at real sources: after each run the target is equal, or the run says what is not.

A few run with everything else, by the seed of ``HDM_HISTORIES`` (default 1); ``-m long`` runs a hundred.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flows import histories
from tests.flows.histories import TOLD, History, said
from tests.flows.kit import Place
from tests.servers.process import Database

SOURCES = ("postgres", "mariadb", "sqlite", "duckdb")
MODES = (("append", "id"), ("append", "s"), ("merge", "id"), ("merge", "s"), ("replace", "id"))
SEED = int(os.environ.get("HDM_HISTORIES", "1"))
RUNS = 6


@pytest.fixture
def source(request: pytest.FixtureRequest, tmp_path: Path) -> histories.Source:
    if request.param == "sqlite":
        return histories.sqlite(tmp_path)
    if request.param == "duckdb":
        return histories.duck(tmp_path)
    fresh: Callable[..., Database] = request.getfixturevalue(f"fresh_{request.param}")
    return getattr(histories, request.param)(fresh())


def live(source: histories.Source, folder: Path, seed: int, mode: str, cursor: str) -> None:
    history = History(seed, source, Place(folder), mode, cursor)
    TOLD["histories"] += 1
    about = f"HDM_HISTORIES={SEED} seed {seed}, {source.type}, {mode} by {cursor}"
    try:
        for _ in range(RUNS):
            done = history.place.hdm("run")
            equal = history.holds() == history.held()
            trail = f"{about}: {history.happened}\n{done.said}"
            assert equal or said(done), f"unequal, and nothing said: {trail}"
            assert not said(done) or history.odd, f"nothing was odd: {trail}"
            TOLD["runs"] += 1
            TOLD["equal" if equal else "said"] += 1
            TOLD["said though equal"] += equal and said(done)
            history.step()
    finally:
        history.close()


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES, indirect=True)
@pytest.mark.parametrize("turn", [0, 1])
def test_a_few_histories(source: histories.Source, tmp_path: Path, turn: int) -> None:
    place = (SOURCES.index(_name(source)) + SEED + 2 * turn) % len(MODES)
    live(source, tmp_path, SEED * 1000 + turn, *MODES[place])


@pytest.mark.long
@pytest.mark.parametrize("source", SOURCES, indirect=True)
@pytest.mark.parametrize(("mode", "cursor"), MODES)
@pytest.mark.parametrize("turn", range(5))
def test_a_hundred_histories(
    source: histories.Source, tmp_path: Path, mode: str, cursor: str, turn: int
) -> None:
    live(source, tmp_path, SEED * 1000 + 100 + turn, mode, cursor)


def _name(source: histories.Source) -> str:
    return source.type.removesuffix("Source").lower()
