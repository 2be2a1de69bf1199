"""A target that lost what was committed is noticed by the next run, and brought back on request."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hdm.planning import job_lifecycle
from tests.flows.kit import Place, direct, load, on_sqlite, only, shop, stage

LEDGER = "_hdm_load_ledger"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return shop(tmp_path)


def by_hand(place: Place, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(place.target)) as target, target:
        for statement in statements:
            target.execute(statement)


def file_deleted(place: Place) -> None:
    for path in place.folder.glob("target.db*"):
        path.unlink()


def another_file(place: Place) -> None:
    place.target = place.folder / "other.db"
    place.profiles["dst"] = {"path": str(place.target)}
    place.write()


def table_dropped(place: Place) -> None:
    by_hand(place, "DROP TABLE orders")


def table_emptied(place: Place) -> None:
    by_hand(place, "DELETE FROM orders")


def restored(place: Place) -> None:
    """As it was before the second run."""
    by_hand(
        place,
        f"DELETE FROM {LEDGER} WHERE chunk_id IN (SELECT chunk_id FROM {LEDGER} WHERE "
        "json_extract(chunk_json, '$.epoch') > 1)",
        "DELETE FROM orders WHERE changed >= 900",
    )


LOSSES = [file_deleted, another_file, table_dropped, table_emptied, restored]


@pytest.mark.parametrize("mode", ["append", "merge"])
@pytest.mark.parametrize("lose", LOSSES)
def test_what_a_target_lost_is_said_and_brought_back(
    place: Place, mode: str, lose: Callable[[Place], None]
) -> None:
    only(place, {**direct(place, "orders", watermark={"column": "changed"}), "mode": mode})
    assert place.hdm("run").code == 0
    place.sql("INSERT INTO orders VALUES (?, 'new', 0, ?)", [(n, n) for n in range(900, 960)])
    assert place.hdm("run").code == 0
    assert place.hdm("run").code == 0
    lose(place)
    for _ in range(2):
        done = place.hdm("run")
        assert done.code == 1
        assert "does not hold" in done.err
        assert "hdm state reconcile --reload" in done.err
    assert place.hdm("state", "reconcile", "--reload").code == 0
    done = place.hdm("run")
    assert done.code == 0, done.said
    assert place.rows("orders") == place.source_rows("orders")
    place.sql("INSERT INTO orders VALUES (?, 'new', 0, ?)", [(n, n) for n in range(960, 990)])
    assert place.hdm("run").code == 0
    assert place.rows("orders") == place.source_rows("orders")
    assert place.hdm("state", "verify").code == 0


def files_of(place: Place) -> list[Path]:
    return sorted(place.stage.rglob("*.parquet"))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


@pytest.mark.parametrize("lose", [Path.unlink, cut])
def test_a_file_that_is_gone_from_a_target_of_files_is_said_and_written_anew(
    place: Place, lose: Callable[[Path], None]
) -> None:
    only(place, stage("orders", place, watermark={"column": "changed"}))
    assert place.hdm("run").code == 0
    assert place.hdm("run").code == 0
    before = len(files_of(place))
    lose(files_of(place)[0])
    for verb in ("plan", "run", "run"):
        done = place.hdm(verb)
        assert (done.code, "does not hold 1 of " in done.err) == (1, True), done.said
    assert place.hdm("state", "reconcile", "--reload").code == 0
    assert place.hdm("run").code == 0
    assert len(files_of(place)) == before + (lose is cut)
    assert place.hdm("run").code == 0


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_a_file_that_goes_while_the_run_goes_on_is_missed_by_that_run(
    place: Place, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    only(place, {**stage("orders", place), "mode": mode})
    as_it_was = job_lifecycle.verify_rest

    def goes(*words: Any) -> None:
        as_it_was(*words)
        files_of(place)[0].unlink()

    monkeypatch.setattr(job_lifecycle, "verify_rest", goes)
    done = place.hdm("run")
    assert (done.code, "does not hold 1 of " in done.err) == (1, True), done.said
    monkeypatch.undo()
    if mode == "append":
        assert place.hdm("state", "reconcile", "--reload").code == 0
    again = place.hdm("run", *(["--full-refresh", "orders"] if mode == "replace" else []))
    assert again.code == 0, again.said
    assert place.hdm("run").code == 0


def test_a_stage_that_lost_a_file_is_not_read_as_if_it_were_whole(place: Place) -> None:
    """The reader is another project: only the chunk records say what was published."""
    only(place, stage("orders", place))
    assert place.hdm("run").code == 0
    files_of(place)[1].unlink()
    shutil.rmtree(place.home)
    only(place, load(place))
    for verb in ("plan", "run"):
        done = place.hdm(verb)
        assert (done.code, "parquet is gone, though" in done.err) == (1, True), done.said
    link = load(place)
    link["source"]["conf"]["others_delete"] = True
    only(place, link)
    assert place.hdm("run").code == 0
    assert len(place.rows("orders")) == 200


def test_files_that_others_take_away_are_not_missed(place: Place) -> None:
    link = stage("orders", place, watermark={"column": "changed"})
    link["sink"]["conf"]["others_delete"] = True
    only(place, link)
    assert place.hdm("run").code == 0
    for file in files_of(place):
        file.unlink()
    place.sql("INSERT INTO orders VALUES (900, 'new', 0, 900)")
    assert place.hdm("run").code == 0
    assert len(files_of(place)) == 1


@pytest.mark.parametrize("removed", [False, True])
def test_a_chain_is_brought_back_from_its_files_or_its_source(place: Place, removed: bool) -> None:
    above = stage("orders", place, watermark={"column": "changed"})
    if removed:
        above["sink"]["conf"]["keep"] = "verified"
    only(place, above, load(place))
    assert place.hdm("run").code == 0
    if removed:
        assert place.hdm("gc", "--staged").code == 0
        assert not list(place.stage.rglob("*.parquet"))
    file_deleted(place)
    done = place.hdm("run")
    assert done.code == 1
    assert "does not hold" in done.err
    assert place.hdm("state", "reconcile", "--reload").code == 0
    done = place.hdm("run")
    assert done.code == 0, done.said
    assert place.rows("orders") == place.source_rows("orders")


def came_late(place: Place) -> Place:
    """A row below the watermark, known as new by its id, is moved by a chunk of its own."""
    only(place, direct(place, "orders", watermark={"column": "changed"}))
    assert place.hdm("run").code == 0
    place.sql("INSERT INTO orders VALUES (?, ?, ?, ?)", [(1000, "late", 1, 3)])
    assert place.hdm("run").code == 0
    assert place.rows("orders") == place.source_rows("orders")
    return place


def test_a_row_that_came_late_is_brought_back_once(place: Place) -> None:
    """Its range gives it again by now."""
    came_late(place)
    table_emptied(place)
    assert place.hdm("state", "reconcile", "--reload").code == 0
    done = place.hdm("run")
    assert done.code == 0, done.said
    assert place.rows("orders") == place.source_rows("orders")


def test_a_range_is_not_read_again_beside_a_late_row_that_is_still_there(place: Place) -> None:
    came_late(place)
    late = "json_extract(chunk_json, '$.conditions') LIKE '%\"in\"%'"
    by_hand(
        place,
        "DELETE FROM orders WHERE id <> 1000",
        f"DELETE FROM {LEDGER} WHERE NOT {late} AND job_key <> '_target'",
    )
    done = place.hdm("state", "reconcile", "--reload")
    assert (done.code, "which rows they are cannot be told" in done.err) == (1, True), done.said
    assert place.rows("orders", "id") == [(1000,)]


def test_rows_that_others_delete_are_not_missed(place: Place) -> None:
    link = direct(place, "orders", watermark={"column": "changed"})
    only(place, link)
    assert place.hdm("run").code == 0
    by_hand(place, "DELETE FROM orders WHERE id < 10")
    done = place.hdm("run")
    assert done.code == 1
    assert "does not hold 10 of 250 rows" in done.err
    done = place.hdm("state", "reconcile", "--reload")
    assert done.code == 1
    assert "which rows they are cannot be told" in done.err
    link["sink"]["conf"]["others_delete"] = True
    only(place, link)
    assert place.hdm("run").code == 0


def test_files_that_are_the_target_are_missed_and_staged_ones_are_not(place: Place) -> None:
    above = stage("orders", place, watermark={"column": "changed"})
    only(place, above)
    assert place.hdm("run").code == 0
    for path in place.stage.rglob("*.manifest.json"):
        path.unlink()
    done = place.hdm("run")
    assert done.code == 1
    assert "does not hold" in done.err


def test_a_relative_path_from_another_folder_is_another_target(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.profiles["dst"] = {"path": "relative.db"}
    only(place, direct(place, "orders"))
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, code in zip(folders, (0, 1), strict=True):
        folder.mkdir()
        monkeypatch.chdir(folder)
        done = place.hdm("run")
        assert done.code == code
    assert "the database was emptied or made anew, or it is another one" in done.err
    assert on_sqlite(folders[0] / "relative.db", "SELECT COUNT(*) FROM orders") == [(250,)]
