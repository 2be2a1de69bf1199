"""BigQuery by Google's client; the server is ``tests/servers/bigquery.py``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from typing import Any

import pytest

from hdm import Kind
from hdm.components.sink import Sink
from hdm.components.source import Source
from hdm.connectors.bigquery import BigQueryDatabase, BigQueryProfile, BigQuerySink, BigQuerySource
from hdm.dialects import dialect
from hdm.dialects.base import Dialect
from hdm.errors import Recovery
from hdm.model import Table
from hdm.testing import DialectConformance, SinkConformance, SourceConformance
from hdm.testing.dialects import Run
from hdm.testing.rows import sorted_rows
from hdm.testing.sinks import ReadBack
from hdm.testing.sources import Grow, Rows
from tests.conformance.relational import UNKNOWN_TO_SQLGLOT, some_rows
from tests.servers.bigquery import BigQuery

GONE = {"project": "tests", "dataset": "ds", "emulator": "http://127.0.0.1:1"}


@pytest.fixture
def profile(bigquery_server: BigQuery) -> BigQueryProfile:
    return BigQueryProfile.model_validate(bigquery_server.fresh())


class TestSink(SinkConformance):
    @pytest.fixture
    def subject(self, profile: BigQueryProfile) -> Sink:
        return BigQuerySink(BigQuerySink.Config(), profile)

    @pytest.fixture
    def unreachable(self) -> Sink:
        return BigQuerySink(BigQuerySink.Config(), BigQueryProfile.model_validate(GONE))

    @pytest.fixture
    def read_back(self, bigquery_server: BigQuery) -> ReadBack:
        def read(sink: Sink, table: Table) -> list[tuple[Any, ...]]:
            names = ", ".join(f"`{column.name}`" for column in table.columns)
            path = ".".join(f"`{part}`" for part in sink.target(table).path)
            found = bigquery_server.run(f"SELECT {names} FROM {path}")
            return sorted_rows([tuple(map(_plain, row, table.columns)) for row in found])

        return read


def _plain(value: Any, column: Any) -> Any:
    if value is None or column.kind is not Kind.DECIMAL:
        return value
    return Decimal(value).quantize(Decimal(1).scaleb(-(column.scale or 0)), context=Context(prec=80))


class TestSource(SourceConformance):
    @pytest.fixture
    def rows(self) -> Rows:
        return some_rows()

    @pytest.fixture
    def fill(self, bigquery_server: BigQuery, profile: BigQueryProfile) -> Callable[[str, Rows], None]:
        def filled(name: str, rows: Rows) -> None:
            quote = dialect("bigquery").string
            said = (
                f"({key}, {'NULL' if n is None else n}, {'NULL' if word is None else quote(word)})"
                for key, n, word in rows
            )
            bigquery_server.run(f"INSERT INTO `{profile.dataset}`.`{name}` VALUES {', '.join(said)}")

        return filled

    @pytest.fixture
    def made(self, bigquery_server: BigQuery, profile: BigQueryProfile) -> Callable[[str], Source]:
        def make(name: str) -> Source:
            columns = "id INT64 NOT NULL, n INT64, word STRING, PRIMARY KEY (id) NOT ENFORCED"
            bigquery_server.run(f"CREATE TABLE `{profile.dataset}`.`{name}` ({columns})")
            config = {"table_name": name, "watermark": {"column": "n"}, "chunk": {"rows": 7}}
            return BigQuerySource(BigQuerySource.Config.model_validate(config), profile)

        return make

    @pytest.fixture
    def subject(self, made: Any, fill: Any, rows: Rows) -> Source:
        source: Source = made("t")
        fill("t", rows)
        return source

    @pytest.fixture
    def grow(self, fill: Any) -> Grow:
        new: Rows = [(100, 19, "tie"), (101, 20, "new"), (102, 20, None), (103, None, "null"), (104, 99, "")]

        def grown() -> Rows:
            fill("t", new)
            return new

        return grown

    @pytest.fixture
    def empty(self, made: Any) -> Source:
        source: Source = made("vacant")
        return source

    @pytest.fixture
    def unreachable(self) -> Source:
        config = BigQuerySource.Config.model_validate({"table_name": "t"})
        return BigQuerySource(config, BigQueryProfile.model_validate(GONE))


class TestDialect(DialectConformance):
    @pytest.fixture
    def subject(self) -> Dialect:
        return dialect("bigquery")

    @pytest.fixture
    def unknown(self) -> Sequence[tuple[str, str]]:
        return UNKNOWN_TO_SQLGLOT.get("bigquery", [])

    @pytest.fixture
    def errors(self) -> Sequence[tuple[Exception, Recovery]]:
        return [(_error(reason), recovery) for reason, recovery in REASONS.items()]

    @pytest.fixture
    def run(self, profile: BigQueryProfile) -> Run:
        database = BigQueryDatabase(profile)

        def query(sql: str) -> list[tuple[Any, ...]]:
            connection = database.connect("hdm:test")
            try:
                return database.run(connection, sql)
            finally:
                connection.close()

        return query


REASONS = {
    "backendError": Recovery.RETRY,
    "internalError": Recovery.RETRY,
    "rateLimitExceeded": Recovery.RETRY,
    "jobRateLimitExceeded": Recovery.RETRY,
    "quotaExceeded": Recovery.ABORT,
    "accessDenied": Recovery.ABORT,
    "invalid": Recovery.BURY,
    "invalidQuery": Recovery.BURY,
    "notFound": Recovery.BURY,
    "resourcesExceeded": Recovery.BURY,
}
"""https://cloud.google.com/bigquery/docs/error-messages."""


class Told(Exception):
    """An error as Google's client raises it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.message = str(args[-1])

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [{"reason": self.args[0], "message": self.message}]


def _error(reason: str) -> Exception:
    return Told(reason, "no text")
