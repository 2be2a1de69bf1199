"""Connections: where SQLite may lie, what errors become, and that nothing leaks."""

from __future__ import annotations

import gc
import os
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from hdm.errors import MissingDriver, StateError, StateUnavailable, UsageError
from hdm.state import StateManager, redaction
from hdm.state.chunks import commit_effects
from hdm.state.db import connect_args, sqlite_file
from hdm.state.db import database as engine
from hdm.state.db.database import Database
from tests.unit.state.conftest import World, receipt_of


@pytest.mark.slow
def test_sqlite_is_private_durable_and_waits(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.db"
    with StateManager.open(str(path)) as store:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        pragmas = {
            name: store._base.db.read(lambda conn, n=name: conn.execute(text(f"PRAGMA {n}")).scalar())
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 30000, "foreign_keys": 1}


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_network_file_systems_are_refused(tmp_path: Path, kind: str) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/x / ext4 rw 0 0\nserver:/x {tmp_path} {kind} rw 0 0\nbroken\n")
    with pytest.raises(StateError, match="network file system"):
        sqlite_file.prepare(tmp_path / "s.db", mounts)
    assert not (tmp_path / "s.db").exists()
    sqlite_file.prepare(tmp_path / "s.db", tmp_path / "nothing")


def test_the_innermost_mount_decides(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"server:/x {tmp_path} nfs rw 0 0\n/dev/y {tmp_path}/a\\040b ext4 rw 0 0\n")
    assert sqlite_file.filesystem(tmp_path / "a b" / "s.db", mounts) == "ext4"
    assert sqlite_file.filesystem(tmp_path / "s.db", mounts) == "nfs"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"cannot be opened"):
        StateManager.open(str(tmp_path / "file" / "s.db"))


def test_a_server_that_is_not_there() -> None:
    for url in ("postgresql://u:hunter2@127.0.0.1:1/d", "mysql://u:hunter2@127.0.0.1:1/d"):
        with pytest.raises(StateUnavailable) as caught:
            StateManager.open(url)
        assert "hunter2" not in str(caught.value)
        assert caught.value.exit_code == 3


def test_a_wrong_kind_of_database() -> None:
    with pytest.raises(UsageError, match="oracle"):
        StateManager.open("oracle://u@h/d")


def test_a_missing_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*args: Any, **kw: Any) -> Any:
        raise ModuleNotFoundError("No module named 'psycopg'", name="psycopg")

    monkeypatch.setattr(engine, "create_engine", absent)
    with pytest.raises(MissingDriver) as caught:
        StateManager.open("postgresql://h/d")
    assert caught.value.hint == "pip install 'hdm[postgres]'"


class _Deadlock(Exception):
    sqlstate = "40P01"


@pytest.mark.parametrize(
    ("origin", "again"),
    [
        (_Deadlock("deadlock detected"), True),
        (Exception(1213, "Deadlock found"), True),
        (Exception(1205, "Lock wait timeout"), True),
        (Exception("database is locked"), True),
        (Exception(1146, "no such table 'x'"), False),
    ],
)
@pytest.mark.slow
def test_what_is_tried_again(world: World, origin: Exception, again: bool) -> None:
    turns = []

    def work(conn: Connection) -> int:
        turns.append(1)
        if len(turns) < 3:
            raise OperationalError("UPDATE secret", {"password": "hunter2"}, origin, hide_parameters=True)
        return len(turns)

    if again:
        assert world.store._base.db.run(work) == 3
    else:
        with pytest.raises(StateError) as caught:
            world.store._base.db.run(work)
        assert len(turns) == 1
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text_", "masked"),
    [
        ("x postgres://u:pw@h/d y", "x postgres://u:***@h/d y"),
        ("password=abc, user=u", "password=***, user=u"),
        ("PWD={a;b};UID=x", "PWD=***;UID=x"),
        ('{"secret": "abc def"}', '{"secret": ***}'),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_secrets_are_masked(text_: str, masked: str) -> None:
    assert redaction.redact(text_) == masked


def test_what_a_profile_holds_is_masked(world: World) -> None:
    from hdm.config import secrets

    secrets.remember("canary-7319")
    job = world.planned(1)
    world.store.chunks.fail(world.claim(), StateError("told canary-7319"), retry_in=None, phase="canary-7319")
    rows = str(world.store.operators.dead(job_id=job.job_id)) + str(world.store.runs.events(world.run))
    assert "told ***" in rows
    assert "canary-7319" not in rows


def test_a_masked_payload_stays_json(world: World) -> None:
    import json

    lease = None
    world.planned(1)
    lease = world.claim()
    world.store.chunks.fail(lease, StateError("x"), retry_in=None, phase='password="a b" token=c')
    for row in world.store.runs.events(world.run):
        json.loads(row["payload"])
    assert json.loads(world.store.operators.dead(run_id=world.run)[0]["context"])["attempt"] == 1


def test_an_error_of_the_system_keeps_its_reason() -> None:
    assert (
        redaction.scrub(OSError(28, "No space left on device", "/secret/path")) == "No space left on device"
    )
    assert redaction.scrub(ValueError()) == "ValueError"


@pytest.mark.parametrize("leaves", ["unused", "closed"])
@pytest.mark.slow
def test_a_child_that_drops_the_database_leaves_the_parents_transaction_alone(
    empty_url: str, leaves: str
) -> None:
    db, other = Database(empty_url), Database(empty_url)
    other.run(lambda conn: conn.exec_driver_sql("CREATE TABLE t (a INTEGER)"))
    db.run(lambda conn: conn.exec_driver_sql("SELECT 1").all())
    claim_next, dropped = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.read(claim_next[0], 1)
        if leaves == "closed":
            db.close()
        del db
        gc.collect()
        os.write(dropped[1], b"x")
        os._exit(0)

    def work(conn: Connection) -> None:
        conn.exec_driver_sql("INSERT INTO t VALUES (1)")
        os.write(claim_next[1], b"x")
        os.read(dropped[0], 1)
        conn.exec_driver_sql("INSERT INTO t VALUES (2)")

    db.run(work)
    os.waitpid(child, 0)
    assert other.read(lambda conn: conn.exec_driver_sql("SELECT a FROM t ORDER BY a").all()) == [(1,), (2,)]
    db.close()
    other.close()


def test_many_writers_at_once_leave_few_connections_and_lock_nobody_out(empty_url: str) -> None:
    db = Database(empty_url)
    if db.dialect == "sqlite":  # has one connection, which everybody waits for
        assert db.run(lambda conn: conn.exec_driver_sql("SELECT 1").scalar()) == 1
        return
    at_once = threading.Barrier(30)

    def work(conn: Connection) -> int:
        at_once.wait(60)
        return int(conn.exec_driver_sql("SELECT 1").scalar_one())

    with ThreadPoolExecutor(30) as threads:
        assert sum(threads.map(lambda _: db.run(work), range(30))) == 30
    assert db._kept is not None and len(db._kept) == 8
    db.engine.pool._timeout = 0.1  # type: ignore[attr-defined]
    taken = [db.engine.connect() for _ in range(64 - 8)]
    with pytest.raises(StateUnavailable, match="all in use"):
        db.read(lambda conn: None)
    for one in taken:
        one.close()
    db.close()


def test_a_database_that_is_closed_leaves_nothing_behind(empty_url: str) -> None:
    for _ in range(2):
        db = Database(empty_url)
        db.run(lambda conn: conn.exec_driver_sql("SELECT 1").all())
        kept = db._kept
        assert kept is None or kept in engine._orphans, "while it is open, it outlives its owner"
        db.close()
        assert kept is None or kept not in engine._orphans


def test_commits_of_two_runs_see_each_other_whatever_the_servers_default_is(
    postgres_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pooler may drop the options with which hdm connects."""
    url = postgres_server.fresh().url
    monkeypatch.setattr(connect_args, "_PG_OPTIONS", "-c default_transaction_isolation=serializable")
    with StateManager.open(url) as one, StateManager.open(url) as two:
        first = World(one)
        second = World(two, key=first.key)
        job = first.planned(2)
        two.jobs.open(second.run, second.info())
        leases = first.claim(), second.claim()
        began, apply_effects = threading.Event(), commit_effects.apply_commit_effects

        def slow(tx: Any, *rest: Any) -> None:
            if tx.run_id == first.run:
                began.set()
                time.sleep(0.5)
            apply_effects(tx, *rest)

        monkeypatch.setattr(commit_effects, "apply_commit_effects", slow)
        thread = threading.Thread(target=lambda: one.chunks.commit(leases[0], receipt_of(leases[0])))
        thread.start()
        assert began.wait(30)
        two.chunks.commit(leases[1], receipt_of(leases[1]))
        thread.join()
        reached = one.watermarks.current(job.pipeline_key)
        assert reached is not None and reached.value == "19"
