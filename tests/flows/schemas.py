"""Real public schemas that none of us wrote, fetched from Debian and PyPI on first use.

MusicBrainz (PostgreSQL, from PyPI's ``mbdata``) and Kea DHCP's (MariaDB, from Debian's ``kea-admin``):
structure alone. Those with rows are in ``tests/flows/public``.
"""

from __future__ import annotations

import re
import subprocess
import sys

import psycopg
import pymysql

from tests.servers import provision
from tests.servers.process import Database, run

MUSICBRAINZ = "mbdata==31.0.1"
KEA = "kea-admin"
_MB_FILES = (
    "Extensions", "CreateCollations", "CreateSearchConfiguration", "CreateTypes", "CreateTables",
    "CreatePrimaryKeys", "CreateFunctions", "CreateFKConstraints", "CreateConstraints", "CreateIndexes",
    "CreateViews",
)  # fmt: skip


def musicbrainz(database: Database) -> None:
    """375 tables, 10 views, enums, checks by functions, in schema ``musicbrainz``."""
    with provision.once("mbdata") as home:
        folder = home / "mbdata" / "sql"
        if not folder.exists():
            pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", home]
            run([*pip, MUSICBRAINZ], timeout=600)
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA musicbrainz")
        connection.execute("SET search_path TO musicbrainz, public")
        for name in _MB_FILES:
            text = (folder / f"{name}.sql").read_text(encoding="utf-8")
            lines = [line for line in text.splitlines() if not line.startswith("\\")]
            connection.execute("\n".join(lines).encode())


def kea(database: Database) -> None:
    """DHCP leases, hosts and configurations: 80 tables with foreign keys and initial rows."""
    with provision.once("kea") as home:
        script = home / "usr/share/kea/scripts/mysql/dhcpdb_create.mysql"
        if not script.exists():
            home.mkdir(exist_ok=True)
            subprocess.run(["apt-get", "download", KEA], cwd=home, check=True, stdin=subprocess.DEVNULL)
            for package in home.glob("*.deb"):
                run(["dpkg-deb", "-x", package, home])
    with pymysql.connect(**_mysql(database)) as connection, connection.cursor() as cursor:
        for statement in statements(script.read_text(encoding="utf-8").replace("\\\n", "\n")):
            cursor.execute(statement)


def _mysql(database: Database) -> dict[str, object]:
    return {**database.profile, "autocommit": True}


def statements(text: str) -> list[str]:
    """A script of the mysql client as statements; DELIMITER is the client's own word."""
    found, mark, held = [], ";", ""
    for line in text.splitlines():
        changed = re.match(r"\s*DELIMITER\s+(\S+)", line, re.IGNORECASE)
        if changed:
            mark = changed[1]
            continue
        if not held.strip() and (not line.strip() or line.lstrip().startswith(("#", "-- ", "--\t"))):
            continue
        held += re.sub(r";\s*(#|-- ).*$", ";", line) + "\n"
        if held.rstrip().endswith(mark):
            found.append(held.rstrip()[: -len(mark)])
            held = ""
    return [one for one in found if one.strip()]
