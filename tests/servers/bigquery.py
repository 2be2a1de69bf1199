"""A private stand-in for BigQuery: Google's own client speaks REST to it, and DuckDB keeps the rows.

What it refuses as BigQuery does, and how kind it still is: ``docs/reference/connectors.md``.
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

from tests.servers import provision
from tests.servers.process import HOST, Server, answers, folder, free_port, new_name

PROJECT = "tests"


@dataclass
class BigQuery:
    """A running server; ``fresh`` makes an empty dataset."""

    server: Server
    port: int

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    def fresh(self) -> dict[str, Any]:
        """The keys of a profile's connection, with a dataset of its own."""
        name = new_name("ds_")
        self.run(f"CREATE SCHEMA `{name}`")
        return {"project": PROJECT, "dataset": name, "emulator": self.endpoint}

    def reach(self, gcs: str) -> None:
        """Let load jobs fetch files from that server of Cloud Storage from now on."""
        (self.server.home / "gcs").write_text(gcs)

    def client(self) -> Any:
        """Google's client, for tests to look with."""
        from google.auth.credentials import AnonymousCredentials
        from google.cloud.bigquery import Client

        return Client(
            project=PROJECT,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.endpoint},
        )

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement outside of any session and return its rows."""
        client = self.client()
        try:
            return [tuple(row.values()) for row in client.query(sql, retry=None, job_retry=None).result()]
        finally:
            client.close()

    def tables(self, dataset: str) -> list[str]:
        """The names of a dataset's tables."""
        client = self.client()
        try:
            return [one.table_id for one in client.list_tables(dataset)]
        finally:
            client.close()

    def fault(self, what: str, match: str, times: int = 1, **more: str) -> None:
        """``lose`` the answer of requests that match, or ``fail`` the jobs whose text or id does, for a
        ``reason``."""
        orders = [{"what": what, "match": match, "times": times, **more}]
        (self.server.home / "orders.json").write_text(json.dumps(orders))


@contextmanager
def running() -> Iterator[BigQuery]:
    """Start a server of its own, stop it at the end."""
    home, port = folder("bigquery"), free_port()
    command: list[str | Path] = [sys.executable, "-m", "tests.servers.bigquery_app", str(port), home]
    path = os.pathsep.join([str(provision.ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    server = Server("bigquery", command, home, env={"PYTHONPATH": path})
    server.start(lambda: answers(port))
    try:
        yield BigQuery(server, port)
    finally:
        server.stop()
