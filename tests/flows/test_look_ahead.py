"""What ``plan()`` announces is what the next run writes: the very chunks, by their ids."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hdm
from tests.flows.kit import Place, direct, load, only, shop, stage


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = shop(tmp_path, orders=120, items=60)
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    return made


def opened(place: Place) -> hdm.Project:
    return hdm.open(place.folder / "m.yml", env="dev", profiles=place.folder / "p.yml")


def on_record(place: Place) -> set[str]:
    """The chunks that were ever read from a source."""
    with contextlib.suppress(sqlite3.OperationalError):
        return {row[0] for row in place.state("SELECT chunk_id FROM hdm_chunk WHERE corr_in IS NULL")}
    return set()


def foretold(place: Place) -> int:
    """Plan, then run; how many chunks were announced. Holds them against those that the run wrote."""
    files, before = place.files(), on_record(place)
    said = opened(place).plan()
    assert place.files() == files and on_record(place) == before, "a plan touches nothing"
    chunks = [one for table in said.tables for one in table.chunks or ()]
    report = opened(place).run()
    assert (report.exit_code, said.exit_code) == (0, 0), report
    assert {one.chunk_id for one in chunks} == on_record(place) - before
    assert len({one.chunk_id for one in chunks}) == len(chunks)
    return len(chunks)


def later(place: Place) -> None:
    place.sql("INSERT INTO orders VALUES (900, 'n', 1, 900), (901, 'n', 1, 17), (902, 'n', 1, NULL)")


def changed(place: Place) -> None:
    place.sql("UPDATE orders SET cents = 7, changed = 950 WHERE id < 9")


def emptied(place: Place) -> None:
    place.sql("DELETE FROM orders")


def refilled(place: Place) -> None:
    place.sql("INSERT INTO orders VALUES (?, 'again', 1, 1)", [(n,) for n in range(70)])


def nothing(place: Place) -> None:
    return


WATERMARK = {"watermark": {"column": "changed"}}
CASES: dict[str, tuple[str, dict[str, Any], list[tuple[Callable[[Place], None], bool]]]] = {
    "append": ("append", {}, [(nothing, True), (later, False), (nothing, False)]),
    "append with a watermark": (
        "append", WATERMARK, [(nothing, True), (later, True), (nothing, False)],
    ),
    "append with a lag": (
        "append", {"watermark": {"column": "changed", "lag": 3}}, [(nothing, True), (later, True)],
    ),
    "merge": ("merge", {}, [(nothing, True), (changed, True), (nothing, True)]),
    "merge with a watermark": (
        "merge", WATERMARK, [(nothing, True), (changed, True), (later, True), (nothing, False)],
    ),
    "replace": ("replace", {}, [(nothing, True), (later, True), (nothing, True)]),
    "replace with a watermark": ("replace", WATERMARK, [(nothing, True), (changed, True)]),
    "refilled, append": (
        "append", {}, [(emptied, True), (nothing, False), (refilled, True), (nothing, False)],
    ),
    "refilled, watermark": ("append", WATERMARK, [(emptied, False), (refilled, True)]),
    "refilled, replace": ("replace", {}, [(nothing, True), (emptied, True), (refilled, True)]),
}  # fmt: skip


MATRIX = [
    (case, chained) for case in CASES for chained in (False, True) if (case, chained) != ("merge", True)
]
"""Not a merge of what was staged without a watermark: it is staged by appending, and read once."""


@pytest.mark.draw("case, chained", MATRIX, 8)
def test_a_plan_announces_the_chunks_that_the_run_writes(place: Place, case: str, chained: bool) -> None:
    mode, conf, steps = CASES[case]
    last = {**(load(place) if chained else direct(place, "orders", **conf)), "mode": mode}
    first = {**stage("orders", place, **conf), "mode": "append" if mode == "merge" else mode}
    only(place, first, last) if chained else only(place, last)
    for step, some in steps:
        step(place)
        assert (foretold(place) > 0) is some, step.__name__


def test_files_are_announced_as_they_come_and_grow(place: Place) -> None:
    folder = place.folder / "in"
    (folder / "words").mkdir(parents=True)
    source = {"directory": str(folder), "file_format": "csv"}
    link = {
        "source": {"name": "in", "type": "FSSource", "conf": source},
        "sink": {"name": "dst", "type": "SQLiteSink", "conf": {"env": "dst"}},
    }
    only(place, link)
    (folder / "words" / "1.csv").write_text("id,word\n1,one\n")
    assert foretold(place) == 1
    assert foretold(place) == 0
    (folder / "words" / "2.csv").write_text("id,word\n2,two\n3,three\n")
    assert foretold(place) == 1
    with (folder / "words" / "1.csv").open("a") as file:
        file.write("4,four\n")
    assert foretold(place) == 1
    assert len(place.rows("words")) == 4


def test_a_table_that_is_read_whole_by_name_is_announced_so(place: Place) -> None:
    only(place, {**direct(place, "orders", **WATERMARK), "mode": "merge"})
    assert foretold(place) > 1
    (said,) = opened(place).plan(full_refresh=["orders"]).tables
    before = on_record(place)
    assert opened(place).run(full_refresh=["orders"]).exit_code == 0
    assert {one.chunk_id for one in said.chunks or ()} == on_record(place) - before != set()


def test_what_a_killed_run_has_left_is_counted(place: Place) -> None:
    only(place, direct(place, "orders", **WATERMARK))
    place.start("run", HDM_FAILPOINT="L4:2:kill").wait(60)
    (said,) = opened(place).plan().tables
    left = place.state("SELECT count(*) FROM hdm_chunk WHERE status IN ('pending', 'leased', 'written')")
    assert (said.left, said.chunks) == (left[0][0], ())
    assert said.left > 0
    before = on_record(place)
    assert opened(place).run().exit_code == 0
    assert on_record(place) == before


@pytest.fixture
def gap(place: Place) -> Iterator[Place]:
    """A table with a watermark and a dead chunk, which the next run goes past."""
    link = direct(place, "orders", watermark={"column": "id"}, chunk={"rows": 30})
    only(place, {**link, "checks": [{"type": "Range", "column": "cents", "min": 0}]})
    place.sql("UPDATE orders SET cents = -1 WHERE id = 5")
    assert opened(place).run().exit_code == 1
    yield place


def test_what_comes_after_a_dead_chunk_is_said_to_be_unknown(gap: Place) -> None:
    """The run moves the watermark past it before it looks: a plan writes nothing, and cannot know."""
    later(gap)
    (said,) = opened(gap).plan().tables
    assert said.chunks is None and "goes on past its dead chunks" in said.notes[0]
    (row,) = gap.hdm("plan", "--json").json
    assert row["chunks"] is None
    before = on_record(gap)
    opened(gap).run()
    assert on_record(gap) - before != set()
    assert opened(gap).retry().count == 1
    (said,) = opened(gap).plan().tables
    assert said.left == 1, "a chunk of an earlier reading is pending again"


def test_a_target_that_lost_its_rows_is_refused_by_both(place: Place) -> None:
    only(place, direct(place, "orders", **WATERMARK))
    assert foretold(place) > 0
    place.target.unlink()
    said = opened(place).plan()
    report = opened(place).run()
    assert (said.exit_code, report.exit_code) == (1, 1)
    assert (said.tables[0].refused or "").split(" (hint")[0][:40] in report.failed[0]
    shown = place.hdm("plan")
    assert shown.code == 1 and "cannot be moved: " in shown.err
