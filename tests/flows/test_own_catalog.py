"""A consultant's Catalog, in a folder beside the manifest, tells AutoBatch and ``hdm catalog`` what
there is."""

from __future__ import annotations

from pathlib import Path

from tests.flows.kit import Place, direct, shop

CATALOG = """
from contextlib import closing
import sqlite3

import pyarrow as pa

from hdm import Column, Kind, Table
from hdm.catalog import Catalog, Schema
from hdm.catalog.base import CatalogConfig
from hdm.catalog.model import Relation


class Register(Catalog):
    system = "sqlite"

    class Config(CatalogConfig):
        register_file: str

    def crawl(self, selection=None):
        chosen = selection or self.selection
        found = []
        with closing(sqlite3.connect(self.config.register_file)) as register:
            for (name,) in register.execute("SELECT name FROM register ORDER BY name"):
                if chosen.has((name,)):
                    column = Column("order_id", Kind.INT64, pa.int64(), False, "INTEGER", origin="sqlite")
                    found.append(Relation(Table(self.dataset((name,)), (name,), (column,))))
        return Schema("sqlite", relations=tuple(found))

    def session(self):
        raise RuntimeError("it only looks")
"""


def project(folder: Path) -> Place:
    place = shop(folder)
    place.sql("CREATE TABLE register (name TEXT)")
    place.sql("INSERT INTO register VALUES (?)", [("items",)])
    (folder / "extra").mkdir()
    (folder / "extra" / "register.py").write_text(CATALOG)
    link = direct(place, "x")
    own = {"type": "Register", "conf": {"register_file": str(place.source)}}
    link["source"]["conf"] = {"env": "src", "include": ["*"], "catalog": own}
    place.manifest["plugins"] = ["extra"]
    place.manifest["orchestrator"] = {"type": "AutoBatchOrchestrator", "conf": {"workers": 2}}
    del place.manifest["declared_data_links"]
    place.manifest["template_data_links"] = {"templates": [link]}
    return place.write()


def test_auto_batch_moves_what_an_own_catalogue_lists(tmp_path: Path) -> None:
    place = project(tmp_path)
    done = place.hdm("run")
    assert done.code == 0, done.said
    assert place.rows("items") == place.source_rows("items", "order_id")
    assert [row["table"] for row in place.hdm("status", "--json").json] == ["items"]


def test_hdm_catalog_shows_it(tmp_path: Path) -> None:
    done = project(tmp_path).hdm("catalog", "crawl", "--json")
    assert done.code == 0, done.said
    assert "items" in done.out and '"orders"' not in done.out


def test_a_catalogue_that_nobody_registered_is_named_with_its_place(tmp_path: Path) -> None:
    place = project(tmp_path)
    link = place.manifest["template_data_links"]["templates"][0]
    link["source"]["conf"]["catalog"] = "Regster"
    done = place.write().hdm("run")
    assert done.code == 2
    assert "no catalog is registered as 'Regster'" in done.err and "did you mean 'Register'" in done.err
