"""Servers behind a proxy that refuses or loses everything for a while, in the middle of a run: nothing is
given up, nothing hangs, and a stop is a stop."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from tests.flows.kit import Place
from tests.servers.process import Database
from tests.servers.proxy import Proxy, proxy

ROWS = 600
SOON = {"HDM_SILENCE": "1", "HDM_LEASE_TTL": "6"}
KINDS = ("postgres", pytest.param("mariadb", marks=pytest.mark.long))


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest) -> Database:
    return request.getfixturevalue(f"fresh_{request.param}")()


@pytest.fixture
def between(server: Database) -> Iterator[Proxy]:
    with proxy(server.port) as made:
        yield made


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.sql("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT)")
    made.sql("INSERT INTO orders VALUES (?, ?)", [(n, f"note {n}") for n in range(ROWS)])
    return made


def is_postgres(server: Database) -> bool:
    return server.scheme.startswith("postgres")


def moving(place: Place, sink: dict[str, Any], state: dict[str, Any] | None = None) -> Place:
    """Thirty chunks, slowly: two or three seconds."""
    source = {
        "name": "src",
        "type": "SQLiteSource",
        "conf": {"env": "src", "table_name": "orders", "watermark": {"column": "id"}, "chunk": {"rows": 20}},
    }
    link = {"source": source, "sink": sink, "limits": {"rows_per_second": ROWS // 3}}
    place.manifest = {"version": 1, "declared_data_links": {"stages": [link]}}
    if state is not None:
        place.manifest["state_manager"] = state
    return place.write()


def far_target(place: Place, server: Database, between: Proxy) -> Place:
    place.profiles["far"] = {**server.profile, "port": between.port}
    kind = "PostgresSink" if is_postgres(server) else "MySQLSink"
    table = "public.orders" if is_postgres(server) else "orders"
    return moving(place, {"name": "far", "type": kind, "conf": {"env": "far", "table_name": table}})


def far_state(place: Place, server: Database, between: Proxy) -> Place:
    place.profiles["state"] = {**server.profile, "port": between.port}
    kind = "PostgresStateManager" if is_postgres(server) else "MySQLStateManager"
    sink = {"name": "dst", "type": "SQLiteSink", "conf": {"env": "dst", "table_name": "orders"}}
    return moving(place, sink, {"type": kind, "connection": "state"})


def ask(server: Database, sql: str) -> Any:
    if is_postgres(server):
        with psycopg.connect(server.dsn) as connection:
            return connection.execute(sql.encode()).fetchone()[0]
    with (
        contextlib.closing(
            pymysql.connect(
                host=server.host,
                port=server.port,
                user=server.user,
                password=server.password,
                database=server.database,
            )
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)
        return cursor.fetchone()[0]


def some_came(server: Database) -> bool:
    with contextlib.suppress(psycopg.Error, pymysql.Error):
        return bool(ask(server, "SELECT COUNT(*) FROM orders") >= 60)
    return False


def said(place: Place) -> str:
    return (place.folder / "out.txt").read_text()


def end(process: subprocess.Popen[str]) -> int:
    try:
        return process.wait(150)
    finally:
        process.kill()
        process.wait()


def refuse(between: Proxy) -> Callable[[], None]:
    between.refuse()
    return between.allow


def swallow(between: Proxy) -> Callable[[], None]:
    between.swallow()
    return lambda: between.swallow(False)


@pytest.mark.parametrize("outage", [refuse, swallow])
def test_a_target_that_is_away_for_a_while_loses_and_doubles_nothing(place, server, between, outage):
    run = far_target(place, server, between).start("run", **SOON)
    assert place.until(lambda: some_came(server))
    back = outage(between)
    time.sleep(2.5)
    back()
    assert (end(run), ask(server, "SELECT COUNT(*) FROM orders")) == (0, ROWS), said(place)
    assert ask(server, "SELECT COUNT(DISTINCT id) FROM orders") == ROWS
    assert place.state("SELECT COUNT(*) FROM hdm_chunk WHERE status <> 'verified'") == [(0,)]
    assert len(said(place).splitlines()) < 12, said(place)
    if outage is refuse:
        assert f"target far at 127.0.0.1:{between.port} away for " in said(place)


def test_a_target_that_stays_away_ends_the_run_and_the_next_one_goes_on(place, server, between):
    run = far_target(place, server, between).start("run", "--max-wait", "1.5", **SOON)
    assert place.until(lambda: some_came(server))
    between.refuse()
    assert end(run) == 1
    assert f"target far at 127.0.0.1:{between.port} was away" in said(place)
    assert place.state("SELECT COUNT(*), MAX(failures) FROM hdm_chunk WHERE status = 'dead'") == [(0, None)]
    between.allow()
    assert end(place.start("run", **SOON)) == 0
    assert ask(server, "SELECT COUNT(*) FROM orders") == ROWS


@pytest.mark.parametrize("outage", [refuse, swallow])
def test_a_state_database_that_is_away_for_a_while_is_waited_for(place, server, between, outage):
    run = far_state(place, server, between).start("run", **SOON)
    assert place.until(lambda: place.target.exists() and len(place.rows("orders")) >= 60)
    back = outage(between)
    time.sleep(2.5)
    back()
    assert (end(run), len(place.rows("orders"))) == (0, ROWS), said(place)
    assert len(said(place).splitlines()) < 12, said(place)


def test_a_state_database_that_stays_away_ends_the_run_with_3_in_a_line(place, server, between):
    run = far_state(place, server, between).start("run", "--max-wait", "1", **SOON)
    assert place.until(lambda: place.target.exists() and len(place.rows("orders")) >= 60)
    between.refuse()
    assert end(run) == 3, said(place)
    lines = [line for line in said(place).splitlines() if "state database" in line]
    assert len(lines) <= 2 and lines[-1].startswith("hdm: the state database could not be used for 1 s"), (
        lines
    )


@pytest.mark.parametrize("what", [far_target, far_state], ids=["target", "state"])
def test_a_stop_ends_a_run_that_hangs(place, server, between, what):
    what(place, server, between)
    run = place.start("run", HDM_DRAIN="2", HDM_SILENCE="600")
    came = (
        (lambda: some_came(server))
        if what is far_target
        else lambda: place.target.exists() and len(place.rows("orders")) >= 60
    )
    assert place.until(came)
    between.swallow()
    time.sleep(0.5)
    run.send_signal(signal.SIGTERM)
    assert end(run) == 143
    assert "did not stop within 2 s" in said(place)
    between.swallow(False)
    assert end(place.start("run", HDM_LEASE_TTL="3")) == 0, said(place)
    rows = ask(server, "SELECT COUNT(*) FROM orders") if what is far_target else len(place.rows("orders"))
    assert rows == ROWS


def test_a_state_database_that_is_full_ends_the_run_with_3(place, fresh_postgres):
    """Its file may not grow: the kernel refuses to write beyond a size."""
    server = fresh_postgres()
    with proxy(server.port) as between:
        far_target(place, server, between)
        assert place.hdm("plan").code == 0
        script = "import sys; from hdm.cli import main; main(sys.argv[1:])"
        limited = (
            "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
            "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY)); "
        )
        run = place.python(["-c", limited + script, "run", *place.args, "--max-wait", "1"])
        assert end(run) == 3, said(place)
    assert len(said(place).splitlines()) < 6, said(place)
