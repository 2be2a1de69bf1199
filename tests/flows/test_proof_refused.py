"""What was not compared, or not as one may think, is told and does not end with 0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.flows.kit import Place, direct, load, on_sqlite, only, run, shop, stage


def damage(place: Place) -> None:
    on_sqlite(place.target, "UPDATE orders SET customer = 'other' WHERE id = 9")


def test_a_table_that_waits_for_a_person_is_compared(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=20)
    only(place, {**direct(place, "orders"), "schema_policy": "freeze"})
    assert place.hdm("run").code == 0
    damage(place)
    place.sql("ALTER TABLE orders ADD COLUMN colour TEXT")
    done = place.hdm("validate")
    assert done.code == 1 and "1 changed" in done.out, done.said
    assert "only the first has the column colour" in done.out
    assert "waits for a person, as schema_policy is freeze" in done.out


def test_a_new_column_that_the_link_leaves_out_is_named(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=20)
    only(place, {**direct(place, "orders"), "schema_policy": "discard"})
    assert place.hdm("run").code == 0
    place.sql("ALTER TABLE orders ADD COLUMN colour TEXT")
    done = place.hdm("validate")
    assert done.code == 0 and "not compared: the link leaves out the column colour" in done.out, done.said


def test_a_link_that_stages_files_and_wants_proof_is_not_passed_over(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=20)
    only(place, {**stage("orders", place), "validate": "rows"}, load(place))
    done = place.hdm("run")
    assert done.code == 1 and "write validate: on the link that loads its files" in done.err, done.said
    done = place.hdm("validate")
    assert done.code == 1 and "equal, 20 rows" in done.out and "not compared: FSSink" in done.out, done.said
    only(place, stage("orders", place), {**load(place), "validate": "rows"})
    assert (place.hdm("run").code, place.hdm("validate").code) == (0, 0)


def parted(place: Place, *words: Any) -> None:
    links = []
    for number, (proof, where) in enumerate(zip(words, ("id < 5", "id >= 5"), strict=True)):
        link = direct(place, "orders")
        link["source"] = {**link["source"], "name": f"part{number}"}
        link |= {"union": True, "transform": f"SELECT *, {number} AS part FROM batch WHERE {where}"}
        links.append(link if proof is None else {**link, "validate": proof})
    only(place, *links)


def test_links_that_fill_one_table_agree_about_its_proof(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=20)
    parted(place, "none", "rows")
    done = place.hdm("run")
    assert done.code == 1 and "orders together have different validate:" in done.err, done.said
    done = place.hdm("validate")
    assert done.code == 2 and "write the same validate: on each of them" in done.err, done.said
    parted(place, None, "rows")
    assert place.hdm("run").code == 0
    damage(place)
    done = place.hdm("validate")
    assert done.code == 1 and "different, 20 rows" in done.out, done.said


def test_no_table_is_no_proof(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=20)
    link = load(place)
    only(place, link)
    place.stage.mkdir(exist_ok=True)
    done = place.hdm("validate")
    assert done.code == 2 and "files finds nothing to read" in done.err, done.said
    link["source"]["conf"]["allow_empty"] = True
    only(place, link)
    done = place.hdm("validate")
    assert done.code == 1 and "not compared: its source finds no table" in done.out, done.said


def test_a_condition_is_told_with_the_result(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=20)
    place.sql("CREATE TABLE same AS SELECT * FROM orders")
    names = ("sqlite:src.orders", "sqlite:src.same", "--where", "id < 5")
    done = run(["diff", *names, "-e", "dev", "--profiles", str(tmp_path / "p.yml")], place.env)
    assert done.code == 0 and "note: compared: rows where id < 5" in done.out, done.said
