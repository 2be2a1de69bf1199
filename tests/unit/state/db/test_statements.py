"""Hot statements: the same rows and counts as SQLAlchemy gives, errors and lost sessions included."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, bindparam, delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from hdm.errors import StateError
from hdm.state.db import upgrade as schema
from hdm.state.db.database import Database
from hdm.state.db.statements import Prepared, together
from hdm.state.db.tables import chain_head, run

NEW = Prepared(insert(run))
RUN = {
    "run_id": "r", "manifest_name": "m", "manifest_sha256": "0" * 64, "git_dirty": 0, "hdm_version": "0",
    "env": "dev", "started_by": "somebody", "host": "h", "status": "in_progress", "started_at": "2026-01-01",
}  # fmt: skip
BEGIN = Prepared(insert(chain_head))
HEAD = Prepared(select(chain_head.c.seq, chain_head.c.hash.label("digest")).where(
    chain_head.c.run_id == bindparam("run")
))  # fmt: skip
MOVE = Prepared(
    update(chain_head)
    .where(chain_head.c.run_id == bindparam("run"), chain_head.c.seq.in_((0, 1)))
    .values(seq=bindparam("to"))
)
RUNS = Prepared(select(run.c.run_id, run.c.git_sha).order_by(run.c.run_id).limit(2))


@pytest.fixture
def db(empty_url: str) -> Iterator[Database]:
    made = Database(empty_url)
    schema.check(made, create=True)
    yield made
    made.close()


def begun(conn: Connection) -> None:
    NEW.run(conn, RUN)
    BEGIN.run(conn, {"run_id": "r", "seq": 0, "hash": "a\u00e4'%s:x"})


@pytest.mark.slow
def test_rows_come_by_name_and_changes_are_counted(db: Database) -> None:
    def work(conn: Connection) -> None:
        begun(conn)
        head = HEAD.first(conn, {"run": "r"})
        assert (head.seq, head.digest) == (0, "a\u00e4'%s:x")
        assert MOVE.run(conn, {"run": "r", "to": 2}) == 1
        assert MOVE.run(conn, {"run": "r", "to": 3}) == 0, "a constant of the statement counts"
        assert HEAD.first(conn, {"run": "nobody"}) is None
        assert [tuple(row) for row in RUNS.all(conn, {})] == [("r", None)]

    db.run(work)


@pytest.mark.slow
def test_steps_go_together_in_order_and_see_each_other(db: Database) -> None:
    def work(conn: Connection) -> None:
        head = {"run_id": "r", "seq": 0, "hash": "a"}
        made, begun, seen, moved, again = together(
            conn,
            [
                (NEW, RUN),
                (BEGIN, head),
                (HEAD, {"run": "r"}),
                (MOVE, {"run": "r", "to": 2**40}),
                (HEAD, {"run": "r"}),
            ],
        )
        assert (made.touched, begun.touched, moved.touched) == (1, 1, 1)
        assert [row.seq for row in (*seen.rows, *again.rows)] == [0, 2**40]

    db.run(work)


@pytest.mark.slow
def test_what_fails_is_rolled_back_whole_and_the_connection_goes_on(db: Database) -> None:
    db.run(begun)

    def twice(conn: Connection) -> None:
        together(conn, [(MOVE, {"run": "r", "to": 1}), (NEW, RUN), (MOVE, {"run": "r", "to": 2})])

    with pytest.raises(IntegrityError), db.engine.begin() as conn:
        twice(conn)
    with pytest.raises(StateError, match="refused a change"):
        db.run(twice)
    assert db.run(lambda conn: HEAD.first(conn, {"run": "r"}).seq) == 0


@pytest.mark.slow
def test_statements_first_used_beside_one_that_fails_are_used_again(db: Database) -> None:
    """Some of them were prepared by then, some not."""
    db.run(begun)
    names = [f"s{number}" for number in range(3)]
    looks = [Prepared(select(run.c.run_id.label(name)).order_by(run.c.run_id)) for name in names]
    turns = []

    def work(conn: Connection) -> list[int]:
        turns.append(1)
        failing = [(NEW, RUN)] if len(turns) == 1 else []
        done = together(conn, [(looks[0], {}), *failing, *((look, {}) for look in looks[1:])])
        return [len(one.rows) for one in done]

    assert db.run(work) == [1, 1, 1]
    assert len(turns) == 2


@pytest.mark.slow
def test_the_last_steps_are_kept(db: Database) -> None:
    db.run(begun)
    db.run(lambda conn: together(conn, [(MOVE, {"run": "r", "to": 5})], last=True))
    assert db.read(lambda conn: HEAD.first(conn, {"run": "r"}).seq) == 5
    remove = Prepared(delete(chain_head).where(chain_head.c.run_id == bindparam("run")))
    db.run(lambda conn: remove.run(conn, {"run": "r"}))
    assert db.read(lambda conn: HEAD.first(conn, {"run": "r"})) is None


@pytest.mark.slow
def test_a_session_that_was_reset_is_taken_up_again(db: Database) -> None:
    """As a connection pooler between hdm and PostgreSQL does it."""
    db.run(begun)
    assert db.run(lambda conn: HEAD.first(conn, {"run": "r"}).seq) == 0
    if db.dialect == "postgresql":
        db.run(lambda conn: conn.execute(text("DEALLOCATE ALL")))
    assert db.run(lambda conn: HEAD.first(conn, {"run": "r"}).seq) == 0
    assert db.run(lambda conn: MOVE.run(conn, {"run": "r", "to": 1})) == 1


@pytest.mark.slow
def test_a_session_that_another_client_has_prepared_is_used_as_it_is(db: Database) -> None:
    """As a pooler gives one session to several clients: the name stands for the same text."""
    db.run(begun)
    if db.dialect == "postgresql":

        def prepare(conn: Connection) -> None:
            text_ = HEAD.compiled(conn, {"run": "r"}).text
            name = "hdm_" + hashlib.sha256(text_.encode()).hexdigest()[:32]
            conn.exec_driver_sql(f"PREPARE {name} AS {text_}")

        db.run(prepare)
    assert db.run(lambda conn: HEAD.first(conn, {"run": "r"}).seq) == 0
    assert db.run(lambda conn: MOVE.run(conn, {"run": "r", "to": 1})) == 1


@pytest.mark.slow
def test_connections_that_were_ended_are_replaced_all_at_once(db: Database) -> None:
    """One turn finds out, the next has a new one, however many there were."""
    db.run(begun)
    together_now = threading.Barrier(15)

    def hold(conn: Connection) -> int:
        together_now.wait(30)
        return int(HEAD.first(conn, {"run": "r"}).seq)

    if db.dialect == "sqlite":  # has one connection, which nobody can end
        assert db.run(lambda conn: HEAD.first(conn, {"run": "r"}).seq) == 0
        return
    with ThreadPoolExecutor(15) as threads:
        assert list(threads.map(lambda _: db.run(hold), range(15))) == [0] * 15
    other = Database(db.url)
    other.run(lambda conn: _end_all_but(conn, db.dialect))
    other.close()
    turns = []

    def again(conn: Connection) -> int:
        turns.append(1)
        return int(HEAD.first(conn, {"run": "r"}).seq)

    assert db.run(again) == 0
    assert len(turns) == 2


def _end_all_but(conn: Connection, dialect: str) -> None:
    if dialect == "postgresql":
        pids = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        conn.execute(text(pids + "AND pid <> pg_backend_pid()")).all()
        return
    mine = conn.execute(text("SELECT CONNECTION_ID()")).scalar_one()
    rows = conn.execute(text("SELECT ID FROM information_schema.PROCESSLIST WHERE DB = DATABASE()"))
    for (number,) in rows.all():
        if number != mine:
            conn.execute(text(f"KILL {int(number)}"))


@pytest.mark.slow
def test_a_limit_stands_in_postgresqls_text(db: Database) -> None:
    """As a value its plan would be made for any number of rows: for all of them, sorted."""
    newest = Prepared(
        select(run.c.run_id)
        .where(run.c.env == bindparam("env"), run.c.host == bindparam("host"))
        .order_by(run.c.run_id.desc())
        .limit(2)
    )

    def work(conn: Connection) -> None:
        begun(conn)
        for name in "abc":
            NEW.run(conn, {**RUN, "run_id": name})
        NEW.run(conn, {**RUN, "run_id": "z", "host": "elsewhere"})
        wanted = {"host": "h", "env": "dev"}
        assert [row.run_id for row in newest.all(conn, wanted)] == ["r", "c"]
        compiled = newest.compiled(conn, wanted)
        if conn.dialect.name == "postgresql":
            assert compiled.text.rstrip().endswith("LIMIT 2::INTEGER")
            assert compiled.bind(wanted) == ("dev", "h")

    db.run(work)
