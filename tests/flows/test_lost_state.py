"""The state database is lost, or restored from before the last runs: the ledgers bring it back.

Every row arrives once all the same; where that cannot be known, nothing is loaded, and it is said.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.flows.kit import Place, direct, load, on_sqlite, only, shop, stage
from tests.servers.process import Database


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = shop(tmp_path, 120, 6)
    return only(made, direct(made, "orders", watermark={"column": "changed"}))


def profile_of(database: Database) -> dict[str, Any]:
    return {
        "host": database.host, "port": database.port, "database": database.database,
        "user": database.user, "password": database.password, "insecure": True,
    }  # fmt: skip


def state_file(place: Place) -> Path:
    return place.home / ".hashmap_data_migrator" / "state.db"


def add(place: Place, *changed: int | None) -> None:
    last = place.sql("SELECT max(id) FROM orders")[0][0]
    place.sql(
        "INSERT INTO orders VALUES (?, ?, ?, ?)",
        [(last + 1 + n, "late", n, value) for n, value in enumerate(changed)],
    )


def move(place: Place) -> None:
    done = place.hdm("run")
    assert done.code == 0 and "differs" not in done.err, done.said
    assert place.rows("orders") == place.source_rows("orders")


def history(place: Place) -> None:
    """Three epochs: everything, new rows, ties and a NULL."""
    move(place)
    add(place, 100, 101)
    move(place)
    add(place, 101, None)
    move(place)


@pytest.mark.parametrize("through", ["the target", "files"])
def test_a_lost_state_is_rebuilt_epoch_by_epoch(place: Place, through: str) -> None:
    if through == "files":
        only(place, stage("orders", place, watermark={"column": "changed"}), load(place))
    history(place)
    shutil.rmtree(place.home)
    add(place, 101, 102, None)
    move(place)
    add(place, 102, 103)
    move(place)
    move(place)
    assert "nothing moved" in place.hdm("run").err


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_a_run_that_only_takes_over_tells_no_difference(place: Place, mode: str) -> None:
    only(place, {**direct(place, "orders", watermark={"column": "changed"}), "mode": mode})
    move(place)
    add(place, 100, 101)
    move(place)
    shutil.rmtree(place.home)
    move(place)
    move(place)
    place.sql("DELETE FROM orders WHERE id IN (11, 12)")
    assert "2 are gone" in place.hdm("run").err


def test_a_restored_state_is_brought_forward(place: Place) -> None:
    move(place)
    kept = place.folder / "backup.db"
    shutil.copy(state_file(place), kept)
    add(place, 100, 101)
    move(place)
    add(place, 101, None)
    move(place)
    restored(place, kept)
    done = place.hdm("state", "reconcile", "--json")
    assert (done.json[0]["taken over"], done.json[0]["left to the next run"]) == (0, 4)
    add(place, 101, 102)
    move(place)
    assert "took over 4 chunk(s)" not in place.hdm("run").err
    move(place)


def replaced(place: Place, through: str, **conf: Any) -> Place:
    """The items, read whole each time, straight into the target or by way of files."""
    links = [direct(place, "items", **conf)]
    if through == "files":
        links = [stage("items", place, **conf), load(place)]
    return only(place, *({**link, "mode": "replace"} for link in links))


def restored(place: Place, kept: Path) -> None:
    """The state database as it was when it was copied to ``kept``."""
    for left in state_file(place).parent.glob("state.db*"):
        left.unlink()
    shutil.copy(kept, state_file(place))


@pytest.mark.parametrize("through", ["the target", "files"])
@pytest.mark.parametrize("epochs", [1, 3])
def test_what_is_replaced_is_read_anew_with_a_restored_state(place: Place, through: str, epochs: int) -> None:
    """The target knows later readings, whose chunks have the names that the next would have."""
    replaced(place, through)
    replace_items(place, "a")
    kept = Path(shutil.copy(state_file(place), place.folder / "backup.db"))
    for number in range(epochs):
        replace_items(place, f"b{number}")
    restored(place, kept)
    place.sql("INSERT INTO items VALUES (900, 0, 'late')")
    assert "the state database knows less than the target: read anew" in replace_items(place, "c")
    assert "knows less" not in replace_items(place, "d")


def replace_items(place: Place, what: str) -> str:
    """Change every row at the source and run; what was said."""
    place.sql(f"UPDATE items SET what = '{what}' WHERE what <> 'late'")
    done = place.hdm("run")
    assert done.code == 0, done.said
    assert place.rows("items") == place.source_rows("items") != []
    return done.err


@pytest.mark.parametrize("through", ["the target", "files"])
@pytest.mark.parametrize("lost", ["restored", "lost"])
def test_a_lost_reading_of_an_empty_table_is_known_by_its_swap(place: Place, through: str, lost: str) -> None:
    """With a watermark, it has no chunk."""
    replaced(place, through, watermark={"column": "order_id"})
    replace_items(place, "a")
    kept = Path(shutil.copy(state_file(place), place.folder / "backup.db"))
    rows = place.source_rows("items")
    place.sql("DELETE FROM items")
    assert place.hdm("run").code == 0
    assert place.rows("items") == []
    if lost == "restored":
        restored(place, kept)
    else:
        shutil.rmtree(place.home)
    place.sql("INSERT INTO items VALUES (?, ?, ?)", rows)
    replace_items(place, "c")


def test_files_that_are_replaced_are_staged_anew_with_a_restored_state(place: Place) -> None:
    only(place, {**stage("items", place), "mode": "replace"})
    assert place.hdm("run").code == 0
    kept = Path(shutil.copy(state_file(place), place.folder / "backup.db"))
    for what in ("b", "c"):
        place.sql(f"UPDATE items SET what = '{what}'")
        assert place.hdm("run").code == 0
        restored(place, kept)
    assert len(list(place.stage.rglob("_hdm_epoch_done.json"))) == 3
    only(place, {**load(place), "mode": "replace"})
    assert place.hdm("run").code == 0
    assert place.rows("items") == place.source_rows("items")


@pytest.mark.parametrize("through", ["the target", "files"])
def test_a_reading_in_the_middle_of_which_the_copy_was_made_is_finished_and_read_anew(
    place: Place, through: str
) -> None:
    replaced(place, through, chunk={"rows": 2})
    replace_items(place, "a")
    link = place.manifest["declared_data_links"]["stages"][0]
    link["checks"] = [{"type": "NotNull", "column": "what"}]
    place.write().sql("UPDATE items SET what = NULL WHERE order_id = 1")
    assert place.hdm("run").code == 1
    kept = Path(shutil.copy(state_file(place), place.folder / "backup.db"))
    place.sql("UPDATE items SET what = 'b' WHERE order_id = 1")
    place.hdm("retry")
    for what in ("b", "c"):
        place.sql(f"UPDATE items SET what = '{what}'")
        assert place.hdm("run").code == 0
    restored(place, kept)
    place.sql("UPDATE items SET what = 'd'")
    assert place.hdm("retry").code == 0
    assert place.hdm("run").code == 0
    replace_items(place, "e")


@pytest.mark.server
@pytest.mark.parametrize("through", ["the target", "files"])
def test_a_replaced_table_on_a_server_is_read_anew_with_a_restored_state(
    place: Place, fresh_postgres: Callable[..., Database], through: str
) -> None:
    database = fresh_postgres()
    place.profiles["dst"] = profile_of(database)
    replaced(place, through)
    for link in place.manifest["declared_data_links"]["stages"]:
        if link["sink"]["type"] == "SQLiteSink":
            link["sink"]["type"] = "PostgresSink"
    place.write()
    for what in ("a", "b", "c"):
        place.sql(f"UPDATE items SET what = '{what}'")
        done = place.hdm("run")
        assert done.code == 0, done.said
        with psycopg.connect(database.dsn) as connection:
            found = connection.execute("SELECT * FROM items ORDER BY order_id, line").fetchall()
        assert found == place.source_rows("items")
        if what == "a":
            kept = Path(shutil.copy(state_file(place), place.folder / "backup.db"))
        else:
            restored(place, kept)


def test_an_unfinished_epoch_goes_on_if_it_is_cut_the_same(place: Place) -> None:
    half_done(place)
    move(place)


def half_done(place: Place) -> None:
    """The first epoch with one chunk dead; then the cause is mended and the state lost."""
    place.sql("UPDATE orders SET cents = NULL WHERE id = 60")
    link = place.manifest["declared_data_links"]["stages"][0]
    link["checks"] = [{"type": "NotNull", "column": "cents"}]
    assert place.write().hdm("run").code == 1
    assert 0 < len(place.rows("orders")) < 120
    place.sql("UPDATE orders SET cents = 0 WHERE id = 60")
    shutil.rmtree(place.home)


def test_an_unfinished_epoch_that_is_cut_otherwise_is_not_guessed_at(place: Place) -> None:
    half_done(place)
    place.sql("DELETE FROM orders WHERE id BETWEEN 5 AND 20")
    before = place.rows("orders")
    for _ in range(2):
        done = place.hdm("run")
        assert done.code == 1
        assert "going on could load rows twice" in done.err
        assert place.rows("orders") == before
    place.manifest["declared_data_links"]["stages"][0]["mode"] = "merge"
    assert place.write().hdm("run").code == 0
    assert set(place.rows("orders")) >= set(place.source_rows("orders"))


@pytest.fixture
def small(tmp_path: Path) -> Place:
    """Ten orders, of which three share the greatest ``changed``."""
    made = shop(tmp_path, 10, 1)
    made.sql("UPDATE orders SET changed = min(id, 7)")
    return only(made, direct(made, "orders", watermark={"column": "changed"}))


def crash(place: Place, epoch: int, held: int, table: str = "orders") -> None:
    """As if the target had got no more than the first ``held`` chunks of that epoch (negative: the
    last); the state is lost."""
    found = on_sqlite(
        place.target,
        f"SELECT chunk_id, chunk_json FROM _hdm_load_ledger WHERE epoch = {epoch} ORDER BY rowid",
    )
    found.sort(key=lambda row: json.loads(row[1])["number"])
    gone = found[held:] if held > 0 else found[:held]
    assert 0 < len(gone) < len(found)
    for chunk_id, text in gone:
        conditions = json.loads(text)["conditions"]
        sql = " AND ".join(
            f"{one['column']} IS NULL"
            if one["op"] == "null"
            else f"{one['column']} {one['op']} '{one['value']}'"
            for one in conditions
        )
        on_sqlite(place.target, f"DELETE FROM {table} WHERE {sql}")
        on_sqlite(place.target, f"DELETE FROM _hdm_load_ledger WHERE chunk_id = '{chunk_id}'")
    shutil.rmtree(place.home)


@pytest.mark.parametrize(
    ("added", "held"),
    [
        pytest.param((7, 7, 8, 9), 1, id="ties"),
        pytest.param((7, 7, None, 8, 9), 2, id="ties and NULLs"),
        pytest.param((7, 7, None, 8, 9), 3, id="ties, NULLs and a range"),
    ],
)
def test_ties_below_newer_rows_are_not_read_again(
    small: Place, added: tuple[int | None, ...], held: int
) -> None:
    move(small)
    add(small, *added)
    move(small)
    crash(small, 2, held)
    move(small)
    add(small, 9, 10, None)
    move(small)


@pytest.mark.parametrize(
    ("added", "held"),
    [
        pytest.param((7, None), 1, id="ties alone, NULLs to come"),
        pytest.param((None, 8, 9), 1, id="NULLs alone, ranges to come"),
    ],
)
def test_what_is_told_apart_is_an_end_to_go_on_from(
    small: Place, added: tuple[int | None, ...], held: int
) -> None:
    move(small)
    add(small, *added)
    move(small)
    crash(small, 2, held)
    add(small, *added, 9)
    move(small)
    move(small)


def test_the_end_in_pieces_is_no_end_before_its_last(small: Place) -> None:
    """Also where the first piece is of rows without a key, which SQLite lets be NULL."""
    small.sql("CREATE TABLE unkeyed (name TEXT PRIMARY KEY, changed INTEGER)")
    small.sql("INSERT INTO unkeyed VALUES (?, 5)", [(None if n < 3 else f"n{n}",) for n in range(9)])
    only(small, direct(small, "unkeyed", watermark={"column": "changed"}, chunk={"rows": 3}))
    assert small.hdm("run").code == 0
    crash(small, 1, 1, "unkeyed")
    assert small.hdm("run").code == 0
    assert small.rows("unkeyed") == small.source_rows("unkeyed")
    crash(small, 1, 1, "unkeyed")
    before = small.rows("unkeyed")
    small.sql("INSERT INTO unkeyed VALUES ('later', 6)")
    done = small.hdm("run")
    assert (done.code, small.rows("unkeyed")) == (1, before)


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_ties_that_came_to_an_end_that_is_none_any_more_are_not_left_out(small: Place, mode: str) -> None:
    """The chunk of the value that was the greatest is planned again, among others; it has grown."""
    small.sql("CREATE TABLE loose (id BLOB NOT NULL PRIMARY KEY, changed INTEGER)")
    small.sql("INSERT INTO loose VALUES (?, ?)", [(bytes([n]), min(n, 7)) for n in range(10)])
    link = direct(small, "loose", watermark={"column": "changed"}, chunk={"rows": 3})
    only(small, {**link, "mode": mode})
    assert small.hdm("run").code == 0
    crash(small, 1, -1, "loose")
    before = small.rows("loose")
    small.sql("INSERT INTO loose VALUES (?, ?)", [(bytes([n]), n // 2) for n in range(14, 19)])
    done = small.hdm("run")
    assert (done.code, small.rows("loose")) == (1, before)
    assert "going on could load rows twice, or leave some out" in done.err
    assert ("use mode merge" in done.err) == (mode == "append")


@pytest.mark.parametrize("through", ["the target", "files"])
def test_a_state_may_be_lost_again_and_again(place: Place, through: str) -> None:
    if through == "files":
        only(place, stage("orders", place, watermark={"column": "changed"}), load(place))
    history(place)
    for value in (102, 103, 104):
        shutil.rmtree(place.home)
        add(place, value, value - 1, None)
        move(place)
    add(place, 104)
    move(place)


def test_an_epoch_that_a_rebuild_finished_is_whole_when_the_state_is_lost_again(small: Place) -> None:
    move(small)
    add(small, 7, 8, 9)
    move(small)
    crash(small, 2, 1)
    move(small)
    shutil.rmtree(small.home)
    add(small, 9, 10)
    move(small)


def test_an_epoch_numbered_on_lacks_its_first_chunk(small: Place) -> None:
    """The numbers left are as many as the chunks, but the first is not the epoch's first."""
    move(small)
    shutil.rmtree(small.home)
    add(small, 7, 8, 9)
    move(small)
    on_sqlite(
        small.target,
        "DELETE FROM _hdm_load_ledger WHERE epoch = 2 AND json_extract(chunk_json, '$.seen_key') = 'point'",
    )
    before = small.rows("orders")
    shutil.rmtree(small.home)
    add(small, 10)
    done = small.hdm("run")
    assert done.code == 1
    assert "going on could load rows twice" in done.err
    assert small.rows("orders") == before


@pytest.mark.server
@pytest.mark.parametrize("watermark", [None, {"column": "id"}])
def test_what_was_read_under_a_snapshot_is_not_read_again(
    place: Place, fresh_postgres: Callable[..., Database], watermark: dict[str, Any] | None
) -> None:
    database = fresh_postgres()
    with psycopg.connect(database.dsn) as connection:
        connection.execute("CREATE TABLE notes (id int, note text)")
        connection.execute("INSERT INTO notes SELECT n, 'note' FROM generate_series(1, 130) n")
    place.profiles["src"] = profile_of(database)
    link = direct(place, "notes", **({"watermark": watermark} if watermark else {}))
    link["source"]["type"] = "PostgresSource"
    assert only(place, link).hdm("run").code == 0
    shutil.rmtree(place.home)
    for expected in (130, 130):
        done = place.hdm("run")
        assert done.code == 0, done.said
        assert len(place.rows("notes")) == expected
