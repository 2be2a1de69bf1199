"""A canary in every secret field of every connector's profile is never seen: not in output, logs at
debug level, the state database, staged files or a command line, however the connection fails."""

from __future__ import annotations

import base64
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from hdm.components import registry
from hdm.components.builtin import BUILTIN
from hdm.config.secrets import Secret
from tests.flows.kit import Done, Place, load, run, shop, stage
from tests.servers import provision
from tests.servers.process import HOST, Database, free_port
from tests.unit.connectors.test_gcs import service_account

CORE = "c4n4ry"
"""What every canary holds; finding as much as that is a leak."""
HTTP = ("S3", "AzureBlob", "Snowflake", "GCS", "BigQuery")
LONG = ("Snowflake", "MySQL", "MariaDB")
NO_PORT = ("SQLite", "DuckDB", "FS", "Dummy")
SOON = ("--max-wait", "1")
"""A system that is not there is given up after a second."""
KEPT_BY_DESIGN = ("p.yml",)


def canary(number: int) -> str:
    """Unlike in its plain, URL-encoded and base64 forms."""
    return f"{CORE}{number}@/ +%é'\"{CORE}"


def forms() -> list[bytes]:
    """The core in each form and, for base64, at each offset within what is encoded."""
    found = [
        CORE.encode(),
        quote(CORE, safe="").encode(),
        CORE.encode("utf-16-le"),
        CORE.encode().hex().encode(),
    ]
    for before in range(3):
        whole = base64.b64encode(b"x" * before + CORE.encode() + b"xxx")
        start = {0: 0, 1: 2, 2: 3}[before]
        found.append(whole[start : start + 8 - start % 2])
    return found


def secret_fields(profile: Any) -> list[str]:
    return [name for name, field in profile.model_fields.items() if Secret in _parts(field.annotation)]


def _parts(annotation: Any) -> tuple[Any, ...]:
    return getattr(annotation, "__args__", (annotation,))


BESIDE = {
    "ODBCSource": ("options.PWD",),
    "SQLServerSource": ("options.PWD",),
    "OracleSource": ("dsn",),
    "AzureBlobSource": ("account_url",),
}
"""Where a secret may stand though the field is not made for one."""


def components() -> list[Any]:
    """(kind, type, secret field, way to fail): every type with every secret field where its server
    answers with nonsense; for each profile once where the server is not there, or where a login
    takes long to fail."""
    found: dict[tuple[str, Any, str, str], Any] = {}
    for kind in ("source", "sink", "state_manager", "catalog"):
        for name in sorted(BUILTIN.get(kind, {})):
            model = getattr(registry.find(kind, name), "Profile", None)
            if model is None or name.startswith(NO_PORT):
                continue
            beside = BESIDE.get(name, ())
            for field in (*secret_fields(model), *beside):
                # over HTTP a closed port is only tried again and again
                for way in ("babble",) if name.startswith(HTTP) else ("refused", "babble"):
                    one = pytest.param(kind, name, field, way, id=f"{kind}-{name}-{field}-{way}")
                    each = way == "babble" and not name.startswith(LONG) and kind != "state_manager"
                    found.setdefault((kind, name if each else model, field, way), one)
    return list(found.values())


def test_every_type_with_a_secret_is_tried() -> None:
    def model_of(kind: str, name: str) -> Any:
        return getattr(registry.find(kind, name), "Profile", None)

    tried = {(one.values[0], model_of(*one.values[:2]), one.values[2]) for one in components()}
    for kind, named in BUILTIN.items():
        for name in named:
            model = model_of(kind, name)
            for field in secret_fields(model) if model is not None else ():
                assert (kind, model, field) in tried, name


def profile_of(kind: str, name: str, field: str, port: int) -> dict[str, Any]:
    """The least that reaches ``port`` with a canary in ``field``."""
    secret = canary(1)
    shown = quote(secret, safe="")
    if field == "options.PWD":
        least = {"host": HOST, "port": port, "user": "someone", "database": "here"}
        return {**least, "options": {"PWD": secret}, **({"dialect": "postgres"} if "ODBC" in name else {})}
    if field == "dsn":
        return {"user": "someone", "dsn": f"someone/{CORE}1@{HOST}:{port}/here"}
    if field == "account_url":
        return {"account_url": f"http://{HOST}:{port}/account?sv=2024-01-01&sig={shown}"}
    place: dict[str, Any] = {"host": HOST, "port": port, "user": "someone", "database": "here"}
    if name.startswith("S3"):
        keys = {
            "aws_access_key_id": "AKIA",
            "aws_secret_access_key": canary(2),
            "aws_session_token": canary(3),
        }
        return {"endpoint_url": f"http://{HOST}:{port}", "region": "us-east-1", **keys, field: CORE + "1"}
    if name.startswith("GCS"):
        key = service_account(secret, f"http://{HOST}:{port}/token")
        return {"endpoint_url": f"http://{HOST}:{port}", "credentials_json": key}
    if name.startswith("BigQuery"):
        key = service_account(secret, f"http://{HOST}:{port}/token")
        return {"project": "here", "dataset": "here", "credentials_json": key}
    if name.startswith("SFTP"):
        return {"host": HOST, "port": port, "user": "someone", "password": canary(2), field: secret}
    if name.startswith("Azure") and "Blob" in name:
        key = base64.b64encode(secret.encode()).decode()
        account = f"http://{HOST}:{port}/account"
        text = f"DefaultEndpointsProtocol=http;AccountName=account;AccountKey={key};BlobEndpoint={account}"
        return {
            "url": {"url": text},
            "connection_string": {"connection_string": text},
            "sas": {"url": account, "sas": f"sv=2024-01-01&sig={shown}"},
            "account_key": {"url": account, "account_key": key},
        }[field]
    if name.startswith("Snowflake"):
        where = {
            "account": "a",
            "user": "u",
            "host": HOST,
            "port": port,
            "protocol": "http",
            "network_timeout": 2,
        }
        path = {"private_key_path": "/nowhere.p8"} if field == "private_key_passphrase" else {}
        oauth = {"authenticator": "oauth"} if field == "token" else {}
        return {**where, "database": "D", "schema": "S", **path, **oauth, field: secret}
    if name.startswith("ODBC"):
        if field == "odbc":
            made = f"Driver={{PostgreSQL Unicode}};Server={HOST};Port={port};Database=d;UID=u;PWD={{{CORE}1}}"
            return {"odbc": made, "dialect": "postgres"}
        return {**place, "dialect": "postgres", field: secret}
    if name.startswith("JDBC"):
        jar = str(provision.jdbc_jar("libpostgresql-jdbc-java", "postgresql.jar"))
        way = {"driver": {"name": "org.postgresql.Driver", "path": jar}, "user": "someone"}
        made = f"jdbc:postgresql://{HOST}:{port}/here"
        if field == "url":
            return {**way, "url": f"{made}?password={shown}"}
        return {**way, "url": made, field: secret}
    if field == "url":
        scheme = {"Postgres": "postgresql", "MySQL": "mysql", "MariaDB": "mysql", "SQLServer": "mssql",
                  "AzureSQLServer": "mssql", "Oracle": "oracle"}  # fmt: skip
        start = next((word for prefix, word in scheme.items() if name.startswith(prefix)), "x")
        return {"url": f"{start}://someone:{shown}@{HOST}:{port}/here"}
    return {**place, field: secret}


@pytest.fixture
def babble() -> Iterator[int]:
    """A server that says no to HTTP, nonsense to everybody else, and hangs up."""
    with socket.create_server((HOST, 0)) as server:
        ended = threading.Event()

        def talk() -> None:
            while not ended.is_set():
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    client.settimeout(0.3)
                    try:
                        client.recv(4096)
                        client.sendall(
                            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                        )
                    except OSError:
                        continue

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        ended.set()
        with socket.socket() as last:
            last.connect_ex(server.getsockname())
        thread.join(5)


def project(folder: Path, kind: str, name: str, profile: dict[str, Any]) -> Place:
    place = shop(folder, orders=20, items=5)
    place.profiles["canary"] = profile
    conf: dict[str, Any] = {"env": "canary"}
    if name.startswith(("S3", "GCS")):
        conf["bucket_name"] = "bucket"
    elif name.startswith("SFTP"):
        conf["directory"] = "/here"
    elif "Blob" in name:
        conf["container"] = "data"
    elif "StageSink" in name or (name.startswith("Snowflake") and "CopySink" in name):
        conf["stage_name"] = "TMP"
    elif kind == "source":
        conf["table_name"] = "orders"
    if name == "NetezzaExternalTableSource":
        conf["directory"] = str(folder / "unload")
    if name.startswith("ODBC"):
        conf["dialect"] = "postgres"
    links = [stage("orders", place), load(place)]
    if kind == "source":
        links = [{**links[0], "source": {"name": "src", "type": name, "conf": conf}}]
    elif kind == "sink":
        links[1]["sink"] = {"name": "dst", "type": name, "conf": conf}
    else:
        place.manifest["state_manager"] = {"type": name, "conf": {"connection": "canary"}}
    place.manifest["declared_data_links"] = {"stages": links}
    return place.write()


def loud(place: Place) -> Path:
    """Log settings that write everything that any library says to a file."""
    settings = place.folder / "log.yml"
    handler = {"class": "logging.FileHandler", "filename": str(place.folder / "debug.log"), "level": "DEBUG"}
    body = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"file": handler},
        "root": {"level": "DEBUG", "handlers": ["file"]},
    }
    settings.write_text(yaml.safe_dump(body))
    return settings


def leaks(place: Place, said: str) -> list[str]:
    found = [f"output: ...{said[max(0, at - 60) : at + 40]!r}" for at in _places(said.encode())]
    for path in place.folder.rglob("*"):
        if path.is_file() and path.name not in KEPT_BY_DESIGN:
            data = path.read_bytes()
            found += [f"{path.name}: {data[max(0, at - 80) : at + 40]!r}" for at in _places(data)]
    return found


def _places(data: bytes) -> list[int]:
    return [at for form in forms() if (at := data.find(form)) >= 0]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # drivers' own lost sockets
@pytest.mark.slow
@pytest.mark.draw(("kind", "name", "field", "way"), components(), 24)
def test_no_canary_is_seen(
    kind: str, name: str, field: str, way: str, tmp_path: Path, babble: int, odbc_drivers: None
) -> None:
    port = babble if way == "babble" else free_port()
    profile = profile_of(kind, name, field, port)
    if kind == "catalog":
        place = shop(tmp_path, orders=1, items=1)
        place.profiles["canary"] = profile
        said = [found.said for found in take_stock(place.write(), name)]
    else:
        place = project(tmp_path, kind, name, profile)
        done = place.hdm("run", *SOON, "-l", str(loud(place)))
        assert done.code != 0, done.said
        said = [
            done.said,
            *(found.said for found in look_on(place, slow=kind == "state_manager" or name.startswith(LONG))),
        ]
    assert leaks(place, "\n".join(said)) == []


def look_on(place: Place, *, slow: bool) -> Iterator[Done]:
    """Every command that looks at a project whose run has failed, as text and as JSON; of those that
    connect only one where a login is tried for seconds."""
    settings = ("-l", str(loud(place)))
    yield place.hdm("doctor", *settings)
    if not slow:
        yield place.hdm("doctor", "--json")
        yield place.hdm("plan", "--json", *settings)
        yield place.hdm("run", *SOON, "--log-level", "debug", "--log-format", "json")
    yield place.hdm("status", "--json")
    yield place.hdm("status", "--dead")
    yield run(["components", "--json"], place.env)


def take_stock(place: Place, name: str) -> Iterator[Done]:
    """The commands that crawl."""
    system = {"MariaDBCatalog": "mysql"}.get(name, name.removesuffix("Catalog").lower())
    rest = [
        "--from",
        f"{system}:canary",
        "--to",
        "sqlite",
        "-e",
        "dev",
        "--profiles",
        str(place.folder / "p.yml"),
    ]
    for words in (["catalog", "crawl"], ["catalog", "crawl", "--json"], ["catalog", "diff"],
                  ["assess", "--json", "-"]):  # fmt: skip
        done = run([*words, *rest], place.env)
        assert done.code != 0, done.said
        yield done


def test_a_canary_is_found_where_there_is_one(tmp_path: Path) -> None:
    """The search itself: each form, at each offset."""
    place = shop(tmp_path, orders=1, items=1)
    text = canary(7).encode()
    for number, shown in enumerate(
        [
            text,
            quote(canary(7)).encode(),
            *(base64.b64encode(b"u:"[:n] + text) for n in range(3)),
            text.hex().encode(),
        ]
    ):
        (tmp_path / "found.bin").write_bytes(b"\0\1 before " + shown)
        assert leaks(place, ""), number


@pytest.mark.parametrize("fault", ["wrong password", "wrong table", "server gone"])
def test_no_canary_of_a_real_server_is_seen(
    fault: str, tmp_path: Path, fresh_postgres: Callable[..., Database]
) -> None:
    """A password that is really checked, a statement that really fails, and a session cut mid-way."""
    import psycopg

    database = fresh_postgres()
    role = f"canary_{fault.replace(' ', '_')}_{os.getpid()}"
    with psycopg.connect(database.dsn, autocommit=True) as admin:
        admin.execute(psycopg.sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE asked").format(
            psycopg.sql.Identifier(role), psycopg.sql.Literal(canary(1))))  # fmt: skip
        admin.execute(
            "CREATE TABLE orders AS SELECT n AS id, repeat('x', 200) AS t FROM generate_series(1, 20000) n"
        )
        admin.execute(psycopg.sql.SQL("GRANT SELECT ON orders TO {}").format(psycopg.sql.Identifier(role)))
    profile = {**database.profile, "user": role, "password": canary(1)}
    if fault == "wrong password":
        profile["password"] = canary(2)
    place = project(tmp_path, "source", "PostgresSource", profile)
    if fault == "wrong table":
        place.manifest["declared_data_links"]["stages"][0]["source"]["conf"]["table_name"] = "nothing"
        place.write()
    if fault != "server gone":
        done = place.hdm("run", "-l", str(loud(place)))
        assert done.code != 0
        assert leaks(place, done.said) == []
        return
    running = place.start("run", "-l", str(loud(place)), HDM_FAILPOINT="C3:1:sleep:2")
    with psycopg.connect(database.dsn, autocommit=True) as admin:
        cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = %s"
        end = time.monotonic() + 30
        while time.monotonic() < end and not admin.execute(cut, [role]).fetchone()[0]:  # type: ignore[index]
            time.sleep(0.05)
    shown = _command_lines(running.pid)
    running.wait(60)
    assert shown and not _places(shown)
    assert leaks(place, "") == []


def _command_lines(pid: int) -> bytes:
    """The command lines of a process and of all its descendants, as ``ps`` shows them."""
    found = b""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _descends(int(entry.name), pid):
            try:
                found += (entry / "cmdline").read_bytes()
            except OSError:
                continue
    return found


def _descends(child: int, pid: int) -> bool:
    while child > 1:
        if child == pid:
            return True
        try:
            status = Path(f"/proc/{child}/status").read_text()
        except OSError:
            return False
        parent = re.search(r"PPid:\s+(\d+)", status)
        child = int(parent[1]) if parent else 0
    return False
