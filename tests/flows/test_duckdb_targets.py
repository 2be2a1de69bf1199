"""DuckDB targets whose file, keys or references make plain statements ambiguous or impossible."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.flows.kit import Place, direct, only, shop


def into_duckdb(place: Place, file: str, ddl: str, **conf: object) -> Path:
    """A link that merges ``orders`` into the table ``orders`` of a new DuckDB file."""
    path = place.folder / file
    with duckdb.connect(str(path)) as made:
        for statement in ddl.split(";"):
            made.execute(statement)
    place.profiles["duck"] = {"path": str(path)}
    link = direct(place, "orders", "DuckDBSink", watermark={"column": "changed"})
    link["sink"]["conf"] = {"env": "duck", **conf}
    only(place, {**link, "mode": "merge"})
    return path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return shop(tmp_path, orders=3, items=0)


@pytest.mark.parametrize("mode", ["append", "merge", "replace"])
def test_a_file_may_have_the_name_of_its_schema(place: Place, mode: str) -> None:
    path = into_duckdb(place, "sales.duckdb", "CREATE SCHEMA sales", table_name="sales.orders")
    place.manifest["declared_data_links"]["stages"][0]["mode"] = mode
    place.write()
    for rows in (3, 4):
        done = place.hdm("run")
        assert done.code == 0, done.err
        with duckdb.connect(str(path)) as made:
            assert made.execute("SELECT count(*) FROM sales.sales.orders").fetchall() == [(rows,)]
        place.sql("INSERT INTO orders VALUES (?, ?, ?, ?)", [(100, "new", 1, 999)] if rows == 3 else [])


def test_a_row_that_is_referred_to_is_merged_or_the_way_out_is_said(place: Place) -> None:
    parent = "CREATE TABLE orders (id BIGINT PRIMARY KEY, customer VARCHAR, cents BIGINT, changed BIGINT)"
    child = (
        "CREATE TABLE lines (n INTEGER, of BIGINT REFERENCES orders (id)); INSERT INTO lines VALUES (1, 1)"
    )
    first = "INSERT INTO orders VALUES (1, 'old', 1, 1)"
    path = into_duckdb(place, "target.duckdb", f"{parent}; {first}; {child}")
    assert place.hdm("run").code == 0
    with duckdb.connect(str(path)) as made:
        assert made.execute("SELECT customer FROM orders WHERE id = 1").fetchall() == [("c1",)]
        made.execute("DROP TABLE lines")
        made.execute("CREATE INDEX by_customer ON orders (customer)")
        for statement in child.split(";"):
            made.execute(statement)
    place.sql("UPDATE orders SET customer = 'renamed', changed = 99 WHERE id = 1")
    refused = place.hdm("run")
    assert refused.code == 1
    said = refused.err + place.hdm("status", "--dead").said
    assert "drop that index, or the foreign key" in said.replace("\n", " ")
    assert "use mode merge" not in said
    with duckdb.connect(str(path)) as made:
        made.execute("DROP INDEX by_customer")
    assert place.hdm("retry").code == 0
    assert place.hdm("run").code == 0
    with duckdb.connect(str(path)) as made:
        assert made.execute("SELECT customer FROM orders WHERE id = 1").fetchall() == [("renamed",)]
