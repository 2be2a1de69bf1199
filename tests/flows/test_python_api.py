"""hdm without its command line: opened from Python, in any thread, with typed results and errors."""

from __future__ import annotations

import dataclasses
import logging
import math
import signal
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import hdm
from hdm import api
from hdm.config.secrets import Secret
from hdm.errors import HdmError, ManifestError, Unexpected, UsageError
from tests.flows.kit import Place, direct, load, only, shop, stage

SMALL = {"orders": 60, "items": 30}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = shop(tmp_path, **SMALL)
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    return made


def opened(place: Place, **words: Any) -> hdm.Project:
    return hdm.open(place.folder / "m.yml", "dev", place.folder / "p.yml", **words)


def broken(place: Place) -> Place:
    """Of two chunks of ``orders``, one ends dead."""
    link = direct(place, "orders", chunk={"rows": 40})
    place.sql("UPDATE orders SET cents = -1 WHERE id = 1")
    return only(place, {**link, "checks": [{"type": "Range", "column": "cents", "min": 0}]})


def test_events_are_what_the_json_log_prints(place: Place) -> None:
    """In kind, keys and their order; and the last ones in every value but time and id."""
    told: list[api.Event] = []
    report = opened(place).run(on_event=told.append)
    other = shop(place.folder / "b" if (place.folder / "b").mkdir() is None else place.folder, **SMALL)
    lines = other.hdm("run", "--log-format", "json").lines
    keys = {tuple(event.as_dict()) for event in told}
    assert keys == {tuple(line) for line in lines}
    assert sorted(event.event for event in told) == sorted(line["event"] for line in lines)
    first, last = told[0], told[-1]
    assert isinstance(first, api.RunStarted) and first.run == report.run_id
    assert isinstance(last, api.RunEnded) and last.rows == report.rows == 90
    assert {**last.as_dict(), "at": 0, "run": 0, "seconds": 0} == {
        **lines[-1], "at": 0, "run": 0, "seconds": 0,
    }  # fmt: skip
    with pytest.raises(dataclasses.FrozenInstanceError):
        last.rows = 0  # type: ignore[misc]


def test_nothing_is_printed_and_nothing_of_the_process_is_changed(
    place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    broken(place)
    root = logging.getLogger()
    before = [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT), *root.handlers, root.level]
    project = opened(place)
    reports = [project.run(), project.run()]
    assert [one.exit_code for one in reports] == [1, 1]
    with pytest.raises(UsageError):
        project.work()
    with pytest.raises(ManifestError, match=r"no-such\.yml"):
        hdm.open("no-such.yml")
    after = [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT), *root.handlers, root.level]
    assert after == before
    assert capfd.readouterr() == ("", "")


def test_each_way_to_look_and_to_decide_has_a_typed_answer(place: Place) -> None:
    project = opened(broken(place))
    assert project.status() is None
    assert (project.runs(), project.dead(), project.retry().count, project.gc().removed) == ((), (), 0, ())
    report = project.run()
    assert (report.exit_code, report.tables[0].chunks) == (1, {"dead": 1, "verified": 1})
    status = project.status()
    assert status is not None and status.run_id == report.run_id
    assert (status.exit_code, status.broken_off) == (1, False)
    assert (status.tables[0].table, status.tables[0].dead, status.tables[0].done) == ("orders", 1, 1)
    (run,) = project.runs()
    assert (run.run_id, run.status) == (report.run_id, "failure")
    (dead,) = project.dead()
    assert (dead.table, dead.error) == ("orders", "CheckFailed")
    with pytest.raises(UsageError, match="no dead chunk matches 'zzz'"):
        project.retry(chunk="zzz")
    assert project.retry(table="orders") == api.Retried((dead,), 1)
    assert project.dead() == ()
    assert project.run().exit_code == 1
    with pytest.raises(UsageError, match="must not be empty"):
        project.waive(by=" ", reason="known")
    assert len(project.waive(by="A. Person", reason="known")) == 1
    ended = project.run()
    assert (ended.exit_code, len(ended.waived)) == (0, 1)
    status = project.status(ended.run_id[:10])
    assert status is not None and [one.by for one in status.waived] == ["A. Person"]
    hops = project.lineage("orders")
    assert {(hop.hops, hop.from_name, hop.to_name, hop.chunks) for hop in hops} == {
        (1, "orders", "orders", 1), (-1, "orders", "orders", 1),
    }  # fmt: skip
    assert {one["source_column"] for one in project.column_lineage("orders")} >= {"id", "cents"}
    assert len(project.chunk_lineage("orders")) == 2
    with pytest.raises(UsageError, match="no dataset named 'nothing'"):
        project.lineage("nothing")
    assert {one.about for one in project.doctor()} >= {"hdm", "driver", "state"}
    assert all(one.ok for one in project.doctor())
    assert project.gc() == api.Collected(())
    with pytest.raises(UsageError, match="begins with 'zzz'"):
        project.status("zzz")


def test_two_projects_run_at_once_in_other_threads(place: Place, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    other = shop(tmp_path / "b", orders=40, items=20)
    projects = [opened(place), opened(other)]
    with ThreadPoolExecutor() as pool:
        reports = list(pool.map(lambda one: one.run(), projects))
    assert [(one.exit_code, one.rows) for one in reports] == [(0, 90), (0, 60)]
    for one in (place, other):
        assert one.rows("orders") == one.source_rows("orders")


def test_what_on_event_raises_stops_the_run_and_arrives(place: Place) -> None:
    class Enough(Exception):
        pass

    def tell(event: api.Event) -> None:
        if isinstance(event, api.ChunkCommitted):
            raise Enough

    only(place, direct(place, "orders", chunk={"rows": 2}))
    project = opened(place)
    with pytest.raises(Enough):
        project.run(on_event=tell)
    assert project.runs()[0].status == "aborted"
    (left,) = project.plan().tables
    assert left.left > 0
    assert project.run().exit_code == 0
    assert place.rows("orders") == place.source_rows("orders")


def test_an_event_of_the_callers_stops_a_run(place: Place) -> None:
    stop = threading.Event()
    only(place, direct(place, "orders", chunk={"rows": 2}))
    report = opened(place).run(stop=stop, on_event=lambda event: stop.set())
    assert (report.exit_code, report.stopped, report.status) == (143, True, "aborted")
    assert opened(place).runs()[0].status == "aborted", "although nothing of it had failed"


def test_a_worker_helps_a_run_of_another_project(place: Place, tmp_path: Path) -> None:
    only(place, stage("orders", place, chunk={"rows": 2}), load(place))
    begun, joined = threading.Event(), threading.Event()

    def hold(event: api.Event) -> None:
        begun.set()
        joined.wait(60)

    with ThreadPoolExecutor() as pool:
        run = pool.submit(opened(place).run, on_event=hold)
        assert begun.wait(60)
        help_ = pool.submit(opened(place).work, wait=60, on_event=lambda event: joined.set())
        assert (run.result(120).exit_code, help_.result(120).exit_code) == (0, 0)
    assert [one.run_id for one in help_.result().runs] == [run.result().run_id]
    assert place.rows("orders") == place.source_rows("orders")


def test_a_worker_of_a_site_stays_until_it_is_stopped(place: Place) -> None:
    only(place, {**stage("orders", place), "site": "here"}, {**load(place), "site": "there"})
    assert opened(place, site="here").run().exit_code == 0
    stop = threading.Event()

    def tell(event: api.Event) -> None:
        if isinstance(event, api.RunEnded):
            stop.set()

    done = opened(place, site="there").work(wait=math.inf, stop=stop, on_event=tell)
    assert (done.stopped, done.exit_code, len(done.runs)) == (True, 143, 1)
    assert place.rows("orders") == place.source_rows("orders")


def test_no_secret_leaves_in_an_exception(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    Secret("s3cret-canary")
    wrong = ManifestError("the password is s3cret-canary", hint="not s3cret-canary")
    monkeypatch.setattr("hdm.api.running.preflighted", lambda *_: (_ for _ in ()).throw(wrong))
    with pytest.raises(HdmError) as caught:
        opened(place).plan()
    assert "s3cret-canary" not in f"{caught.value}{caught.value.args}{caught.value.hint}"


@pytest.mark.parametrize("debug", ["", "1"])
def test_a_mistake_of_a_plugin_arrives_without_its_text(
    place: Place, monkeypatch: pytest.MonkeyPatch, debug: str
) -> None:
    """Which can quote rows; with HDM_DEBUG it is the cause."""
    (place.folder / "odd_rows.py").write_text(
        "import hdm\n\n\n@hdm.register\nclass OddRowsSource(hdm.Source):\n"
        "    def describe(self):\n        raise ValueError('row 7: Jo Bloggs')\n\n"
        "    def read(self, table, chunk):\n        return None\n"
    )
    monkeypatch.syspath_prepend(str(place.folder))
    monkeypatch.setenv("HDM_DEBUG", debug)
    link = direct(place, "orders")
    link["source"] = {"name": "odd", "type": "OddRowsSource"}
    place.manifest["plugins"] = ["odd_rows"]
    only(place, link)
    with pytest.raises(Unexpected) as caught:
        opened(place).run()
    assert "Bloggs" not in str(caught.value)
    assert isinstance(caught.value.__cause__, ValueError) is bool(debug)
    assert caught.value.__suppress_context__


def test_a_catalogue_is_crawled_mapped_created_and_compared(place: Place, tmp_path: Path) -> None:
    place.manifest = {
        "version": 1,
        "orchestrator": {"type": "AutoBatchOrchestrator", "conf": {"workers": 2}},
        "declared_data_links": {},
        "template_data_links": {
            "templates": [
                {
                    "source": {"name": "shop", "type": "SQLiteSource",
                               "conf": {"env": "src", "include": ["*"]}},
                    "sink": {"name": "dst", "type": "SQLiteSink", "conf": {"env": "dst"}},
                }
            ]
        },
    }  # fmt: skip
    place.manifest.pop("declared_data_links")
    catalog = opened(place.write()).catalog
    (schema,) = catalog.crawl()
    assert [one.path[-1] for one in schema.relations] == ["items", "orders"]
    assert {one.object for one in catalog.diff()} == {"items", "orders"}
    (mapped,) = catalog.map(tmp_path / "ddl")
    assert mapped.files > 0 and mapped.folder == tmp_path / "ddl"
    (created,) = catalog.create()
    assert created.applied and created.refused == ()
    assert catalog.diff() == ()
    with pytest.raises(UsageError, match="no phase 'soon'"):
        catalog.create("soon")
    assert sqlite3.connect(place.target).execute("SELECT count(*) FROM orders").fetchone() == (0,)
    assert catalog.accept("orders") == ("orders",)
    with pytest.raises(UsageError, match="nothing"):
        catalog.accept("nothing")


def test_every_public_type_is_described_and_frozen() -> None:
    for name in api.__all__:
        found = getattr(api, name)
        assert found.__doc__, name
        if dataclasses.is_dataclass(found) and name != "RunReport":
            assert found.__dataclass_params__.frozen, name  # type: ignore[attr-defined]


def test_the_reference_names_every_public_type() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "python.md").read_text("utf-8")
    missing = [name for name in api.__all__ if f"`{name}`" not in page and f"{name}(" not in page]
    assert missing == []
