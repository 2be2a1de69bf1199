"""SIGKILL along the chain that hdm exists for: Netezza -> files -> chunks -> S3 -> Snowflake's COPY.

The source is the socket server that speaks Netezza's protocol to the real nzpy, kept by the test's process:
what a killed worker left open there is rolled back when its connection breaks, as Netezza does. ``orders`` is
read by queries, ``stock`` is unloaded through an external table. The seed draws a point, at whose first
passing is killed; ``--long`` takes all, at the first passing and the last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tests.crash.conftest import Fresh
from tests.crash.harness import Hdm
from tests.crash.shop import Shop
from tests.crash.test_chain import MOVED, POINTS, ChainShop, count_passes, kill_and_recover
from tests.runner.sample import Sample
from tests.servers import fakesnow, moto
from tests.servers.netezza import Netezza
from tests.servers.process import Database

_TABLES = {
    "orders": '"id" bigint PRIMARY KEY, "customer" varchar(40) NOT NULL, "cents" bigint, '
    '"note" varchar(100), "changed" bigint',
    "stock": '"sku" varchar(40) PRIMARY KEY, "count" bigint',
}


class NetezzaShop(ChainShop):
    """The shop with its tables on Netezza."""

    def __init__(
        self, folder: Path, fresh: Fresh, s3: moto.S3, snowflake: fakesnow.Snowflake, netezza: Netezza
    ) -> None:
        self.netezza, self.unloads = netezza, folder / "unloads"
        self.unloads.mkdir()
        super().__init__(folder, fresh, s3, snowflake, put=False)
        with psycopg.connect(netezza.database.dsn, autocommit=True) as connection:
            for table, columns in _TABLES.items():
                connection.execute(f'CREATE TABLE "ADMIN"."{table}" ({columns})'.encode())
                rows = Shop.rows_of_source(self, table)
                marks = ", ".join(["%s"] * len(rows[0]))
                with connection.cursor() as cursor:
                    cursor.executemany(f'INSERT INTO "ADMIN"."{table}" VALUES ({marks})'.encode(), rows)

    def rows_of_source(self, table: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.netezza.database.dsn) as connection:
            found = connection.execute(f'SELECT * FROM "ADMIN"."{table}"'.encode()).fetchall()
        return sorted(found, key=repr)

    def _write_profiles(self) -> None:
        super()._write_profiles()
        entries = yaml.safe_load(self.profiles.read_text())
        entries["dev"]["shop"] = {
            "host": "127.0.0.1", "port": self.netezza.port, "database": self.netezza.database.database,
            "user": "x", "password": self.netezza.password, "schema": "ADMIN",
        }  # fmt: skip
        self.profiles.write_text(yaml.safe_dump(entries))

    def _manifest(self) -> dict[str, Any]:
        manifest = super()._manifest()
        for link in manifest["declared_data_links"]["stages"]:
            source = link["source"]
            if source["type"] == "SQLiteSource":
                source["type"] = "NetezzaSource"
                if source["conf"]["table_name"] == "stock":
                    source["type"] = "NetezzaExternalTableSource"
                    source["conf"]["directory"] = str(self.unloads)
        return manifest

    def scratch_files(self) -> list[Path]:
        return [*super().scratch_files(), *self.unloads.iterdir()]


@pytest.fixture
def make_chain(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    s3_server: moto.S3,
    snowflake_server: fakesnow.Snowflake,
    fresh_postgres: Callable[..., Database],
) -> Iterator[Callable[[], NetezzaShop]]:
    servers: list[Netezza] = []

    def make() -> NetezzaShop:
        servers.append(Netezza(fresh_postgres()))
        folder = tmp_path / f"shop{len(servers)}"
        folder.mkdir()
        return NetezzaShop(folder, Fresh(request, folder), s3_server, snowflake_server, servers[-1])

    yield make
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def passes() -> Counter[str]:
    """How often a run passes each point; empty until it is counted, for ``--long``."""
    return Counter()


@pytest.mark.draw("point", ("C3", *POINTS), 1)
def test_kill_along_the_chain_from_netezza(
    point: str,
    hdm: Hdm,
    make_chain: Callable[[], NetezzaShop],
    passes: Counter[str],
    sample: Sample,
) -> None:
    assert {"orders", "stock"} == set(MOVED)
    if sample.whole and not passes:
        passes.update(count_passes(hdm, make_chain()))
    count = passes[point] if sample.whole else 1
    kill_and_recover(point, hdm, make_chain, count, "chain from Netezza to Snowflake", sample)
