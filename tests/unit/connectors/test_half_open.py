"""A connection that nobody answers on any more ends, however it was lost; one that works may take long."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest
from sqlalchemy import text

from hdm.components import silence
from hdm.connectors.mysql import MySQLDatabase, MySQLProfile
from hdm.connectors.postgres import PostgresDatabase, PostgresProfile
from hdm.errors import ConnectionLost, HdmError, TransientError
from hdm.model import Column, Kind
from hdm.sql import Database
from hdm.state.db.database import Database as State
from tests.servers.proxy import Proxy, proxy

SYSTEMS = ("postgres", "mariadb")
COLUMNS = (Column("id", Kind.INT64, pa.int64(), False, "bigint"),)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HDM_SILENCE", "0.6")
    monkeypatch.setattr(silence, "_ASKING", 0.5)


@pytest.fixture(params=SYSTEMS)
def far(request: pytest.FixtureRequest) -> Iterator[tuple[Database, Proxy]]:
    """A database behind a proxy."""
    made = request.getfixturevalue(f"{request.param}_database")
    with proxy(made.port) as between:
        profile = {**made.profile, "port": between.port}
        opened = []
        database: Database = (
            PostgresDatabase(PostgresProfile.model_validate(profile))
            if request.param == "postgres"
            else MySQLDatabase(MySQLProfile.model_validate(profile))
        )
        connect = database.connect

        def tracked(*args, **named):
            opened.append(connect(*args, **named))
            return opened[-1]

        database.connect = tracked
        yield database, between
        between.cut()
        for one in opened:
            with contextlib.suppress(Exception):
                one.close()


def gone(act: Callable[[], object]) -> HdmError:
    """The error of a call, which must end by itself."""
    met: list[Exception] = []

    def run() -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 -- looked at below
            met.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "it hangs"
    assert isinstance(met[0], HdmError)
    return met[0]


def test_a_statement_whose_bytes_were_lost_ends_though_the_network_is_well_again(far):
    database, between = far
    connection = database.connect("hdm:test", write=True)
    between.swallow()
    threading.Timer(0.5, lambda: between.swallow(False)).start()
    error = gone(lambda: database.run(connection, "SELECT 1"))
    assert isinstance(error, ConnectionLost)
    assert between.lost > 0
    assert database.run(database.connect("hdm:test"), "SELECT 1") == [(1,)]


def test_a_commit_whose_answer_was_lost_ends(far):
    database, between = far
    connection = database.connect("hdm:test", write=True)
    database.begin(connection, write=True)
    database.run(connection, "SELECT 1")
    between.swallow()
    assert isinstance(gone(lambda: database.commit(connection)), ConnectionLost)


def test_a_server_behind_a_network_that_loses_everything_is_given_up(far):
    database, between = far
    connection = database.connect("hdm:test")
    between.swallow()
    assert isinstance(gone(lambda: database.run(connection, "SELECT 1")), ConnectionLost)


def test_a_load_that_nobody_takes_in_any_more_ends(far):
    database, between = far
    connection = database.connect("hdm:test", write=True)
    database.run(connection, "DROP TABLE IF EXISTS half")
    database.run(connection, "CREATE TABLE half (id BIGINT)")
    path = database.default_path(("half",))

    def batches():
        yield pa.record_batch({"id": pa.array(range(1000), pa.int64())})
        between.swallow()
        yield pa.record_batch({"id": pa.array(range(1000), pa.int64())})

    database.begin(connection, write=True)
    error = gone(lambda: database.load(connection, path, COLUMNS, batches()))
    assert isinstance(error, ConnectionLost)


def test_a_reading_whose_rows_were_lost_ends(far):
    database, between = far
    connection = database.connect("hdm:test")
    rows = database.stream(connection, _many(database), COLUMNS)
    between.swallow()
    assert isinstance(gone(lambda: list(rows)), ConnectionLost)


def _many(database: Database) -> str:
    if isinstance(database, PostgresDatabase):
        return "SELECT n AS id FROM generate_series(1::bigint, 100000) n"
    return "SELECT seq AS id FROM seq_1_to_100000"


def test_a_statement_that_takes_longer_than_the_patience_is_let_work(far):
    database, _ = far
    connection = database.connect("hdm:test")
    sleep = "SELECT 1 FROM pg_sleep(3)" if isinstance(database, PostgresDatabase) else "SELECT SLEEP(3) + 1"
    assert database.run(connection, sleep) == [(1,)]


def test_a_login_that_is_never_answered_ends(far, monkeypatch):
    database, between = far
    from hdm.connectors import postgres
    from hdm.connectors.mysql import connecting

    monkeypatch.setitem(postgres.TIMEOUTS, "connect_timeout", 2)
    monkeypatch.setattr(connecting, "_CONNECTING", 1)
    between.swallow()
    assert isinstance(gone(lambda: database.connect("hdm:test")), TransientError)


def test_the_kernel_is_told_to_look_for_the_other_side(far):
    database, _ = far
    connection = database.connect("hdm:test")
    with silence._of(database.socket_of(connection)) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == silence.KEEPALIVE_IDLE
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == silence.USER_TIMEOUT


@contextlib.contextmanager
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as one,
    ):
        other, _ = server.accept()
        with other:
            yield one, other


def until(there: Callable[[], object]) -> None:
    limit = time.monotonic() + 30
    while not there() and time.monotonic() < limit:
        time.sleep(0.05)
    assert there()


def test_a_call_is_asked_after_only_while_nothing_arrives():
    """The silent one tells when the other would have been asked after, too."""
    asked, of_busy, over = [], [], threading.Event()
    with connected() as (busy, other), connected() as (silent, _):

        def talk():
            while not over.wait(0.05):
                other.sendall(b"x")

        thread = threading.Thread(target=talk)
        thread.start()
        try:
            with (
                silence.waiting(busy.fileno(), lambda: of_busy.append(1) or True),
                silence.waiting(silent.fileno(), lambda: asked.append(1) or True),
            ):
                until(lambda: len(asked) >= 3)
        finally:
            over.set()
            thread.join()
    assert of_busy == []


def test_a_call_whose_socket_is_no_network_s_is_not_asked_after():
    one, other = socket.socketpair()
    asked, of_pair = [], []
    with (
        one,
        other,
        connected() as (silent, _),
        silence.waiting(one.fileno(), lambda: of_pair.append(1) or False),
        silence.waiting(silent.fileno(), lambda: asked.append(1) or True),
    ):
        until(lambda: len(asked) >= 3)
    assert of_pair == []


def test_a_server_that_seemed_idle_once_is_not_given_up():
    """It may have been asked between two steps of its work."""
    asked = []
    with connected() as (one, other):
        with silence.waiting(one.fileno(), lambda: asked.append(1) or len(asked) % 2 == 0):
            until(lambda: len(asked) >= 4)
        other.sendall(b"x")
        assert one.recv(1) == b"x"


@pytest.mark.parametrize("kind", SYSTEMS)
def test_the_connections_of_the_state_are_looked_after_too(kind, request):
    state = State(request.getfixturevalue(f"{kind}_database").url)
    with state.engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        if kind == "mariadb":
            assert raw._read_timeout == raw._write_timeout == 1
        else:
            with silence._of(raw.pgconn.socket) as sock:
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == silence.KEEPALIVE_IDLE
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == silence.USER_TIMEOUT
    state.close()


def test_who_waits_for_no_socket_waits_as_before():
    with silence.waiting(None, lambda: False):
        pass


@pytest.mark.parametrize("kind", SYSTEMS)
def test_a_transaction_of_the_state_whose_bytes_were_lost_is_carried_out_again(kind, request, monkeypatch):
    monkeypatch.setenv("HDM_SILENCE", "1")
    made = request.getfixturevalue(f"{kind}_database")
    with proxy(made.port) as between:
        state = State(made.url.replace(f":{made.port}/", f":{between.port}/"))
        for call in (state.run, state.read):
            assert call(_one) == 1
            between.swallow()
            threading.Timer(0.5, lambda: between.swallow(False)).start()
            assert call(_one) == 1
        state.close()


def _one(connection):
    return connection.execute(text("SELECT 1")).scalar()
