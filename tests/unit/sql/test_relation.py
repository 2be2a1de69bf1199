"""A reading is of one relation: what stands in its place later is refused by name, on each system."""

from __future__ import annotations

import pytest

from hdm.errors import SourceChanged, TransientError
from hdm.sql.relation import asks_something
from tests.unit.mysqlkit import mysql_system
from tests.unit.sql_fixtures import lite, pg  # noqa: F401
from tests.unit.sqlkit import plan, rows_of

ROWS = "SELECT g AS id, repeat('x', 20) AS v FROM generate_series(1, 300) g"
TABLE = f"CREATE TABLE t AS {ROWS}; ALTER TABLE t ADD PRIMARY KEY (id)"
PARTS = (
    "CREATE TABLE t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);"
    "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (1) TO (151);"
    "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (151) TO (1001);"
    f"INSERT INTO t {ROWS};"
    "CREATE TABLE t3 (LIKE t INCLUDING ALL); INSERT INTO t3 VALUES (1001, 'x')"
)
KEYLESS = f"CREATE TABLE t AS SELECT id, repeat(v, 20) AS v FROM ({ROWS}) q"
CHANGES = {
    "truncated": (TABLE, "TRUNCATE t"),
    "truncated and filled": (TABLE, f"TRUNCATE t; INSERT INTO t {ROWS}"),
    "renamed and made anew": (TABLE, f"ALTER TABLE t RENAME TO u; {TABLE}"),
    "dropped and made anew": (TABLE, f"DROP TABLE t; {TABLE}"),
    "rewritten": (TABLE, "ALTER TABLE t ALTER COLUMN id TYPE bigint; ALTER TABLE t ALTER COLUMN id TYPE int"),
    "pages rewritten": (KEYLESS, "TRUNCATE t; INSERT INTO t SELECT g, 'y' FROM generate_series(1, 9) g"),
    "a partition attached": (PARTS, "ALTER TABLE t ATTACH PARTITION t3 FOR VALUES FROM (1001) TO (1002)"),
    "a partition detached": (PARTS, "ALTER TABLE t DETACH PARTITION t2"),
    "a partition truncated": (PARTS, "TRUNCATE t2"),
}
VIEW = (
    TABLE.replace(" t ", " base ") + ";CREATE VIEW t AS SELECT * FROM base;CREATE VIEW w AS SELECT * FROM t"
)
VIEWS = {
    "its table truncated": "TRUNCATE base",
    "itself replaced": "CREATE OR REPLACE VIEW t AS SELECT * FROM base WHERE id < 9",
    "its table renamed": "ALTER TABLE base RENAME TO old; DROP VIEW w; DROP VIEW t; CREATE TABLE base AS "
    "SELECT * FROM old WHERE id < 9; CREATE VIEW t AS SELECT * FROM base; CREATE VIEW w AS SELECT * FROM t",
}


def torn(system, source, change, *, snapshot=True):
    """Read the first chunk, make a change, read the last."""
    with source.snapshot() as token:
        table, chunks = plan(source, snapshot=token if snapshot else None)
        rows_of(source, table, chunks[0])
        system.run(change)
        with pytest.raises(SourceChanged, match=table.dataset.name.rpartition(".")[2]):
            rows_of(source, table, chunks[-1])


@pytest.mark.parametrize("snapshot", [True, False], ids=["joined", "not joined"])
@pytest.mark.parametrize(("made", "change"), CHANGES.values(), ids=CHANGES)
def test_postgres_table_that_is_another(pg, made, change, snapshot):  # noqa: F811
    pg.run(made)
    torn(pg, pg.source("t", chunk={"rows": 100}), change, snapshot=snapshot)


@pytest.mark.parametrize("change", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("view", ["t", "w"])
def test_postgres_view_over_another(pg, view, change):  # noqa: F811
    pg.run(VIEW)
    torn(pg, pg.source(view, chunk={"rows": 100}), change)


def test_postgres_query_over_another(pg):  # noqa: F811
    pg.run(VIEW)
    query = pg.source(query="SELECT a.id FROM w a JOIN base b ON b.id = a.id", watermark={"column": "id"})
    torn(pg, query, f"TRUNCATE base; INSERT INTO base {ROWS}")


def test_postgres_what_leaves_the_table_as_it_is(pg):  # noqa: F811
    pg.run(TABLE + ";CREATE TABLE other (id int)")
    source = pg.source("t", chunk={"rows": 100})
    with source.snapshot() as token:
        table, chunks = plan(source, snapshot=token)
        pg.run("ANALYZE t; CREATE INDEX ON t (v); ALTER TABLE t ADD c int; COMMENT ON TABLE t IS 'c'")
        pg.run("UPDATE t SET id = id + 1000; DELETE FROM t WHERE id > 1100; TRUNCATE other")
        assert sum(len(rows_of(source, table, chunk)) for chunk in chunks) == 300


def test_postgres_snapshot_of_a_table_that_is_replaced_at_once(pg):  # noqa: F811
    """What is planned is what the snapshot was taken of, or it is taken again."""
    pg.run(TABLE)
    source = pg.source("t")
    with source.snapshot() as token:
        pg.run("TRUNCATE t")
        with pytest.raises(TransientError, match="while it was planned"):
            plan(source, snapshot=token)


MARIA_ROWS = "SELECT seq AS id, 'v' AS v FROM seq_1_to_300"
MARIA = f"CREATE TABLE t (id int PRIMARY KEY, v text) AS {MARIA_ROWS}"
MARIA_PARTS = (
    "CREATE TABLE t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id) "
    "(PARTITION a VALUES LESS THAN (100), "
    f"PARTITION b VALUES LESS THAN MAXVALUE);;INSERT INTO t {MARIA_ROWS}"
)
MARIA_CHANGES = {
    "truncated": (MARIA, "TRUNCATE t"),
    "truncated and filled": (MARIA, f"TRUNCATE t;;INSERT INTO t {MARIA_ROWS}"),
    "renamed and made anew": (MARIA, f"RENAME TABLE t TO u;;{MARIA}"),
    "dropped and made anew": (MARIA, f"DROP TABLE t;;{MARIA}"),
    "exchanged": (MARIA, f"{MARIA.replace('TABLE t', 'TABLE u')};;RENAME TABLE t TO w, u TO t"),
    "a partition truncated": (MARIA_PARTS, "ALTER TABLE t TRUNCATE PARTITION b"),
    "a partition dropped": (MARIA_PARTS, "ALTER TABLE t DROP PARTITION b"),
}


@pytest.mark.parametrize(("made", "change"), MARIA_CHANGES.values(), ids=MARIA_CHANGES)
def test_mariadb_table_that_is_another(fresh_mariadb, made, change):
    maria = mysql_system(fresh_mariadb().profile)
    maria.run(made)
    torn(maria, maria.source("t", chunk={"rows": 100}), change)


def test_mariadb_table_that_is_another_for_a_user_without_process(fresh_mariadb):
    """InnoDB's table ids are hidden from it: what was made anew is told by its time, TRUNCATE is not."""
    database = fresh_mariadb()
    owner = mysql_system(database.profile)
    owner.run(f"{MARIA};;CREATE OR REPLACE USER reader_r@'%' IDENTIFIED BY 'r'")
    owner.run(f"GRANT SELECT ON {database.database}.* TO reader_r@'%'")
    reader = mysql_system({**database.profile, "user": "reader_r", "password": "r"})
    torn(owner, reader.source("t", chunk={"rows": 100}), f"RENAME TABLE t TO u;;{MARIA}")
    told = {what: detail for what, _, detail in reader.source("t").probe()}
    assert "PROCESS" in told["same table"]


def test_mariadb_what_leaves_the_table_as_it_is(fresh_mariadb):
    maria = mysql_system(fresh_mariadb().profile)
    maria.run(f"{MARIA};;CREATE TABLE other (id int)")
    source = maria.source("t", chunk={"rows": 100})
    table, chunks = plan(source)
    maria.run("ANALYZE TABLE t;;DELETE FROM t WHERE id > 290;;TRUNCATE other;;DROP TABLE other")
    assert sum(len(rows_of(source, table, chunk)) for chunk in chunks) == 290


def test_sqlite_table_that_is_another(lite):  # noqa: F811
    lite.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
    lite.run(
        "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) "
        "INSERT INTO t SELECT i, 'v' FROM n"
    )
    source = lite.source("t", chunk={"rows": 100})
    table, chunks = plan(source)
    rows_of(source, table, chunks[0])
    lite.run("ALTER TABLE t RENAME TO u")
    lite.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
    with pytest.raises(SourceChanged, match="t was truncated"):
        rows_of(source, table, chunks[-1])


def test_what_asks_nothing():
    assert not asks_something("a IN (1, 2) AND (b = 'now()' OR NOT (c > 1))")
    for where in (
        "day > now() - interval '1 day'",
        "day = CURRENT_DATE",
        "random() < 0.5",
        "a > sysdate - 1",
    ):
        assert asks_something(where)
