"""A system that is away costs no chunk an attempt, and no more than a line; a chunk that fails does."""

from __future__ import annotations

import re
import threading
import time

import pytest

from hdm.components import back_off
from hdm.components.back_off import BackOff
from hdm.errors import ConnectionLost, Deadlock, StateUnavailable, Throttled, UnknownPlace, UsageError
from hdm.planning import breaker as module
from hdm.planning.breaker import Breaker, Outage
from hdm.runtime import thread_engine
from hdm.runtime.thread_engine import Observer, ThreadEngine
from hdm.runtime.worker import MAX_ATTEMPTS, MAX_OUTAGES
from tests.unit.linkkit import Listed, Run, Shelf, words
from tests.unit.runtime.test_worker import chunk, made


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(back_off, "PROBE", BackOff(0.25, 0.05))
    monkeypatch.setattr(back_off, "THROTTLED", BackOff(0.5, 0.05))
    monkeypatch.setattr(thread_engine, "IDLE_FIRST", 0.001)
    monkeypatch.setattr(thread_engine, "IDLE_LAST", 0.02)


class Remote(Shelf):
    """A target that can be cut off; every try meanwhile loses its connection."""

    def __init__(self, name: str = "warehouse") -> None:
        super().__init__(name)
        self.away, self.looks = False, 0
        self.before = dict.fromkeys(("prepare", "write", "publish", "committed"), self.meet)

    system = "db.example.com:5432"

    def meet(self, *_: object) -> None:
        if self.away:
            raise ConnectionLost("the server went away")

    def reach(self) -> None:
        self.looks += 1
        self.meet()


def engine(run: Run, **options) -> tuple[ThreadEngine, list[tuple[str, str]]]:
    said: list[tuple[str, str]] = []
    observer = Observer(said=lambda event, text: said.append((event, text)), **options.pop("hooks", {}))
    return ThreadEngine(run.state, run.run_id, run.planner(), observer=observer, **options), said


@pytest.mark.slow
def test_while_the_target_is_away_no_attempt_is_spent_and_one_line_is_said(run):
    sink, outcomes = Remote(), []
    run.add(Listed(words(40)), sink)
    made_engine, said = engine(run, workers=4, hooks={"settled": outcomes.append})

    def cut(*_):
        if len(sink.shown) >= 5 and not sink.away and sink.looks == 0:
            sink.away = True
            threading.Timer(0.7, lambda: setattr(sink, "away", False)).start()
        sink.meet()

    sink.before["write"] = cut
    made_engine.run()
    assert sink.ids == list(range(40))
    assert made_engine.planner.succeeded()
    assert [event for event, _ in said] == ["system.away", "system.back"]
    assert said[0][1].startswith("target warehouse at db.example.com:5432 away for ")
    assert run.query("SELECT MAX(failures) FROM hdm_chunk") == [(0,)]
    met = [one for one in outcomes if one.error is not None]
    assert 0 < len(met) <= 8, "those in work at that moment, and not one more for each claim"
    assert all(one.waits and not one.buried for one in met)


@pytest.mark.slow
def test_a_source_that_is_away_is_named_as_the_source(run):
    source = Listed(words(8))
    looks = iter([ConnectionLost("refused"), ConnectionLost("refused"), None])

    def reach():
        if (error := next(looks, None)) is not None:
            raise error

    source.reach = reach
    failing = iter([ConnectionLost("cut")])

    def read(one):
        if (error := next(failing, None)) is not None:
            raise error

    source.before_read = read
    run.add(source, Shelf())
    made_engine, said = engine(run, workers=2)
    made_engine.run()
    assert made_engine.planner.succeeded()
    assert said[0][1].startswith(f"source {source.name} at ")


@pytest.mark.slow
def test_a_system_that_stays_away_ends_the_run_with_its_chunks_unspent(run):
    sink = Remote()
    run.add(Listed(words(8)), sink)
    made_engine, _ = engine(run, workers=2, max_wait=0.4)
    sink.away = False
    sink.before["write"] = lambda *_: (setattr(sink, "away", True), sink.meet())
    made_engine.run()
    (why,) = made_engine.planner.failed.values()
    assert "target warehouse at db.example.com:5432 was away" in why
    assert "--max-wait" in why
    assert not made_engine.planner.succeeded()
    assert run.query("SELECT DISTINCT status, failures FROM hdm_chunk") == [("pending", 0)]
    sink.away = False
    sink.before["write"] = sink.meet
    again = run.again()
    ThreadEngine(again.state, again.run_id, again.planner()).run()
    assert sink.ids == list(range(8))


@pytest.mark.slow
def test_a_target_that_is_away_when_its_table_is_made_is_waited_for(run):
    sink = Remote()
    run.add(Listed(words(4)), sink)
    made_engine, _ = engine(run, workers=1)
    sink.away = True
    threading.Timer(0.4, lambda: setattr(sink, "away", False)).start()
    made_engine.run()
    assert (made_engine.planner.failed, sink.ids) == ({}, list(range(4)))


def test_it_is_said_in_time_though_a_look_takes_long(run, monkeypatch):
    """A firewall that drops packets keeps a driver for up to a minute."""
    monkeypatch.setattr(module, "SAY_BY", 0.05)
    sink, gate, looks = Remote(), threading.Event(), []

    def look():
        looks.append(1)
        if len(looks) > 1:
            assert gate.wait(30)
        else:
            raise ConnectionLost("no answer")

    sink.reach = look
    said: list[str] = []
    breaker = Breaker(max_wait=300, say=lambda event, text: (said.append(text), gate.set()))
    assert breaker.failed(run.add(Listed(words(1)), sink), ConnectionLost("no answer"))
    assert gate.wait(30)
    assert re.match(
        r"target warehouse at db.example.com:5432 away for \d+ s, trying on for at most 300 s, until "
        r"\d\d:\d\d:\d\d \S+: no answer$",
        said[0],
    )
    breaker.close()


def test_a_name_that_is_unknown_for_a_while_is_waited_for_once_it_was_reached(run):
    """As in a failover, where a database is not there for some seconds."""
    sink = Remote()
    errors = iter([UnknownPlace("cannot open the database")] * 3)

    def meet(*_):
        if (error := next(errors, None)) is not None:
            raise error

    sink.before["write"] = sink.reach = meet
    run.add(Listed(words(4)), sink)
    made_engine, _ = engine(run, workers=1)
    made_engine.run()
    assert sink.ids == list(range(4))
    assert run.query("SELECT MAX(failures) FROM hdm_chunk") == [(0,)]


@pytest.mark.slow
def test_the_links_of_other_systems_go_on_meanwhile(run):
    lost, there = Remote(), Shelf("elsewhere")
    run.add(Listed(words(4)), lost, name="lost")
    run.add(Listed(words(40)), there, name="there")
    made_engine, _ = engine(run, workers=2)
    lost.before["write"] = lambda *_: (setattr(lost, "away", len(there.shown) < 20), lost.meet())
    threading.Thread(target=_back, args=(lost, there), daemon=True).start()
    made_engine.run()
    assert (lost.ids, there.ids) == (list(range(4)), list(range(40)))


def _back(lost: Remote, there: Shelf) -> None:
    while len(there.shown) < 20:
        time.sleep(0.01)
    lost.away = False


def test_a_connection_that_breaks_while_its_system_is_there_counts(run):
    sink = Remote()
    run.add(Listed(words(2)), sink)
    run.planned()
    worker = made(run)
    sink.before["write"] = lambda *_: (_ for _ in ()).throw(ConnectionLost("this row ends the session"))
    seen = []
    while (outcome := worker.step()) is not None:
        seen.append((outcome.buried, outcome.waits))
        run.is_due()
    assert seen == [(False, False)] * (MAX_ATTEMPTS - 1) + [(True, False)]
    assert chunk(run, "status, failures") == ("dead", MAX_ATTEMPTS - 1)


@pytest.mark.slow
def test_a_chunk_that_takes_the_server_down_each_time_is_given_up_in_the_end(run, monkeypatch):
    monkeypatch.setattr(Breaker, "_watch", lambda self, end, away: self._away.clear())
    sink = Remote()
    run.add(Listed(words(2)), sink)
    run.planned()
    worker = made(run)
    sink.before["committed"] = lambda *_: None
    sink.away = True
    count = 0
    while worker.step() is not None:
        worker.breaker._away.clear()
        run.is_due()
        count += 1
    assert count == MAX_OUTAGES + MAX_ATTEMPTS
    assert chunk(run) == ("dead",)


@pytest.mark.slow
def test_what_asks_to_slow_down_is_slowed_down_for_and_spends_nothing(run, monkeypatch):
    monkeypatch.setattr(module, "LEAST_PAUSE", 0.0)
    monkeypatch.setattr(back_off, "THROTTLED", BackOff(0.5, 0.01))
    sink, asked = Shelf(), []

    def slow(*_):
        if len(asked) < 3 * MAX_ATTEMPTS:
            asked.append(1)
            raise Throttled("503 SlowDown")

    sink.before["write"] = slow
    run.add(Listed(words(8)), sink)
    made_engine, said = engine(run, workers=2)
    made_engine.run()
    assert sink.ids == list(range(8))
    assert run.query("SELECT MAX(failures) FROM hdm_chunk") == [(0,)]
    assert [event for event, _ in said] == ["system.slow"]


def test_all_workers_wait_as_long_as_the_other_side_asks(run):
    link = run.add(Listed(words(2)), Shelf())
    breaker = Breaker()
    assert breaker.failed(link, Throttled("slow", retry_after=90))
    assert breaker.barred() == {link.spec.key}
    assert breaker._slow[link.spec.key].until - time.monotonic() > 80
    breaker.succeeded(link)
    assert breaker.barred() == frozenset()


def test_what_never_stops_to_ask_for_less_ends_the_run(run):
    link = run.add(Listed(words(2)), Shelf())
    breaker = Breaker(max_wait=0)
    breaker.failed(link, Throttled("slow"))
    links, error = breaker.overdue()
    assert (links, "asked to slow down" in error.message) == ({link.spec.key}, True)


@pytest.mark.parametrize("error", [Deadlock("x"), UsageError("x")])
def test_only_lost_connections_and_throttling_are_a_systems(run, error):
    sink = Remote()
    link = run.add(Listed(words(2)), sink)
    assert not Breaker().failed(link, error)
    assert sink.looks == 0


def test_a_system_that_answers_with_a_refusal_is_there(run):
    sink = Remote()
    link = run.add(Listed(words(2)), sink)
    sink.meet = lambda *_: (_ for _ in ()).throw(UsageError("the login is refused"))
    assert not Breaker().failed(link, ConnectionLost("x"))


def test_many_workers_look_once(run):
    sink = Remote()
    link = run.add(Listed(words(2)), sink)
    breaker = Breaker()
    assert [breaker.failed(link, ConnectionLost("x")) for _ in range(8)] == [False] * 8
    assert sink.looks == 1


# -- the state database ------------------------------------------------------------


def test_the_state_that_is_away_is_one_line_and_then_the_end():
    said = []
    outage = Outage(0.05, lambda event, text: said.append((event, text)))
    assert all(outage.may_continue(StateUnavailable("full")) for _ in range(100))
    time.sleep(0.06)
    assert not outage.may_continue(StateUnavailable("full"))
    ended = outage.ended(StateUnavailable("full"))
    assert (ended.exit_code, [event for event, _ in said]) == (3, ["state.away"])
    outage.over()
    outage.over()
    assert [event for event, _ in said] == ["state.away", "state.back"]
