"""``threads`` and ``limits`` hold over all tables and workers of a process together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hdm.model import ComponentSpec, LinkSpec
from hdm.project import open_project
from hdm.runtime.shares import Shares, groups_of, share_pace, wanted_workers
from hdm.sql.source import SqlSource
from tests.flows.kit import Place, only, shop, stage


def spec(key: str, source: str = "src", **more: Any) -> LinkSpec:
    return LinkSpec(key, ComponentSpec(source, "X", {"env": "db"}), ComponentSpec("dst", "Y", {}), **more)


def test_links_of_one_source_share_its_connections() -> None:
    specs = {key: spec(key, limits={"connections": 2}) for key in "ab"}
    specs["c"] = spec("c", source="other")
    shares = Shares(specs, 8)
    shares.started("a")
    assert shares.full() == ()
    shares.started("b")
    assert shares.full() == {"a", "b"}
    shares.settled("a")
    assert shares.full() == ()


def test_a_bound_that_cannot_be_passed_costs_nothing() -> None:
    shares = Shares({"a": spec("a", threads=4)}, 4)
    for _ in range(4):
        shares.started("a")
    assert shares.full() == ()
    assert groups_of(spec("a")) == {}
    assert wanted_workers([spec("a", threads=5), spec("b")]) == 5


class Readers:
    """How many chunks are read at once, at most. The first wait for each other until there are ``wanted``."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.wanted = 1
        self.lock, self.together = threading.Lock(), threading.Event()

    def during(self, batches: Iterator[Any]) -> Iterator[Any]:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            if self.now >= self.wanted:
                self.together.set()
        try:
            self.together.wait(10)
            threading.Event().wait(0.02)
            yield from batches
        finally:
            with self.lock:
                self.now -= 1


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> Readers:
    readers, real = Readers(), SqlSource._batches
    monkeypatch.setattr(SqlSource, "_batches", lambda *args: readers.during(real(*args)))
    return readers


def tables(place: Place, count: int, **more: Any) -> Place:
    links = []
    for number in range(count):
        place.sql(f"CREATE TABLE t{number} AS SELECT * FROM items")
        link = stage(f"t{number}", place, watermark={"column": "order_id"})
        link["source"].update(name="src")
        link["source"]["conf"]["chunk"] = {"rows": 10}
        links.append({**link, **more})
    return only(place, *links)


@pytest.mark.parametrize(
    ("more", "workers", "most"),
    [
        ({"limits": {"connections": 1}}, 8, 1),
        ({"limits": {"connections": 2}}, 8, 2),
        ({"threads": 2}, 8, 2),
        ({"threads": 6}, None, 6),
    ],
)
@pytest.mark.slow
def test_no_more_is_read_at_once_than_was_written(
    tmp_path: Path, readers: Readers, more: dict[str, Any], workers: int | None, most: int
) -> None:
    place = tables(shop(tmp_path, orders=0, items=60), 6, **more)
    place.manifest["orchestrator"]["conf"] = {"workers": workers} if workers else {}
    readers.wanted = most
    assert place.write().hdm("run").code == 0
    assert readers.most == most, "threads: 6 also means six workers where none are written"


@pytest.mark.slow
def test_threads_beyond_the_workers_are_said(tmp_path: Path) -> None:
    place = tables(shop(tmp_path, orders=0, items=3), 1, threads=5)
    assert "threads: 5 is more than the 2 workers there are" in place.hdm("run").err


def test_a_rate_is_of_the_source(tmp_path: Path) -> None:
    place = tables(shop(tmp_path, orders=0, items=3), 3, limits={"rows_per_second": 100})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place.folder)
        project = open_project(str(place.folder / "m.yml"), "dev", str(place.folder / "p.yml"))
    share_pace(project.links)
    assert len({id(link.pace) for link in project.links.values()}) == 1
    assert all(link.pace.is_set for link in project.links.values())
