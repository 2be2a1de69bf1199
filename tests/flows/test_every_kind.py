"""A plugin of every kind, from a folder beside the manifest, found without a decorator and used by hdm."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from hdm.components import registry
from hdm.files import Store
from hdm.testing import StoreConformance

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "tests/fixtures/every_kind/moon"
BROUGHT = {
    "source": "MoonSource",
    "sink": "MoonSink",
    "catalog": "MoonCatalog",
    "orchestrator": "TideOrchestrator",
    "state_manager": "MoonStateManager",
    "data_link": "LoudLink",
    "check": "NoShouting",
    "dialect": "MoonDialect",
    "format": "ArrowStream",
    "store": "CraterStore",
    "crawler": "MoonCrawler",
    "ddl_writer": "MoonWriter",
}
HEAD = {
    "version": 1,
    "plugins": ["moon"],
    "state_manager": {"name": "state", "type": "moon_state_manager", "conf": {"env": "state"}},
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    shutil.copytree(PLUGIN, tmp_path / "moon", ignore=shutil.ignore_patterns("__pycache__"))
    with closing(sqlite3.connect(tmp_path / "near.db")) as connection, connection:
        connection.execute("CREATE TABLE rocks (id INTEGER NOT NULL PRIMARY KEY, word TEXT)")
        connection.executemany("INSERT INTO rocks VALUES (?, ?)", [(n, f"rock {n}") for n in range(50)])
        connection.execute("CREATE TABLE dark_rocks (id INTEGER NOT NULL PRIMARY KEY)")
    entries = {
        "near": {"path": str(tmp_path / "near.db")},
        "far": {"path": str(tmp_path / "far.db")},
        "crater": {"file": str(tmp_path / "crater.db")},
        "state": {"path": str(tmp_path / "state.db")},
    }
    (tmp_path / "p.yml").write_text(yaml.safe_dump({"dev": entries}))
    (tmp_path / "p.yml").chmod(0o600)
    return tmp_path


def hdm(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HDM_HOME": str(place / "home"),
           "MOON_COMMITS": str(place / "commits.txt")}  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "hdm", *words], cwd=place, env=env, capture_output=True, text=True, check=False
    )


def run(place: Path, manifest: dict[str, object], verb: str = "run") -> subprocess.CompletedProcess[str]:
    (place / "m.yml").write_text(yaml.safe_dump({**HEAD, **manifest}))
    return hdm(place, *verb.split(), "m.yml", "-e", "dev", "--profiles", "p.yml")


def rows(file: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(sql).fetchall()


def chain(**conf: object) -> dict[str, object]:
    """A table of the plugin's database to its own format in its own store, and back into its database."""
    staged = {"env": "crater", "url": "crater://rocks", "file_format": "ArrowStream", **conf}
    return {
        "orchestrator": {"name": "o", "type": "DeclaredOrchestrator"},
        "declared_data_links": {
            "stages": [
                {
                    "type": "loud_link",
                    "source": {"name": "near", "type": "MoonSource",
                               "conf": {"env": "near", "table_name": "rocks", "chunk": {"rows": 20}}},
                    "sink": {"name": "crater", "type": "StoreSink", "conf": staged},
                    "checks": [{"type": "NoShouting", "column": "word"}],
                },
                {
                    "source": {"name": "crater", "type": "StoreSource",
                               "conf": {"env": "crater", "url": "crater://rocks"}},
                    "sink": {"name": "far", "type": "MoonSink", "conf": {"env": "far"}},
                },
            ]
        },
    }  # fmt: skip


def test_the_plugin_brings_one_of_each_kind_that_there_is() -> None:
    assert set(BROUGHT) == set(registry.KINDS)


class TestStore(StoreConformance):
    """The plugin's store keeps what a store promises."""

    @pytest.fixture
    def subject(self, tmp_path: Path) -> Store:
        found = spec_from_file_location("moon_files", PLUGIN / "files.py")
        assert found is not None and found.loader is not None
        module = module_from_spec(found)
        found.loader.exec_module(module)
        made: Store = module.CraterStore.at(
            f"crater://{tmp_path.name}", SimpleNamespace(file=tmp_path / "crater.db")
        )
        return made


def test_each_is_listed_by_name_and_the_broken_file_is_named(place: Path) -> None:
    done = hdm(place, "components", "--plugin", "./moon", "--json")
    assert done.returncode == 0, done.stderr
    listed = {(row["kind"], row["type"]) for row in json.loads(done.stdout)}
    assert set(BROUGHT.items()) <= listed
    assert "broken.py: ModuleNotFoundError: No module named 'no_such_module_on_the_moon'" in done.stderr


def test_source_link_check_format_store_sink_dialect_and_state_manager_move_rows(place: Path) -> None:
    done = run(place, chain())
    assert done.returncode == 0, done.stderr
    assert rows(place / "far.db", "SELECT id, word FROM rocks ORDER BY id") == [
        (n, f"ROCK {n}") for n in range(50)
    ]
    ((made,),) = rows(place / "far.db", "SELECT sql FROM sqlite_master WHERE name = 'rocks'")
    assert "/* MoonDialect */" in str(made), "the dialect wrote the statement"
    staged = [str(key) for (key,) in rows(place / "crater.db", "SELECT key FROM objects")]
    assert len([key for key in staged if key.endswith(".arrows")]) == 3, staged
    assert (place / "commits.txt").read_text().count("commit") >= 6, "three chunks of each link"
    assert rows(place / "state.db", "SELECT count(*) FROM hdm_run") == [(1,)]
    assert "broken.py" in done.stderr
    assert run(place, chain()).returncode == 0
    assert rows(place / "far.db", "SELECT count(*) FROM rocks") == [(50,)], "nothing is moved twice"


def test_the_check_stops_a_chunk(place: Path) -> None:
    with closing(sqlite3.connect(place / "near.db")) as connection, connection:
        connection.execute("UPDATE rocks SET word = 'rock!' WHERE id = 3")
    done = run(place, chain())
    assert done.returncode == 1
    assert "NoShouting: 1 shouts in word" in done.stderr


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        ({"file_format": "feather"}, "'file_format' cannot be 'feather'"),
        ({"url": "krater://rocks"}, "no store is registered as 'krater'"),
        ({"url": "rocks"}, "an address is SCHEME://..."),
        ({"env": "near"}, "connection 'near': key 'file' is missing"),
    ],
)
def test_what_is_wrong_with_a_store_or_a_format_is_said_with_its_place(
    place: Path, conf: dict[str, object], said: str
) -> None:
    done = run(place, chain(**conf))
    assert done.returncode == 2
    assert said in done.stderr
    assert ".yml:" in done.stderr and "Traceback" not in done.stderr


def template(own: object) -> dict[str, object]:
    return {
        "orchestrator": {"name": "o", "type": "TideOrchestrator"},
        "template_data_links": {
            "templates": [
                {
                    "source": {"name": "near", "type": "MoonSource",
                               "conf": {"env": "near", "include": ["*"], "catalog": own}},
                    "sink": {"name": "far", "type": "MoonSink", "conf": {"env": "far"}},
                }
            ]
        },
    }  # fmt: skip


@pytest.mark.parametrize("own", [None, "MoonCatalog"])
def test_orchestrator_catalog_crawler_and_ddl_writer_make_and_fill_tables(place: Path, own: object) -> None:
    done = run(place, template(own))
    assert done.returncode == 0, done.stderr
    assert "the tide is in" in done.stderr
    made = dict(rows(place / "far.db", "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    assert "/* MoonWriter */" in str(made["rocks"]), "the plugin's DDL writer made the table"
    assert "dark_rocks" not in made, "the plugin's crawler does not see it"
    assert rows(place / "far.db", "SELECT count(*) FROM rocks") == [(50,)]


def test_hdm_catalog_writes_the_plugins_ddl(place: Path) -> None:
    done = run(place, template(None), "catalog map")
    assert done.returncode == 0, done.stderr
    written = "".join(file.read_text() for file in place.rglob("*.sql"))
    assert "/* MoonWriter */" in written and "dark_rocks" not in written
