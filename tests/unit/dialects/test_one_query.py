"""``query:`` is one SELECT, whatever stands in its texts and comments."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from hdm.connectors.duckdb import DuckDBProfile, DuckDBSource
from hdm.dialects import dialect
from hdm.dialects.user_input import one_query
from hdm.errors import HdmError, UsageError

SYSTEMS = ["postgres", "mysql", "sqlite", "duckdb", "sqlserver", "oracle", "snowflake"]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("SELECT 1;\n", "SELECT 1"),
        (
            "WITH a AS (SELECT ';' AS b) SELECT * FROM a -- all of it",
            "WITH a AS (SELECT ';' AS b) SELECT * FROM a",
        ),
        ("SELECT replace(a, 'x', 'y') /* ; */ FROM t", "SELECT replace(a, 'x', 'y')   FROM t"),
    ],
)
def test_one_query_is_taken(system: str, text: str, made: str) -> None:
    assert one_query(text, dialect(system).tokens) == made


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1) AS q; COMMIT; DROP TABLE victim; SELECT * FROM (SELECT 1", "SELECT 1; DROP TABLE victim",
        "DROP TABLE victim", "SELECT 1) AS q CROSS JOIN (SELECT 2", "SELECT 'a", "SELECT 1 /* x",
        "WITH a AS (DELETE FROM t RETURNING x) SELECT * FROM a", "SELECT a INTO b FROM t", "", "-- nothing",
        "COPY t TO '/tmp/x'", "WITH a AS (SELECT 1) DELETE FROM t", "SELECT $$;$$",
    ],
)  # fmt: skip
def test_more_than_one_query_is_refused(system: str, text: str) -> None:
    with pytest.raises(UsageError, match="query: "):
        one_query(text, dialect(system).tokens)


def test_a_backslash_ends_a_text_where_it_does() -> None:
    assert one_query(r"SELECT a LIKE 'x\_' ESCAPE '\' FROM t", dialect("postgres").tokens)
    with pytest.raises(UsageError):
        one_query(r"SELECT '\' ; DROP TABLE victim; -- '", dialect("mysql").tokens)


@pytest.mark.parametrize(
    "query", ["SELECT * FROM read_text('{file}')", "SELECT * FROM '{file}'", "SELECT * FROM glob('{file}')"]
)
def test_a_query_of_duckdb_reads_no_file(tmp_path: Path, query: str) -> None:
    file = tmp_path / "secret.csv"
    file.write_text("a\n1\n")
    duckdb.connect(str(tmp_path / "a.duckdb")).close()
    config = DuckDBSource.Config(query=query.replace("{file}", str(file)))
    source = DuckDBSource(config, DuckDBProfile(path=str(tmp_path / "a.duckdb")))
    with pytest.raises(HdmError):
        source.describe()
