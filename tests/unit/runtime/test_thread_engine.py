"""The thread engine: everything moved, back-pressure, drains, and what ends it early."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from hdm.errors import CheckFailed, StateError, StateUnavailable, Unexpected
from hdm.planning.opening import Opening
from hdm.planning.planner import Planner
from hdm.runtime import thread_engine
from hdm.runtime.host import is_alive, start_token, take_over_dead
from hdm.runtime.thread_engine import Observer, ThreadEngine
from tests.unit.linkkit import Listed, Run, Shelf, words


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(thread_engine, "IDLE_FIRST", 0.001)
    monkeypatch.setattr(thread_engine, "IDLE_LAST", 0.02)


def engine(run: Run, **options) -> ThreadEngine:
    options = {"workers": 2, "grace": 5.0, **options}
    return ThreadEngine(run.state, run.run_id, run.planner(), **options)


def one(run: Run, rows=9) -> tuple[Listed, Shelf]:
    source, sink = Listed(words(rows)), Shelf()
    run.add(source, sink)
    return source, sink


def test_it_moves_everything_and_leaves_no_lease_snapshot_or_thread(run):
    source, sink = one(run)
    before = threading.active_count()
    made = engine(run)
    made.run()
    assert sink.ids == list(range(9))
    assert made.planner.succeeded()
    assert source.held == []
    assert threading.active_count() == before
    assert run.query("SELECT COUNT(*) FROM hdm_chunk WHERE status <> 'verified'") == [(0,)]
    gone = run.query("SELECT state FROM hdm_worker WHERE worker_id <> :own", own=run.worker_id)
    assert gone == [("left",)] or len(gone) == 1


def test_the_observer_is_told_of_starts_rows_ends_and_ticks(run):
    one(run, rows=4)
    told = []
    observer = Observer(
        started=lambda lease: told.append("started"),
        progress=lambda lease, rows, size: told.append(rows),
        settled=lambda outcome: told.append("settled"),
        ticked=lambda planner: told.append("tick"),
    )
    engine(run, observer=observer).run()
    assert (told.count("started"), told.count(1), told.count("settled")) == (2, 4, 2)
    assert "tick" in told


class Staged(Listed):
    chunks_from_files = True


@pytest.mark.slow
def test_a_link_is_read_no_further_than_the_bound_while_what_it_staged_lies(run):
    """Loading is held up until the source has been read as far as the bound allows."""
    source, middle, last = Listed(words(20)), Shelf("middle"), Shelf("last")
    above = run.add(source, middle)
    run.add(Staged(words(2)), last, upstream=(above.spec.key,))
    most, gate = [], threading.Event()

    def count(chunk, *rest):
        most.append(len(middle.shown) - len(last.shown))

    middle.before["write"] = count
    last.before["write"] = lambda *_: gate.wait(0.05)
    made = engine(run, workers=3, back_pressure=2)
    made.run()
    assert len(last.shown) == 10
    assert max(most) <= 2 + 3, "the bound, and at most one in each worker while it was counted"


@pytest.mark.slow
def test_the_bound_holds_while_the_planner_is_still_at_its_first_round(run, monkeypatch):
    """Planning many tables takes long; the first must not be staged without bound meanwhile."""
    middle, last = Shelf("middle"), Shelf("last")
    above = run.add(Listed(words(20)), middle)
    below = run.add(Staged(words(2)), last, upstream=(above.spec.key,))
    opened, staged = Opening.open, []

    def slow(self, run, one):
        if one.link.key == below.spec.key:
            until = time.monotonic() + 10
            while len(middle.shown) < 2 and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(0.3)
            staged.append(len(middle.shown))
        opened(self, run, one)

    monkeypatch.setattr(Opening, "open", slow)
    engine(run, workers=2, back_pressure=2).run()
    assert staged == [2]
    assert len(last.shown) == 10


def test_without_a_bound_nothing_is_held_up(run):
    one(run)
    made = engine(run, back_pressure=None)
    made.run()
    assert made._pressure.full_jobs() == frozenset()


def test_a_stop_lets_chunks_in_work_end_within_the_grace(run):
    source, sink = one(run, rows=40)
    made = engine(run, workers=1)
    source.before_read = lambda chunk: made.stop.set()
    made.run()
    assert sink.ids == [0, 1], "the one in work was finished and no other begun"
    assert run.query("SELECT DISTINCT status FROM hdm_chunk ORDER BY 1") == [("pending",), ("verified",)]
    assert source.held == []


def test_a_chunk_that_does_not_end_within_the_grace_is_handed_back(run):
    source, sink = one(run, rows=2)
    made = engine(run, workers=1, grace=0.05)

    def slow(chunk):
        made.stop.set()
        made._hurry.wait(5)

    source.before_read = slow
    made.grace = 0.05
    engine_thread = threading.Thread(target=made.run)
    engine_thread.start()
    engine_thread.join(10)
    assert sink.ids == []
    assert run.query("SELECT status FROM hdm_chunk") == [("pending",)]


def test_the_state_database_may_be_away_for_a_while(run, monkeypatch):
    _, sink = one(run, rows=4)
    made = engine(run)
    real_tick, real_claim = Planner.tick, run.state.chunks.claim
    fails = {"tick": 2, "claim": 2}

    def tick(self):
        if fails["tick"]:
            fails["tick"] -= 1
            raise StateUnavailable("away")
        return real_tick(self)

    def claim(*args, **options):
        if fails["claim"]:
            fails["claim"] -= 1
            raise StateUnavailable("away")
        return real_claim(*args, **options)

    monkeypatch.setattr(Planner, "tick", tick)
    monkeypatch.setattr(run.state.chunks, "claim", claim)
    made.run()
    assert sink.ids == [0, 1, 2, 3]
    assert fails == {"tick": 0, "claim": 0}


@pytest.mark.parametrize(
    ("error", "raised"),
    [(StateError("corrupt"), StateError), (ZeroDivisionError("x"), Unexpected)],
    ids=["hdm's", "unforeseen"],
)
def test_what_a_worker_cannot_settle_ends_the_run(run, monkeypatch, error, raised):
    source, _ = one(run)

    def claim(*_, **__):
        raise error

    monkeypatch.setattr(run.state.chunks, "claim", claim)
    with pytest.raises(raised):
        engine(run).run()
    assert source.held == []


def test_what_the_planner_cannot_bear_ends_the_run_and_its_threads(run, monkeypatch):
    one(run)
    before = threading.active_count()

    def tick(self):
        raise StateError("corrupt")

    monkeypatch.setattr(Planner, "tick", tick)
    with pytest.raises(StateError):
        engine(run).run()
    assert threading.active_count() == before


def test_a_dead_chunk_does_not_keep_the_engine_running(run):
    source, sink = one(run, rows=4)

    def bad(chunk):
        if chunk.number == 0:
            raise CheckFailed("bad")

    source.before_read = bad
    made = engine(run)
    made.run()
    assert sink.ids == [2, 3]
    assert not made.planner.succeeded()


def test_it_lingers_as_long_as_it_is_told(run):
    one(run, rows=2)
    turns = []
    made = engine(run, keep_running=lambda: turns.append(1) or len(turns) < 5)
    made.run()
    assert len(turns) >= 5


# -- processes ---------------------------------------------------------------------


def test_a_process_is_told_from_a_later_one_with_its_number():
    own = start_token(os.getpid())
    assert own.isdigit()
    assert is_alive(os.getpid(), own)
    assert not is_alive(os.getpid(), "1")
    assert is_alive(os.getpid(), ""), "without a token the number must do"


def test_an_ended_process_is_dead_also_while_nobody_has_waited_for_it():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    token = start_token(child.pid)
    assert is_alive(child.pid, token)
    child.kill()
    while start_token(child.pid):
        pass  # a zombie from here on
    assert not is_alive(child.pid, token)
    child.communicate()
    assert start_token(child.pid) == ""
    assert not is_alive(child.pid, token)


def test_what_dead_processes_of_this_host_hold_is_freed_at_once(run):
    one(run, rows=2)
    run.planned()
    host = thread_engine.host_identity()
    dead = run.state.workers.register(run.run_id, host, os.getpid(), "1", "0.1", None)
    alive = run.state.workers.register(run.run_id, host, os.getpid(), start_token(os.getpid()), "0.1", None)
    run.claim(dead)
    assert run.state.chunks.claim(alive, run.run_id) is None
    assert take_over_dead(run.state) == 1
    assert run.claim(alive).attempt == 2
    assert take_over_dead(run.state) == 0


def test_who_is_stopped_keeps_no_lease_that_went_with_a_commit(run, monkeypatch):
    """SIGTERM comes while a commit claims the next chunk: it is handed back, not left to its lease."""
    one(run, rows=40)
    made = engine(run, workers=1)
    commit = run.state.chunks.commit

    def then_stop(*about, **named):
        following = commit(*about, **named)
        if following is not None:
            made.stop.set()
        return following

    monkeypatch.setattr(run.state.chunks, "commit", then_stop)
    made.run()
    assert run.query("SELECT COUNT(*) FROM hdm_chunk WHERE status = 'leased' AND lease_expires_at > '3'") == [
        (0,)
    ]
    assert run.events().count("chunk.released") == 1
    assert run.query("SELECT COUNT(*) FROM hdm_chunk WHERE status = 'pending'") != [(0,)]
