"""What a run shows: one JSON line per event, bars, or only what went wrong."""

from __future__ import annotations

import json

import pytest

from hdm.cli.progress import Bars, JsonEvents, Quiet
from hdm.config.secrets import Secret
from hdm.errors import CheckFailed, ConnectionLost
from hdm.model import Receipt
from hdm.runtime.worker import Outcome
from tests.unit.linkkit import Listed, Run, Shelf, words


@pytest.fixture
def lease(run: Run):
    run.add(Listed(words(2)), Shelf())
    run.planned()
    return run.claim()


@pytest.mark.slow
def test_each_event_is_one_json_line(lease, capsys):
    Secret("s3cret-canary")
    with JsonEvents().observing() as observer:
        observer.started(lease)
        observer.settled(Outcome(lease, Receipt(lease.chunk_id, 1, 2, 30)))
        observer.settled(Outcome(lease, error=ConnectionLost("s3cret-canary\nrefused")))
        observer.settled(Outcome(lease, error=CheckFailed("bad", hint="mend it"), buried=True))
    said = capsys.readouterr()
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert [line["event"] for line in lines] == [
        "chunk.started",
        "chunk.committed",
        "chunk.failed",
        "chunk.dead",
    ]
    assert all(line["table"] == "words" and line["attempt"] == 1 for line in lines)
    assert (lines[1]["rows"], lines[1]["bytes"]) == (2, 30)
    assert (lines[3]["error"], lines[3]["hint"]) == ("CheckFailed", "mend it")
    assert said.err == ""
    assert "s3cret-canary" not in said.out


@pytest.mark.slow
def test_a_pipe_hears_only_what_went_wrong(lease, capsys):
    with Quiet().observing() as observer:
        observer.started(lease)
        observer.progress(lease, 1, 1)
        observer.settled(Outcome(lease, Receipt(lease.chunk_id, 1, 2)))
        observer.settled(Outcome(lease, error=ConnectionLost("refused")))
        observer.settled(Outcome(lease, error=CheckFailed("bad"), buried=True))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "words -> words out, chunk 0: will be tried again after attempt 1: refused",
        "words -> words out, chunk 0: dead after attempt 1: bad",
    ]


def test_bars_show_each_link_its_chunks_and_speed(run, lease, capsys):
    bars, planner = Bars(), run.planner()
    planner.tick()
    with bars.observing() as observer:
        observer.ticked(planner)
        observer.progress(lease, 1500, 2_000_000)
        observer.ticked(planner)
        observer.settled(Outcome(lease, error=ConnectionLost("refused")))
    said = capsys.readouterr().err
    assert "words -> words out" in said
    assert "all " in said
    assert "0/1 " in said
    assert "1.5k rows" in said
    assert "refused" in said


def test_at_eighty_columns_nothing_is_cut_but_long_names(run, lease, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    bars = Bars()
    planner = run.planner()
    planner.tick()
    told = {lease.job.link_key: ("a_very_long_name_" * 4, 12, 4000)}
    monkeypatch.setattr(type(planner), "progress", lambda _: told)
    with bars.observing() as observer:
        observer.progress(lease, 123_456_789, 0)
        observer.ticked(planner)
        observer.settled(Outcome(lease, Receipt(lease.chunk_id, 1, 2)))
    lines = [line for line in capsys.readouterr().err.splitlines() if "4,000" in line]
    assert lines and all("13/4,000" in line and "123M rows" in line for line in lines[-2:])
    assert max(map(len, lines)) <= 80


def test_of_many_links_only_those_at_work_stay(run, lease, capsys, monkeypatch):
    planner = run.planner()
    planner.tick()
    many = {str(number): (f"table{number}", 5, 5) for number in range(40)} | {"busy": ("busy", 1, 9)}
    monkeypatch.setattr(type(planner), "progress", lambda _: {**many, "idle": ("idle", 0, 0)})
    with Bars().observing() as observer:
        observer.ticked(planner)
    said = capsys.readouterr().err
    assert "busy" in said and "201/209" in said
    assert "table7" not in said and "idle" not in said
