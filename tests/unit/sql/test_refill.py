"""Mode ``replace`` on real servers: what hangs on a table stays, or the table is refused and left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from hdm.errors import HdmError, RejectedRows, UsageError
from hdm.model import Mode
from hdm.sql import refill
from tests.unit.sql_fixtures import lite, pg, system  # noqa: F401
from tests.unit.sqlkit import System, move, postgres_system

KEPT = """
SELECT c.relrowsecurity, c.relforcerowsecurity, c.reloptions::text, c.relreplident, c.relowner::regrole::text,
  c.relacl::text, obj_description(c.oid), c.oid,
  (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid),
  (SELECT string_agg(tgname, ',' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal),
  (SELECT count(*) FROM pg_publication_rel WHERE prrelid = c.oid),
  (SELECT string_agg(i.indexrelid::regclass::text, ',' ORDER BY 1) FROM pg_index i WHERE indrelid = c.oid),
  (SELECT count(*) FROM pg_statistic_ext WHERE stxrelid = c.oid),
  (SELECT string_agg(attname || attacl::text, ',') FROM pg_attribute
    WHERE attrelid = c.oid AND attacl IS NOT NULL),
  (SELECT string_agg(conname, ',' ORDER BY conname) FROM pg_constraint WHERE c.oid IN (conrelid, confrelid)),
  pg_get_serial_sequence('dst', 'id')
FROM pg_class c WHERE c.oid = 'dst'::regclass
"""
HANGS = {
    "a policy": "ALTER TABLE dst ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON dst USING (id = 1)",
    "an owner": "ALTER TABLE dst OWNER TO keeper",
    "a grant": "GRANT SELECT ON dst TO keeper",
    "a grant on a column": "GRANT SELECT (v) ON dst TO keeper",
    "a trigger": "CREATE FUNCTION tr() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
    " CREATE TRIGGER noted AFTER INSERT ON dst FOR EACH ROW EXECUTE FUNCTION tr()",
    "a publication": "CREATE PUBLICATION pub FOR TABLE dst",
    "a comment": "COMMENT ON TABLE dst IS 'who may see what'",
    "storage": "ALTER TABLE dst SET (fillfactor = 70)",
    "an identity": "ALTER TABLE dst REPLICA IDENTITY FULL",
    "statistics": "CREATE STATISTICS st ON id, v FROM dst",
    "an index": "CREATE INDEX by_v ON dst (v)",
    "a unique key": "ALTER TABLE dst ADD CONSTRAINT one UNIQUE (v)",
    "a key of its own": "CREATE TABLE far (v text PRIMARY KEY); INSERT INTO far VALUES ('a'), ('b');"
    " ALTER TABLE dst ADD CONSTRAINT out FOREIGN KEY (v) REFERENCES far",
    "a sequence": "CREATE SEQUENCE counter OWNED BY dst.id",
    "a view": "CREATE VIEW seen AS SELECT * FROM dst",
    "a function of its rows": "CREATE FUNCTION f(dst) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "nothing": "SELECT 1",
}


@pytest.fixture
def table(pg: System) -> System:  # noqa: F811
    pg.run("DO $$ BEGIN CREATE ROLE keeper; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    pg.run("CREATE TABLE src (id int PRIMARY KEY, v text); INSERT INTO src VALUES (1, 'a'), (2, 'b')")
    pg.run("CREATE TABLE dst (id int PRIMARY KEY, v text CHECK (v <> '') DEFAULT 'd')")
    pg.run("INSERT INTO dst VALUES (7, 'a'), (2, 'b')")
    return pg


@pytest.mark.parametrize("what", HANGS)
def test_postgres_keeps_what_hangs_on_a_table(table: System, what: str) -> None:
    table.run(HANGS[what].replace("('a'), ('b')", "('a'), ('b'), ('c')"))
    before = table.run(KEPT)
    for epoch in (1, 2):
        move(table.source("src"), table.sink("dst"), Mode.REPLACE, epoch=epoch)
        assert sorted(table.run("SELECT id, v FROM dst")) == [(1, "a"), (2, "b")]
    after = table.run(KEPT)
    assert (before[0][7] == after[0][7]) is (what != "nothing")
    assert [x for n, x in enumerate(before[0]) if n != 7] == [x for n, x in enumerate(after[0]) if n != 7]
    assert table.run("SELECT count(*) FROM pg_class WHERE relname LIKE 'dst\\_\\_hdm%'") == [(0,)]


def test_a_role_sees_at_no_time_what_its_policy_hides(table: System) -> None:
    table.run("GRANT USAGE ON SCHEMA public TO keeper; GRANT SELECT ON dst TO keeper")
    table.run("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO keeper")
    table.run(HANGS["a policy"])
    sink, seen = table.sink("dst"), []
    swap = type(sink.database).swap

    def watched(self: Any, connection: Any, target: Any, new: Any, old: Any) -> None:
        seen.extend(table.run(f"SELECT has_table_privilege('keeper', '{new[-1]}', 'SELECT')"))
        swap(self, connection, target, new, old)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(sink.database), "swap", watched)
        move(table.source("src"), sink, Mode.REPLACE)
    assert seen == [(False,)]
    table.run("ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM keeper")
    connection = table.connect()
    connection.execute("SET ROLE keeper")
    assert connection.execute("SELECT id FROM dst").fetchall() == [(1,)]
    connection.close()


@pytest.mark.parametrize("rule", ["NO ACTION", "RESTRICT", "CASCADE", "SET NULL"])
def test_rows_that_refer_to_a_replaced_table_stay(table: System, rule: str) -> None:
    table.run(
        f"CREATE TABLE child (id int PRIMARY KEY, dst int CONSTRAINT up REFERENCES dst ON DELETE {rule});"
        " INSERT INTO child VALUES (1, 2), (2, NULL)"
    )
    move(table.source("src"), table.sink("dst"), Mode.REPLACE)
    assert sorted(table.run("SELECT id, v FROM dst")) == [(1, "a"), (2, "b")]
    assert sorted(table.run("SELECT id, dst FROM child"), key=str) == [(1, 2), (2, None)]
    table.run("DELETE FROM src WHERE id = 2")
    with pytest.raises(RejectedRows, match=r"1 rows of public.child refer .* \(up\)"):
        move(table.source("src"), table.sink("dst"), Mode.REPLACE, epoch=2)
    assert sorted(table.run("SELECT id, v FROM dst")) == [(1, "a"), (2, "b")]
    assert sorted(table.run("SELECT id, dst FROM child"), key=str) == [(1, 2), (2, None)]


def test_what_cannot_be_replaced_is_refused_by_name(
    table: System, fresh_postgres: Callable[..., Any]
) -> None:
    sink, source = table.sink, table.source("src").describe()
    table.run("CREATE VIEW seen AS SELECT * FROM dst; CREATE TABLE heir () INHERITS (dst)")
    table.run("CREATE TABLE ruled (id int PRIMARY KEY, v text)")
    table.run("CREATE RULE quiet AS ON DELETE TO ruled DO INSTEAD NOTHING")
    for name, why in (("seen", "it is a view"), ("dst", "other tables inherit"), ("ruled", "rules: quiet")):
        with pytest.raises(UsageError, match=why):
            sink(name).accepts(source, Mode.REPLACE)
        sink(name).accepts(source, Mode.APPEND)


def test_a_trigger_that_drops_rows_leaves_the_table_as_it_was(table: System) -> None:
    table.run(
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN IF NEW.id = 1 THEN RETURN NULL; END IF; RETURN NEW; END';"
        " CREATE TRIGGER no BEFORE INSERT ON dst FOR EACH ROW EXECUTE FUNCTION no()"
    )
    with pytest.raises(RejectedRows, match="holds 1 rows after it was given 2"):
        move(table.source("src"), table.sink("dst"), Mode.REPLACE)
    assert sorted(table.run("SELECT id FROM dst")) == [(2,), (7,)]


def test_partitions_and_an_identity_stay(table: System) -> None:
    table.run(
        "DROP TABLE dst; CREATE TABLE dst (id int, v text) PARTITION BY RANGE (id);"
        " CREATE TABLE low PARTITION OF dst FOR VALUES FROM (0) TO (2);"
        " CREATE TABLE high PARTITION OF dst FOR VALUES FROM (2) TO (9)"
    )
    for epoch in (1, 2):
        move(table.source("src"), table.sink("dst"), Mode.REPLACE, epoch=epoch)
        assert table.run("SELECT id FROM low") == [(1,)]
        assert table.run("SELECT id FROM high") == [(2,)]
    table.run("CREATE TABLE numbered (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text)")
    for epoch in (3, 4):
        move(table.source("src"), table.sink("numbered"), Mode.REPLACE, epoch=epoch)
        assert sorted(table.run("SELECT id, v FROM numbered")) == [(1, "a"), (2, "b")]
    assert table.run(
        "SELECT attidentity::text FROM pg_attribute WHERE attrelid = 'numbered'::regclass AND attnum = 1"
    ) == [("a",)]


def test_sqlite_leaves_no_row_that_refers_to_none(lite: System) -> None:  # noqa: F811
    lite.run("CREATE TABLE src (id integer PRIMARY KEY)")
    lite.run("INSERT INTO src VALUES (1)")
    lite.run("CREATE TABLE dst (id integer PRIMARY KEY)")
    lite.run("INSERT INTO dst VALUES (1), (2)")
    lite.run("CREATE TABLE child (dst integer REFERENCES dst)")
    lite.run("INSERT INTO child VALUES (2)")
    with pytest.raises(HdmError, match="1 rows of child refer to rows"):
        move(lite.source("src"), lite.sink("dst"), Mode.REPLACE)
    assert lite.run("SELECT id FROM dst") == [(1,), (2,)]
    lite.run("UPDATE child SET dst = 1")
    move(lite.source("src"), lite.sink("dst"), Mode.REPLACE, epoch=2)
    assert lite.run("SELECT id FROM dst") == [(1,)]


def test_no_one_else_writes_while_a_table_is_refilled(table: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row written between the DELETE and the count would stay in a table that is called replaced."""
    table.run(HANGS["a grant"])
    counted, tried = refill._count, []

    def count(*words: Any) -> int:
        connection = table.connect()
        connection.execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            connection.execute("INSERT INTO dst VALUES (99, 'x')")
        connection.close()
        tried.append(words)
        return counted(*words)

    monkeypatch.setattr(refill, "_count", count)
    move(table.source("src"), table.sink("dst"), Mode.REPLACE)
    assert tried
    assert sorted(table.run("SELECT id, v FROM dst")) == [(1, "a"), (2, "b")]


def test_rows_without_a_key_arrive_where_others_refer_to_the_key(table: System) -> None:
    table.run("ALTER TABLE src DROP CONSTRAINT src_pkey; ALTER TABLE src ALTER id DROP NOT NULL")
    table.run("INSERT INTO src VALUES (NULL, 'c'), (NULL, 'd')")
    table.run("DROP TABLE dst; CREATE TABLE dst (id int UNIQUE, v text); INSERT INTO dst VALUES (2, 'old')")
    table.run("CREATE TABLE child (dst int REFERENCES dst (id) ON DELETE CASCADE)")
    table.run("INSERT INTO child VALUES (2)")
    for epoch in (1, 2):
        move(table.source("src"), table.sink("dst"), Mode.REPLACE, epoch=epoch)
        found = table.run("SELECT id, v FROM dst ORDER BY v")
        assert found == [(1, "a"), (2, "b"), (None, "c"), (None, "d")]
    assert table.run("SELECT dst FROM child") == [(2,)]


def test_generated_columns_are_made_by_the_server(table: System) -> None:
    table.run("ALTER TABLE dst ADD twice int GENERATED ALWAYS AS (id * 2) STORED")
    table.run(HANGS["a grant"])
    for epoch in (1, 2):
        move(table.source("src"), table.sink("dst"), Mode.REPLACE, epoch=epoch)
        assert sorted(table.run("SELECT id, v, twice FROM dst")) == [(1, "a", 2), (2, "b", 4)]


def test_a_policy_that_hides_rows_from_this_user_stops_the_refill_by_name(
    table: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused before; this is the session's own setting, for a policy that comes in between."""
    table.run("DO $$ BEGIN CREATE ROLE filler LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    table.run("GRANT CREATE, USAGE ON SCHEMA public TO filler; GRANT SELECT ON src TO filler")
    table.run("ALTER TABLE dst OWNER TO filler; ALTER TABLE dst ENABLE ROW LEVEL SECURITY")
    table.run(
        "ALTER TABLE dst FORCE ROW LEVEL SECURITY; CREATE POLICY mine ON dst USING (id = 2) WITH CHECK (true)"
    )
    own = table.connect()
    filler = postgres_system(make_conninfo(own.info.dsn, user="filler", password=own.info.password))
    own.close()
    sink = filler.sink("dst")
    monkeypatch.setattr(type(sink.database), "unreplaceable", lambda *words: [])
    with pytest.raises(HdmError, match="row-level security"):
        move(table.source("src"), sink, Mode.REPLACE)
    assert sorted(table.run("SELECT id FROM dst")) == [(2,), (7,)]
