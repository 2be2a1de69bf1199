"""One manifest, two processes that share only the state database and the stage."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.flows.kit import Done, Place, load, on_sqlite, run, shop, stage


@dataclass
class Sites:
    """``place`` as two sites see it: each knows its own connection only."""

    place: Place

    def __post_init__(self) -> None:
        place = self.place
        place.manifest["state_manager"] = {"type": "SQLiteStateManager", "conf": {"connection": "state"}}
        links = [
            {"site": "onprem", **stage("orders", place, watermark={"column": "changed"}, chunk={"rows": 20})},
            {"site": "onprem", "mode": "replace", **stage("items", place, chunk={"rows": 20})},
            {"site": "cloud", **load(place)},
            {"site": "cloud", "mode": "replace", **load(place)},
        ]
        for link, side in ((links[1], "sink"), (links[3], "source")):
            link[side] = {**link[side], "name": "whole"}
        place.manifest["declared_data_links"] = {"stages": links}
        place.write()
        shared = {"state": {"path": str(place.folder / "state.db")}}
        for site, own in (("onprem", "src"), ("cloud", "dst")):
            path = place.folder / f"{site}.yml"
            path.write_text(yaml.safe_dump({"dev": {own: place.profiles[own], **shared}}))
            path.chmod(0o600)

    def args(self, verb: str, site: str, *more: str) -> list[str]:
        profiles = str(self.place.folder / f"{site}.yml")
        manifest = str(self.place.folder / "m.yml")
        return [verb, manifest, "-e", "dev", "--profiles", profiles, "--site", site, *more]

    def hdm(self, verb: str, site: str, *more: str) -> Done:
        return run(self.args(verb, site, *more), self.place.env)

    def start(self, verb: str, site: str, *more: str) -> subprocess.Popen[str]:
        program = ["-m", "hdm", *self.args(verb, site, *more)]
        return self.place.python(program)

    def is_equal(self) -> bool:
        return all(self.place.rows(t) == self.place.source_rows(t) for t in ("orders", "items"))


@pytest.fixture
def sites(tmp_path: Path) -> Sites:
    return Sites(shop(tmp_path))


def test_each_site_needs_its_own_connection_only(sites: Sites) -> None:
    assert "nothing new was published" in sites.hdm("run", "cloud").err
    assert sites.hdm("run", "onprem").code == 0
    assert not sites.place.target.exists()
    assert sites.hdm("plan", "cloud").code == 0
    assert sites.hdm("run", "cloud").code == 0
    assert sites.is_equal()


def test_nothing_new_keeps_what_was_replaced(sites: Sites) -> None:
    for site in ("onprem", "cloud", "cloud", "onprem", "cloud"):
        assert sites.hdm("run", site).code == 0
    assert sites.is_equal()


def test_new_rows_and_a_table_emptied(sites: Sites) -> None:
    for site in ("onprem", "cloud"):
        sites.hdm("run", site)
    sites.place.sql("INSERT INTO orders VALUES (?, 'new', 0, ?)", [(n, n) for n in range(900, 960)])
    sites.place.sql("DELETE FROM items")
    for site in ("onprem", "cloud"):
        assert sites.hdm("run", site).code == 0
    assert sites.is_equal()
    assert sites.place.rows("items") == []


def test_a_run_of_one_site_does_not_end_the_other(sites: Sites) -> None:
    slow = sites.place.env | {"HDM_FAILPOINT": "C3:2:sleep:3"}
    onprem = sites.place.python(["-m", "hdm", *sites.args("run", "onprem")], slow)
    time.sleep(2)
    cloud = sites.hdm("run", "cloud")
    assert cloud.code == 0
    assert onprem.wait(60) == 0
    assert sites.hdm("run", "cloud").code == 0
    assert sites.is_equal()
    with_state = on_sqlite(sites.place.folder / "state.db", "SELECT DISTINCT status FROM hdm_run")
    assert with_state == [("success",)]


def test_a_worker_of_a_site_waits_for_what_comes(sites: Sites) -> None:
    worker = sites.start("work", "cloud")
    try:
        assert sites.hdm("run", "onprem").code == 0
        assert sites.place.until(sites.is_equal)
        sites.place.sql("INSERT INTO orders VALUES (?, 'new', 0, ?)", [(n, n) for n in range(900, 960)])
        assert sites.hdm("run", "onprem").code == 0
        assert sites.place.until(sites.is_equal)
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 143


def test_loading_may_begin_while_a_replaced_table_is_being_planned_anew(sites: Sites) -> None:
    """The window is as long as cutting the table takes."""
    assert sites.hdm("run", "onprem").code == 0
    slow = sites.place.env | {"HDM_FAILPOINT": "R3:2:sleep:5"}
    onprem = sites.place.python(["-m", "hdm", *sites.args("run", "onprem")], slow)
    planning = "SELECT 1 FROM hdm_job WHERE epoch = 2 AND status = 'planning' AND mode = 'replace'"
    assert sites.place.until(lambda: bool(on_sqlite(sites.place.folder / "state.db", planning)))
    cloud = sites.start("run", "cloud")
    assert (onprem.wait(60), cloud.wait(60)) == (0, 0)
    assert sites.is_equal()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_either_site_killed_at_any_time_loses_and_doubles_nothing(sites: Sites, seed: int) -> None:
    rng = random.Random(seed)
    for turn in range(4):
        first = 1000 * (turn + 1)
        new = [(n, "new", None, first if n % 3 else None) for n in range(first, first + 60)]
        sites.place.sql("INSERT INTO orders VALUES (?, ?, ?, ?)", new)
        both = [sites.start("run", "onprem"), sites.start("run", "cloud")]
        for process in both:
            time.sleep(rng.uniform(0.4, 1.6))
            if rng.random() < 0.8:
                process.kill()
        for process in both:
            process.wait(60)
    for site in ("onprem", "cloud") * 2:  # the first finishes what a killed run had planned
        done = sites.hdm("run", site)
        assert done.code == 0, done.said
    assert sites.place.rows("orders") == sites.place.source_rows("orders")
    assert sites.place.rows("items") == sites.place.source_rows("items")
