"""Every dialect against the suite; those with a server here also round-trip their literals there."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hdm.dialects import dialect
from hdm.dialects.base import Dialect
from hdm.errors import Recovery
from hdm.testing import DialectConformance

ABORT, BURY, RETRY = Recovery.ABORT, Recovery.BURY, Recovery.RETRY


@pytest.mark.parametrize(
    "name",
    [
        "sqlite", "postgres", "mysql", "duckdb", "oracle", "sqlserver", "netezza", "snowflake", "synapse",
    ],
)  # fmt: skip
class TestAny(DialectConformance):
    @pytest.fixture
    def subject(self, name: str) -> Dialect:
        return dialect(name)

    @pytest.fixture
    def unknown(self, name: str) -> Sequence[tuple[str, str]]:
        return {
            "sqlite": [(r"(WITH TIME ZONE)\(\d\)", r"\1")],
            "postgres": [("OVERRIDING SYSTEM VALUE ", "")],
            "oracle": [(r"\ABEGIN EXECUTE IMMEDIATE '(.*)'; EXCEPTION .*", r"\1"), (" PURGE", "")],
        }.get(name, [])
