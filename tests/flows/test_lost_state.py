"""The state database is lost, or restored from before the last runs: the ledgers bring it back.

Every row arrives once all the same; where that cannot be known, nothing is loaded, and it is said.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.flows.kit import Place, direct, load, only, shop, stage
from tests.servers.process import Database


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = shop(tmp_path, 120, 6)
    return only(made, direct(made, "orders", watermark={"column": "changed"}))


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
    assert done.code == 0, done.said
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
    assert "0 rows in" in place.hdm("run").err


def test_a_restored_state_is_brought_forward(place: Place) -> None:
    move(place)
    kept = place.folder / "backup.db"
    shutil.copy(state_file(place), kept)
    add(place, 100, 101)
    move(place)
    add(place, 101, None)
    move(place)
    for left in state_file(place).parent.glob("state.db*"):
        left.unlink()
    shutil.copy(kept, state_file(place))
    done = place.hdm("state", "reconcile", "--json")
    assert (done.json[0]["taken over"], done.json[0]["left to the next run"]) == (0, 4)
    add(place, 101, 102)
    move(place)
    assert "took over 4 chunk(s)" not in place.hdm("run").err
    move(place)


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


@pytest.mark.server
@pytest.mark.parametrize("watermark", [None, {"column": "id"}])
def test_what_was_read_under_a_snapshot_is_not_read_again(
    place: Place, fresh_postgres: Callable[..., Database], watermark: dict[str, Any] | None
) -> None:
    database = fresh_postgres()
    with psycopg.connect(database.dsn) as connection:
        connection.execute("CREATE TABLE notes (id int, note text)")
        connection.execute("INSERT INTO notes SELECT n, 'note' FROM generate_series(1, 130) n")
    place.profiles["src"] = {
        "host": database.host, "port": database.port, "database": database.database,
        "user": database.user, "password": database.password, "insecure": True,
    }  # fmt: skip
    link = direct(place, "notes", **({"watermark": watermark} if watermark else {}))
    link["source"]["type"] = "PostgresSource"
    assert only(place, link).hdm("run").code == 0
    shutil.rmtree(place.home)
    for expected in (130, 130):
        done = place.hdm("run")
        assert done.code == 0, done.said
        assert len(place.rows("notes")) == expected
