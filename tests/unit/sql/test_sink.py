"""Tables as targets: each chunk once, whatever dies, and every mode as promised."""

import threading

import pyarrow as pa
import pytest

from hdm import failpoints
from hdm.errors import (
    HdmError,
    LeaseLost,
    RejectedRows,
    SchemaDrift,
    TransientError,
    UnrepresentableValue,
    UsageError,
)
from hdm.model import Attempt, Condition, Mode, Payload
from hdm.sql.ledger import Ledger
from tests.unit.sql_fixtures import lite, pg, system  # noqa: F401
from tests.unit.sqlkit import JOB, move, plan


@pytest.fixture
def source(system):  # noqa: F811
    system.run("CREATE TABLE src (id integer PRIMARY KEY, v text, w integer)")
    for n in range(40):
        system.run("INSERT INTO src VALUES (?, ?, ?)", n, f"v{n}", None if n % 4 else n)
    return system.source("src", chunk={"rows": 10})


def content(system, table, columns="id, v, w"):  # noqa: F811
    return sorted(system.run(f"SELECT {columns} FROM {table}"), key=repr)


def test_append_and_the_ledger(system, source):  # noqa: F811
    sink = system.sink("dst")
    receipts = move(source, sink)
    assert content(system, "dst") == content(system, "src")
    assert sum(r.rows for r in receipts) == 40
    table, chunks = plan(source)
    assert [sink.committed(table, c, Mode.APPEND) for c in chunks] == receipts
    assert {c.chunk_id for c, _ in sink.ledger(table, JOB)} == {c.chunk_id for c in chunks}
    assert next(c for c, _ in sink.ledger(table, JOB)) in chunks
    assert list(sink.ledger(table, "f" * 32)) == []


def test_a_second_attempt_adopts(system, source):  # noqa: F811
    sink = system.sink("dst")
    move(source, sink)
    table, chunks = plan(source)
    again = sink.write(table, chunks[0], Attempt(2), source.read(table, chunks[0]), Mode.APPEND)
    assert again.adopted
    assert again.attempt == 2
    assert len(content(system, "dst")) == 40


def test_the_ledger_keeps_the_links_counts(system, source):  # noqa: F811
    sink = system.sink("dst")
    table, chunks = plan(source)
    sink.prepare(table, JOB, 1, Mode.APPEND)
    payload = source.read(table, chunks[0])
    payload.tally.extracted, payload.tally.filtered, payload.tally.digests = 13, 3, ["a" * 64]
    sink.write(table, chunks[0], Attempt(1), payload, Mode.APPEND)
    held = sink.committed(table, chunks[0], Mode.APPEND)
    assert (held.extracted, held.filtered, held.boundary_digests) == (13, 3, ("a" * 64,))


@pytest.mark.parametrize("point", ["L1", "L2", "L3", "L4"])
def test_a_death_before_commit_leaves_nothing(system, source, point, monkeypatch):  # noqa: F811
    sink = system.sink("dst")
    table, chunks = plan(source)
    sink.prepare(table, JOB, 1, Mode.APPEND)
    monkeypatch.setattr(failpoints, "_points", {point: [(1, "raise:TransientError")]})
    monkeypatch.setattr(failpoints, "_passes", {})
    with pytest.raises(TransientError):
        sink.write(table, chunks[0], Attempt(1), source.read(table, chunks[0]), Mode.APPEND)
    assert content(system, "dst") == []
    assert sink.committed(table, chunks[0], Mode.APPEND) is None
    sink.write(table, chunks[0], Attempt(2), source.read(table, chunks[0]), Mode.APPEND)
    assert len(content(system, "dst")) == 10


def test_a_death_after_commit_is_adopted(system, source, monkeypatch):  # noqa: F811
    sink = system.sink("dst")
    table, chunks = plan(source)
    sink.prepare(table, JOB, 1, Mode.APPEND)
    monkeypatch.setattr(failpoints, "_points", {"L5": [(1, "raise:TransientError")]})
    monkeypatch.setattr(failpoints, "_passes", {})
    with pytest.raises(TransientError):
        sink.write(table, chunks[0], Attempt(1), source.read(table, chunks[0]), Mode.APPEND)
    assert sink.committed(table, chunks[0], Mode.APPEND).rows == 10
    assert sink.write(table, chunks[0], Attempt(2), source.read(table, chunks[0]), Mode.APPEND).adopted


def test_a_lost_lease_commits_nothing(system, source):  # noqa: F811
    def lost():
        raise LeaseLost("another has it")

    sink = system.sink("dst")
    table, chunks = plan(source)
    sink.prepare(table, JOB, 1, Mode.APPEND)
    with pytest.raises(LeaseLost):
        sink.write(table, chunks[0], Attempt(1, check=lost), source.read(table, chunks[0]), Mode.APPEND)
    assert content(system, "dst") == []


def test_two_attempts_race_for_one_chunk(system, source):  # noqa: F811
    sink = system.sink("dst")
    table, chunks = plan(source)
    sink.prepare(table, JOB, 1, Mode.APPEND)
    started, go, results = threading.Event(), threading.Event(), []

    def slow():
        for batch in source.read(table, chunks[0]).batches():
            started.set()
            go.wait(20)
            yield batch

    def first():
        results.append(sink.write(table, chunks[0], Attempt(1), Payload(table, slow), Mode.APPEND))

    def second():
        # the same attempt number: nobody is evicted, the ledger alone must decide
        results.append(sink.write(table, chunks[0], Attempt(1), source.read(table, chunks[0]), Mode.APPEND))

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    started.wait(20)
    threads[1].start()
    threads[1].join(0.5)
    go.set()
    for thread in threads:
        thread.join(30)
    assert sorted(r.adopted for r in results) == [False, True]
    assert len(content(system, "dst")) == 10


def test_row_lineage_numbers_every_row(system, source):  # noqa: F811
    receipts = move(source, system.sink("dst", row_lineage=True))
    found = system.run("SELECT _hdm_chunk_id, _hdm_row_no FROM dst")
    assert sorted(n for _, n in found if n <= 10) == sorted([*range(1, 11)] * 4)
    assert {c for c, _ in found} == {r.chunk_id for r in receipts if r.rows}


def test_names_may_be_folded(system, source):  # noqa: F811
    folded = system.source("src").path if system.name == "sqlite" else None
    move(source, system.sink("dst" if folded else None, identifiers="upper"))
    assert len(system.run('SELECT "ID", "V" FROM ' + ("dst" if folded else '"SRC"'))) == 40


def test_two_names_that_fold_into_one_are_refused(pg):  # noqa: F811
    pg.run('CREATE TABLE src ("id" int, "ID" int)')
    with pytest.raises(UsageError, match="several columns"):
        pg.sink("dst", identifiers="lower").target(pg.source("src").describe())


# -- an existing table -------------------------------------------------------------


def test_columns_go_by_name_not_position(system, source):  # noqa: F811
    system.run("CREATE TABLE dst (w integer, extra integer DEFAULT 5, v text, id integer)")
    move(source, system.sink("dst"))
    assert content(system, "dst") == content(system, "src")
    assert system.run("SELECT DISTINCT extra FROM dst") == [(5,)]


@pytest.mark.parametrize(
    "ddl",
    [
        "id integer, v text",
        "id smallint, v text, w integer",
        "id integer, v text, w integer, must integer NOT NULL",
        "id integer, v date, w integer",
    ],
)
def test_a_table_that_cannot_take_the_rows_is_refused(system, source, ddl):  # noqa: F811
    system.run(f"CREATE TABLE dst ({ddl})")
    with pytest.raises(SchemaDrift):
        system.sink("dst").prepare(source.describe(), JOB, 1, Mode.APPEND)


def test_narrower_numbers_and_texts_are_refused(pg):  # noqa: F811
    pg.run("CREATE TABLE src (a numeric(38,18), b varchar(50), c timestamp)")
    table = pg.source("src").describe()
    for ddl in (
        "a numeric(10,2), b text, c timestamp",
        "a numeric, b date, c timestamp",
        "a numeric, b text, c timestamp(3)",
    ):
        pg.run(f"DROP TABLE IF EXISTS dst; CREATE TABLE dst ({ddl})")
        with pytest.raises(SchemaDrift):
            pg.sink("dst").prepare(table, JOB, 1, Mode.APPEND)
    pg.run("DROP TABLE dst; CREATE TABLE dst (a numeric, b text, c timestamp)")
    pg.sink("dst").prepare(table, JOB, 1, Mode.APPEND)


@pytest.mark.parametrize("value", ["abcd", "abc "])
def test_a_text_longer_than_its_column_is_refused_not_cut(pg, value):  # noqa: F811
    pg.run("CREATE TABLE src (v text)")
    pg.run("INSERT INTO src VALUES ('äöü'), (?)", value)
    pg.run("CREATE TABLE dst (v varchar(3))")
    with pytest.raises(UnrepresentableValue, match="column v"):
        move(pg.source("src"), pg.sink("dst"))
    pg.run("DELETE FROM src WHERE length(v) > 3")
    move(pg.source("src"), pg.sink("dst"), job="b" * 32)
    assert pg.run("SELECT v FROM dst") == [("äöü",)]


def test_create_false_wants_the_table(system, source):  # noqa: F811
    with pytest.raises(UsageError, match="create is false"):
        system.sink("dst", create=False).prepare(source.describe(), JOB, 1, Mode.APPEND)


def test_rows_that_the_target_refuses_are_rejected_without_their_values(pg):  # noqa: F811
    pg.run("CREATE TABLE src (id int, v text)")
    pg.run("INSERT INTO src VALUES (1, 'canary-value')")
    pg.run("CREATE TABLE dst (id int, v text CONSTRAINT short CHECK (length(v) < 3))")
    with pytest.raises(RejectedRows) as caught:
        move(pg.source("src"), pg.sink("dst"))
    assert "canary" not in str(caught.value)
    assert "short" in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_trigger_that_drops_rows_is_noticed(pg):  # noqa: F811
    pg.run("CREATE TABLE src (id int)")
    pg.run("INSERT INTO src VALUES (1), (2)")
    pg.run(
        "CREATE TABLE dst (id int); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.id = 2 THEN RETURN NULL; END IF; RETURN NEW; END $$; "
        "CREATE TRIGGER t BEFORE INSERT ON dst FOR EACH ROW EXECUTE FUNCTION f()"
    )
    with pytest.raises(RejectedRows, match="took 1 of 2"):
        move(pg.source("src"), pg.sink("dst"))
    assert pg.run("SELECT * FROM dst") == []


def test_generated_columns_are_the_targets_own(pg):  # noqa: F811
    pg.run(
        "CREATE TABLE src (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
        "g int GENERATED ALWAYS AS (id * 2) STORED)"
    )
    pg.run("INSERT INTO src DEFAULT VALUES")
    pg.run("CREATE TABLE dst (LIKE src INCLUDING ALL)")
    move(pg.source("src"), pg.sink("dst"))
    move(pg.source("src"), pg.sink("dst"), Mode.MERGE, job="b" * 32)
    assert pg.run("SELECT id, g FROM dst") == [(1, 2)]


# -- merge -------------------------------------------------------------------------


def test_merge_updates_and_inserts(system, source):  # noqa: F811
    sink = system.sink("dst")
    move(source, sink, Mode.MERGE)
    system.run("UPDATE src SET v = 'new' WHERE id < 5")
    system.run("INSERT INTO src VALUES (100, 'more', 1)")
    move(source, sink, Mode.MERGE, job="b" * 32)
    assert content(system, "dst") == content(system, "src")


def test_merge_keeps_columns_of_the_target(system, source):  # noqa: F811
    system.run("CREATE TABLE dst (id integer PRIMARY KEY, v text, w integer, note text)")
    system.run("INSERT INTO dst VALUES (1, 'old', 0, 'mine')")
    move(source, system.sink("dst"), Mode.MERGE)
    assert system.run("SELECT v, note FROM dst WHERE id = 1") == [("v1", "mine")]


def test_merge_matches_null_keys_with_null_keys(system):  # noqa: F811
    system.run("CREATE TABLE src (a integer, b integer, v text)")
    for row in ((1, None, "x"), (None, None, "y"), (1, 1, "z")):
        system.run("INSERT INTO src VALUES (?, ?, ?)", *row)
    sink = system.sink("dst", key=["a", "b"])
    move(system.source("src"), sink, Mode.MERGE)
    system.run("UPDATE src SET v = 'new'")
    move(system.source("src"), sink, Mode.MERGE, job="b" * 32)
    assert content(system, "dst", "a, b, v") == content(system, "src", "a, b, v")


def test_merge_takes_equal_rows_once_and_refuses_versions(system):  # noqa: F811
    system.run("CREATE TABLE src (a integer, v text)")
    for _ in range(3):
        system.run("INSERT INTO src VALUES (1, 'x')")
    sink = system.sink("dst", key=["a"], row_lineage=True)
    move(system.source("src"), sink, Mode.MERGE)
    assert system.run("SELECT a, v, _hdm_row_no FROM dst") == [(1, "x", 1)]
    system.run("INSERT INTO src VALUES (1, 'y')")
    with pytest.raises(RejectedRows, match="different rows with one key"):
        move(system.source("src"), sink, Mode.MERGE, job="b" * 32)


def test_merge_needs_a_key(system):  # noqa: F811
    system.run("CREATE TABLE src (a integer)")
    table = system.source("src").describe()
    with pytest.raises(UsageError, match="needs a key"):
        system.sink("dst").prepare(table, JOB, 1, Mode.MERGE)
    with pytest.raises(UsageError, match="to be the key"):
        system.sink("dst", key=["nope"]).target(table)


# -- replace -----------------------------------------------------------------------


def test_replace_shows_nothing_before_the_swap(system, source):  # noqa: F811
    system.run("CREATE TABLE dst (id integer PRIMARY KEY, v text, w integer)")
    system.run("INSERT INTO dst VALUES (999, 'old', 0)")
    sink = system.sink("dst")
    table, chunks = plan(source)
    sink.prepare(table, JOB, 1, Mode.REPLACE)
    for chunk in chunks:
        sink.write(table, chunk, Attempt(1), source.read(table, chunk), Mode.REPLACE)
    assert content(system, "dst", "id") == [(999,)]
    sink.prepare(table, JOB, 1, Mode.REPLACE)
    sink.finish(table, JOB, 1, Mode.REPLACE)
    sink.finish(table, JOB, 1, Mode.REPLACE)
    assert content(system, "dst") == content(system, "src")


@pytest.mark.parametrize("point", ["W1", "W2", "W3"])
def test_a_death_around_the_swap(system, source, point, monkeypatch):  # noqa: F811
    sink = system.sink("dst")
    move(source, sink, Mode.REPLACE)
    system.run("DELETE FROM src WHERE id > 9")
    table, chunks = plan(source)
    chunks = [c.at(epoch=2) for c in chunks]
    sink.prepare(table, JOB, 2, Mode.REPLACE)
    for chunk in chunks:
        sink.write(table, chunk, Attempt(1), source.read(table, chunk), Mode.REPLACE)
    monkeypatch.setattr(failpoints, "_points", {point: [(1, "raise:TransientError")]})
    monkeypatch.setattr(failpoints, "_passes", {})
    with pytest.raises(TransientError):
        sink.finish(table, JOB, 2, Mode.REPLACE)
    assert len(content(system, "dst")) == (10 if point == "W3" else 40)
    sink.finish(table, JOB, 2, Mode.REPLACE)
    assert content(system, "dst") == content(system, "src")


def test_a_swap_that_is_stopped_soon_lets_go_of_its_table(pg, monkeypatch):  # noqa: F811
    """Nobody could even look at it, not to say end that session."""
    pg.run("CREATE TABLE src (id int PRIMARY KEY)")
    fill, idle = Ledger.fill, []

    def asked(self, connection, receipt):
        idle.extend(self.database.run(connection, "SHOW idle_in_transaction_session_timeout"))
        fill(self, connection, receipt)

    monkeypatch.setattr(Ledger, "fill", asked)
    move(pg.source("src"), pg.sink("dst"), Mode.REPLACE)
    assert idle == [("15min",), ("30s",)]


def test_replace_by_nothing_empties_the_table(system, source):  # noqa: F811
    sink = system.sink("dst")
    move(source, sink, Mode.REPLACE)
    system.run("DELETE FROM src")
    move(source, sink, Mode.REPLACE, epoch=2)
    assert content(system, "dst") == []


def test_a_dead_epochs_table_goes_with_the_next(system, source):  # noqa: F811
    sink = system.sink("dst")
    table = source.describe()
    sink.prepare(table, JOB, 1, Mode.REPLACE)
    sink.prepare(table, JOB, 2, Mode.REPLACE)
    database = sink.database
    connection = database.connect()
    try:
        left = database.tables_like(connection, sink.target(table).path, "dst__hdm")
    finally:
        connection.close()
    assert [path[-1] for path in left] == [f"dst__hdm_{JOB[:6]}_2"]


def test_replace_keeps_indexes_grants_and_views(pg):  # noqa: F811
    pg.run("CREATE TABLE src (id int PRIMARY KEY, v text)")
    pg.run("INSERT INTO src VALUES (1, 'x')")
    pg.run("CREATE TABLE dst (id int PRIMARY KEY, v text DEFAULT 'd'); CREATE INDEX ON dst (v)")
    pg.run("DROP ROLE IF EXISTS reader; CREATE ROLE reader; GRANT SELECT ON dst TO reader")
    move(pg.source("src"), pg.sink("dst"), Mode.REPLACE)
    assert pg.run("SELECT count(*) FROM pg_indexes WHERE tablename = 'dst'") == [(2,)]
    assert pg.run("SELECT has_table_privilege('reader', 'dst', 'SELECT')") == [(True,)]
    pg.run("CREATE VIEW seen AS SELECT * FROM dst")
    pg.run("INSERT INTO src VALUES (2, 'y')")
    move(pg.source("src"), pg.sink("dst"), Mode.REPLACE, epoch=2)
    assert sorted(pg.run("SELECT * FROM seen")) == [(1, "x"), (2, "y")]
    pg.run("DROP VIEW seen; DROP OWNED BY reader; DROP ROLE reader")


def test_a_batch_that_fails_midway_closes_the_source(system, source):  # noqa: F811
    closed = []

    def batches():
        try:
            yield pa.RecordBatch.from_pylist([{"id": 1, "v": "x", "w": 1}], schema=table.schema)
            raise TransientError("cut")
        finally:
            closed.append(True)

    sink = system.sink("dst")
    table, chunks = plan(source)
    sink.prepare(table, JOB, 1, Mode.APPEND)
    with pytest.raises(HdmError, match="cut"):
        sink.write(table, chunks[0], Attempt(1), Payload(table, batches), Mode.APPEND)
    assert closed == [True]
    assert content(system, "dst") == []
    assert chunks[0].conditions[0] == Condition("id", "<=", chunks[0].conditions[0].value)
