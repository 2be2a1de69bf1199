"""One table under two names, a view, a condition that fits no column: refused by name; nothing is done."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from tests.flows.kit import Place, on_sqlite, run, shop
from tests.flows.test_proof import Target, facts, target
from tests.flows.test_sync import T, pair, some, sync

__all__ = ["target"]


def both(place: Place, first: str, second: str, *words: str) -> list[Any]:
    """What a sync and a comparison of two tables say."""
    options = ["-e", "dev", "--profiles", str(place.folder / "p.yml")]
    return [run([verb, first, second, *options, *words], place.env) for verb in ("sync", "diff")]


def filled(folder: Path) -> Place:
    place = shop(folder, orders=1)
    pair(place, "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)", [(1, "a"), (2, "b")], [(1, "a")])
    return place


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("id > 0 AND nope = 1", "no column nope"),
        ("x(id)", "refuses where"),
        ('id = 1 OR "nope" = 1', 'no column "nope"'),
    ],
)
def test_a_condition_that_the_database_refuses_is_a_mistake_and_named(
    tmp_path: Path, where: str, said: str
) -> None:
    place = filled(tmp_path)
    for done in both(place, *T, "--where", where):
        assert (done.code, said in done.err, "id, x" in done.err) == (2, True, True), done.said
    assert place.rows("t") == [(1, "a")]
    assert not (place.home / ".hashmap_data_migrator" / "state.db").exists()


def test_a_view_is_compared_and_not_changed(tmp_path: Path) -> None:
    place = filled(tmp_path)
    on_sqlite(place.target, "CREATE VIEW v AS SELECT * FROM t")
    synced, compared = both(place, T[0], "sqlite:dst.v", "--key", "id")
    assert synced.code == 2 and "sqlite:dst.v is a view" in synced.err, synced.said
    assert compared.code == 1 and "1 missing" in compared.out
    assert both(place, T[0], "sqlite:dst.v", "--key", "id", "--where", "id = 1")[1].code == 0


def test_one_table_under_two_names_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = filled(tmp_path)
    monkeypatch.chdir(tmp_path)
    own, duck = os.path.relpath(place.source, tmp_path), "x.duckdb"
    Path("link.db").symlink_to(own)
    os.link(own, "hard.db")
    with duckdb.connect(duck) as made:
        made.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    Path("link.duckdb").symlink_to(duck)
    for first, second in (
        (f"sqlite:{own}.t", "sqlite:src.t"), (f"sqlite:{own}.t", "sqlite:link.db.T"),
        ("sqlite:hard.db.main.t", "sqlite:src.T"), ("sqlite:src.t", "sqlite:src.main.T"),
        (f"duckdb:{duck}.t", "duckdb:link.duckdb.main.T"), (f"duckdb:{duck}.t", f"duckdb:{duck}.main.t"),
    ):  # fmt: skip
        for done in both(place, first, second):
            assert (done.code, "are one table" in done.err) == (2, True), (first, second, done.said)
    own_names = 'EXISTS (SELECT 1 FROM t AS "o" WHERE "o"."id" = 1)'
    assert [done.code for done in both(place, *T, "--where", own_names)] == [0, 0]
    assert [done.code for done in both(place, *T)] == [0, 0]


@pytest.mark.server
@some("Postgres")
def test_servers_say_which_table_and_what_it_is(tmp_path: Path, target: Target) -> None:
    """By another address of the same server, and by a view."""
    place = facts(tmp_path, target, rows=3)
    assert place.hdm("run").code == 0
    system = {"SnowflakeCopy": "snowflake"}.get(target.system, target.system.lower())
    profiles = tmp_path / "p.yml"
    known = yaml.safe_load(profiles.read_text())
    other = dict(known["dev"]["dst"])
    if other.get("host") in ("127.0.0.1", "localhost"):
        other["host"] = "localhost" if other["host"] == "127.0.0.1" else "127.0.0.1"
        known["dev"]["alias"] = other
        profiles.write_text(yaml.safe_dump(known))
        for done in both(place, f"{system}:dst.facts", f"{system}:alias.facts"):
            assert (done.code, "are one table" in done.err) == (2, True), done.said
    database = target.database
    connection = database.connect("test", write=True)
    try:
        database.begin(connection, write=True)
        database.run(connection, "CREATE VIEW seen AS SELECT * FROM facts")
        database.commit(connection)
    finally:
        connection.close()
    synced = sync(place, "--key", "id", tables=("sqlite:src.facts", f"{system}:dst.seen"))
    assert (synced.code, "is a view" in synced.err) == (2, True), synced.said
