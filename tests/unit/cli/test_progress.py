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
    assert "0/1 chunks" in said
    assert "1,500 rows" in said
    assert "2.0 MB" in said
    assert "refused" in said
