"""Whatever a role, a database or a server has set, rows are read as they are, or refused by name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pymysql
import pytest

from hdm.dialects import dialect
from hdm.dialects.mysql import MySQLDialect
from hdm.dialects.postgres import PostgresDialect
from hdm.errors import HdmError, UsageError
from tests.servers.process import Database
from tests.unit.mysqlkit import MySQLSystem, mysql_system
from tests.unit.sqlkit import System, plan, postgres_system, rows_of

POSTGRES = {
    "row_security": "on", "gin_fuzzy_search_limit": "10", "statement_timeout": "1",
    "client_encoding": "LATIN1", "timezone": "Asia/Kathmandu", "datestyle": "German, DMY",
    "intervalstyle": "sql_standard",
    "extra_float_digits": "-15", "bytea_output": "escape", "xmloption": "document", "xmlbinary": "hex",
    "array_nulls": "off", "quote_all_identifiers": "on", "standard_conforming_strings": "off",
    "transform_null_equals": "on", "default_transaction_isolation": "serializable",
}  # fmt: skip
"""The most awkward value of each."""
BITES = (
    "gin_fuzzy_search_limit", "datestyle", "intervalstyle", "extra_float_digits", "bytea_output",
    "array_nulls", "quote_all_identifiers", "transform_null_equals",
)  # fmt: skip
"""Those that change this test's own rows where nothing is pinned: it is not blind to them."""
ALSO = {"gin_fuzzy_search_limit": [("enable_seqscan", "off")]}
"""What else must be so for a setting to bite: that the index is used, statistics or not."""
TABLE = """CREATE TABLE t (id int PRIMARY KEY, ts timestamptz, d date, i interval, f float8, b bytea,
 a text[], x xml, m money, r int4range, w int[], gone int);
INSERT INTO t SELECT n, timestamptz '2024-03-05 06:07:08.123456+00', date '2024-03-05',
 interval '1 year 2 mons -3 days 04:05:06', 0.1::float8 + 0.2, '\\x00ff'::bytea, '{a,NULL,"NULL"}',
 '<a>b</a>', 12.34, '[1,5)', ARRAY[1], NULL FROM generate_series(1, 3000) n;
CREATE INDEX ON t USING gin (w)"""
WHERE = "w @> ARRAY[1] AND NOT coalesce(gone = NULL, false) AND '{NULL}'::text[] <> ARRAY['NULL']"


@pytest.fixture(scope="module")
def pg(fresh_postgres: Callable[..., Database]) -> System:
    system = postgres_system(fresh_postgres().dsn)
    system.run(TABLE)
    return system


@pytest.fixture
def nasty(pg: System) -> Iterator[Callable[[str], None]]:
    def set_to(name: str) -> None:
        with psycopg.connect(
            pg.profile.url.reveal(), autocommit=True, options="-c statement_timeout=0"
        ) as it:
            for one, value in ((name, POSTGRES[name]), *ALSO.get(name, ())):
                it.execute(f"ALTER ROLE hdm IN DATABASE {it.info.dbname} SET {one} TO '{value}'")

    yield set_to
    with psycopg.connect(pg.profile.url.reveal(), autocommit=True, options="-c statement_timeout=0") as it:
        it.execute(f"ALTER ROLE hdm IN DATABASE {it.info.dbname} RESET ALL")


def taken(system: System, **conf: Any) -> tuple[Any, list[tuple[Any, ...]]]:
    source = system.source("t", **conf)
    table, chunks = plan(source)
    return table.columns, sorted(row for chunk in chunks for row in rows_of(source, table, chunk))


@pytest.fixture(scope="module")
def clean(pg: System) -> tuple[Any, list[tuple[Any, ...]]]:
    found = taken(pg, where=WHERE)
    assert len(found[1]) == 3000
    return found


def test_each_setting_that_is_pinned_is_tried() -> None:
    assert set(POSTGRES) == set(PostgresDialect.session_settings)
    assert set(MARIADB) == {*MySQLDialect.session_settings, *MySQLDialect.own_settings["M!100101"]}


@pytest.mark.parametrize("name", POSTGRES)
def test_postgres_reads_the_same_whatever_its_role_has_set(
    pg: System, name: str, nasty: Callable[[str], None], clean: tuple[Any, Any]
) -> None:
    nasty(name)
    assert taken(pg, where=WHERE) == clean


@pytest.mark.parametrize("name", BITES)
def test_postgres_would_not_without(
    pg: System,
    name: str,
    nasty: Callable[[str], None],
    clean: tuple[Any, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = {one: value for one, value in PostgresDialect.session_settings.items() if one != name}
    monkeypatch.setattr(PostgresDialect, "session_settings", kept)
    nasty(name)
    with contextlib.suppress(HdmError):
        assert taken(pg, where=WHERE) != clean


def test_postgres_rows_that_a_policy_hides_are_an_error(fresh_postgres: Callable[..., Database]) -> None:
    database = fresh_postgres()
    owner = postgres_system(database.dsn)
    owner.run(
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 1000);"
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY half ON t USING (id <= 500);"
        "GRANT SELECT ON t TO mover"
    )
    reader = postgres_system(database.dsn.replace("hdm:hdm@", "mover:p%40ss%2Fword%3A1@"))
    assert len(taken(owner)[1]) == 1000
    for source in (reader.source("t"), reader.source(query="SELECT id FROM t")):
        with pytest.raises(UsageError, match='row-level security policy for table "t"') as caught:
            source.describe()
        assert "BYPASSRLS" in (caught.value.hint or "")


MARIADB = {
    "time_zone": "'+05:45'", "sql_mode": "'ANSI,PAD_CHAR_TO_FULL_LENGTH,NO_BACKSLASH_ESCAPES'",
    "sql_select_limit": "40", "max_join_size": "10", "sql_big_selects": "0", "group_concat_max_len": "10",
    "max_sort_length": "64", "sql_auto_is_null": "1", "sql_safe_updates": "1", "div_precision_increment": "0",
    "default_week_format": "3", "lc_time_names": "'de_DE'", "completion_type": "'CHAIN'",
    "innodb_lock_wait_timeout": "1", "net_write_timeout": "1", "net_read_timeout": "1",
    "max_statement_time": "0.0001",
}  # fmt: skip
MARIADB_BITES = (
    "time_zone", "sql_select_limit", "group_concat_max_len", "div_precision_increment", "default_week_format",
    "lc_time_names", "max_statement_time", "max_join_size",
)  # fmt: skip
ASKED = (
    "SELECT t.id, t.c, t.ts, 1 / 3 AS third, WEEK(t.d) AS week, DAYNAME(t.d) AS day, "
    "(SELECT GROUP_CONCAT(u.c) FROM t u WHERE u.id < 9) AS joint FROM t"
)


@pytest.fixture(scope="module")
def maria(fresh_mariadb: Callable[..., Database]) -> Iterator[MySQLSystem]:
    """As a user for whom the server runs init_connect, which may set anything."""
    database = fresh_mariadb()
    owner = mysql_system(database.profile)
    owner.run(
        "CREATE TABLE t (id int PRIMARY KEY, c char(9), ts timestamp NULL, d date, hidden int);;"
        "INSERT INTO t SELECT seq, 'ab', '2024-01-01 00:00:00', '2024-01-01', 1 FROM seq_1_to_600;;"
        "CREATE TABLE g (id int PRIMARY KEY, a int, hidden int);;"
        "CREATE OR REPLACE USER plain_r@'%' IDENTIFIED BY 'r';;"
        f"GRANT SELECT ON {database.database}.t TO plain_r@'%';;"
        f"GRANT SELECT (id, a) ON {database.database}.g TO plain_r@'%'"
    )
    yield mysql_system({**database.profile, "user": "plain_r", "password": "r"})
    owner.run("SET GLOBAL init_connect = ''")


@pytest.fixture
def maria_nasty(maria: MySQLSystem) -> Iterator[Callable[[str], None]]:
    port = maria.profile.port

    def run(sql: str) -> None:
        connection = pymysql.connect(host="127.0.0.1", port=port, user="hdm", password="hdm")
        with connection, connection.cursor() as cursor:
            cursor.execute("SET GLOBAL init_connect = %s", (sql,))

    yield lambda name: run(f"SET SESSION {name} = {MARIADB[name]}")
    run("")


def asked(maria: MySQLSystem) -> list[Any]:
    table, rows = taken(maria)
    source = maria.source(query=ASKED)
    described, chunks = plan(source)
    return [table, rows, described.columns, [rows_of(source, described, chunk) for chunk in chunks]]


@pytest.fixture(scope="module")
def maria_clean(maria: MySQLSystem) -> list[Any]:
    found = asked(maria)
    assert len(found[1]) == 600
    return found


@pytest.mark.parametrize("name", MARIADB)
def test_mariadb_reads_the_same_whatever_its_server_has_set(
    maria: MySQLSystem, name: str, maria_clean: list[Any], maria_nasty: Callable[[str], None]
) -> None:
    maria_nasty(name)
    assert asked(maria) == maria_clean


@pytest.mark.parametrize("name", MARIADB_BITES)
def test_mariadb_would_not_without(
    maria: MySQLSystem,
    name: str,
    maria_clean: list[Any],
    maria_nasty: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = {} if name == "max_statement_time" else MySQLDialect.own_settings
    dropped = {name, "sql_big_selects"} if name == "max_join_size" else {name}
    kept = {one: value for one, value in MySQLDialect.session_settings.items() if one not in dropped}
    monkeypatch.setattr(MySQLDialect, "session_settings", kept)
    monkeypatch.setattr(MySQLDialect, "own_settings", own)
    maria_nasty(name)
    with contextlib.suppress(HdmError):
        assert asked(maria) != maria_clean


def test_mariadb_columns_that_a_user_is_not_shown_are_an_error(maria: MySQLSystem) -> None:
    with pytest.raises(UsageError, match="not shown all of its columns") as caught:
        maria.source("g").describe()
    assert "columns: [id, a]" in (caught.value.hint or "")
    assert [column.name for column in maria.source("g", columns=["id", "a"]).describe().columns] == [
        "id",
        "a",
    ]


def test_mariadb_history_is_not_taken_for_the_present(fresh_mariadb: Callable[..., Database]) -> None:
    maria = mysql_system(fresh_mariadb().profile)
    maria.run("CREATE TABLE t (id int PRIMARY KEY) WITH SYSTEM VERSIONING;;INSERT INTO t VALUES (1)")
    maria.run("SET GLOBAL system_versioning_asof = '2020-01-01'")
    try:
        with pytest.raises(UsageError, match="as they were at another time"):
            maria.source("t").describe()
    finally:
        maria.run("SET GLOBAL system_versioning_asof = DEFAULT")
    assert taken(maria)[1] == [(1,)]


@pytest.mark.parametrize(
    "name", ["oracle", "sqlserver", "snowflake", "netezza", "duckdb", "postgres", "mysql"]
)
def test_sessions_elsewhere_start_with_every_setting_of_theirs(name: str) -> None:
    one = dialect(name)
    told = "; ".join(one.session)
    for setting, value in one.session_settings.items():
        assert setting in told and value in told
