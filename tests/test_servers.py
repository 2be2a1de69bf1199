"""The servers that the other tests stand on are real, private and empty at first."""

from __future__ import annotations

import socket
from collections.abc import Callable

import psycopg
import pymysql
import pytest

from tests.servers import azurite, fakesnow, h2, moto, postgres
from tests.servers.process import Database


def test_postgres_gives_fresh_databases(fresh_postgres: Callable[..., Database]) -> None:
    one, two = fresh_postgres(), fresh_postgres()
    with psycopg.connect(one.dsn) as connection:
        connection.execute("CREATE TABLE t (x int)")
    with psycopg.connect(two.dsn) as connection:
        row = connection.execute("SELECT to_regclass('t'), current_setting('server_encoding')").fetchone()
    assert row == (None, "UTF8")


def test_postgres_asks_the_role_for_its_password(postgres_server: postgres.Postgres) -> None:
    place = {"host": "127.0.0.1", "port": postgres_server.port, "dbname": "postgres", "user": postgres.ROLE}
    psycopg.connect(**place, password=postgres.ROLE_PASSWORD).close()
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(**place, password="wrong")


def test_mariadb_gives_fresh_databases(fresh_mariadb: Callable[..., Database]) -> None:
    one, two = fresh_mariadb(), fresh_mariadb()
    with pymysql.connect(**one.profile) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (x int)")
    with pymysql.connect(**two.profile) as connection, connection.cursor() as cursor:
        assert cursor.execute("SHOW TABLES") == 0
        cursor.execute("SELECT @@version, @@character_set_database")
        version, charset = cursor.fetchone()
    assert "MariaDB" in version
    assert charset == "utf8mb4"


def test_s3_refuses_to_overwrite_when_asked(s3_server: moto.S3) -> None:
    client, bucket = s3_server.client(), s3_server.fresh()
    client.put_object(Bucket=bucket, Key="a", Body=b"1", IfNoneMatch="*")
    with pytest.raises(client.exceptions.ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=bucket, Key="a", Body=b"2", IfNoneMatch="*")
    assert client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"


def test_h2_is_in_oracles_mode_and_listens_to_nobody_else(h2_server: h2.H2) -> None:
    one, two = (h2_server.connect(h2_server.fresh()) for _ in range(2))
    one.ask("CREATE TABLE t (a VARCHAR2(5), b NUMBER(5,2))")
    one.ask("INSERT INTO t VALUES ('', 1.5)")
    assert one.ask("SELECT a, b, DECODE(a, NULL, 'none') FROM t, dual").rows == [(None, "1.5", "none")]
    with pytest.raises(h2.H2Error) as refused:
        two.ask("SELECT * FROM t")
    assert refused.value.state == "42S04"
    one.close()
    two.close()
    with socket.socket() as elsewhere:  # another address of this machine
        assert elsewhere.connect_ex(("127.0.0.2", h2_server.port)) != 0


def test_azurite_checks_the_account_key(azurite_server: azurite.Azurite) -> None:
    from azure.core.exceptions import HttpResponseError
    from azure.storage.blob import BlobServiceClient

    name = azurite_server.fresh()
    with azurite_server.service() as service:
        service.get_blob_client(name, "a").upload_blob(b"1")
        assert service.get_blob_client(name, "a").download_blob().readall() == b"1"
    wrong = "A" * 86 + "=="
    with (
        BlobServiceClient(azurite_server.account_url, credential=wrong, retry_total=0) as service,
        pytest.raises(HttpResponseError),
    ):
        service.get_blob_client(name, "a").download_blob()


def test_snowflake_loads_a_file_from_s3_once(
    snowflake_server: fakesnow.Snowflake, s3_server: moto.S3
) -> None:
    bucket = s3_server.fresh()
    s3_server.client().put_object(Bucket=bucket, Key="load/a.csv", Body=b"1,x\n2,y\n")
    with snowflake_server.connect(snowflake_server.fresh()) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE t (a INTEGER, b VARCHAR)")
        cursor.execute(
            f"CREATE STAGE s URL = 's3://{bucket}/load/' "
            "CREDENTIALS = (AWS_KEY_ID = 'test' AWS_SECRET_KEY = 'test')"
        )
        outcomes = [
            cursor.execute("COPY INTO t FROM @s FILE_FORMAT = (TYPE = CSV)").fetchall()[0][1]
            for _ in range(2)
        ]
        assert outcomes == ["LOADED", "LOAD_SKIPPED"]
        assert cursor.execute("SELECT count(*) FROM t").fetchone() == (2,)


def test_odbc_has_a_driver_for_each_system(
    odbc_drivers: None, fresh_postgres: Callable[..., Database]
) -> None:
    import pyodbc

    assert {"PostgreSQL Unicode", "MariaDB Unicode", "SQLite3"} <= set(pyodbc.drivers())
    place = fresh_postgres()
    text = f"DRIVER={{PostgreSQL Unicode}};SERVER={place.host};PORT={place.port};DATABASE={place.database}"
    with pyodbc.connect(f"{text};UID={place.user};PWD={place.password}") as connection:
        assert connection.execute("SELECT 1").fetchone()[0] == 1
