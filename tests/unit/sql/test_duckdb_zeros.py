"""A merge into DuckDB brings the sign of a zero along, and still leaves newer rows alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from hdm.connectors.duckdb import DuckDBDatabase, DuckDBProfile


@pytest.mark.parametrize("newest", [None, "seen"])
def test_a_merge_changes_the_sign_of_a_zero(tmp_path: Path, newest: str | None) -> None:
    database = DuckDBDatabase(DuckDBProfile(path=str(tmp_path / "t.duckdb")))
    columns = (
        "(id BIGINT PRIMARY KEY, seen INTEGER, ratio DOUBLE CHECK (ratio < 1), small FLOAT, note VARCHAR)"
    )
    connection = database.connect("test", write=True)
    try:
        for sql in (
            f"CREATE TABLE t {columns}",
            f"CREATE TABLE s {columns}",
            "INSERT INTO t VALUES (1, 5, 0, '-0.0', 'a'), (2, 9, 0, 0, 'newer')",
            "INSERT INTO t VALUES (3, 5, 0.5, 3, NULL), (4, 5, 0, 0, 'x')",
            "INSERT INTO s VALUES (1, 6, '-0.0', 0, 'b'), (2, 6, '-0.0', '-0.0', 'older')",
            "INSERT INTO s VALUES (3, 6, NULL, '-0.0', 'c')",
        ):
            database.change(connection, sql)
        held = database.find(connection, ("main", "t"))
        assert held is not None
        names = [column.name.upper() for column in held.columns]
        for statement in database.merging(
            connection, held, ("s",), columns=names, key=("ID",), null_keys=False, exact=(), newest=newest
        ):
            database.change(connection, statement)
        signs = "SELECT id, ratio, signbit(ratio), small, signbit(small), note FROM t ORDER BY id"
        found = database.run(connection, signs)
        second = (2, 0.0, False, 0.0, False, "newer") if newest else (2, 0.0, True, 0.0, True, "older")
        assert found == [
            (1, 0.0, True, 0.0, False, "b"),
            second,
            (3, None, None, 0.0, True, "c"),
            (4, 0.0, False, 0.0, False, "x"),
        ]
    finally:
        connection.close()
