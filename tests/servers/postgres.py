"""A private PostgreSQL: superuser ``hdm`` (trusted), role ``mover`` and other members of ``asked``
(password asked), further roles (trusted)."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.servers import provision
from tests.servers.process import (
    HOST,
    Database,
    Server,
    answers,
    folder,
    free_port,
    new_name,
    run,
    unprivileged,
    within_reach,
)

ROLE, ROLE_PASSWORD = "mover", "p@ss/word:1"
_HBA = """\
local all all trust
host all hdm 127.0.0.1/32 trust
host all +asked 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
host replication hdm 127.0.0.1/32 trust
"""
_SETTINGS = {
    "listen_addresses": HOST,
    "max_connections": "200",
    "wal_level": "logical",
    "max_wal_senders": "10",
    "max_prepared_transactions": "20",
    "shared_buffers": "128MB",
    "password_encryption": "scram-sha-256",
    "logging_collector": "off",
}

_CARELESS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""A server that lives for one run of tests need not survive its machine."""


@dataclass
class Postgres:
    """A running server; ``fresh`` makes an empty UTF-8 database on it."""

    server: Server
    port: int
    version: int

    def database(self, name: str) -> Database:
        return Database("postgresql+psycopg", self.port, name, "hdm", "hdm")

    def fresh(self, options: str = "") -> Database:
        """A new database; ``options`` go to CREATE DATABASE."""
        name = new_name("t")
        with psycopg.connect(self.database("postgres").dsn, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 {options}".encode())
        return self.database(name)


@contextmanager
def running(*, durable: bool = False) -> Iterator[Postgres]:
    """Start a server of its own, stop it at the end. ``durable``: each commit waits for the disk."""
    programs, user, port = provision.postgres_bin(), unprivileged(), free_port()
    home = folder("postgres", user)
    bundle = provision.SERVERS / "pgserver"
    if bundle in programs.parents:
        programs = within_reach(bundle, user, home) / programs.relative_to(bundle)
    data = home / "data"
    initdb: list[str | Path] = [
        programs / "initdb",
        "-D",
        data,
        "-U",
        "hdm",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "-N",
    ]
    run(initdb, user=user)
    (data / "pg_hba.conf").write_text(_HBA)
    settings = {
        **_SETTINGS,
        **({} if durable else _CARELESS),
        "port": str(port),
        "unix_socket_directories": str(home),
    }
    command: list[str | Path] = [programs / "postgres", "-D", data]
    for key, value in settings.items():
        command += ["-c", f"{key}={value}"]
    server = Server("postgres", command, home, user=user, death=signal.SIGQUIT)
    server.start(lambda: answers(port) and _accepts(port))
    try:
        admin = f"postgresql://hdm@{HOST}:{port}/postgres"
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute("ALTER ROLE hdm PASSWORD 'hdm'")
            connection.execute("CREATE ROLE asked")
            asked = f"LOGIN PASSWORD '{ROLE_PASSWORD}' IN ROLE asked"
            connection.execute(f"CREATE ROLE {ROLE} {asked}".encode())
            version = connection.info.server_version
        yield Postgres(server, port, version)
    finally:
        server.stop()


def _accepts(port: int) -> bool:
    try:
        psycopg.connect(f"postgresql://hdm@{HOST}:{port}/postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
