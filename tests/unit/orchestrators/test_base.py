"""A run from start to report: what its status and exit code say, and what is always closed."""

from __future__ import annotations

import threading

import pytest

from hdm.components.row_checks import NotNull
from hdm.errors import CheckFailed, StateError
from hdm.orchestrators.base import Orchestrator, OrchestratorConfig, RunReport, Session
from hdm.planning.planner import Planner
from hdm.planning.preflight import preflight
from hdm.runtime import thread_engine
from hdm.state import RunInfo
from tests.unit.linkkit import Listed, Run, Shelf, words


class Plain(Orchestrator):
    def __init__(self) -> None:
        super().__init__(OrchestratorConfig(workers=1))
        self.told: list[str] = []

    def links(self, plan):
        return iter(())

    def before(self, session, run_id):
        self.told.append("before")

    def after(self, session, run_id):
        self.told.append("after")
        self.notes.append("made the views")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(thread_engine, "IDLE_FIRST", 0.001)


def session(run: Run, **options) -> Session:
    info = RunInfo("m", "0" * 64, "test", "tester", None, False, "0.1", "here")
    return Session(run.state, run.links, preflight(run.links), info, **options)


def status(run: Run, report: RunReport) -> tuple:
    return run.query("SELECT status, error_class FROM hdm_run WHERE run_id = :id", id=report.run_id)[0]


@pytest.mark.slow
def test_a_run_that_moved_everything_is_a_success(run):
    run.add(Listed(words(5)), Shelf())
    orchestrator, opened = Plain(), []
    report = orchestrator.run(session(run, opened=lambda run_id, taken: opened.append((run_id, taken))))
    assert (report.status, report.exit_code, report.rows, report.stopped) == ("success", 0, 5, False)
    assert opened == [(report.run_id, 0)]
    assert orchestrator.told == ["before", "after"]
    assert report.notes == ("made the views",)
    assert status(run, report) == ("success", None)


@pytest.mark.slow
def test_a_dead_chunk_makes_it_a_failure_and_nothing_is_done_after(run):
    source = Listed(words(4))

    def bad(chunk):
        raise CheckFailed("bad")

    source.before_read = bad
    run.add(source, Shelf())
    orchestrator = Plain()
    report = orchestrator.run(session(run))
    assert (report.status, report.exit_code) == ("failure", 1)
    assert orchestrator.told == ["before"]
    assert status(run, report)[0] == "failure"


def test_a_failed_validation_makes_it_a_failure_although_all_is_committed(run):
    sink = Shelf()

    def lose(chunk):
        sink.shown.pop(chunk.chunk_id, None)

    sink.before["committed"] = lose
    run.add(Listed(words(2)), sink)
    assert Plain().run(session(run)).exit_code == 1


def test_a_check_that_only_warns_does_not(run):
    check = {"type": "NotNull", "column": "word", "severity": "warn"}
    link = run.add(Listed([(0, None)]), Shelf(), checks=(check,))
    link._checks = {"NotNull": NotNull}
    assert Plain().run(session(run)).exit_code == 0


def test_a_job_that_could_not_be_planned_is_named(run):
    source = Listed(words(2))

    def bad():
        raise CheckFailed("no such view")

    source.before_split = bad
    run.add(source, Shelf())
    report = Plain().run(session(run))
    assert (report.failed, report.exit_code) == (("words: no such view",), 1)


def test_a_table_that_waits_for_a_person_is_no_success(run):
    run.add(Listed(words(2)), Shelf())
    orchestrator = Plain()
    orchestrator.waiting["t"] = "t: a column was narrowed"
    report = orchestrator.run(session(run))
    assert (report.exit_code, report.failed) == (1, ("t: a column was narrowed",))


def test_a_stopped_run_is_aborted_whatever_it_had_done(run):
    stop = threading.Event()
    source = Listed(words(6))
    source.before_read = lambda chunk: stop.set()
    run.add(source, Shelf())
    orchestrator = Plain()
    report = orchestrator.run(session(run, stop=stop))
    assert (report.status, report.exit_code, report.stopped) == ("aborted", 143, True)
    assert orchestrator.told == ["before"]
    assert status(run, report)[0] == "aborted"


def test_trouble_with_the_state_closes_the_run_with_its_reason(run, monkeypatch):
    run.add(Listed(words(2)), Shelf())

    def tick(self):
        raise StateError("corrupt page")

    monkeypatch.setattr(Planner, "tick", tick)
    with pytest.raises(StateError):
        Plain().run(session(run))
    assert ("failure", "StateError") in run.query("SELECT status, error_class FROM hdm_run")


def test_who_joins_a_run_neither_opens_nor_closes_it(run):
    run.add(Listed(words(2)), Shelf())
    orchestrator = Plain()
    report = orchestrator.run(session(run, run_id=run.run_id))
    assert (report.run_id, report.exit_code) == (run.run_id, 0)
    assert orchestrator.told == []
    assert status(run, report) == ("in_progress", None)
    assert len(run.query("SELECT run_id FROM hdm_run")) == 1


def test_the_leases_of_other_hosts_are_said(run):
    run.add(Listed(words(4)), Shelf())
    run.planned()
    run.claim(run.state.workers.register(run.run_id, "elsewhere", 1, "t", "0.1"))
    waits, stop = [], threading.Event()
    stop.set()
    Plain().run(session(run, waits=lambda *what: waits.append(what), stop=stop))
    assert waits == [("elsewhere", 1, 20)]
