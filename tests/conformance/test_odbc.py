"""Any system through ODBC: psqlODBC, MariaDB's driver and SQLite's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.relational import RelationalSink, RelationalSource
from tests.conformance.systems import System, mariadb_system, postgres_system, sqlite_system

pytestmark = pytest.mark.usefixtures("odbc_drivers")


def through_odbc(system: System, driver: str) -> System:
    def words(of: dict[str, Any]) -> dict[str, Any]:
        known = {("database" if key == "path" else key): value for key, value in of.items()}
        return {"dialect": system.name, "driver": driver, **known}

    gone = words(system.gone_words)
    return replace(system, prefix="ODBC", profile_words=words(system.profile_words), gone_words=gone)


@pytest.fixture(params=["postgres", "mysql", "sqlite"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> System:
    if request.param == "sqlite":
        return through_odbc(sqlite_system(tmp_path), "SQLite3")
    if request.param == "postgres":
        made = postgres_system(request.getfixturevalue("fresh_postgres")())
        return through_odbc(made, "PostgreSQL Unicode")
    return through_odbc(mariadb_system(request.getfixturevalue("fresh_mariadb")()), "MariaDB Unicode")


class TestSource(RelationalSource): ...


class TestSink(RelationalSink): ...
