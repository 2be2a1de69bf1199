"""What is wrong with a target or an address is said before anything is made: exit code 2."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from tests.flows.kit import Place, direct, load, only, shop, stage
from tests.servers import azurite, fakesnow, moto, rclone
from tests.servers.postgres import ROLE, ROLE_PASSWORD
from tests.servers.process import Database

pytestmark = pytest.mark.server


def profile(of: Database, **changes: Any) -> dict[str, Any]:
    return {
        "host": of.host, "port": of.port, "database": of.database,
        "user": of.user, "password": of.password, "insecure": True, **changes,
    }  # fmt: skip


@pytest.fixture(params=["postgres", "mariadb"])
def target(request: pytest.FixtureRequest) -> tuple[str, Database]:
    made: Callable[..., Database] = request.getfixturevalue(f"fresh_{request.param}")
    return request.param, made()


def to_server(folder: Path, kind: str, entry: dict[str, Any], **conf: Any) -> Place:
    place = shop(folder, 20, 6)
    link = direct(place, "orders", {"postgres": "PostgresSink", "mariadb": "MariaDBSink"}[kind])
    link["sink"]["conf"].update(conf)
    place.profiles["dst"] = entry
    return only(place, link)


@pytest.mark.parametrize(
    ("change", "conf", "said"),
    [
        ({"user": "nobody", "password": "wrong"}, {}, "refuse"),
        ({"database": "nosuch"}, {}, "no such database"),
        ({"host": "nowhere.invalid"}, {}, "DNS: the name cannot be resolved"),
        ({"port": 99999}, {}, "'port' must be less than or equal to 65535"),
        ({"url": "env:SHOP_URL"}, {}, "give url, or host and port, not both"),
        ({}, {"table_name": "elsewhere.public.orders"}, "elsewhere.public.orders"),
    ],
    ids=["login", "database", "host", "port", "two addresses", "another database's table"],
)
def test_is_refused_and_makes_nothing(
    tmp_path: Path, target: tuple[str, Database], change: dict[str, Any], conf: dict[str, Any], said: str
) -> None:
    kind, database = target
    place = to_server(tmp_path, kind, profile(database, **change), **conf)
    before = place.files()
    for verb in ("run", "plan"):
        done = place.hdm(verb)
        assert (done.code, done.out) == (2, ""), done.said
        assert said in done.err
        assert "hint: " in done.err
    assert place.files() == before


def test_a_target_that_is_away_is_tried_again_and_the_rest_goes_on(tmp_path: Path) -> None:
    place = to_server(tmp_path, "mariadb", {"host": "127.0.0.1", "port": 1, "database": "x", "user": "u"})
    place.profiles["lite"] = {"path": str(place.target)}
    away = place.manifest["declared_data_links"]["stages"][0]
    there = direct(place, "items")
    there["sink"] = {"name": "lite", "type": "SQLiteSink", "conf": {"env": "lite"}}
    done = only(place, away, there).hdm("run", "--max-wait", "1")
    assert done.code == 1
    status = place.hdm("status")
    assert status.code == 1
    assert "1 not done, 0 up to date, 1 moved: 6 new rows" in done.err
    assert "until " in done.err
    assert "\\n" not in done.err
    assert "failed: orders: target" in status.out
    assert "at 127.0.0.1:1 was away (MySQL 2003: the server cannot be reached" in status.out
    assert [row["problem"] is not None for row in place.hdm("status", "--json").json] == [False, True]
    assert "the server cannot be reached" in done.err
    assert place.rows("items") == place.source_rows("items")


def test_a_key_that_is_there_already_is_named_as_that(tmp_path: Path, target: tuple[str, Database]) -> None:
    kind, database = target
    place = to_server(tmp_path, kind, profile(database))
    assert place.hdm("run").code == 0
    place.manifest["declared_data_links"]["stages"][0]["source"]["name"] = "another"
    done = place.write().hdm("run")
    assert done.code == 1
    assert "a row with this key is there already: use mode merge, or remove it" in done.err


def test_a_table_with_its_own_database_in_front_is_found(
    tmp_path: Path, fresh_postgres: Callable[..., Database]
) -> None:
    database = fresh_postgres()
    place = to_server(
        tmp_path, "postgres", profile(database), table_name=f"{database.database}.public.orders"
    )
    assert place.hdm("run").code == 0
    with psycopg.connect(database.dsn) as connection:
        assert connection.execute("SELECT count(*) FROM public.orders").fetchone() == (20,)


@pytest.fixture
def stranger(target: tuple[str, Database]) -> tuple[str, Database, dict[str, Any]]:
    """A user that may log in and little else."""
    kind, database = target
    if kind == "postgres":
        return kind, database, profile(database, user=ROLE, password=ROLE_PASSWORD)
    name = f"s_{database.database}"
    on_mariadb(database, f"CREATE USER {name} IDENTIFIED BY 'pass'")
    on_mariadb(database, f"GRANT SELECT ON {database.database}.* TO {name}")
    return kind, database, profile(database, user=name, password="pass")


def on_mariadb(database: Database, statement: str) -> None:
    with pymysql.connect(
        host=database.host, port=database.port, user=database.user, password=database.password
    ) as connection:
        connection.cursor().execute(statement)


def test_the_doctor_sees_what_a_target_does_not_grant(
    tmp_path: Path, stranger: tuple[str, Database, dict[str, Any]]
) -> None:
    kind, database, entry = stranger
    place = to_server(tmp_path, kind, entry)
    rows = {(row["about"], row["what"]): row for row in place.hdm("doctor", "--json").json}
    assert rows["dst", "connection"]["ok"]
    assert not rows["dst", "grants"]["ok"]
    assert "CREATE on " in rows["dst", "grants"]["detail"]
    assert rows["src", "grants"]["ok"]
    done = place.hdm("run")
    assert done.code == 1
    assert "orders: " in done.err and "grant" in done.err
    place.profiles["dst"] = profile(database)
    done = place.write().hdm("doctor", "--json")
    assert (done.code, [row["ok"] for row in done.json if row["what"] == "grants"]) == (0, [True, True])


def test_the_doctor_does_not_deny_what_a_role_may_grant(
    tmp_path: Path, fresh_mariadb: Callable[..., Database]
) -> None:
    """And finds what is granted to a user whose name has an @ in it."""
    database = fresh_mariadb()
    found = []
    for number, grant in enumerate(("role", "user"), 1):
        name, role = f"u{number}@{database.database}", f"r_{database.database}"
        on_mariadb(database, f"CREATE USER `{name}` IDENTIFIED BY 'pass'")
        if grant == "user":
            on_mariadb(database, f"GRANT ALL ON {database.database}.* TO `{name}`")
        else:
            on_mariadb(database, f"CREATE ROLE {role}")
            on_mariadb(database, f"GRANT ALL ON {database.database}.* TO {role}")
            on_mariadb(database, f"GRANT {role} TO `{name}`")
            on_mariadb(database, f"SET DEFAULT ROLE {role} FOR `{name}`")
        (tmp_path / grant).mkdir()
        place = to_server(tmp_path / grant, "mariadb", profile(database, user=name, password="pass"))
        rows = place.hdm("doctor", "--json").json
        found.append([row["ok"] for row in rows if (row["about"], row["what"]) == ("dst", "grants")])
        assert place.hdm("run").code == 0
        on_mariadb(database, f"DROP TABLE {database.database}.orders")
    assert found == [[], [True]]


def test_a_table_that_may_not_be_read_is_said_before_anything_is_made(
    tmp_path: Path, fresh_postgres: Callable[..., Database]
) -> None:
    database = fresh_postgres()
    with psycopg.connect(database.dsn) as connection:
        connection.execute("CREATE TABLE orders (id int, secret text)")
        connection.execute(f"GRANT SELECT (id) ON orders TO {ROLE}".encode())
    place = shop(tmp_path, 20, 6)
    place.profiles["src"] = profile(database, user=ROLE, password=ROLE_PASSWORD)
    link = direct(place, "orders")
    link["source"]["type"] = "PostgresSource"
    before = only(place, link).files()
    done = place.hdm("run")
    assert (done.code, done.out) == (2, "")
    assert (
        "source src: PostgreSQL 42501 InsufficientPrivilege: permission denied for table orders" in done.err
    )
    wrong = [row for row in place.hdm("doctor", "--json").json if not row["ok"]]
    assert [(row["about"], row["what"]) for row in wrong] == [("src", "table")]
    assert place.files() == before
    link["source"]["conf"]["columns"] = ["id"]
    assert only(place, link).hdm("run").code == 0


def test_a_table_without_columns_or_with_too_many(
    tmp_path: Path, fresh_postgres: Callable[..., Database], fresh_mariadb: Callable[..., Database]
) -> None:
    database = fresh_postgres()
    with psycopg.connect(database.dsn) as connection:
        connection.execute("CREATE TABLE nothing ()")
        connection.execute(f"CREATE TABLE wide ({', '.join(f'c{n} int' for n in range(1100))})".encode())
    place = to_server(tmp_path, "mariadb", profile(fresh_mariadb()))
    place.profiles["src"] = profile(database)
    link = direct(place, "nothing", "MariaDBSink")
    link["source"]["type"] = "PostgresSource"
    done = only(place, link).hdm("run")
    assert (done.code, done.out) == (2, "")
    assert "nothing has no columns" in done.err
    link["source"]["conf"]["table_name"] = "wide"
    done = only(place, link).hdm("run")
    assert done.code == 1
    assert "at most 1,017 columns" in done.err


def through(folder: Path, *sinks: tuple[str, dict[str, Any], dict[str, Any]]) -> Place:
    """Orders go into files first, and from there on to each sink: ``(type, profile, conf)``."""
    place, links = shop(folder, 20, 6), []
    for number, (kind, entry, conf) in enumerate(sinks):
        place.profiles["far"] = entry
        link = load(place)
        link["sink"] = {"name": f"far{number}", "type": kind, "conf": {"env": "far", **conf}}
        links.append(link)
    return only(place, stage("orders", place), *links)


def is_refused(place: Place, said: str, hint: str) -> None:
    """One message from each of two commands, and nothing made: no state, no files."""
    before = place.files()
    for verb in ("run", "plan"):
        done = place.hdm(verb)
        assert (done.code, done.out) == (2, ""), done.said
        first, *rest = done.err.splitlines()
        assert re.sub(r"^hdm: \S+/m\.yml:\d+:\d+: ", "hdm: ", first) == f"hdm: {said}"
        assert rest == [f"  hint: {hint}"]
    assert place.files() == before


NO_BUCKET, NO_CONTAINER = "create it, or correct `bucket_name:`", "create it, or correct `container:`"


def test_a_bucket_that_is_not_there(tmp_path: Path, s3_server: moto.S3) -> None:
    place = through(tmp_path, ("S3Sink", s3_server.profile, {"bucket_name": "nosuch", "prefix": "a"}))
    is_refused(place, "sink far0: the bucket of s3://nosuch/a/ does not exist", NO_BUCKET)
    (doctors,) = [row for row in place.hdm("doctor", "--json").json if not row["ok"]]
    assert doctors["detail"] == "the bucket of s3://nosuch/a/ does not exist"


def test_of_one_connection_every_bucket_is_looked_at(tmp_path: Path, s3_server: moto.S3) -> None:
    there = s3_server.fresh()
    sinks = [("S3Sink", s3_server.profile, {"bucket_name": name}) for name in (there, "nosuch")]
    is_refused(through(tmp_path, *sinks), "sink far1: the bucket of s3://nosuch/ does not exist", NO_BUCKET)
    assert "Contents" not in s3_server.client().list_objects_v2(Bucket=there), "looking leaves nothing"
    whole = tmp_path / "whole"
    whole.mkdir()
    assert through(whole, sinks[0]).hdm("run").code == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"aws_access_key_id": "nobody"}, "InvalidAccessKeyId"),
        ({"aws_secret_access_key": "wrong"}, "SignatureDoesNotMatch"),
    ],
)
def test_a_key_that_a_bucket_refuses(
    tmp_path: Path, rclone_server: rclone.Rclone, change: dict[str, str], code: str
) -> None:
    bucket = rclone_server.fresh()
    conf = {"bucket_name": bucket, "create_once": "check"}
    place = through(tmp_path, ("S3Sink", {**rclone_server.profile, **change}, conf))
    said = f"sink far0: S3 refused the credentials: GetObject on s3://{bucket}/: {code}"
    is_refused(place, said, "correct them in the connection")
    assert not list(rclone_server.path(bucket).rglob("*"))


def test_a_container_that_is_not_there_or_a_key_that_it_refuses(
    tmp_path: Path, azurite_server: azurite.Azurite
) -> None:
    own = {"account_url": azurite_server.account_url, "account_key": azurite_server.key}
    place = through(tmp_path, ("AzureBlobSink", own, {"container": "nosuch"}))
    root = f"azure://{azurite.ACCOUNT}"
    is_refused(place, f"sink far0: the container of {root}/nosuch/ does not exist", NO_CONTAINER)
    name = azurite_server.fresh()
    place.profiles["far"] = {**own, "account_key": base64.b64encode(b"another key" * 5).decode()}
    place.manifest["declared_data_links"]["stages"][1]["sink"]["conf"]["container"] = name
    before = place.write().files()
    done = place.hdm("run")
    assert (done.code, done.out, place.files()) == (2, "", before)
    assert f"m.yml:30:9: sink far0: Azure denied Get Blob Properties on {root}/{name}/: " in done.err
    assert "\n  hint: correct the key in the connection, or grant " in done.err
    with azurite_server.service() as service:
        assert not list(service.get_container_client(name).list_blobs())


@pytest.mark.parametrize(
    ("name", "absent"),
    [("nosuch.public.landing", "database NOSUCH"), ("nosuch.landing", "schema {}.NOSUCH")],
)
def test_a_stage_without_a_home(
    tmp_path: Path, snowflake_server: fakesnow.Snowflake, name: str, absent: str
) -> None:
    profile = snowflake_server.fresh()
    place = through(tmp_path, ("SnowflakeInternalStageSink", profile, {"stage_name": name}))
    said = f"there is no {absent.format(profile['database'])}, or this role may not use it"
    hint = "create it, correct its name in the connection or the manifest, or grant USAGE on it"
    is_refused(place, f"sink far0: {said}", hint)
    (doctors,) = [row for row in place.hdm("doctor", "--json").json if not row["ok"]]
    assert (doctors["what"], doctors["detail"]) == ("schema", said)


def test_an_external_stage_that_is_not_there(tmp_path: Path, snowflake_server: fakesnow.Snowflake) -> None:
    profile = snowflake_server.fresh()
    place = through(tmp_path, ("SnowflakeS3CopySink", profile, {"stage_name": "nosuch"}))
    home = f"{profile['database']}.PUBLIC"
    hint = "have it created over a storage integration, or give storage_integration: and url:"
    is_refused(place, f"sink far0: there is no external stage {home}.NOSUCH", hint)


def test_an_external_stage_that_nobody_names(tmp_path: Path, snowflake_server: fakesnow.Snowflake) -> None:
    place = through(tmp_path, ("SnowflakeAzureCopySink", snowflake_server.fresh(), {}))
    hint = "write stage_name: with an external stage over the bucket or container"
    is_refused(place, "far0: which stage are the files on?", hint)


def test_the_doctor_sees_links_that_no_run_would_carry_out(tmp_path: Path) -> None:
    """Each end is well; two links write into one table."""
    place = shop(tmp_path)
    links = [direct(place, "orders"), direct(place, "items")]
    for number, link in enumerate(links):
        link["source"]["name"] = f"src{number}"
        link["sink"]["conf"]["table_name"] = "same"
    only(place, *links)
    (wrong,) = [row for row in place.hdm("doctor", "--json").json if not row["ok"]]
    assert (wrong["about"], wrong["what"]) == ("manifest", "links") and "same" in wrong["detail"]
    assert place.hdm("plan").code == 2
    shown = place.hdm("doctor")
    assert shown.code == 1 and shown.out.splitlines()[-1].startswith("1 of ")
    only(place, links[0])
    assert place.hdm("doctor").out.splitlines()[-1].startswith("all well: ")
