"""What is the same for every relational connector; a module names its system and inherits."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from hdm.components.sink import Sink
from hdm.components.source import Source
from hdm.dialects.base import Dialect
from hdm.testing import DialectConformance, SinkConformance, SourceConformance
from hdm.testing.dialects import Run
from hdm.testing.rows import TEXTS
from hdm.testing.sinks import ReadBack
from hdm.testing.sources import Grow, Rows, check_batches_are_bounded
from tests.conformance.systems import CANARY, System

UNKNOWN_TO_SQLGLOT: dict[str, list[tuple[str, str]]] = {
    "sqlite": [(r"(WITH TIME ZONE)\(\d\)", r"\1")],
    "postgres": [("OVERRIDING SYSTEM VALUE ", "")],
    "mysql": [(r"\ARENAME TABLE (\S+) TO \S+\.(\S+)", r"ALTER TABLE \1 RENAME TO \2")],
    "teradata": [(r"\ARENAME TABLE (\S+) TO \S+\.(\S+)", r"ALTER TABLE \1 RENAME TO \2")],
    "oracle": [
        (r"\ABEGIN EXECUTE IMMEDIATE '(.*)'; EXCEPTION .*", r"\1"),
        (" PURGE", ""),
        ("PRIVATE TEMPORARY", "GLOBAL TEMPORARY"),
        (" ON COMMIT PRESERVE DEFINITION", ""),
    ],
}
"""Per dialect: what sqlglot cannot read though the system can, and what to read instead."""

DDL = "CREATE TABLE {} (id BIGINT NOT NULL PRIMARY KEY, n BIGINT, word VARCHAR(200))"
CONF: dict[str, Any] = {"watermark": {"column": "n"}, "chunk": {"rows": 7}}


def some_rows() -> Rows:
    """Keys, tied and NULL cursors, words that tools like to alter."""
    return [
        (i, None if i % 10 == 0 else i // 3, None if i % 7 == 0 else TEXTS[i % len(TEXTS)]) for i in range(60)
    ]


def fill(system: System, table: str, rows: Rows) -> None:
    mark = "?" if system.name in ("sqlite", "duckdb", "sqlserver", "h2", "hsqldb") else "%s"
    system.run(f"INSERT INTO {table} VALUES ({mark}, {mark}, {mark})", rows)


class RelationalSource(SourceConformance):
    ddl: ClassVar[str] = DDL
    conf: ClassVar[dict[str, Any]] = CONF

    @pytest.fixture
    def rows(self) -> Rows:
        return some_rows()

    @pytest.fixture
    def subject(self, system: System, rows: Rows) -> Source:
        system.run(self.ddl.format("t"))
        fill(system, "t", rows)
        return system.source(**self.conf)  # type: ignore[no-any-return]

    @pytest.fixture
    def grow(self, system: System) -> Grow:
        new: Rows = [(100, 19, "tie"), (101, 20, "new"), (102, 20, None), (103, None, "null"), (104, 99, "")]

        def grown() -> Rows:
            fill(system, "t", new)
            return new

        return grown

    @pytest.fixture
    def empty(self, system: System) -> Source:
        system.run(self.ddl.format("vacant"))
        return system.source("vacant", **self.conf)  # type: ignore[no-any-return]

    @pytest.fixture
    def unreachable(self, system: System) -> Source:
        return system.gone("source")  # type: ignore[no-any-return]

    @pytest.fixture
    def secret(self) -> str | None:
        return CANARY

    def test_wide_rows_come_in_bounded_batches(self, system: System) -> None:
        system.run("CREATE TABLE wide (id BIGINT NOT NULL PRIMARY KEY, word LONGTEXT)".replace(
            "LONGTEXT", "LONGTEXT" if system.name == "mysql" else "TEXT"
        ))  # fmt: skip
        half = "printf('%.*c', 9000000, 'x')" if system.name == "sqlite" else "REPEAT('x', 9000000)"
        for number in range(10):
            system.run(f"INSERT INTO wide VALUES ({number}, {half})")
        check_batches_are_bounded(system.source("wide"))


class RelationalSink(SinkConformance):
    @pytest.fixture
    def subject(self, system: System) -> Sink:
        return system.sink()  # type: ignore[no-any-return]

    @pytest.fixture
    def read_back(self, system: System) -> ReadBack:
        return system.read_back

    @pytest.fixture
    def unreachable(self, system: System) -> Sink:
        return system.gone("sink")  # type: ignore[no-any-return]

    @pytest.fixture
    def secret(self) -> str | None:
        return CANARY


class RelationalDialect(DialectConformance):
    @pytest.fixture
    def subject(self, system: System) -> Dialect:
        return system.dialect

    @pytest.fixture
    def unknown(self, system: System) -> list[tuple[str, str]]:
        return UNKNOWN_TO_SQLGLOT.get(system.name, [])

    @pytest.fixture
    def run(self, system: System) -> Run:
        database = system.sink().database

        def query(sql: str) -> list[tuple[Any, ...]]:
            connection = database.connect("hdm:test", write=True)
            try:
                rows: list[tuple[Any, ...]] = database.run(connection, sql)
                return rows
            finally:
                connection.close()

        return query
