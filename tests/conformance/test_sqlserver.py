"""SQL Server by Microsoft's driver and by FreeTDS; the server is ``tests/servers/sqlserver.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from hdm.testing.sources import check_batches_are_bounded
from tests.conformance.relational import RelationalDialect, RelationalSink, RelationalSource
from tests.conformance.systems import System, sqlserver_system
from tests.servers import sqlserver


def by_freetds(system: System) -> System:
    """The same database, reached by ODBCSource and ODBCSink."""

    def words(of: dict[str, Any]) -> dict[str, Any]:
        return {**of, "dialect": "sqlserver", "driver": sqlserver.freetds_driver()}

    return replace(
        system, prefix="ODBC", profile_words=words(system.profile_words), gone_words=words(system.gone_words)
    )


@pytest.fixture(params=["microsoft", "freetds"])
def system(
    request: pytest.FixtureRequest, fresh_sqlserver: Callable[[], sqlserver.SQLServerDatabase]
) -> System:
    made = sqlserver_system(fresh_sqlserver(), sqlserver.microsoft_driver())
    return made if request.param == "microsoft" else by_freetds(made)


class TestSource(RelationalSource):
    ddl: ClassVar[str] = "CREATE TABLE {} (id BIGINT NOT NULL PRIMARY KEY, n BIGINT, word NVARCHAR(200))"
    conf: ClassVar[dict[str, Any]] = {"watermark": {"column": "n"}, "chunk": {"rows": 25}}

    @pytest.mark.long
    def test_wide_rows_come_in_bounded_batches(self, system: System) -> None:
        system.run("CREATE TABLE wide (id BIGINT NOT NULL PRIMARY KEY, word NVARCHAR(MAX))")
        for number in range(4):
            system.run(f"INSERT INTO wide VALUES ({number}, REPLICATE(CAST(N'x' AS nvarchar(max)), 9000000))")
        check_batches_are_bounded(system.source("wide"))


class TestSink(RelationalSink): ...


class TestDialect(RelationalDialect): ...
