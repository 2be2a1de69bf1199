"""A private MariaDB: user ``hdm`` with every right and a password."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pymysql

from tests.servers import provision
from tests.servers.process import HOST, Database, Server, answers, folder, free_port, new_name, unprivileged

USER, PASSWORD = "hdm", "hdm"
_SETTINGS = {
    "bind-address": HOST,
    "max-connections": "200",
    "character-set-server": "utf8mb4",
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-buffer-pool-size": "128M",
    "max-allowed-packet": "256M",
    "local-infile": "ON",
    "log-bin": "binlog",
    "binlog-format": "ROW",
    "sync-binlog": "0",
    "server-id": "1",
}
_BOOTSTRAP = (
    "mysql_system_tables.sql",
    "mysql_performance_tables.sql",
    "mysql_system_tables_data.sql",
    "maria_add_gis_sp_bootstrap.sql",
)


@dataclass
class MariaDB:
    """A running server; ``fresh`` makes an empty utf8mb4 database on it."""

    server: Server
    port: int

    def database(self, name: str) -> Database:
        return Database("mysql+pymysql", self.port, name, USER, PASSWORD)

    def fresh(self, options: str = "") -> Database:
        """A new database; ``options`` go to CREATE DATABASE."""
        name = new_name("t")
        with _connect(self.port, USER, PASSWORD) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} {options}")
        return self.database(name)


@contextmanager
def running() -> Iterator[MariaDB]:
    """Start a server of its own, stop it at the end."""
    prefix, user, port = provision.mariadb_prefix(), unprivileged(), free_port()
    daemon = next(p for p in (prefix / "sbin/mariadbd", prefix / "bin/mariadbd") if p.exists())
    share = next(p for p in (prefix / "share/mysql", prefix / "share/mariadb") if p.exists())
    home = folder("mariadb", user)
    # A server that starts removes every temporary table in its tmpdir, also those of others that share it.
    data, passing = home / "data", home / "tmp"
    for made in (data, passing):
        made.mkdir(mode=0o700)
        if user:
            os.chown(made, home.stat().st_uid, -1)
    common: list[str | Path] = [
        daemon,
        "--no-defaults",
        f"--datadir={data}",
        f"--tmpdir={passing}",
        f"--basedir={prefix}",
        f"--lc-messages-dir={share}",
    ]
    if user is None and os.getuid() == 0:
        common.append("--user=root")
    env = provision.library_path(prefix)
    first = "create database if not exists mysql;\nuse mysql;\nset @auth_root_socket=NULL;\n"
    script = first + "".join((share / name).read_text() for name in _BOOTSTRAP)
    sql = home / "bootstrap.sql"
    sql.write_text(script)
    provision_script: list[str | Path] = [
        "/bin/sh",
        "-c",
        'exec "$@" < "$0"',
        sql,
        *common,
        "--bootstrap",
        "--silent-startup",
    ]
    boot = Server("bootstrap", provision_script, home, user=user, env=env)
    boot.start(lambda: boot.process is not None and boot.process.wait(120) == 0)
    settings = {**_SETTINGS, "port": str(port), "socket": str(home / "s"), "pid-file": str(home / "pid")}
    options = [f"--{key}={value}" for key, value in settings.items()]
    server = Server("mariadbd", [*common, *options], home, user=user, env=env)
    server.start(lambda: answers(port) and _accepts(port))
    try:
        with _connect(port, "root", "") as connection, connection.cursor() as cursor:
            for host in ("localhost", HOST, "%"):
                cursor.execute(f"CREATE USER '{USER}'@'{host}' IDENTIFIED BY '{PASSWORD}'")
                cursor.execute(f"GRANT ALL ON *.* TO '{USER}'@'{host}' WITH GRANT OPTION")
        yield MariaDB(server, port)
    finally:
        server.stop()


def _connect(port: int, user: str, password: str) -> pymysql.connections.Connection[pymysql.cursors.Cursor]:
    return pymysql.connect(host=HOST, port=port, user=user, password=password, autocommit=True)


def _accepts(port: int) -> bool:
    try:
        _connect(port, "root", "").close()
    except pymysql.err.OperationalError:
        return False
    return True
