"""What runs have done is told as OpenLineage events: at least once, in order, valid, each time the same."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hdm.api.openlineage import events_of
from hdm.api.outbox import send_all
from hdm.errors import HdmError
from hdm.model import Dataset, Table
from hdm.state import StateManager
from tests.flows.kit import Done, Place, direct, only, shop
from tests.flows.openlineage_spec import EVENT

VALID = jsonschema.Draft202012Validator(EVENT)
Event = dict[str, Any]


class Receiver(BaseHTTPRequestHandler):
    """Takes events; answers with the statuses in ``answers`` first, then with 201."""

    taken: list[Event]
    answers: list[int]
    tokens: list[str | None]

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"]))
        self.tokens.append(self.headers["Authorization"])
        status = self.answers.pop(0) if self.answers else 201
        if status < 300:
            self.taken.append(json.loads(text))
        self.send_response(status)
        if status in (302, 307):
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def receiver(*answers: int) -> Iterator[tuple[str, type[Receiver]]]:
    handler = type("Own", (Receiver,), {"taken": [], "answers": list(answers), "tokens": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api/v1/lineage", handler
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def two(folder: Path) -> Place:
    place = shop(folder, 120, 30)
    links = [direct(place, "orders", watermark={"column": "id"}), direct(place, "items")]
    links[0]["transform"] = "SELECT id, upper(customer) AS customer, 7 AS seven FROM batch WHERE cents >= 0"
    links[1]["source"]["name"], links[1]["sink"]["name"] = "src2", "dst2"
    return only(place, *links)


def told(place: Place, *words: str) -> list[Event]:
    done = place.hdm("openlineage", *words)
    assert done.code == 0, done.said
    events = [json.loads(line) for line in done.out.splitlines()]
    for event in events:
        VALID.validate(event)
    return events


def kinds(events: list[Event]) -> list[tuple[str, str]]:
    return sorted((one["inputs"][0]["name"].rpartition(".")[2], one["eventType"]) for one in events)


@pytest.mark.slow
def test_each_link_of_a_run_begins_and_ends_once_with_what_it_moved(tmp_path: Path) -> None:
    place = two(tmp_path)
    assert place.hdm("run").code == 0
    events = told(place)
    expected = [("items", "COMPLETE"), ("items", "START"), ("orders", "COMPLETE"), ("orders", "START")]
    assert kinds(events) == expected
    (end,) = (one for one in events if one["eventType"] == "COMPLETE" and "orders" in one["job"]["name"])
    (output,) = end["outputs"]
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 120
    assert end["inputs"][0]["inputFacets"]["dataQualityMetrics"]["rowCount"] == 120
    fields = output["facets"]["columnLineage"]["fields"]
    assert fields["customer"]["inputFields"][0]["field"] == "customer"
    assert fields["customer"]["inputFields"][0]["transformations"][0]["subtype"] == "TRANSFORMATION"
    assert fields["seven"] == {"inputFields": []}
    assert [one["field"] for one in output["facets"]["columnLineage"]["dataset"]] == ["cents"]
    assert [one["name"] for one in output["facets"]["schema"]["fields"]][:3] == ["id", "customer", "seven"]
    start = next(one for one in events if one["run"]["runId"] == end["run"]["runId"])
    assert start["eventType"] == "START"
    assert len({one["run"]["facets"]["parent"]["run"]["runId"] for one in events}) == 1


@pytest.mark.slow
def test_what_was_taken_is_not_sent_again_and_what_was_refused_is(tmp_path: Path) -> None:
    place = two(tmp_path)
    assert place.hdm("run").code == 0
    whole = told(place)
    assert told(place) == []
    for refused in range(len(whole)):
        with receiver(*[201] * refused, 503) as (url, taker):
            kept = ("--position", str(tmp_path / f"kept{refused}.json"))
            done = place.hdm("openlineage", "--to", url, *kept)
            assert (done.code, "refused an event with status 503" in done.err) == (1, True), done.said
            assert taker.taken == whole[:refused]
            done = place.hdm("openlineage", "--to", url, *kept)
            assert done.code == 0, done.said
            again = list({json.dumps(one): one for one in taker.taken}.values())
            assert again == whole, "not every event came, in order"
            assert len(taker.taken) <= len(whole) + 1
    place.sql("INSERT INTO orders VALUES (5000, 'late', 1, 1)")
    assert place.hdm("run").code == 0
    (end,) = (one for one in told(place) if one["eventType"] == "COMPLETE" and "orders" in one["job"]["name"])
    assert end["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 1
    file = tmp_path / "events.jsonl"
    assert place.hdm("openlineage", "--to", str(file)).code == 0
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines[: len(whole)] == whole, "the same records gave other events"


@pytest.mark.slow
def test_a_link_that_failed_and_a_run_that_was_broken_off_are_told_as_such(tmp_path: Path) -> None:
    place = shop(tmp_path, 100, 30)
    link = direct(place, "orders")
    link["checks"] = [{"type": "RowCount", "max": 60}]
    link["source"]["conf"]["chunk"] = {"rows": 70}
    only(place, link)
    assert place.hdm("run").code == 1
    start, fail = told(place)
    assert (start["eventType"], fail["eventType"]) == ("START", "FAIL")
    assert fail["run"]["facets"]["errorMessage"]["message"]
    assert "dataQualityAssertions" not in fail["inputs"][0]["inputFacets"], (
        "a dead chunk's check is not known"
    )
    link["checks"][0]["max"] = 1000
    place.write()
    assert place.hdm("retry").code == 0
    assert place.hdm("run").code == 0
    start, end = told(place)
    assert (start["eventType"], end["eventType"]) == ("START", "COMPLETE")
    assert start["run"]["runId"] != fail["run"]["runId"]
    rows = [one["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] for one in (fail, end)]
    assert sum(rows) == 100, "each run tells what it committed itself"
    assert min(rows) > 0
    checks = end["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert {one["assertion"]: one["success"] for one in checks} == {"RowCount": True, "row_count": True}
    state = place.home / ".hashmap_data_migrator" / "state.db"
    with StateManager.open(f"sqlite:///{state}", create=False) as store:
        (run_id, upto), *_ = store.trail.untold({})
        facts = store.trail.told_of(run_id, upto)
    over = {**facts["events"][-1], "event_type": "run.aborted", "to_status": "aborted", "payload": {}}
    facts["events"] = [facts["events"][0], over]
    ended = [event for _, event in events_of(facts)]
    assert [one["eventType"] for one in ended] == ["START", "ABORT"]
    for event in ended:
        VALID.validate(event)


def test_of_several_events_on_one_record_none_is_lost(tmp_path: Path) -> None:
    """A run that ends with several links open: the receiver goes away between two of the events."""

    class Trail:
        def untold(self, told: dict[str, int]) -> list[tuple[str, int]]:
            return [("r", 3)] if told.get("r", 0) < 3 else []

        def told_of(self, run_id: str, upto: int) -> dict[str, Any]:
            table = Table(Dataset("db", "t"), ("t",), ())
            job = {
                "source": table, "target": table, "columns": [], "checks": [], "rows": 0, "bytes": 0,
                "extracted": 0, "sink_name": "dst", "source_namespace": "x", "source_dataset": "x",
                "target_namespace": "x", "target_dataset": "x",
            }  # fmt: skip
            kinds = (("job.opened", "a"), ("job.opened", "b"), ("run.aborted", None))
            return {
                "run": {"run_id": "r", "env": "dev", "manifest_name": "m"},
                "jobs": {name: {**job, "job_id": name} for name in ("a", "b")},
                "events": [
                    {
                        "seq": seq, "event_type": kind, "job_id": name, "payload": {}, "to_status": "aborted",
                        "at_db": "2026-01-01T00:00:00.000000Z",
                    }
                    for seq, (kind, name) in enumerate(kinds, 1)
                ],
            }  # fmt: skip

    taken: list[str] = []

    def send(text: str) -> None:
        if len(taken) == 3:
            taken.append("away")
            raise HdmError("away")
        taken.append(text)

    state: Any = type("State", (), {"trail": Trail()})()
    with pytest.raises(HdmError):
        send_all(state, send, tmp_path / "kept.json")
    send_all(state, send, tmp_path / "kept.json")
    ended = {json.loads(one)["run"]["runId"] for one in taken if one != "away" and '"ABORT"' in one}
    assert len(ended) == 2
    assert send_all(state, send, tmp_path / "kept.json") == 0


def asked(place: Place, *words: str) -> Done:
    return place.hdm("openlineage", *words)


@pytest.mark.slow
def test_a_token_goes_to_the_named_host_alone_and_mistakes_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = two(tmp_path)
    done = asked(place)
    assert (done.code, "nothing was run yet" in done.err) == (2, True), done.said
    assert place.hdm("run").code == 0
    monkeypatch.setenv("THE_TOKEN", "very-secret-token")
    with receiver(302) as (url, taker):
        done = asked(place, "--to", url, "--token", "env:THE_TOKEN")
        assert (done.code, "status 302" in done.err) == (1, True), done.said
        assert taker.tokens == ["Bearer very-secret-token"]
        assert "very-secret" not in done.said
    done = asked(place, "--to", url)
    assert (done.code, "cannot be reached" in done.err) == (1, True), done.said
    for target, said in (
        ("ftp://127.0.0.1/x", "is no URL"),
        ("http://[x/y", "is no URL"),
        ("http://me:pass1234@127.0.0.1/x", "password"),
        (str(tmp_path / "none" / "file"), "cannot be written"),
    ):
        done = asked(place, "--to", target)
        assert (done.code, said in done.err) == (2, True), done.said
        assert "pass1234" not in done.said
    (tmp_path / "broken.json").write_text("[1]")
    done = asked(place, "--position", str(tmp_path / "broken.json"))
    assert (done.code, "it keeps what was sent" in done.err) == (2, True), done.said
