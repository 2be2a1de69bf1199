"""A stand-in of Redshift: an unkind PostgreSQL behind a port that speaks to the real driver and reads S3."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.servers.moto import S3
from tests.servers.postgres import Postgres
from tests.servers.process import HOST, Database, Server, answers, folder, free_port
from tests.servers.redshift_sql import SETTINGS, SETUP
from tests.servers.redshift_wire import ROLES


@dataclass
class Redshift:
    """One database. ``under`` is the PostgreSQL below, for tests to look into."""

    under: Database
    port: int
    folder: Path
    s3: S3
    bucket: str

    @property
    def profile(self) -> dict[str, Any]:
        """A complete profile entry."""
        return {
            "host": HOST, "port": self.port, "database": self.under.database, "user": "hdm",
            "password": "hdm", "iam_role": ROLES[1], "staging": f"s3://{self.bucket}/on/the way",
            "s3": self.s3.profile,
        }  # fmt: skip

    def connect(self) -> Any:
        """A connection of the real driver."""
        import redshift_connector

        p = self.profile
        return redshift_connector.connect(
            host=p["host"], port=p["port"], database=p["database"], user="hdm", password="hdm", ssl=False
        )

    def lose(self, *patterns: str) -> None:
        """Lose the answers to the next statements that match."""
        self._tell("lose", patterns)

    def cut(self, *patterns: str) -> None:
        """Cut the connection before the next statements that match are carried out."""
        self._tell("cut", patterns)

    def _tell(self, how: str, patterns: tuple[str, ...]) -> None:
        with (self.folder / f"{self.under.database}.{how}").open("a") as file:
            file.write("".join(one + "\n" for one in patterns))

    def waiting(self) -> list[str]:
        """What was told to be lost or cut and did not come yet."""
        paths = [self.folder / f"{self.under.database}.{how}" for how in ("lose", "cut")]
        return [line for path in paths if path.exists() for line in path.read_text().splitlines()]

    @property
    def seen(self) -> list[str]:
        """Every statement as the driver sent it."""
        path = self.folder / f"{self.under.database}.seen"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def staged(self) -> list[str]:
        """The keys below the staging folder."""
        found = self.s3.client().list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return [one["Key"] for one in found if not one["Key"].rpartition("/")[2].startswith("_hdm_probe")]


@contextmanager
def running(postgres: Postgres, s3: S3) -> Iterator[Callable[[], Redshift]]:
    """Start the port in a process of its own; give a function that makes an empty database."""
    port, home = free_port(), folder("redshift")
    root = Path(__file__).parents[2]
    told = [str(port), str(postgres.port), s3.endpoint, str(home)]
    command = [sys.executable, "-m", "tests.servers.redshift_wire", *told]
    server = Server("redshift", command, home, env={"PYTHONPATH": str(root)})
    server.start(lambda: answers(port))

    def fresh() -> Redshift:
        made = postgres.fresh()
        with psycopg.connect(made.dsn, autocommit=True) as connection:
            connection.execute(SETUP.encode())
            for setting, value in SETTINGS.items():
                connection.execute(f"ALTER DATABASE {made.database} SET {setting} TO {value}".encode())
        return Redshift(made, port, home, s3, s3.fresh())

    try:
        yield fresh
    finally:
        server.stop()
