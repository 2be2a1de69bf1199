"""Seeded lives of tables at real sources: after each run the target is equal, or the run says what is not.

A hundred with ``--long``; else a few, drawn by the seed of the run.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.flows import histories
from tests.flows.histories import TOLD, History, said
from tests.flows.kit import Place
from tests.runner.sample import Sample
from tests.servers.process import Database

MODES = (("append", "id"), ("append", "s"), ("merge", "id"), ("merge", "s"), ("replace", "id"))
LIVES = [(*mode, seed) for mode in MODES for seed in range(20)]
RUNS = 6


def live(source: histories.Source, folder: Path, seed: int, mode: str, cursor: str) -> None:
    folder.mkdir(exist_ok=True)
    history = History(seed, source, Place(folder), mode, cursor)
    TOLD.counts["histories"] += 1
    try:
        for _ in range(RUNS):
            done = history.place.hdm("run")
            equal = history.holds() == history.held()
            trail = f"{source.type}, {mode} by {cursor}, seed {seed}: {history.happened}\n{done.said}"
            assert equal or said(done), f"unequal, and nothing said: {trail}"
            assert not said(done) or history.odd, f"nothing was odd: {trail}"
            TOLD.counts["runs"] += 1
            TOLD.counts["equal" if equal else "said"] += 1
            TOLD.counts["said though equal"] += equal and said(done)
            history.step()
    finally:
        history.close()


def lives(sample: Sample, system: str, folder: Path, begin: Callable[[Path], histories.Source]) -> None:
    for number, (mode, cursor, seed) in enumerate(sample.of(f"histories {system}", LIVES, 2)):
        own = folder / str(number)
        own.mkdir()
        live(begin(own), own, seed, mode, cursor)


def test_tables_of_postgres(tmp_path: Path, sample: Sample, fresh_postgres: Callable[..., Database]) -> None:
    lives(sample, "postgres", tmp_path, lambda _: histories.postgres(fresh_postgres()))


def test_tables_of_mariadb(tmp_path: Path, sample: Sample, fresh_mariadb: Callable[..., Database]) -> None:
    lives(sample, "mariadb", tmp_path, lambda _: histories.mariadb(fresh_mariadb()))


def test_tables_of_sqlite(tmp_path: Path, sample: Sample) -> None:
    lives(sample, "sqlite", tmp_path, histories.sqlite)


def test_tables_of_duckdb(tmp_path: Path, sample: Sample) -> None:
    lives(sample, "duckdb", tmp_path, histories.duck)
