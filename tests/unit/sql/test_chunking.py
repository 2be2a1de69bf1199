"""Chunks of a whole table hold every row once, whatever its key is like."""

from collections import Counter
from dataclasses import replace

import pytest

from hdm.errors import SchemaDrift, UsageError
from hdm.model import Condition
from tests.unit.sql_fixtures import lite, pg, system  # noqa: F401
from tests.unit.sqlkit import all_rows, plan, rows_of


def fill(system, table, rows, ddl):  # noqa: F811
    system.run(f"CREATE TABLE {table} ({ddl})")
    connection = system.connect()
    mark = "%s" if system.name == "postgres" else "?"
    if rows:
        marks = ", ".join([mark] * len(rows[0]))
        connection.cursor().executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    connection.commit()
    if system.name == "postgres":
        connection.autocommit = True
        connection.execute("ANALYZE")
    connection.close()


def held(system, table, rows, ddl, **conf):  # noqa: F811
    fill(system, table, rows, ddl)
    source = system.source(table, **conf)
    described, chunks = plan(source)
    assert [c.number for c in chunks] == list(range(len(chunks)))
    assert len({c.chunk_id for c in chunks}) == len(chunks)
    found = Counter(row for chunk in chunks for row in rows_of(source, described, chunk))
    assert found == Counter(rows)
    return chunks


def test_a_single_key_is_cut_evenly(system):  # noqa: F811
    rows = [(n, f"v{n}") for n in range(1000)]
    chunks = held(system, "t", rows, "id integer PRIMARY KEY, v text", chunk={"rows": 100})
    assert 10 <= len(chunks) <= 11


def test_text_keys_and_quotes(system):  # noqa: F811
    rows = [(f"it's {n} \" \\ é", n) for n in range(300)]
    assert len(held(system, "t", rows, "k varchar(50) PRIMARY KEY, v integer", chunk={"rows": 50})) >= 6


def test_one_heavy_value_is_cut_by_the_rest_of_the_key(system):  # noqa: F811
    rows = [(7 if n < 900 else n, n) for n in range(1000)]
    chunks = held(system, "t", rows, "a integer, b integer, PRIMARY KEY (a, b)", chunk={"rows": 100})
    assert max(c.estimate_rows for c in chunks) <= 200
    assert any(Condition("a", "=", "7") in c.conditions and len(c.conditions) > 1 for c in chunks)


def test_null_keys_have_a_chunk_of_their_own(lite):  # noqa: F811
    rows = [(f"k{n}" if n % 3 else None, n) for n in range(300)]
    chunks = held(lite, "t", rows, "k text PRIMARY KEY, n integer", chunk={"rows": 50})
    assert any(c.conditions == (Condition("k", "null"),) for c in chunks)


def test_null_keys_among_few_others_are_not_read_twice(lite):  # noqa: F811
    rows = [(f"k{n}" if n < 20 else None, n) for n in range(300)]
    (one,) = held(lite, "t", rows, "k text PRIMARY KEY, n integer", chunk={"rows": 50})
    assert one.conditions == ()


def test_no_key_goes_by_page_where_there_are_pages(pg):  # noqa: F811
    rows = [(n % 5, "x" * 200) for n in range(3000)]
    chunks = held(pg, "t", rows, "a integer, b text", chunk={"rows": 500})
    assert len(chunks) >= 5
    assert all(one.column == "@page" for c in chunks for one in c.conditions)


def test_no_key_and_no_pages_is_one_chunk(lite):  # noqa: F811
    assert len(held(lite, "t", [(n,) for n in range(500)], "a integer", chunk={"rows": 10})) == 1


def said(system, **options):  # noqa: F811
    source = system.source("t", **options)
    return source.why_not_split(*plan(source))


def test_that_a_table_without_a_key_is_not_cut_is_said(lite):  # noqa: F811
    fill(lite, "t", [(n,) for n in range(500)], "a integer")
    one = "moved as one chunk whatever chunk says: it has no key to be cut by"
    assert (said(lite, chunk={"rows": 10}), said(lite, chunk={"bytes": 10})) == (one, one)
    assert said(lite) is None, "nobody asked for chunks"
    assert said(lite, chunk={"rows": 10}, watermark={"column": "a"}) is None


@pytest.mark.parametrize("count", [5, 500])
def test_nothing_is_said_of_a_table_with_a_key(lite, count):  # noqa: F811
    fill(lite, "t", [(n,) for n in range(count)], "a integer PRIMARY KEY")
    assert said(lite, chunk={"rows": 10}) is None


@pytest.mark.parametrize(
    ("rows", "size", "is_said"),
    [(None, None, True), (10, None, False), (11, None, True), (None, 100, False), (10, 101, True)],
)
def test_nothing_is_said_of_a_table_that_is_one_chunk_anyway(lite, rows, size, is_said):  # noqa: F811
    fill(lite, "t", [(1,)], "a integer")
    source = lite.source("t", chunk={"rows": 10, "bytes": 100})
    table, (chunk,) = plan(source)
    found = source.why_not_split(replace(table, bytes=size), [replace(chunk, estimate_rows=rows)])
    assert (found is not None) is is_said


def test_empty_table_is_one_empty_chunk(system):  # noqa: F811
    fill(system, "t", [], "id integer PRIMARY KEY")
    assert sum(all_rows(system.source("t", chunk={"rows": 5})).values()) == 0


def test_bytes_bound_the_chunk(system):  # noqa: F811
    rows = [(n, "x" * 1000) for n in range(400)]
    chunks = held(system, "t", rows, "id integer PRIMARY KEY, v text", chunk={"bytes": 4000})
    assert len(chunks) >= 4


def test_a_sample_gives_edges_that_still_hold_every_row(pg):  # noqa: F811
    pg.run("CREATE TABLE t AS SELECT g AS id, g % 3 AS v FROM generate_series(1, 250000) g")
    pg.run("ALTER TABLE t ADD PRIMARY KEY (id)")
    pg.run("ANALYZE")
    source = pg.source("t", chunk={"rows": 60000})
    table, chunks = plan(source)
    assert 4 <= len(chunks) <= 6
    counted = [sum(b.num_rows for b in source.read(table, c).batches()) for c in chunks]
    assert sum(counted) == 250000
    assert max(counted) < 90000


def test_where_columns_and_query(system):  # noqa: F811
    fill(system, "t", [(n, f"v{n}", n * 2) for n in range(100)], "id integer PRIMARY KEY, v text, w integer")
    source = system.source("t", columns=["w", "id"], where="id < 50 OR id = 99", chunk={"rows": 20})
    assert all_rows(source) == Counter((n * 2, n) for n in [*range(50), 99])
    by_query = system.source(query="SELECT id, v FROM t WHERE id % 2 = 0;")
    assert all_rows(by_query) == Counter((n, f"v{n}") for n in range(0, 100, 2))


@pytest.mark.parametrize("where", ["1=1; DROP TABLE t", "1=1 -- x", "1=1) OR (1=1", "a = 'x"])
def test_where_is_one_predicate(lite, where):  # noqa: F811
    fill(lite, "t", [(1,)], "id integer PRIMARY KEY")
    with pytest.raises(UsageError):
        all_rows(lite.source("t", where=where))


def test_a_missing_table_or_column_is_the_users_mistake(system):  # noqa: F811
    with pytest.raises(UsageError, match="no table"):
        system.source("nothing_here").describe()
    fill(system, "t", [(1,)], "id integer PRIMARY KEY")
    with pytest.raises(UsageError, match="no such columns"):
        system.source("t", columns=["x"]).describe()
    with pytest.raises(UsageError, match="watermark"):
        system.source("t", watermark={"column": "x"}).describe()


@pytest.mark.parametrize(
    ("columns", "said", "hint"),
    [
        (["id", "v", "id"], "columns names twice: id", "name each column once"),
        ([], "columns is empty", "leave columns out to read all of them"),
    ],
)
def test_columns_are_each_named_once_and_there_is_one(lite, columns, said, hint):  # noqa: F811
    fill(lite, "t", [(1, "a")], "id integer PRIMARY KEY, v text")
    with pytest.raises(UsageError) as wrong:
        lite.source("t", columns=columns).describe()
    assert (wrong.value.message, wrong.value.hint) == (said, hint)


def test_names_in_another_case_are_found(system):  # noqa: F811
    fill(system, "orders", [(1,)], "id integer PRIMARY KEY")
    source = system.source("ORDERS", watermark={"column": "ID"})
    assert source.describe().path[-1] == "orders"
    assert source.window().column == "id"


def test_odd_identifiers(system):  # noqa: F811
    name = 'we"ird. täble'
    system.run(
        f'CREATE TABLE "{name.replace(chr(34), chr(34) * 2)}" ("se""lect" integer PRIMARY KEY, "a b" text)'
    )
    system.run(f"INSERT INTO \"{name.replace(chr(34), chr(34) * 2)}\" VALUES (1, 'x')")
    assert all_rows(system.source(None, table_name=[name])) == Counter([(1, "x")])


def test_a_table_altered_after_planning_is_drift(system):  # noqa: F811
    fill(system, "t", [(1,)], "id integer PRIMARY KEY")
    source = system.source("t")
    table, chunks = plan(source)
    system.run("ALTER TABLE t ADD COLUMN more text")
    with pytest.raises(SchemaDrift):
        rows_of(source, table, chunks[0])


def test_older_manifests_keys(lite):  # noqa: F811
    fill(lite, "t", [(1,)], "id integer PRIMARY KEY")
    source = lite.source(
        params={"table": "t", "watermark": {"column": "id", "offset": 0}}, checksum={"function": "hash"}
    )
    assert source.path == ("t",)
    assert source.window().column == "id"
    assert source.window().offset is None
