"""TLS is verified wherever a host may be another machine's: sources, sinks, and the state database."""

from __future__ import annotations

import datetime as dt
import shutil
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import make_url

from hdm.config.secrets import Secret
from hdm.config.tls import is_local, mysql_arguments
from hdm.connectors.azure import AzureProfile, _Account
from hdm.connectors.gcs import GCSProfile
from hdm.connectors.mysql import MySQLDatabase, MySQLProfile
from hdm.connectors.odbc import ODBCDatabase, ODBCProfile
from hdm.connectors.oracle.database import OracleDatabase, OracleProfile
from hdm.connectors.postgres import PostgresDatabase, PostgresProfile
from hdm.connectors.s3 import S3Profile
from hdm.connectors.snowflake.session import SnowflakeProfile
from hdm.errors import HdmError, StateError, UsageError
from hdm.state import StateManager
from hdm.state.backends import (
    MySQLServerProfile,
    MySQLStateManager,
    PostgresServerProfile,
    PostgresStateManager,
    SQLServerStateManager,
)
from hdm.state.db import encryption
from tests.servers import postgres

HERE = [
    "localhost",
    "LOCALHOST",
    "127.0.0.1",
    "127.8.9.10",
    "::1",
    "[::1]",
    "/run/sock",
    "",
    "127.0.0.1,localhost",
]
ELSEWHERE = [
    "localhost.example.com", "127.evil.example", "127.0.0.1,db.example.com", "db.example.com,localhost",
    "127.0.0.1.example.com", "::1.example.com", "10.0.0.1", "0.0.0.0", "::", "::ffff:10.0.0.1", "localhost.",
    "2130706433", "xn--localhost", "[::1].example.com", "./sock",
]  # fmt: skip
NAME = "db.example.com"


@pytest.mark.parametrize("host", HERE)
def test_what_is_this_machine(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_what_may_be_another(host: str) -> None:
    assert not is_local(host)
    made: Any = PostgresDatabase(PostgresProfile(host=host))._parameters
    assert (made["sslmode"], made["sslrootcert"]) == ("verify-full", "system")
    made = mysql_arguments(host, None, None, None, insecure=False)["ssl"]
    assert made.verify_mode is ssl.CERT_REQUIRED and made.check_hostname
    assert MySQLDatabase(MySQLProfile(host=host))._tls(host)["ssl"].check_hostname
    text = ODBCDatabase(ODBCProfile(driver="d", host=host, dialect="postgres")).connection_string("x")
    assert "verify-full" in text
    assert OracleDatabase(OracleProfile(host=host, service_name="s")).arguments()["protocol"] == "tcps"
    with pytest.raises(ValueError, match="https"):
        SnowflakeProfile(account="a", user="u", host=host, protocol="http")


@pytest.mark.parametrize("query", ["host=127.0.0.1,db.example.com", "hostaddr=10.0.0.1", "service=far"])
def test_every_way_to_name_a_host_counts(query: str) -> None:
    profile = PostgresProfile(url=Secret(f"postgresql:///d?{query}"))
    assert PostgresDatabase(profile)._parameters["sslmode"] == "verify-full"
    url = make_url(f"postgresql+psycopg:///d?{query.replace(',', '&host=')}")
    assert encryption.postgres(url) == {"sslmode": "verify-full", "sslrootcert": "system"}


@pytest.mark.parametrize("host", ["localhost.example.com", "127.evil.example", "10.0.0.1"])
def test_stores_in_the_clear_are_refused(host: str) -> None:
    with pytest.raises(ValueError, match="must be https"):
        S3Profile(endpoint_url=f"http://{host}:9000")
    with pytest.raises(ValueError, match="must be https"):
        GCSProfile(endpoint_url=f"http://{host}:9000", anonymous=True)
    with pytest.raises(UsageError, match="not https"):
        _Account(AzureProfile(account_url=f"http://{host}:9000/a"))


def test_a_dsn_of_oracle_asks_for_tls() -> None:
    for dsn in ("db.example.com/PDB", "(DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=db)))"):
        with pytest.raises(UsageError, match="does not ask for TLS"):
            OracleDatabase(OracleProfile(dsn=dsn)).arguments()
    for more in ({"dsn": "tcps://db/PDB"}, {"dsn": "db/PDB", "insecure": True}, {"dsn": "FROM_TNSNAMES"}):
        assert OracleDatabase(OracleProfile.model_validate(more)).arguments()["dsn"] == more["dsn"]


def test_the_state_database_of_mysql_and_sql_server() -> None:
    def made(**more: Any) -> Any:
        profile = MySQLServerProfile(host=NAME, database="d", **more)
        return encryption.mysql(MySQLStateManager(None, profile).url())

    assert made()["ssl"].check_hostname and made()["ssl"].verify_mode is ssl.CERT_REQUIRED
    assert made(insecure=True) == {}
    assert encryption.mysql(make_url("mysql+pymysql://localhost/d")) == {}
    far = encryption.of_odbc(make_url("mssql+pyodbc://db.example.com/d?driver=x"))
    assert far.query["Encrypt"] == "yes"
    profile = SQLServerStateManager.Profile(host=NAME, database="d", insecure=True)
    assert SQLServerStateManager(None, profile).url().query["TrustServerCertificate"] == "yes"


# -- a real server ------------------------------------------------------------------


@dataclass(frozen=True)
class Secured:
    dsn: str
    ca: str
    other_ca: str


def certificate(folder: Path, name: str, stem: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{stem}.crt"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pem = serialization.PrivateFormat.PKCS8
    file.with_suffix(".key").write_bytes(key.private_bytes(serialization.Encoding.PEM, pem, plain))
    return file


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A PostgreSQL that offers TLS with a certificate for ``db.example.com`` that it signed itself."""
    folder = tmp_path_factory.mktemp("tls")
    own, other = certificate(folder, NAME, "own"), certificate(folder, NAME, "other")
    with postgres.running() as server:
        data = server.server.home / "data"
        for file in (own, own.with_suffix(".key")):
            held = data / f"server{file.suffix}"
            shutil.copy(file, held)
            held.chmod(0o600)
            if server.server.user:
                shutil.chown(held, server.server.user)
        database = server.fresh()
        with psycopg.connect(database.dsn, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET ssl = on")
            connection.execute("ALTER SYSTEM SET ssl_cert_file = 'server.crt'")
            connection.execute("ALTER SYSTEM SET ssl_key_file = 'server.key'")
            connection.execute("SELECT pg_reload_conf()")
        address = f"{NAME}:{server.port}/{database.database}?hostaddr=127.0.0.1"
        yield Secured(f"postgresql://hdm:hdm@{address}", str(own), str(other))


def connected(secured: Secured, **more: Any) -> bool:
    """Whether the session is encrypted."""
    profile = PostgresProfile(url=Secret(secured.dsn), **more)
    connection = PostgresDatabase(profile).connect()
    try:
        return bool(connection.pgconn.ssl_in_use)
    finally:
        connection.close()


@pytest.mark.slow
def test_a_certificate_that_nobody_vouches_for_is_refused(secured: Secured) -> None:
    for more in ({}, {"sslrootcert": secured.other_ca}):
        with pytest.raises(HdmError, match="TLS: no trusted connection"):
            connected(secured, **more)


@pytest.mark.slow
def test_one_that_is_known_is_taken(secured: Secured) -> None:
    assert connected(secured, sslrootcert=secured.ca)
    assert connected(secured, insecure=True)
    assert not connected(secured, sslmode="disable")


@pytest.mark.slow
def test_one_for_another_name_is_refused(secured: Secured) -> None:
    with pytest.raises(HdmError, match="TLS: no trusted connection"):
        elsewhere = Secured(secured.dsn.replace(NAME, "localhost.example.com"), secured.ca, secured.other_ca)
        connected(elsewhere, sslrootcert=secured.ca)


def state(secured: Secured, **more: Any) -> None:
    profile = PostgresServerProfile(url=Secret(secured.dsn), **more)
    with StateManager.open(PostgresStateManager(None, profile).url()) as store:
        assert store.reports.is_open("nothing") is False


@pytest.mark.slow
def test_the_state_database_is_verified_likewise(secured: Secured) -> None:
    for more in ({}, {"sslrootcert": secured.other_ca}):
        with pytest.raises(StateError) as caught:
            state(secured, **more)
        assert caught.value.exit_code == 3 and "sslrootcert" in (caught.value.hint or "")
    state(secured, sslrootcert=secured.ca)
    state(secured, insecure=True)
