"""What ``hdm doctor`` finds out about rights where there is no server: recorded drivers, the emulator."""

from __future__ import annotations

import pytest

from hdm.connectors.oracle import OracleDatabase
from hdm.connectors.snowflake import SnowflakeDatabase
from hdm.connectors.sqlserver import SQLServerDatabase
from tests.fixtures.recorded.conversation import oracle_error
from tests.unit.connectors import test_oracle, test_snowflake, test_sqlserver
from tests.unit.connectors.test_snowflake import account  # noqa: F401 -- a fixture

OF_ORACLE = {
    # what is refused -> part, right, statement
    "ORDERS. WHERE": ("source", "SELECT on the table", 'GRANT SELECT ON "SALES"."ORDERS" TO "MOVER";'),
    "AS OF SCN": ("source", "FLASHBACK on the table", 'GRANT FLASHBACK ON "SALES"."ORDERS" TO "MOVER";'),
    "v.database|dbms_flashback": ("source", "the current SCN", 'GRANT SELECT ON sys.v_$database TO "MOVER";'),
    "session_privs": ("sink", "CREATE TABLE", 'GRANT CREATE TABLE TO "MOVER";'),
    "ts_quotas": ("sink", "a quota on the tablespace", 'ALTER USER "MOVER" QUOTA UNLIMITED ON "USERS";'),
}


def oracle(monkeypatch, *answers, user="MOVER"):
    test_oracle.recorded(
        monkeypatch,
        *answers,
        ("v.database", [("4711",)]),
        ("FROM user_users", [(user, "USERS")]),
        ("SELECT USER FROM dual", [(user,)]),
        ("session_privs", lambda sql, values: [(1 if "CREATE TABLE" in values else 0,)]),
        ("user_ts_quotas", [(1,)]),
        ("^SELECT 1 FROM .SALES.", []),
    )
    return OracleDatabase(test_oracle.profile())


@pytest.mark.parametrize("refused", OF_ORACLE)
def test_each_right_of_oracle_that_is_missing_is_named_with_its_statement(monkeypatch, refused):
    part, right, statement = OF_ORACLE[refused]
    path = ("SALES", "ORDERS") if part == "source" else ("MOVER", "ORDERS")
    assert [ok for _, ok, _ in oracle(monkeypatch).grants(path, part)] == [True]
    nothing = [(0,)] if part == "sink" else oracle_error("ORA-01031")
    found = oracle(monkeypatch, (refused, nothing)).grants(path, part)
    assert ("grants", False, f"lacks {right}: {statement}") in found
    assert len(found) == 1


def test_tables_in_the_schema_of_another_are_not_judged(monkeypatch):
    assert oracle(monkeypatch).grants(("SALES", "ORDERS")) == []


@pytest.mark.parametrize(
    ("part", "asked", "right", "statement"),
    [
        (
            "sink",
            "DB_NAME(), 'DATABASE', 'CREATE TABLE'",
            "CREATE TABLE on the database",
            "GRANT CREATE TABLE TO [mover];",
        ),
        (
            "sink",
            "'[dbo]', 'SCHEMA', 'ALTER'",
            "ALTER on the schema",
            "GRANT ALTER ON SCHEMA::[dbo] TO [mover];",
        ),
        (
            "source",
            "'[dbo].[orders]', 'OBJECT', 'SELECT'",
            "SELECT on the table",
            "GRANT SELECT ON OBJECT::[dbo].[orders] TO [mover];",
        ),
    ],
)
def test_each_right_of_sql_server_that_is_missing_is_named_with_its_statement(
    monkeypatch, part, asked, right, statement
):
    def answer(sql, values):
        return [(int(asked not in sql),)]

    test_sqlserver.recorded(
        monkeypatch, ("HAS_PERMS_BY_NAME", answer), ("SELECT USER_NAME", [("mover", "shop")])
    )
    found = SQLServerDatabase(test_sqlserver.profile()).grants(("dbo", "orders"), part)
    assert found == [("grants", False, f"lacks {right}: {statement}")]


OF_SNOWFLAKE = {
    "SHOW DATABASES": ("source", "USAGE on the database"),
    "SHOW SCHEMAS": ("source", "USAGE on the schema"),
    "SHOW GRANTS ON SCHEMA": ("sink", "CREATE TABLE on the schema"),
    "SHOW GRANTS ON TABLE": ("append", "INSERT on the table"),
}


class Nothing:
    """A connection that is only closed."""

    def close(self):
        return None


class Recorded(SnowflakeDatabase):
    """Answers SHOW as an account does in which ROLE A has been granted to the session's role."""

    hidden = ""

    def rows(self, connection, sql):
        if self.hidden and sql.startswith(self.hidden):
            return [{"name": "D_", "privilege": "USAGE", "granted_to": "ROLE", "grantee_name": "A"}]
        named = {"SHOW DATABASES": "D", "SHOW SCHEMAS": "S"}
        for start, name in named.items():
            if sql.startswith(start):
                return [{"name": name}]
        words = ("CREATE TABLE", "SELECT", "INSERT", "UPDATE", "DELETE")
        others = [{"privilege": "OWNERSHIP", "granted_to": "ROLE", "grantee_name": "B"}]
        return others + [{"privilege": word, "granted_to": "ROLE", "grantee_name": "A"} for word in words]

    def run(self, connection, sql, values=()):
        if "IN_SESSION" in sql:
            return [("'A'" in sql,)]
        if "CURRENT_ROLE" in sql:
            return [("MOVER", "WH")]
        return [("WH",)]

    def find(self, connection, path):
        return path

    def connect(self, label="hdm", *, write=False):
        return Nothing()


@pytest.mark.parametrize("hidden", OF_SNOWFLAKE)
def test_each_right_of_snowflake_that_is_missing_is_named_with_its_statement(hidden):
    part, right = OF_SNOWFLAKE[hidden]
    one = Recorded(test_snowflake.fake())
    assert [ok for _, ok, _ in one.grants(("D", "S", "T"), part)] == [True]
    one.hidden = hidden
    ((what, ok, said),) = one.grants(("D", "S", "T"), part)
    assert (what, ok) == ("grants", False)
    assert said.startswith(f"lacks {right}: GRANT ") and said.endswith(' TO ROLE "MOVER";')
    assert '"D"' in said


def test_what_cannot_be_read_is_missing_select_and_usage(account):  # noqa: F811
    """Over the real connector: an object that one may not see is the same as one that is missing."""
    one = SnowflakeDatabase(test_snowflake.profile(account))
    path = one.default_path(("orders",))
    assert any("SELECT on the table" in said for _, ok, said in one.grants(path, "source") if not ok)
    test_snowflake.write(test_snowflake.sink(account), test_snowflake.chunk(), test_snowflake.batch(1))
    assert [ok for _, ok, _ in one.grants(path, "source")] == [True]
