"""Migrations: equal to the models, safe to run at once, safe to break off, never downwards."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from multiprocessing.queues import Queue
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

import hdm
from hdm import _version
from hdm.errors import HdmError, SchemaOutOfDate
from hdm.state import StateManager
from hdm.state.db import upgrade as schema
from hdm.state.db.database import Database
from hdm.state.db.legacy_view import COLUMNS
from hdm.state.db.tables import metadata, schema_history
from tests.runner import schemas


@pytest.mark.slow
def test_models_and_migrations_are_equal(empty_url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    assert schema.upgrade(empty_url) == (None, schema.REVISIONS[-1])
    assert schema.upgrade(empty_url) == (schema.REVISIONS[-1], schema.REVISIONS[-1])
    db = Database(empty_url)
    try:
        with db.exclusive() as conn:
            options = {"version_table": schema.VERSION_TABLE, "compare_server_default": True}
            context = MigrationContext.configure(conn, opts=options)
            assert compare_metadata(context, metadata) == []
    finally:
        db.close()


def test_every_revision_is_known_to_the_code() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(schema.migrations()))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    assert tuple(one.revision for one in scripts.walk_revisions())[::-1] == schema.REVISIONS
    assert list(scripts.get_heads()) == [schema.REVISIONS[-1]]


def test_the_scripts_are_found_in_the_wheel_and_in_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = Path(hdm.__file__).parent.parent / "migrations"
    assert schema.migrations() == checkout
    package = tmp_path / "hdm"
    (package / "_migrations").mkdir(parents=True)
    monkeypatch.setattr(_version, "__file__", str(package / "_version.py"))
    assert schema.migrations() == package / "_migrations"


@pytest.mark.slow
def test_the_view_has_the_originals_columns(empty_url: str) -> None:
    with StateManager.open(empty_url) as store:
        found = store._base.db.read(
            lambda conn: [c["name"] for c in inspect(conn).get_columns("state_manager")]
        )
    assert tuple(found) == COLUMNS
    assert len(COLUMNS) == 26


@pytest.mark.slow
def test_the_upgrade_is_on_record(empty_url: str) -> None:
    with StateManager.open(empty_url) as store:
        rows = store._base.db.read(
            lambda conn: conn.execute(text("SELECT version, sha256 FROM hdm_schema_history ORDER BY 1")).all()
        )
    assert [(row[0], len(row[1])) for row in rows] == [(one, 64) for one in schema.REVISIONS]


@pytest.mark.slow
def test_a_database_of_the_first_version_is_brought_up_to_date(empty_url: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(schema.migrations()))
    config.set_main_option("path_separator", "os")
    db = Database(empty_url)
    try:
        with db.exclusive() as conn:
            config.attributes["connection"] = conn
            command.upgrade(config, "0001")
            schema._record(conn, "0001")
        with pytest.raises(SchemaOutOfDate, match=f"has schema 0001, this hdm needs {schema.REVISIONS[-1]}"):
            StateManager.open(empty_url)
        assert {"ix_chunk_expiry", "ix_chunk_owner", "ix_chunk_order"} < _indexes(db)
        assert schema.upgrade(db) == ("0001", schema.REVISIONS[-1])
        chunk = metadata.tables["hdm_chunk"]
        assert {one.name for one in chunk.indexes} == {n for n in _indexes(db) if n.startswith("ix_")}
    finally:
        db.close()


def _indexes(db: Database) -> set[str]:
    return db.read(lambda conn: {str(one["name"]) for one in inspect(conn).get_indexes("hdm_chunk")})


def test_an_empty_database_is_left_alone_unless_asked(empty_url: str) -> None:
    with pytest.raises(SchemaOutOfDate, match="is empty") as caught:
        StateManager.open(empty_url, create=False)
    assert caught.value.hint == "run: hdm state upgrade"
    db = Database(empty_url)
    assert db.read(schema.tables) == set()
    db.close()


@pytest.mark.parametrize("change", ["open", "upgrade"])
@pytest.mark.slow
def test_a_newer_schema_is_refused(tmp_path: Path, change: str) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    with StateManager.open(url) as store:
        store._base.db.run(
            lambda conn: conn.execute(text("UPDATE hdm_schema_version SET version_num = '9999'"))
        )
    with pytest.raises(SchemaOutOfDate, match="9999"):
        StateManager.open(url) if change == "open" else schema.upgrade(url)


@pytest.mark.slow
def test_an_older_schema_is_not_upgraded_behind_the_operators_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    StateManager.open(url).close()
    monkeypatch.setattr(schema, "REVISIONS", (*schema.REVISIONS, "9999"))
    with pytest.raises(SchemaOutOfDate, match="needs 9999"):
        StateManager.open(url)


def _upgrade(url: str, start: object, found: Queue[object]) -> None:
    start.wait()  # type: ignore[attr-defined]
    try:
        found.put(schema.upgrade(url))
    except HdmError as error:
        found.put(repr(error))


@pytest.mark.slow
def test_five_processes_may_upgrade_at_once(empty_url: str) -> None:
    fork = multiprocessing.get_context("fork")  # what must be apart is the connection, not the interpreter
    found: Queue[object] = fork.Queue()
    start = fork.Barrier(5)
    workers = [fork.Process(target=_upgrade, args=(empty_url, start, found)) for _ in range(5)]
    for one in workers:
        one.start()
    results = sorted(str(found.get(timeout=120)) for _ in workers)
    for one in workers:
        one.join(60)
    head = schema.REVISIONS[-1]
    assert results == [f"('{head}', '{head}')"] * 4 + [f"(None, '{head}')"]


@pytest.mark.parametrize("again", ["upgrade", "open"])
@pytest.mark.parametrize("point", ["M1", "M2"])
@pytest.mark.slow
def test_a_killed_upgrade_is_done_again(empty_url: str, point: str, again: str) -> None:
    code = f"from hdm.state.db import upgrade as schema; schema.upgrade({empty_url!r})"
    environ = {**os.environ, "HDM_FAILPOINT": f"{point}:1:kill", "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", code], env=environ, check=False)
    assert killed.returncode == -signal.SIGKILL
    if again == "open":  # as the next run does
        StateManager.open(empty_url).close()
    else:
        before, after = schema.upgrade(empty_url)
        # MySQL ends the transaction of a revision with the first DDL statement of the next.
        assert before in (None, *schema.REVISIONS[:-1]) and after == schema.REVISIONS[-1]
    db = Database(empty_url)
    assert schema.version(db) == schema.REVISIONS[-1]
    names = db.read(schema.tables)
    db.close()
    assert {one.name for one in metadata.sorted_tables} <= names


def test_the_state_that_tests_copy_is_what_alembic_makes(tmp_path):
    def made(name, run):
        db = Database(f"sqlite:///{tmp_path}/{name}.db")
        with db.exclusive() as conn:
            run(conn)
        found = db.read(lambda conn: conn.exec_driver_sql("SELECT type, name, sql FROM sqlite_master").all())
        rows = {
            table: db.read(lambda conn, table=table: conn.exec_driver_sql(f"SELECT * FROM {table}").all())
            for table in db.read(schema.tables)
        }
        rows[schema_history.name] = [(version, sha) for version, sha, *_ in rows[schema_history.name]]
        db.close()
        return {*found}, rows

    made("first", schemas._run)
    assert made("copied", schemas._run) == made("real", schemas._by_alembic)
