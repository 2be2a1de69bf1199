"""A private stand-in for SQL Server: real drivers speak TDS to it, and a PostgreSQL keeps the rows.

What it refuses as SQL Server does, and how kind it still is: ``docs/reference/connectors.md``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg

from tests.servers import provision
from tests.servers.process import HOST, Database, Server, ServerFailed, answers, folder, free_port

USER, PASSWORD = "sa", "Canary-4711"
_SCHEMA = Path(__file__).with_suffix(".sql")


@dataclass
class SQLServer:
    """A running server; ``fresh`` makes a database of it out of an empty PostgreSQL database."""

    server: Server
    port: int

    def fresh(self, behind: Database) -> SQLServerDatabase:
        """The database of the same name."""
        with psycopg.connect(behind.dsn, autocommit=True) as connection:
            connection.execute(_SCHEMA.read_bytes())
            connection.execute(b"INSERT INTO ms.settings VALUES ('database', %s)", (behind.database,))
        (self.server.home / f"{behind.database}.dsn").write_text(behind.dsn)
        return SQLServerDatabase(behind, self.port, self.server.home)


@dataclass(frozen=True)
class SQLServerDatabase:
    """One database of the stand-in. ``behind`` is where its rows are."""

    behind: Database
    port: int
    home: Path

    @property
    def profile(self) -> dict[str, Any]:
        """The keys of a profile's connection."""
        return {"host": HOST, "port": self.port, "database": self.behind.database, "user": USER,
                "password": PASSWORD, "insecure": True}  # fmt: skip

    def connect(self, driver: str, **options: str) -> Any:
        """A connection by pyodbc and the driver at that path, in autocommit."""
        import pyodbc

        words = {"Driver": driver, "Server": f"{HOST},{self.port}", "Database": self.behind.database}
        words |= {"UID": USER, "PWD": PASSWORD, "Encrypt": "yes", "TrustServerCertificate": "yes", **options}
        return pyodbc.connect(";".join(f"{k}={v}" for k, v in words.items()), autocommit=True)

    def url(self, driver: str, **options: str) -> str:
        """The URL of a state database in it, by pyodbc and the driver at that path."""
        words = {"driver": driver, "Encrypt": "yes", "TrustServerCertificate": "yes", **options}
        place = f"{USER}:{PASSWORD}@{HOST}:{self.port}/{self.behind.database}"
        return f"mssql+pyodbc://{place}?{urlencode(words)}"

    def refuse(self, statement: str, number: int, times: int = 1) -> None:
        """Answer the next statements that match with an error of that number; 0 breaks the connection off."""
        orders = [{"statement": statement, "number": number or 1, "times": times}]
        (self.home / f"{self.behind.database}.orders").write_text(json.dumps(orders))

    def set(self, name: str, said: str) -> None:
        """Change what the database is, such as ``snapshots``."""
        with psycopg.connect(self.behind.dsn, autocommit=True) as connection:
            connection.execute(b"UPDATE ms.settings SET said = %s WHERE name = %s", (said, name))


@contextmanager
def running() -> Iterator[SQLServer]:
    """Start a server of its own, stop it at the end."""
    home, port = folder("sqlserver"), free_port()
    command: list[str | Path] = [sys.executable, "-m", "tests.servers.sqlserver_app", str(port), home]
    path = os.pathsep.join([str(provision.ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    server = Server("sqlserver", command, home, env={"PYTHONPATH": path})
    server.start(lambda: answers(port))
    try:
        yield SQLServer(server, port)
    finally:
        server.stop()


def microsoft_driver() -> str:
    """The path of Microsoft's ODBC driver 18, out of the wheel of ``mssql-python-odbc``."""
    import mssql_python_odbc

    home = Path(next(iter(mssql_python_odbc.__path__)))
    system = "debian_ubuntu" if Path("/etc/debian_version").exists() else "rhel"
    machine = {"aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    found = sorted(home.glob(f"libs/linux/{system}/{machine}/lib/libmsodbcsql-*.so*"))
    if not found:
        raise ServerFailed("mssql-python-odbc brings no ODBC driver for this machine")
    return str(found[0])


def freetds_driver() -> str:
    """The path of FreeTDS's ODBC driver, of Debian's package ``tdsodbc``."""
    home = provision.unpacked("freetds", ["tdsodbc"])
    return str(next(home.glob("usr/lib/**/libtdsodbc.so")))
