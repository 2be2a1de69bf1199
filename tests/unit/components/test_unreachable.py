"""Every driver's failure to connect names the place and, in the same words, what kept it from it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from hdm.components import unreachable
from hdm.components.unreachable import CUT, DNS, LOGIN, REFUSED, ROUTE, TIMEOUT, TLS
from hdm.connectors.mysql import MySQLDatabase, MySQLProfile
from hdm.connectors.netezza import NetezzaDatabase, NetezzaProfile
from hdm.connectors.odbc import ODBCDatabase, ODBCProfile
from hdm.connectors.oracle.database import OracleDatabase, OracleProfile
from hdm.connectors.postgres import PostgresDatabase, PostgresProfile
from hdm.errors import ConnectionLost, HdmError, StateUnavailable, UnknownPlace, UsageError
from hdm.sql import Database
from hdm.state.db.database import Database as State
from tests.servers.process import HOST, free_port
from tests.servers.proxy import proxy

NOWHERE = "no-such-host.invalid"
BASE = {"user": "someone", "password": "canary-4711", "database": "d", "insecure": True}
KINDS: dict[str, tuple[Callable[..., Database], Any, dict[str, Any]]] = {
    "postgres": (PostgresDatabase, PostgresProfile, {}),
    "mysql": (MySQLDatabase, MySQLProfile, {}),
    "oracle": (OracleDatabase, OracleProfile, {}),
    "netezza": (NetezzaDatabase, NetezzaProfile, {}),
    "odbc postgres": (ODBCDatabase, ODBCProfile, {"dialect": "postgres"}),
    "odbc mariadb": (ODBCDatabase, ODBCProfile, {"dialect": "mariadb"}),
}


def database(kind: str, **given: Any) -> Database:
    made, profile, more = KINDS[kind]
    return made(profile.model_validate({**BASE, **more, **given}))


def met(act: Callable[[], Any]) -> HdmError:
    with pytest.raises(HdmError) as caught:
        act()
    assert "canary-4711" not in str(caught.value)
    return caught.value


@pytest.mark.usefixtures("odbc_drivers")
@pytest.mark.parametrize("kind", KINDS)
def test_a_port_at_which_nobody_listens(kind):
    port = free_port()
    error = met(lambda: database(kind, host=HOST, port=port).connect())
    assert isinstance(error, ConnectionLost)
    assert f"{HOST}:{port}: {REFUSED}" in error.message


@pytest.mark.usefixtures("odbc_drivers")
@pytest.mark.parametrize("kind", KINDS)
def test_a_name_that_nobody_knows(kind):
    error = met(lambda: database(kind, host=NOWHERE, port=4711).connect())
    assert isinstance(error, UnknownPlace)
    assert f"{NOWHERE}:4711: {DNS}" in error.message


def test_a_driver_that_waits_in_vain_for_a_name_that_nobody_knows():
    """Microsoft's for SQL Server says "login timeout expired" of it."""
    for host, kind in ((NOWHERE, UnknownPlace), (HOST, ConnectionLost)):
        one = database("postgres", host=host, port=4711)
        with pytest.raises(ConnectionLost) as caught, one.connecting():
            raise TimeoutError("login timeout expired")
        assert type(caught.value) is kind


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_a_server_that_never_answers(kind, monkeypatch):
    from hdm.connectors import postgres
    from hdm.connectors.mysql import connecting

    monkeypatch.setitem(postgres.TIMEOUTS, "connect_timeout", 2)
    monkeypatch.setattr(connecting, "_CONNECTING", 1)
    with proxy(free_port()) as between, socket.create_server((HOST, between.target)):
        between.swallow()
        error = met(lambda: database(kind, host=HOST, port=between.port).connect())
    assert isinstance(error, ConnectionLost)
    assert f"{HOST}:{between.port}: " in error.message
    assert TIMEOUT in error.message or CUT in error.message


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_a_login_that_is_refused(kind, request):
    server = request.getfixturevalue("postgres_database" if kind == "postgres" else "mariadb_database")
    given = {**server.profile, "user": "nobody_like_this", "password": "canary-4711"}
    error = met(lambda: database(kind, **given).connect())
    assert isinstance(error, UsageError)
    assert f"{server.host}:{server.port}: {LOGIN}" in error.message


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_a_server_without_tls(kind, request, tmp_path):
    server = request.getfixturevalue("postgres_database" if kind == "postgres" else "mariadb_database")
    given: dict[str, Any] = {**server.profile, "insecure": False}
    if kind == "postgres":
        given["sslmode"] = "require"
    else:
        import certifi

        given["ssl_ca"] = certifi.where()
    error = met(lambda: database(kind, **given).connect())
    assert isinstance(error, UsageError)
    assert f"{server.host}:{server.port}: {TLS}" in error.message
    assert error.hint is not None and "insecure: true" in error.hint


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
@pytest.mark.parametrize(("host", "why"), [(HOST, REFUSED), (NOWHERE, DNS)])
def test_the_state_database_too(scheme, host, why):
    port = free_port()
    state = State(f"{scheme}://someone:canary-4711@{host}:{port}/d")
    error = met(lambda: state.read(lambda conn: conn))
    assert isinstance(error, StateUnavailable)
    assert f"the state database at {host}:{port} cannot be used: {why}" in error.message
    state.close()


@pytest.mark.slow  # their clients try a closed port again and again
def test_object_stores_too():
    from hdm.config.secrets import Secret
    from hdm.connectors.azure import AzureBlobSource
    from hdm.connectors.s3 import S3Source

    port = free_port()
    s3 = S3Source(
        S3Source.Config.model_validate({"bucket_name": "bucket"}),
        S3Source.Profile.model_validate(
            {
                "endpoint_url": f"http://{HOST}:{port}", "region": "us-east-1",
                "aws_access_key_id": Secret("k"), "aws_secret_access_key": Secret("canary-4711"),
            }
        ),
    )  # fmt: skip
    error = met(s3.reach)
    assert isinstance(error, ConnectionLost)
    assert f"http://{HOST}:{port}: {REFUSED}" in error.message
    key = Secret("Y2FuYXJ5LTQ3MTE=")
    azure = AzureBlobSource(
        AzureBlobSource.Config.model_validate({"container": "container"}),
        AzureBlobSource.Profile.model_validate(
            {"account_url": f"http://{HOST}:{port}/account", "account_key": key}
        ),
    )
    error = met(azure.reach)
    assert isinstance(error, ConnectionLost)
    assert f"{HOST}:{port}: {REFUSED}" in error.message


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (socket.gaierror(-2, "Name or service not known"), DNS),
        (ConnectionRefusedError(), REFUSED),
        (ConnectionResetError(), CUT),
        (TimeoutError(), TIMEOUT),
        (ssl.SSLCertVerificationError("x"), TLS),
        (OSError(113, "No route to host"), ROUTE),
        (RuntimeError("DPY-6005: cannot connect", ConnectionRefusedError()), REFUSED),
        (RuntimeError("[HYT00] Login timeout expired (0) (SQLDriverConnect)"), TIMEOUT),
        (RuntimeError("Login failed for user 'x'. (18456)"), LOGIN),
        (RuntimeError("no pg_hba.conf entry for host, no SSL"), LOGIN),
        (RuntimeError("certificate verify failed"), TLS),
        (RuntimeError("server closed the connection unexpectedly"), CUT),
        (RuntimeError("something else"), None),
    ],
    ids=str,
)
def test_the_word_for_it(error, why):
    assert unreachable.reason(error) == why


def test_a_driver_that_does_not_say_why_is_looked_after():
    port = free_port()
    assert unreachable.looked(f"{HOST}:{port}") == REFUSED
    assert unreachable.looked(f"{NOWHERE}:{port}") == DNS
    with socket.create_server((HOST, port)):
        assert unreachable.looked(f"{HOST}:{port}") is None
    assert unreachable.looked("account.example") is None


def test_a_cause_that_goes_round_in_circles_ends():
    one, other = RuntimeError("one"), RuntimeError("other")
    one.__cause__, other.__cause__ = other, one
    assert unreachable.reason(one) is None
