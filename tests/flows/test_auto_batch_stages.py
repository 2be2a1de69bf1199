"""A schema that makes its own batches, staged as files on every kind of store and loaded from there."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from tests.flows.kit import Place, load, shop


@pytest.fixture(params=["FS", "S3", "AzureBlob"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    place = shop(tmp_path, orders=30, items=9)
    if request.param == "FS":
        conf: dict[str, Any] = {"directory": str(place.stage)}
    elif request.param == "S3":
        server = request.getfixturevalue("s3_server")
        place.profiles["files"] = dict(server.profile)
        conf = {"env": "files", "bucket_name": server.fresh(), "prefix": "stage"}
    else:
        server = request.getfixturevalue("azurite_server")
        place.profiles["files"] = {"account_url": server.account_url, "account_key": server.key}
        conf = {"env": "files", "container": server.fresh(), "prefix": "stage"}
    template = {
        "source": {
            "name": "shop",
            "type": "SQLiteSource",
            "conf": {"env": "src", "include": ["*"], "watermarks": [{"column": "changed", "nullable": True}]},
        },
        "sink": {"name": "files", "type": f"{request.param}Sink", "conf": conf},
        "schema_policy": "evolve",
    }
    link = {**load(place), "source": {"name": "files", "type": f"{request.param}Source", "conf": conf}}
    place.manifest = {
        "version": 1,
        "orchestrator": {"type": "AutoBatchOrchestrator", "conf": {"workers": 2}},
        "template_data_links": {"templates": [template]},
        "declared_data_links": {"stages": [link]},
    }
    return place.write()


def test_every_table_arrives_by_way_of_files(place: Place) -> None:
    done = place.hdm("run")
    assert done.code == 0, done.said
    for table in ("orders", "items"):
        assert place.rows(table) == place.source_rows(table)
    place.sql("ALTER TABLE orders ADD COLUMN note TEXT")
    place.sql("CREATE TABLE late (id INTEGER PRIMARY KEY)")
    place.sql("INSERT INTO late VALUES (?)", [(1,)])
    place.sql("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", [(900, "c", 1, 999, "new")])
    done = place.hdm("run")
    assert done.code == 0, done.said
    for table in ("orders", "late"):
        assert place.rows(table) == place.source_rows(table)
    assert "nothing moved" in place.hdm("run").err


def test_modes_that_do_not_chain_are_refused(place: Place) -> None:
    place.manifest["declared_data_links"]["stages"][0]["mode"] = "replace"
    refused = place.write().hdm("plan")
    assert refused.code == 2
    assert "'files' is filled in mode append" in refused.err
    with contextlib.suppress(KeyError):
        del place.manifest["declared_data_links"]["stages"][0]["mode"]
    assert place.write().hdm("plan").code == 0
