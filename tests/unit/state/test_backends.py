"""The manifest's state managers: a profile entry becomes a URL that shows no secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from hdm.errors import UsageError
from hdm.state import backends
from hdm.state.backends import MANAGERS


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ({"path": "/data/x.sqlite"}, "/data/x.sqlite"),
        ({"dbpath": "/data", "database": "hdm"}, "/data/hdm.db"),
        ({"dbpath": "/data", "database": "hdm.sqlite3"}, "/data/hdm.sqlite3"),
        ({"database": "hdm"}, "hdm.db"),
    ],
)
def test_sqlite(entry: dict[str, str], path: str) -> None:
    kind = backends.SQLiteStateManager
    assert kind(kind.Config(), kind.Profile(**entry)).url().database == path


def test_sqlite_in_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/user")
    kind = backends.SQLiteStateManager
    assert kind(kind.Config(), kind.Profile(path="~/s.db")).url().database == str(Path("/home/user/s.db"))


SERVERS = {
    "PostgresStateManager": "postgresql+psycopg",
    "MySQLStateManager": "mysql+pymysql",
    "SQLServerStateManager": "mssql+pyodbc",
    "AzureSQLServerStateManager": "mssql+pyodbc",
}


@pytest.mark.parametrize("name", SERVERS)
def test_servers(name: str) -> None:
    kind = MANAGERS[name]
    entry = {"host": "h", "port": 99, "database": "d", "user": "u", "password": "p@ss:w/rd", "driver": "D"}
    profile = kind.Profile(**entry)
    url = kind(kind.Config(), profile).url()
    assert (url.drivername, url.host, url.port, url.database) == (SERVERS[name], "h", 99, "d")
    assert (url.username, url.password) == ("u", "p@ss:w/rd")
    assert "p@ss" not in repr(url) + str(url) + repr(profile)
    if "SQLServer" in name:
        assert url.query["driver"] == "D"
        assert url.query["Encrypt"] == "yes"


@pytest.mark.parametrize("url", ["u:canary@h/d", "mysql://u:canary@[::1/d", "mysql://u:canary@h:canary/d"])
def test_a_url_that_cannot_be_read_is_not_shown(url: str) -> None:
    kind = backends.MySQLStateManager
    with pytest.raises(UsageError, match="the url of the state database's profile") as caught:
        kind(kind.Config(), kind.Profile(url=url)).url()
    assert "canary" not in str(caught.value)


def test_a_url_gets_the_driver_that_hdm_uses() -> None:
    kind = backends.MySQLStateManager
    url = kind(kind.Config(), kind.Profile(url="mariadb://u:secret@h/d")).url()
    assert (url.drivername, url.password) == ("mysql+pymysql", "secret")


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("SQLiteStateManager", {}),
        ("SQLiteStateManager", {"path": "a", "database": "b"}),
        ("SQLiteStateManager", {"path": "a", "host": "b"}),
        ("PostgresStateManager", {}),
        ("PostgresStateManager", {"host": "h"}),
        ("PostgresStateManager", {"url": "postgresql://h/d", "host": "h"}),
    ],
)
def test_contradictions_are_refused(name: str, entry: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        MANAGERS[name].Profile(**entry)
