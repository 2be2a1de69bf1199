"""SQLite."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from hdm.errors import Recovery
from tests.conformance.relational import RelationalDialect, RelationalSink, RelationalSource
from tests.conformance.systems import System, sqlite_system


@pytest.fixture
def system(tmp_path: Path) -> System:
    return sqlite_system(tmp_path)


class TestSource(RelationalSource): ...


class TestSink(RelationalSink): ...


class TestDialect(RelationalDialect):
    @pytest.fixture
    def errors(self) -> list[tuple[Exception, Recovery]]:
        return [(named("SQLITE_BUSY"), Recovery.RETRY), (named("SQLITE_CONSTRAINT_NOTNULL"), Recovery.BURY)]


def named(code: str) -> Exception:
    error = sqlite3.OperationalError("text")
    error.sqlite_errorname = code
    return error
