"""A folder that is read again and again, while its files grow and change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.flows.kit import Place, load, only, shop


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = shop(tmp_path, orders=0, items=0)
    place.stage.mkdir()
    return only(place, load(place))


def ids(place: Place) -> list[int]:
    return sorted(int(row[0]) for row in place.rows("t", "id"))


@pytest.mark.parametrize("kind", ["FSSource", "FSChunkSource"])
def test_a_log_that_grows_arrives_once(place: Place, kind: str) -> None:
    link = load(place)
    link["source"].update(type=kind)
    link["source"]["conf"].update({"chunk": 4} if kind == "FSChunkSource" else {})
    only(place, link)
    for upto in (3, 3, 11, 20):
        before = ids(place) if upto > 3 else []
        (place.stage / "t.csv").write_text("id\n" + "".join(f"{n}\n" for n in range(upto)))
        plan = place.hdm("plan", "--json").json
        assert place.hdm("run").code == 0
        assert ids(place) == list(range(upto))
        if before:
            assert plan[0]["rows (estimate)"] == upto - len(before)


def test_cut_otherwise_it_is_not_read_again(place: Place) -> None:
    (place.stage / "t.csv").write_text("id\n" + "".join(f"{n}\n" for n in range(20)))
    for chunk in (5, 8):
        link = load(place)
        link["source"].update(type="FSChunkSource")
        link["source"]["conf"]["chunk"] = chunk
        assert only(place, link).hdm("run").code == 0
        assert ids(place) == list(range(20))


def test_a_file_that_changed_is_refused_and_merged(place: Place) -> None:
    file = place.stage / "t.csv"
    file.write_text("id,v\n1,a\n2,b\n")
    assert place.hdm("run").code == 0
    file.write_text("id,v\n1,a\n2,c\n")
    refused = place.hdm("run")
    assert refused.code == 1
    assert "t.csv has changed since it was moved" in refused.err
    assert place.rows("t") == [("1", "a"), ("2", "b")]
    merging: dict[str, Any] = {**load(place, key=["id"]), "mode": "merge"}
    assert only(place, merging).hdm("run").code == 0
    assert place.rows("t") == [("1", "a"), ("2", "c")]


def test_nothing_that_can_be_read_is_no_success(place: Place) -> None:
    (place.stage / "t.csv.bz2").write_bytes(b"BZh9")
    refused = place.hdm("run")
    assert refused.code == 2
    assert "there are files: t.csv.bz2" in refused.err
    link = load(place)
    link["source"]["conf"]["allow_empty"] = True
    assert only(place, link).hdm("run").code == 0


def test_what_was_sniffed_is_planned_said_and_recorded(place: Place) -> None:
    (place.stage / "t.csv").write_text("a;b;c\n1;2,5;3\n")
    refused = place.hdm("run")
    assert refused.code == 2
    assert "the header is one single column that holds ';'" in refused.err
    link = load(place)
    link["source"]["conf"]["csv"] = {"sniff": True}
    said = "csv: {sniff: true} found the delimiter ';'"
    assert said in only(place, link).hdm("plan").said
    assert said in place.hdm("run").said
    assert place.rows("t") == [("1", "2,5", "3")]
    kept = place.state("SELECT * FROM hdm_dataset_schema")
    assert any(said in str(value) for row in kept for value in row)


def test_a_bad_value_is_refused_before_a_row_moves(place: Place) -> None:
    (place.stage / "1.csv").write_text("id;at\n1;31.12.2024\n")
    (place.stage / "2.csv").write_text("id;at\n2;31.02.2024\n")
    link = load(place)
    link["source"]["conf"] |= {
        "pattern": "*.csv",
        "delimiter": ";",
        "columns": [{"name": "at", "type": "date", "format": "%d.%m.%Y"}],
    }
    refused = only(place, link).hdm("run")
    assert refused.code != 0
    assert "2.csv: record 1: column at is no date, written %d.%m.%Y" in refused.err
    assert "31.02" not in refused.said
    assert place.state("SELECT count(*) FROM hdm_chunk") == [(0,)]
