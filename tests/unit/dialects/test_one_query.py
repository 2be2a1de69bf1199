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


@pytest.mark.parametrize(
    ("system", "text"),
    [
        ("snowflake", "SELECT SYSTEM$ABORT_TRANSACTION(1)"),
        ("snowflake", 'SELECT "SYSTEM$CANCEL_ALL_QUERIES" (1)'),
        ("snowflake", "SELECT s.NEXTVAL FROM t"),
        ("snowflake", "SELECT * FROM TABLE(my_procedure(1))"),
        ("snowflake", 'SELECT * FROM TABLE ( db."s".my_procedure (1))'),
        ("snowflake", "WITH p AS PROCEDURE () RETURNS INT LANGUAGE SQL AS 'DELETE FROM t' CALL p()"),
        ("sqlserver", "SELECT * FROM OPENQUERY(other, 'EXEC p')"),
        ("sqlserver", "SELECT * FROM OPENROWSET('MSOLEDBSQL', 'x', 'EXEC p')"),
        ("sqlserver", "SELECT NEXT VALUE FOR dbo.s AS n"),
        ("oracle", "SELECT s.nextval FROM dual"),
        ("netezza", "SELECT NEXT VALUE FOR s"),
        ("postgres", "SELECT dblink_exec('dbname=x', 'DROP TABLE y')"),
        ("postgres", "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_stat_activity"),
    ],
)
def test_what_no_rollback_undoes_is_refused(system: str, text: str) -> None:
    known = dialect(system)
    with pytest.raises(UsageError, match="beyond the transaction"):
        one_query(text, known.tokens, known.acting, known.table_functions)


@pytest.mark.parametrize(
    ("system", "text"),
    [
        ("snowflake", "SELECT f.value FROM t, TABLE(FLATTEN(t.a)) f"),
        ("snowflake", "SELECT * FROM TABLE(db.information_schema.task_history())"),
        ("snowflake", "SELECT nextval, 'SYSTEM$WAIT(1)' FROM TABLE('T')"),
        ("sqlserver", "SELECT openquery, next FROM t"),
        ("postgres", "SELECT a FROM dblink_log"),
        ("mysql", "SELECT nextval FROM t"),
    ],
)
def test_what_only_looks_like_it_is_taken(system: str, text: str) -> None:
    known = dialect(system)
    assert one_query(text, known.tokens, known.acting, known.table_functions) == text


def test_a_source_asks_its_dialect_what_acts() -> None:
    from hdm.connectors.snowflake import SnowflakeSource
    from hdm.connectors.snowflake.session import SnowflakeProfile

    profile = SnowflakeProfile(account="a", user="u", host="127.0.0.1", protocol="http")
    source = SnowflakeSource(SnowflakeSource.Config(query="SELECT * FROM TABLE(p())"), profile, name="s")
    with pytest.raises(UsageError, match="beyond the transaction"):
        _ = source._query


def test_a_backslash_ends_a_text_where_it_does() -> None:
    assert one_query(r"SELECT a LIKE 'x\_' ESCAPE '\' FROM t", dialect("postgres").tokens)
    with pytest.raises(UsageError):
        one_query(r"SELECT '\' ; DROP TABLE victim; -- '", dialect("mysql").tokens)


@pytest.mark.parametrize(
    "query", ["SELECT * FROM read_text('{file}')", "SELECT * FROM '{file}'", "SELECT * FROM glob('{file}')"]
)
@pytest.mark.slow
def test_a_query_of_duckdb_reads_no_file(tmp_path: Path, query: str) -> None:
    file = tmp_path / "secret.csv"
    file.write_text("a\n1\n")
    duckdb.connect(str(tmp_path / "a.duckdb")).close()
    config = DuckDBSource.Config(query=query.replace("{file}", str(file)))
    source = DuckDBSource(config, DuckDBProfile(path=str(tmp_path / "a.duckdb")))
    with pytest.raises(HdmError):
        source.describe()
