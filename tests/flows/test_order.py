"""What was read later stays: backlogs of staged files, dead chunks, and tables without an order."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from tests.flows.kit import Place, direct, load, on_sqlite, only, shop, stage


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return shop(tmp_path)


def merged_chain(place: Place, **conf: object) -> Place:
    above = stage("orders", place, watermark={"column": "changed"}, **conf)
    return only(place, {"site": "here", **above}, {"site": "there", **load(place), "mode": "merge"})


def test_a_backlog_is_merged_in_the_order_in_which_it_was_read(place: Place) -> None:
    """With ties at the watermark, values that go back to NULL, and four workers."""
    merged_chain(place)
    last = place.sql("SELECT MAX(changed) FROM orders")[0][0]
    assert place.hdm("run", "--site", "here").code == 0
    for cents in (-1, -2, -3):
        place.sql(f"UPDATE orders SET cents = {cents}, changed = {last} WHERE id % 9 = 1")
        place.sql(f"UPDATE orders SET cents = {cents}, changed = NULL WHERE id % 9 = 2")
        assert place.hdm("run", "--site", "here").code == 0
    done = place.hdm("run", "--site", "there", "--workers", "4")
    assert done.code == 0, done.said
    assert place.rows("orders") == place.source_rows("orders")


@pytest.mark.parametrize("way_out", ["retry", "waive"])
def test_a_dead_chunk_holds_back_what_was_read_after_it(place: Place, way_out: str) -> None:
    on_sqlite(
        place.target,
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, cents INTEGER CHECK (cents <> 4200), "
        "changed INTEGER)",
    )
    merged_chain(place)
    for site in ("here", "there"):
        place.hdm("run", "--site", site)
    place.sql("UPDATE orders SET cents = 1, changed = 999 WHERE id < 50")
    assert place.hdm("run", "--site", "here").code == 0
    for _ in range(2):
        done = place.hdm("run", "--site", "there")
        assert done.code == 1
        assert "what was read later waits for its dead chunk" in done.err
    assert not on_sqlite(place.target, "SELECT 1 FROM orders WHERE changed = 999")
    if way_out == "retry":
        with contextlib.closing(sqlite3.connect(place.target)) as target, target:
            target.executescript(
                "ALTER TABLE orders RENAME TO o; CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, "
                "cents INTEGER, changed INTEGER); INSERT INTO orders SELECT * FROM o; DROP TABLE o"
            )
        assert place.hdm("retry").code == 0
    else:
        assert place.hdm("waive", "--by", "A. Clerk", "--reason", "test").code == 0
    done = place.hdm("run", "--site", "there")
    assert done.code == 0, done.said
    expected = place.source_rows("orders")
    assert (
        place.rows("orders") == expected if way_out == "retry" else set(place.rows("orders")) <= {*expected}
    )
    assert on_sqlite(place.target, "SELECT COUNT(*) FROM orders WHERE changed = 999") == [(50,)]


def test_a_table_without_any_order_is_merged_one_chunk_at_a_time(place: Place) -> None:
    """A dead chunk then keeps the next ones waiting, and the run ends all the same."""
    place.sql("CREATE TABLE loose (id INTEGER, line INTEGER, what TEXT, PRIMARY KEY (id, line))")
    place.sql("INSERT INTO loose VALUES (?, ?, ?)", [(n % 40, n // 40, f"w{n}") for n in range(200)])
    place.sql("DELETE FROM loose WHERE line > 0")
    link = {**direct(place, "loose", chunk={"rows": 10}), "mode": "merge", "checks": []}
    link["sink"]["conf"]["key"] = ["id", "what"]
    only(place, link)
    assert place.hdm("run", "--workers", "4").code == 0
    assert place.rows("loose") == place.source_rows("loose")
    assert place.state("SELECT max_parallel FROM hdm_job") == [(0,)]
    place.sql("UPDATE loose SET what = NULL WHERE id = 15")
    link["checks"] = [{"type": "NotNull", "column": "what"}]
    only(place, link)
    for _ in range(2):
        done = place.hdm("run", "--workers", "4")
        assert done.code == 1
        assert "waits for its dead chunk" in done.err
    assert place.state("SELECT status FROM hdm_chunk ORDER BY created_on DESC, chunk_no DESC LIMIT 4")[0] == (
        "pending",
    )
    place.sql("UPDATE loose SET what = 'mended' WHERE id = 15")
    assert place.hdm("retry").code == 0
    assert place.hdm("run").code == 0
