"""What a person decides about dead chunks: which, by whom, and why."""

from __future__ import annotations

import pytest

from tests.flows.kit import direct, only, shop


@pytest.fixture
def place(tmp_path):
    """Two tables, each with one dead chunk of two."""
    made = shop(tmp_path, 100, 100)
    links = [direct(made, "orders"), direct(made, "items")]
    links[1]["source"]["name"], links[1]["sink"]["name"] = "src2", "dst2"
    for link in links:
        link["checks"] = [{"type": "RowCount", "max": 60}]
        link["source"]["conf"]["chunk"] = {"rows": 70}
    only(made, *links)
    assert made.hdm("run").code == 1
    return made


def dead(place) -> list[dict]:
    return place.hdm("status", "--dead", "--json").json


@pytest.mark.slow
def test_a_table_or_a_chunk_is_chosen_and_the_rest_left(place):
    tables = {row["table"]: row["chunk_id"] for row in dead(place)}
    assert len(tables) == 2
    one, other = tables
    found = place.hdm("retry", "--table", one.rpartition(".")[2], "--json")
    assert [row["table"] for row in found.json] == [one]
    assert [row["table"] for row in dead(place)] == [other]
    assert "1 chunk(s) pending again" in place.hdm("retry", "--chunk", tables[other][:10]).out
    assert dead(place) == []
    assert place.hdm("retry").out.strip().endswith("no dead chunks")


@pytest.mark.parametrize("option", ["--table", "--chunk"])
@pytest.mark.slow
def test_a_choice_that_matches_nothing_is_the_users_mistake(place, option):
    for verb in (["retry"], ["waive", "--by", "A. Person", "--reason", "known"]):
        done = place.hdm(verb[0], option, "zzz", *verb[1:])
        assert (done.code, "no dead chunk matches 'zzz'" in done.err) == (2, True)
    assert len(dead(place)) == 2


@pytest.mark.slow
def test_a_gap_is_waived_by_a_person_with_a_reason_or_not_at_all(place):
    for by, reason in ((" ", "known"), ("A. Person", " ")):
        done = place.hdm("waive", "--by", by, "--reason", reason)
        assert (done.code, "must not be empty" in done.err) == (2, True)
    assert place.hdm("waive", "--by", "A. Person").code == 2
    assert len(dead(place)) == 2
    done = place.hdm("waive", "--by", "A. Person", "--reason", "the source is wrong")
    assert "2 chunk(s) waived by A. Person" in done.out
    assert place.state("SELECT DISTINCT resolved_by, reason FROM hdm_dead_letter") == [
        ("A. Person", "the source is wrong")
    ]
    ended = place.hdm("run")
    assert ended.code == 0, "a waived gap no longer keeps the run from its end"
    assert "all committed, but for 2 waived chunk(s)" in ended.err


def test_before_the_first_run_there_is_nothing_to_decide(tmp_path):
    made = shop(tmp_path, 1, 1)
    assert "nothing was run yet" in made.hdm("retry").out
    assert "nothing was run yet" in made.hdm("waive", "--by", "a", "--reason", "b").out
    assert not made.home.exists()
