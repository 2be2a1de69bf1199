"""Real servers as fixtures: started on first use, shared by the test processes, gone with the run.

``fresh_postgres()`` and ``fresh_mariadb()`` make an empty database and return it as
``tests.servers.process.Database`` (``.url``, ``.dsn``, ``.profile``); the ``*_url`` fixtures are
the URL of one that the tests of a module share.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hdm.config import secrets
from tests.runner import compiled, rooms, schemas, scratch
from tests.runner.budget import Budget, Meter
from tests.runner.desk import Ask, Desk, ask_at
from tests.runner.sample import Sample, of_config
from tests.runner.spread import by_file
from tests.runner.tables import Tables
from tests.servers import (
    azurite,
    bigquery,
    fakesnow,
    gcs,
    h2,
    jdbc,
    mariadb,
    moto,
    postgres,
    provision,
    rclone,
    redshift,
    sqlserver,
    sshd,
)
from tests.servers.process import Database

DESK = pytest.StashKey[Desk]()
SCRATCH = pytest.StashKey[Path | None]()


@pytest.fixture(autouse=True)
def no_secrets_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test begin with the secrets of its servers alone: what another test's profile held, "test"
    or "nobody", would be masked in this one's output."""
    monkeypatch.setattr(secrets, "_forms", set(secrets._forms))
    monkeypatch.setattr(secrets, "_pattern", secrets._pattern)


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Ask:
    """``servers("postgres")``: the run's server of that kind, started when first asked for."""
    if given := getattr(request.config, "workerinput", None):
        address, key = given["servers"]
        ask = ask_at(address, key, given["workerid"])
    else:
        ask = request.config.stash[DESK].ask

    def allowed(name: str) -> Any:
        if request.config.getoption("--no-servers"):
            pytest.fail(f"a {name} server is asked for at run time: mark the test 'server'")
        return ask(name)

    return allowed


@pytest.fixture(scope="session")
def postgres_server(servers: Ask) -> postgres.Postgres:
    return servers("postgres")  # type: ignore[no-any-return]


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
def mariadb_server(servers: Ask) -> mariadb.MariaDB:
    return servers("mariadb")  # type: ignore[no-any-return]


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
def s3_server(servers: Ask) -> moto.S3:
    return servers("s3")  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def rclone_server(servers: Ask) -> rclone.Rclone:
    return servers("rclone")  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def azurite_server(servers: Ask) -> azurite.Azurite:
    return servers("azurite")  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def gcs_server(servers: Ask) -> gcs.GCS:
    return servers("gcs")  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def bigquery_server(servers: Ask) -> bigquery.BigQuery:
    return servers("bigquery")  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def sshd_server(servers: Ask) -> sshd.SSHD:
    return servers("sshd")  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def h2_server(servers: Ask) -> h2.H2:
    return servers("h2")  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def snowflake_server(servers: Ask, s3_server: moto.S3) -> fakesnow.Snowflake:
    return servers("snowflake")  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def fresh_redshift(
    postgres_server: postgres.Postgres, s3_server: moto.S3
) -> Iterator[Callable[[], redshift.Redshift]]:
    """Makes an empty database of Redshift's stand-in, with a bucket of its own."""
    with redshift.running(postgres_server, s3_server) as fresh:
        yield fresh


@pytest.fixture(scope="session")
def sqlserver_server(servers: Ask, odbc_drivers: None) -> sqlserver.SQLServer:
    return servers("sqlserver")  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def fresh_sqlserver(
    sqlserver_server: sqlserver.SQLServer, fresh_postgres: Callable[..., Database]
) -> Callable[[], sqlserver.SQLServerDatabase]:
    return lambda: sqlserver_server.fresh(fresh_postgres())


@pytest.fixture(scope="session")
def odbc_drivers() -> None:
    provision.odbc_drivers()


@pytest.fixture(scope="session")
def jdbc_drivers() -> jdbc.Drivers:
    """The jars of JDBC drivers, for a Java virtual machine inside this process."""
    return jdbc.drivers()


@pytest.fixture(scope="session")
def sample(pytestconfig: pytest.Config) -> Sample:
    """Draws the cases of this run out of a matrix."""
    return of_config(pytestconfig)


_SERVERS = {
    "postgres_server",
    "mariadb_server",
    "s3_server",
    "rclone_server",
    "azurite_server",
    "gcs_server",
    "bigquery_server",
    "sshd_server",
    "h2_server",
    "snowflake_server",
    "sqlserver_server",
    "odbc_drivers",
    "jdbc_drivers",
}


_EMBEDDED = ("sqlite", "duckdb", "lite")
_SLOW = {Path(__file__).with_name(name) for name in ("crash", "flows")}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-servers", action="store_true", help="fail a test that starts a real server")
    parser.addoption("--long", action="store_true", help="take every case of each matrix (hours)")
    parser.addoption("--seed", help="what draws the cases of this run; default: the commit")
    parser.addoption("--costs", help="a file for what each test costs: seconds, CPU seconds, its name")
    parser.addoption("--room", help="only the tests of one folder of hdm/ or one system")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.stash[SCRATCH] = scratch.take()
        config.stash[DESK] = Desk()
        config.pluginmanager.register(Budget())
    compiled.share()
    schemas.share()
    config.pluginmanager.register(Tables())
    config.pluginmanager.register(Meter())


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """What a test process under xdist is told: where the servers are asked for, and the seed."""
    node.workerinput["servers"] = node.config.stash[DESK].address()
    node.workerinput["seed"] = of_config(node.config).seed


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return by_file(config, log)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``@pytest.mark.draw(names, cases, count)``: parametrizes like ``parametrize``, with ``count`` of the
    cases, drawn by the seed; ``--long`` takes all."""
    for mark in metafunc.definition.iter_markers("draw"):
        names, cases, count = mark.args
        key = f"{metafunc.module.__name__} {metafunc.definition.originalname} {names}"
        metafunc.parametrize(names, of_config(metafunc.config).of(key, cases, count))


def pytest_report_header(config: pytest.Config) -> str:
    taken = of_config(config)
    return f"seed of the samples: {taken.seed} (again: --seed {taken.seed}; all cases: --long)"


def pytest_collection() -> None:
    """What is collected stays to the end: looking at it again and again cost a tenth of the time."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus and SCRATCH in session.config.stash:
        session.config.stash[SCRATCH] = None  # whoever looks into a failure wants to see the files


def pytest_unconfigure(config: pytest.Config) -> None:
    gc.unfreeze()
    if DESK in config.stash:
        config.stash[DESK].stop()
    if made := config.stash.get(SCRATCH, None):
        scratch.leave(made)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if _SERVERS & set(getattr(item, "fixturenames", ())) or _asks_at_run_time(item):
            item.add_marker("server")
        if _SLOW.intersection(item.path.parents):
            item.add_marker("slow")
    others: list[pytest.Item] = []
    if not config.getoption("--long"):
        others += [item for item in items if item.get_closest_marker("long")]
    if room := config.getoption("--room"):
        others += rooms.choose(room, items)[1]
    if others:
        config.hook.pytest_deselected(items=others)
        gone = set(others)
        items[:] = [item for item in items if item not in gone]


def _asks_at_run_time(item: pytest.Item) -> bool:
    """Whether the test, or a fixture of its parameters, asks for fixtures by name for a parameter that is
    no embedded system."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    known = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    own = _asks(getattr(item, "function", None))
    return any(
        (own or (name in known and _asks(known[name][-1].func))) and value not in _EMBEDDED
        for name, value in parameters.items()
    )


def _asks(function: Any) -> bool:
    return "getfixturevalue" in getattr(getattr(function, "__code__", None), "co_names", ())
