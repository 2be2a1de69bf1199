"""No comparison calls two tables different that hdm has moved and nobody has damaged."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest

from hdm.proof.result import Level
from tests.conformance import type_matrix
from tests.conformance.clean_tables import made, moved
from tests.conformance.systems import System
from tests.conformance.type_matrix import SOURCES

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture(scope="module")
def systems(
    fresh_postgres: Callable[..., Any],
    fresh_mariadb: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict[str, System], dict[str, System]]:
    """A system of each kind to move from, with the table of the type matrix, and one to move to."""
    make = type_matrix.maker(fresh_postgres, fresh_mariadb, tmp_path_factory.mktemp("clean"))
    sources, sinks = ({name: make(name) for name in SOURCES} for _ in range(2))
    for system in sources.values():
        type_matrix.fill(system)
    return sources, sinks


SAMPLE = {("sqlite", "duckdb"), ("duckdb", "postgres"), ("postgres", "mysql"), ("mysql", "sqlite")}
LATE = {"TIME"}
"""Types that may hold 24:00:00, which hdm writes into other systems, but does not read from there."""


@pytest.mark.parametrize(
    ("source", "sink"),
    [
        pytest.param(*pair, marks=() if pair in SAMPLE else (pytest.mark.long,))
        for pair in itertools.product(SOURCES, SOURCES)
    ],
)
def test_each_pair_of_the_type_matrix(
    systems: tuple[dict[str, System], dict[str, System]], source: str, sink: str
) -> None:
    found = moved(systems[0][source], systems[1][sink], "awk", f"pair_{source}", [Level.COLUMNS, Level.ROWS])
    assert found.alarms == [] and found.unread <= LATE
    assert found.rows >= 5 and len(found.columns) >= 5


def clean(systems: tuple[dict[str, System], dict[str, System]], seed: int, letter: str = "r") -> int:
    """Make, move and compare one random table; return how many columns were compared."""
    draw = random.Random(seed)
    source, sink = systems[0][draw.choice(SOURCES)], systems[1][draw.choice(SOURCES)]
    name = f"{letter}{seed}"
    made(source, name, draw)
    found = moved(
        source, sink, name, name, [draw.choice([Level.COUNTS, Level.COLUMNS, Level.ROWS]), Level.ROWS]
    )
    assert found.alarms == [] and found.unread <= LATE, f"seed {seed}: {source.name} -> {sink.name}: {found}"
    source.run(f"DROP TABLE {name}")
    sink.run(f"DROP TABLE {name}")
    return len(found.columns)


def test_random_tables(systems: tuple[dict[str, System], dict[str, System]]) -> None:
    assert sum(clean(systems, seed) for seed in range(20)) > 40


@pytest.mark.long
@pytest.mark.parametrize("hundred", range(10))
def test_a_thousand_random_tables(systems: tuple[dict[str, System], dict[str, System]], hundred: int) -> None:
    seeds = range(100 * hundred, 100 * hundred + 100)
    assert sum(clean(systems, seed, "t") for seed in seeds) > 200
