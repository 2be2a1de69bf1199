"""What a person is told of runs: who works, what was broken off, what was waived, under which name."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.flows.kit import Place, direct, only, shop


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = shop(tmp_path, orders=30, items=1)
    return only(place, direct(place, "orders", chunk={"rows": 10}))


def test_a_killed_run_is_broken_off_and_says_who_is_gone(place: Place) -> None:
    process = place.start("run", HDM_FAILPOINT="L4:2:kill", HDM_LEASE_TTL="300")
    assert process.wait(60) == -signal.SIGKILL
    done = place.hdm("status", env={"HDM_LEASE_TTL": "300"})
    assert done.code == 1
    assert ": broken off, begun 2" in done.out
    assert f"gone: process {process.pid} on " in done.out
    assert "nobody works on this run: run the manifest again to go on" in done.out
    told = place.hdm("status", "--json", env={"HDM_LEASE_TTL": "300"})
    assert (told.code, told.json[0]["run_status"]) == (1, "broken off")
    assert place.hdm("run").code == 0
    done = place.hdm("status")
    assert done.code == 0 and ": success, begun 2" in done.out and "gone" not in done.out


def test_who_works_is_said_while_he_does(place: Place) -> None:
    process = place.start("run", HDM_FAILPOINT=",".join(f"L4:{n}:sleep:3" for n in range(1, 20)))
    assert place.until(lambda: len(place.state("SELECT 1 FROM hdm_chunk WHERE status = 'leased'")) > 0)
    done = place.hdm("status")
    assert (done.code, f"at work: process {process.pid} on " in done.out) == (0, True), done.said
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) in (0, 143)


def test_a_waiver_is_seen_for_good_also_under_another_name(place: Place) -> None:
    """The manifest is renamed between the failure and all that follows it."""
    process = place.start("run", HDM_FAILPOINT="L1:2:raise:RejectedRows")
    assert process.wait(60) == 1
    place.manifest["name"] = "renamed"
    place.write()
    (row,) = place.hdm("status", "--dead", "--json").json
    done = place.hdm("status")
    assert (done.code, "(as manifest " in done.out) == (1, True), done.said
    assert place.hdm("retry").out.startswith("1 chunk(s) pending again")
    assert place.start("run", HDM_FAILPOINT="L1:1:raise:RejectedRows").wait(60) == 1
    assert place.hdm("waive", "--by", "ann", "--reason", "test rows").code == 0
    for _ in range(2):
        done = place.hdm("run")
        assert done.code == 0, done.said
        line = f"waived: chunk {row['chunk_id'][:12]} of orders -> "
        assert line in done.err and ", by ann at 2" in done.err and ": test rows" in done.err, done.said
        assert "all committed, but for 1 waived chunk(s)" in done.err
    done = place.hdm("status")
    assert (done.code, line in done.out) == (0, True), done.said


def test_a_manifest_that_was_never_run_names_those_that_were(place: Place) -> None:
    assert place.hdm("run").code == 0
    place.manifest["name"] = "another"
    only(place, direct(place, "items"))
    done = place.write().hdm("status")
    assert (done.code, "no runs of another in environment dev yet; on record here: " in done.out) == (0, True)


def test_what_could_not_be_planned_has_failed(place: Place) -> None:
    assert place.start("run", HDM_FAILPOINT="R3:1:raise:RejectedRows").wait(60) == 1
    (row,) = place.hdm("status", "--json").json
    assert (row["status"], bool(row["problem"])) == ("failure", True)
