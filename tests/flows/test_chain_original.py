"""The original's own manifest for this chain, unchanged: only the profiles say where things are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flows.chain import netezza
from tests.flows.chain.proof import prove
from tests.flows.chain.world import World
from tests.servers import azurite, fakesnow, moto
from tests.servers.process import Database

pytestmark = [pytest.mark.chain, pytest.mark.slow]
MANIFEST = Path(__file__).with_name("chain") / "original.yml"


@pytest.fixture
def world(
    tmp_path: Path,
    fresh_postgres: Callable[..., Database],
    odbc_drivers: None,
    s3_server: moto.S3,
    azurite_server: azurite.Azurite,
    snowflake_server: fakesnow.Snowflake,
) -> World:
    database = fresh_postgres()
    netezza.build(database)
    world = World(tmp_path, database, s3_server, azurite_server, snowflake_server)
    with azurite_server.service() as service:
        if not service.get_container_client("data").exists():
            service.create_container("data")
    world.profiles |= {
        "netezza_jdbc": {**database.profile, "driver": "PostgreSQL Unicode", "insecure": True},
        "azure": {
            "url": azurite_server.account_url,
            "azure_account_url": f"azure://{azurite.ACCOUNT}.blob.core.windows.net",
            "sas": azurite_server.sas(),
            "container_name": "data",
        },
        "snowflake_x": {
            "authenticator": "snowflake",
            "role": "LOADER",
            "warehouse": "LOAD_WH",
            **snowflake_server.fresh(),
        },
    }
    world.stage("snowflake_x", "TMP", f"azure://{azurite.ACCOUNT}.blob.core.windows.net/data/")
    world.write_profiles()
    return world


def assert_equal(world: World, rows: int) -> None:
    with world.account("snowflake_x") as account:
        verdicts = list(prove(world.warehouse, account, netezza.TABLES))
    assert sum(verdict.rows for verdict in verdicts) == rows
    for verdict in verdicts:
        assert verdict.equal, f"{verdict.table}: lost {verdict.lost[:2]}, extra {verdict.extra[:2]}"


def test_the_originals_manifest_runs_as_it_is(world: World) -> None:
    world.run(MANIFEST)
    assert_equal(world, 950 + 430)
    again = world.hdm("run", str(MANIFEST), "-e", "prod")
    assert again.returncode == 0 and "nothing moved" in again.stderr, again.stderr
    netezza.grow(world.warehouse)
    world.run(MANIFEST)
    assert_equal(world, 950 + 430 + 10)
