"""MariaDB, through the MySQL connector."""

from __future__ import annotations

from collections.abc import Callable

import pymysql
import pytest

from hdm.errors import Recovery
from tests.conformance.relational import RelationalDialect, RelationalSink, RelationalSource
from tests.conformance.systems import System, mariadb_system
from tests.servers.process import Database


@pytest.fixture
def system(fresh_mariadb: Callable[..., Database]) -> System:
    return mariadb_system(fresh_mariadb())


class TestSource(RelationalSource): ...


class TestSink(RelationalSink): ...


class TestDialect(RelationalDialect):
    @pytest.fixture
    def errors(self) -> list[tuple[Exception, Recovery]]:
        codes = {1213: Recovery.RETRY, 2006: Recovery.RETRY, 1040: Recovery.RETRY, 1406: Recovery.BURY}
        codes |= {1146: Recovery.BURY, 1045: Recovery.ABORT}
        return [(pymysql.err.OperationalError(code, "text"), what) for code, what in codes.items()]
