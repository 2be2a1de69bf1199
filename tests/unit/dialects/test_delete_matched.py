"""The statements of a sync are SQL of each system that sqlglot knows; real servers are asked in the flows."""

from __future__ import annotations

import pytest
import sqlglot

from hdm.dialects import dialect

SYSTEMS = ("postgres", "mysql", "mariadb", "sqlite", "duckdb", "snowflake", "oracle", "sqlserver", "netezza")


@pytest.mark.parametrize("system", SYSTEMS)
def test_rows_are_deleted_and_read_by_the_keys_of_a_stage(system: str) -> None:
    one = dialect(system)
    how = (("s", "t"), ("stage",), ("id", "name"), ("name",))
    deleted = sqlglot.parse_one(one.delete_matched(*how), read=one.sqlglot)
    assert isinstance(deleted, sqlglot.exp.Delete)
    read = sqlglot.parse_one(f"SELECT COUNT(*) {one.joined_by_key(*how)}", read=one.sqlglot)
    for tree in (deleted, read):
        names = {table.name.lower() for table in tree.find_all(sqlglot.exp.Table)}
        assert {"t", "stage"} <= names, names
        columns = {(column.table, column.name) for column in tree.find_all(sqlglot.exp.Column)}
        assert {("t", "id"), ("s", "id"), ("t", "name"), ("s", "name")} <= columns
