"""``make chain``: PostgreSQL through psqlODBC -> Parquet -> chunks -> S3, Azure and an internal
stage -> Snowflake, 6 of 23 tables (all under ``--long``); then source = target, value by value, and a
second run moves nothing.

Real here: PostgreSQL, its ODBC driver, every byte and protocol on the way, Snowflake's and the stores'
own Python clients. Emulated: S3 (moto), Azure Blob (azurite), Snowflake (fakesnow, DuckDB inside).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.flows.chain import sample as warehouse
from tests.flows.chain.proof import prove
from tests.flows.chain.report import REPORT
from tests.flows.chain.world import ENDS, World
from tests.runner.sample import Sample
from tests.servers import azurite, fakesnow, moto
from tests.servers.process import Database

pytestmark = [pytest.mark.chain, pytest.mark.slow]
WAYS = {
    "snowflake_by_s3": "files -> chunks -> S3 -> Snowflake COPY",
    "snowflake_by_azure": "files -> chunks -> Azure Blob -> Snowflake COPY",
    "snowflake_by_put": "files -> chunks -> PUT -> Snowflake COPY",
}


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory,
    fresh_postgres: Callable[..., Database],
    odbc_drivers: None,
    s3_server: moto.S3,
    azurite_server: azurite.Azurite,
    snowflake_server: fakesnow.Snowflake,
) -> World:
    folder = tmp_path_factory.mktemp("chain")
    database = fresh_postgres()
    warehouse.build(database, folder, most=MOST)
    return World(folder, database, s3_server, azurite_server, snowflake_server)


MOST = 4_000
"""About how many rows the long tables have."""


@pytest.fixture(scope="module")
def tables(sample: Sample) -> list[str]:
    """Those with a watermark, the awkward one, and a few of the others; all under ``--long``."""
    always = [*warehouse.CURSORS, "awkward.awkward"]
    others = [table for table in warehouse.TABLES if table not in always]
    return [*always, *sample.of("tables of the chain", others, 2)]


def assert_equal(world: World, tables: Sequence[str], *, note: bool = False) -> None:
    for end in ENDS:
        with world.account(end) as account:
            for verdict in prove(world.warehouse, account, tables):
                if note:
                    REPORT.add(WAYS[end], verdict)
                assert verdict.equal, (
                    f"{end}: {verdict.table}: {len(verdict.lost)} rows are missing, {len(verdict.extra)} are "
                    f"not of the source, e.g.\n{verdict.lost[:1]}\n{verdict.extra[:1]}"
                )


def test_the_whole_chain(world: World, tables: list[str]) -> None:
    """In one test, since each step stands on the one before."""
    manifest = world.only(tables)
    first = world.run(manifest)
    assert_equal(world, tables, note=True)
    files, size = world.staged()
    REPORT.notes.append(
        f"{first['rows']:,} rows carried in {first['seconds']:.0f} s, through {files:,} files "
        f"of {size / 1e6:,.1f} MB"
    )
    assert links_verified(world)

    assert world.run(manifest)["rows"] == 0
    assert world.staged() == (files, size)
    assert_equal(world, tables)

    added = warehouse.grow(world.warehouse)
    third = world.run(manifest)
    assert third["rows"] == sum(added.values()) * LOADS
    assert_equal(world, tables)
    REPORT.notes.append(
        f"a second run moved 0 rows; {sum(added.values())} new rows moved once over each of {LINKS} links"
    )


LINKS, LOADS = 7, 3
"""Each row passes: extract, cut, upload twice, load thrice. What arrives is counted once for each target."""


def links_verified(world: World) -> bool:
    """Whether the state says so as well: every chunk of every link is verified."""
    with sqlite3.connect(world.folder / "hdm.db") as state:
        found = state.execute("SELECT status, COUNT(*) FROM hdm_chunk GROUP BY status").fetchall()
    state.close()
    return [status for status, _ in found] == ["verified"]


def test_bytes_travel_untouched(world: World, tables: list[str]) -> None:
    """Between file-shaped neighbours: the uploaded objects are the staged files, byte for byte."""
    if not Path(world.folder, "staging").exists():  # alone, without the test above
        world.run(world.only(tables))
    local = {path.read_bytes() for path in Path(world.folder, "staging", "chunks").rglob("*.parquet")}
    assert len(local) >= len(tables)
    client = world.s3.client()
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=world.bucket)
    keys = [one["Key"] for page in pages for one in page["Contents"] if one["Key"].endswith(".parquet")]
    assert {client.get_object(Bucket=world.bucket, Key=key)["Body"].read() for key in keys} == local
    with world.blobs.service() as service:
        container = service.get_container_client(world.container)
        names = [one.name for one in container.list_blobs() if one.name.endswith(".parquet")]
        assert {container.download_blob(name).readall() for name in names} == local
