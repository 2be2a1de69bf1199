"""Real servers as fixtures: started on first use, private, gone with the session.

``fresh_postgres()`` and ``fresh_mariadb()`` make an empty database and return it as
``tests.servers.process.Database`` (``.url``, ``.dsn``, ``.profile``); the ``*_url`` fixtures are
the URL of one that the tests of a module share.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import azurite, fakesnow, mariadb, moto, postgres, provision, rclone
from tests.servers.process import Database


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Iterator[postgres.Postgres]:
    _allow(request)
    with postgres.running() as server:
        yield server


@pytest.fixture(scope="session")
def fresh_postgres(postgres_server: postgres.Postgres) -> Callable[..., Database]:
    return postgres_server.fresh


@pytest.fixture(scope="module")
def postgres_database(fresh_postgres: Callable[..., Database]) -> Database:
    return fresh_postgres()


@pytest.fixture(scope="module")
def postgres_url(postgres_database: Database) -> str:
    return postgres_database.url


@pytest.fixture(scope="session")
def mariadb_server(request: pytest.FixtureRequest) -> Iterator[mariadb.MariaDB]:
    _allow(request)
    with mariadb.running() as server:
        yield server


@pytest.fixture(scope="session")
def fresh_mariadb(mariadb_server: mariadb.MariaDB) -> Callable[..., Database]:
    return mariadb_server.fresh


@pytest.fixture(scope="module")
def mariadb_database(fresh_mariadb: Callable[..., Database]) -> Database:
    return fresh_mariadb()


@pytest.fixture(scope="module")
def mariadb_url(mariadb_database: Database) -> str:
    return mariadb_database.url


@pytest.fixture(scope="session")
def s3_server(request: pytest.FixtureRequest) -> Iterator[moto.S3]:
    _allow(request)
    with moto.running() as server:
        yield server


@pytest.fixture(scope="session")
def rclone_server(request: pytest.FixtureRequest) -> Iterator[rclone.Rclone]:
    _allow(request)
    with rclone.running() as server:
        yield server


@pytest.fixture(scope="session")
def azurite_server(request: pytest.FixtureRequest) -> Iterator[azurite.Azurite]:
    _allow(request)
    with azurite.running() as server:
        yield server


@pytest.fixture(scope="session")
def snowflake_server(s3_server: moto.S3) -> Iterator[fakesnow.Snowflake]:
    with fakesnow.running(s3_server.port) as server:
        yield server


@pytest.fixture(scope="session")
def odbc_drivers() -> None:
    provision.odbc_drivers()


_SERVERS = {
    "postgres_server",
    "mariadb_server",
    "s3_server",
    "rclone_server",
    "azurite_server",
    "snowflake_server",
    "odbc_drivers",
}


_EMBEDDED = ("sqlite", "duckdb", "lite")
_SLOW = {Path(__file__).with_name(name) for name in ("crash", "flows")}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-servers", action="store_true", help="fail a test that starts a real server")


def pytest_collection() -> None:
    """What is collected stays to the end: looking at it again and again cost a tenth of the time."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    gc.unfreeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _SERVERS & set(getattr(item, "fixturenames", ())) or _asks_at_run_time(item):
            item.add_marker("server")
        if _SLOW.intersection(item.path.parents):
            item.add_marker("slow")


def _asks_at_run_time(item: pytest.Item) -> bool:
    """Whether a fixture that asks for others by name has a parameter that is no embedded system."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    known = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    return any(
        "getfixturevalue" in known[name][-1].func.__code__.co_names
        for name, value in parameters.items()
        if name in known and value not in _EMBEDDED
    )


def _allow(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--no-servers"):
        pytest.fail(f"{request.fixturename} is asked for at run time: mark the test 'server'")
