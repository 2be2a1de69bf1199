"""Any system through JDBC: H2 and HSQLDB, whose drivers and databases run in this process."""

from __future__ import annotations

from typing import Any

import pytest

from hdm.testing.sources import check_batches_are_bounded
from tests.conformance.relational import RelationalDialect, RelationalSink, RelationalSource
from tests.conformance.systems import CANARY, System
from tests.servers.jdbc import Drivers, Plain


@pytest.fixture(params=["h2", pytest.param("hsqldb", marks=pytest.mark.long)])
def system(request: pytest.FixtureRequest, jdbc_drivers: Drivers) -> System:
    words = jdbc_drivers.fresh(request.param)
    away = {"h2": "jdbc:h2:tcp://127.0.0.1:1/t", "hsqldb": "jdbc:hsqldb:hsql://127.0.0.1:1/t"}
    gone = {**words, "url": away[request.param], "password": CANARY}
    return System(request.param, lambda: Plain(words), words, gone, "JDBC")


class TestSource(RelationalSource):
    @pytest.mark.long
    def test_wide_rows_come_in_bounded_batches(self, system: System) -> None:
        system.run("CREATE TABLE wide (id BIGINT NOT NULL PRIMARY KEY, word LONGVARCHAR)")
        for number in range(10):
            system.run(f"INSERT INTO wide VALUES ({number}, REPEAT('x', 9000000))")
        check_batches_are_bounded(system.source("wide"))


class TestSink(RelationalSink): ...


class TestDialect(RelationalDialect):
    @pytest.fixture
    def run(self, system: System) -> Any:
        database = system.sink().database
        session = database.connect("hdm:test", write=True)
        yield lambda sql: database.run(session, sql + database.dialect.from_nothing)
        session.close()
