"""Fixtures over ``tests.unit.sqlkit``, imported by the test modules that need them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.process import Database
from tests.unit.sqlkit import System, postgres_system, sqlite_system


@pytest.fixture
def lite(tmp_path: Path) -> System:
    return sqlite_system(str(tmp_path / "a.db"))


@pytest.fixture
def pg(fresh_postgres: Callable[..., Database]) -> System:
    return postgres_system(fresh_postgres().dsn)


@pytest.fixture(params=["sqlite", "postgres"])
def system(request: pytest.FixtureRequest) -> System:
    made: System = request.getfixturevalue("lite" if request.param == "sqlite" else "pg")
    return made
