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
