"""DuckDB."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from hdm.errors import Recovery
from tests.conformance.relational import RelationalDialect, RelationalSink, RelationalSource
from tests.conformance.systems import System, duckdb_system

pytestmark = pytest.mark.slow


@pytest.fixture
def system(tmp_path: Path) -> System:
    return duckdb_system(tmp_path)


class TestSource(RelationalSource): ...


class TestSink(RelationalSink): ...


class TestDialect(RelationalDialect):
    @pytest.fixture
    def errors(self) -> list[tuple[Exception, Recovery]]:
        return [
            (duckdb.TransactionException("text"), Recovery.RETRY),
            (duckdb.IOException("text"), Recovery.RETRY),
            (duckdb.ConstraintException("text"), Recovery.BURY),
            (duckdb.CatalogException("text"), Recovery.BURY),
            (duckdb.PermissionException("text"), Recovery.ABORT),
        ]
