"""PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from hdm.errors import Recovery
from tests.conformance.relational import RelationalDialect, RelationalSink, RelationalSource
from tests.conformance.systems import System, postgres_system
from tests.servers.process import Database


@pytest.fixture
def system(fresh_postgres: Callable[..., Database]) -> System:
    return postgres_system(fresh_postgres())


class TestSource(RelationalSource): ...


class TestSink(RelationalSink): ...


class TestDialect(RelationalDialect):
    @pytest.fixture
    def errors(self) -> list[tuple[Exception, Recovery]]:
        return [
            (psycopg.errors.DeadlockDetected(), Recovery.RETRY),
            (psycopg.errors.AdminShutdown(), Recovery.RETRY),
            (psycopg.errors.TooManyConnections(), Recovery.RETRY),
            (psycopg.errors.NotNullViolation("value"), Recovery.BURY),
            (psycopg.errors.UndefinedTable(), Recovery.BURY),
            (psycopg.errors.InvalidPassword(), Recovery.ABORT),
        ]
