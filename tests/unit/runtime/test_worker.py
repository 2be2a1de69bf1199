"""The worker loop: what each kind of failure does to a chunk, and when a worker must stop."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace

import pytest

from hdm import failpoints
from hdm.connectors.local import FSSink
from hdm.errors import (
    BrokenContract,
    CheckFailed,
    ConnectionLost,
    CorruptFile,
    Deadlock,
    Drained,
    HdmError,
    LeaseLost,
    SchemaDrift,
    StateUnavailable,
    Throttled,
    UnrepresentableValue,
    UsageError,
)
from hdm.files.layout import MANIFEST
from hdm.runtime.back_pressure import BackPressure
from hdm.runtime.lease_keeper import STALL_FACTOR, Pulse
from hdm.runtime.worker import MAX_ATTEMPTS, Worker
from tests.unit.linkkit import Listed, Run, Shelf, words

SECRET_ROW = "the value of a row"


def raising(error):
    def act(*_, **__):
        raise error

    return act


@pytest.fixture
def source(run: Run) -> Listed:
    return Listed(words(2))


@pytest.fixture
def sink() -> Shelf:
    return Shelf()


@pytest.fixture
def worker(run: Run, source: Listed, sink: Shelf) -> Worker:
    run.add(source, sink)
    run.planned()
    return made(run)


def made(run: Run, **options) -> Worker:
    pulse = Pulse(run.state, run.worker_id, 20)
    pressure = BackPressure(run.planner(), workers=1)
    return Worker(
        run.state, run.run_id, run.worker_id, run.links, pulse, threading.Event(), pressure, **options
    )


def chunk(run: Run, columns: str = "status") -> tuple:
    return run.query(f"SELECT {columns} FROM hdm_chunk ORDER BY chunk_no")[0]


def test_a_chunk_is_settled_and_told_and_then_there_is_nothing(run, worker, sink):
    told = []
    worker.started = lambda lease: told.append("started")
    worker.progress = lambda lease, rows, size: told.append(rows)
    worker.observe = lambda outcome: told.append(outcome.receipt.rows)
    outcome = worker.step()
    assert (outcome.error, outcome.receipt.rows, outcome.buried) == (None, 2, False)
    assert told == ["started", 1, 1, 2]
    assert worker.step() is None
    assert (sink.ids, chunk(run)) == ([0, 1], ("verified",))
    assert worker.pulse._held == {}


def test_the_target_is_asked_before_the_commit_and_checks_are_recorded_after_it(run, worker, monkeypatch):
    passed = []

    def note(name: str, *_) -> None:
        if name in ("C7", "L6", "U4", "V1", "V2", "checks"):
            passed.append((name, *chunk(run)))

    monkeypatch.setattr(failpoints, "point", note)
    monkeypatch.setattr(run.state.chunks, "record_checks", lambda *_: note("checks"))
    worker.step()
    assert passed == [
        ("C7", "written"), ("L6", "written"), ("U4", "written"), ("V1", "written"),
        ("V2", "verified"), ("checks", "verified"),
    ]  # fmt: skip


# -- going on ----------------------------------------------------------------------


@pytest.fixture
def several(run: Run, sink: Shelf) -> Worker:
    """A worker that has three chunks to do."""
    run.add(Listed(words(6)), sink)
    run.planned()
    return made(run)


def leased(run: Run) -> list[int]:
    """The numbers of the chunks that are leased."""
    found = run.query("SELECT chunk_no FROM hdm_chunk WHERE status = 'leased' ORDER BY chunk_no")
    return [number for (number,) in found]


def test_the_next_chunk_is_claimed_with_the_commit_and_renewed_from_then_on(run, several):
    told = []
    several.started = lambda lease: told.append(lease.chunk.number)
    assert several.step().lease.chunk.number == 0
    assert (leased(run), told) == ([1], [0, 1])
    assert [one.lease.chunk.number for one in several.pulse._held.values()] == [1]
    assert several.step().lease.chunk.number == 1
    assert [several.step().lease.chunk.number, several.step()] == [2, None]
    assert (told, several.pulse._held) == ([0, 1, 2], {})


@pytest.mark.parametrize("why", ["told to stop", "something is full"])
def test_who_is_not_to_go_on_claims_nothing(run, several, monkeypatch, why):
    if why == "told to stop":
        several.may_continue = lambda: False
    else:
        monkeypatch.setattr(several.pressure, "full_jobs", lambda: frozenset({"another"}))
    assert several.step().receipt.rows == 2
    assert leased(run) == []


def test_who_leaves_hands_back_what_was_not_begun(run, several):
    told = []
    several.observe = lambda outcome: told.append(type(outcome.error))
    several.step()
    several.release_unstarted()
    several.release_unstarted()
    assert (leased(run), several.pulse._held, told) == ([], {}, [type(None), Drained])
    assert run.events().count("chunk.released") == 1
    assert made(run).step().lease.chunk.number == 1, "it is free at once"


def test_who_is_told_of_a_chunk_and_fails_leaves_no_lease(run, several):
    several.started = lambda lease: 1 / lease.chunk.number if lease.chunk.number else None
    several.step()
    assert leased(run) == [1]
    several.started = raising(RuntimeError("a display's"))
    with pytest.raises(HdmError):
        several.step()
    several.release_unstarted()
    assert (leased(run), several.pulse._held) == ([], {})


def test_a_state_that_is_away_does_not_keep_a_worker_from_leaving(run, several, monkeypatch):
    several.step()
    monkeypatch.setattr(run.state.chunks, "release", raising(StateUnavailable("away")))
    several.release_unstarted()
    assert (leased(run), several.pulse._held) == ([1], {}), "its lease runs out"


def test_a_chunk_that_fails_claims_no_other(run, several, sink):
    sink.before["write"] = raising(ConnectionLost("away"))
    several.step()
    assert leased(run) == []


@pytest.mark.parametrize("named", [True, False])
def test_the_first_file_is_on_record_with_the_claim_if_its_name_is_known(run, tmp_path, monkeypatch, named):
    staged = FSSink(FSSink.Config.model_validate({"directory": str(tmp_path)}), name="staged")
    if not named:
        staged.file_names = lambda *about: None
    run.add(Listed(words(2)), staged)
    planner = run.planner()
    planner.tick()
    told = []
    worker = made(run, file_names=planner.file_names, started=lambda lease: told.append(len(lease.announced)))
    assert worker.step().receipt.rows == 2
    assert run.query("SELECT state FROM hdm_artifact") == [("PUBLISHED",)]
    assert told == [1 if named else 0]


# -- recovery: retry -------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        ConnectionLost("away"),
        Deadlock("locked"),
        Throttled("slow"),
        ConnectionResetError("x"),
        TimeoutError("x"),
        OSError(28, "No space left on device"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_may_pass_is_tried_again_later(run, worker, source, sink, error):
    source.before_read = raising(error)
    outcome = worker.step()
    assert (outcome.buried, outcome.receipt) == (False, None)
    assert chunk(run, "status, attempt, not_before IS NOT NULL, lease_expires_at") == ("pending", 1, 1, None)
    assert "discard" in sink.calls
    source.before_read = lambda chunk: None
    run.is_due()
    assert worker.step().receipt.rows == 2
    assert chunk(run, "status, attempt, error_class") == ("verified", 2, None)


def test_a_failed_try_leaves_nothing_of_its_own_behind(run, worker, sink):
    sink.before["wrote"] = raising(ConnectionLost("away"))
    worker.step()
    assert (sink.hidden, sink.shown) == ({}, {})


def test_a_failure_after_writing_keeps_what_was_written(run, worker, source, sink):
    """The content is on record: the next try publishes it, and it must not be swept away."""
    sink.before["publish"] = raising(ConnectionLost("away"))
    worker.step()
    assert chunk(run) == ("written",)
    sink.before.clear()
    run.alter("UPDATE hdm_chunk SET lease_expires_at = '2000-01-01T00:00:00.000000Z'")
    assert worker.step().receipt.rows == 2
    assert len(source.reads) == 1
    assert sink.ids == [0, 1]


def test_the_last_try_buries_the_chunk_with_its_context(run, worker, source):
    source.before_read = raising(ConnectionLost("away"))
    outcomes = []
    while (outcome := worker.step()) is not None:
        outcomes.append(outcome.buried)
        run.is_due()
    assert outcomes == [False] * (MAX_ATTEMPTS - 1) + [True]
    assert chunk(run, "status, attempt") == ("dead", MAX_ATTEMPTS)
    (letter,) = run.state.operators.dead(run_id=run.run_id)
    assert letter["error_class"] == "ConnectionLost"
    assert run.events().count("chunk.failed") == MAX_ATTEMPTS - 1


def test_a_drain_after_writing_keeps_what_was_written(run, worker, source, sink, monkeypatch):
    worker.stop = threading.Event()
    real, stop = run.state.chunks.wrote, worker.stop

    def then_stop(lease, receipt):
        real(lease, receipt)
        stop.set()

    monkeypatch.setattr(run.state.chunks, "wrote", then_stop)
    assert isinstance(worker.step().error, Drained)
    assert (chunk(run), sink.shown) == (("written",), {})
    assert made(run).step().receipt.rows == 2
    assert len(source.reads) == 1


def test_staged_files_whose_manifest_could_not_be_made_are_published_by_the_next_try(run, tmp_path):
    sink = FSSink(FSSink.Config.model_validate({"directory": str(tmp_path)}), name="staged")
    run.add(Listed(words(2)), sink)
    run.planned()
    worker, real = made(run), sink.store.put_new

    def full(key, *rest, **named):
        if key.endswith(MANIFEST):
            raise OSError(28, "No space left on device")
        return real(key, *rest, **named)

    sink.store.put_new = full
    assert not worker.step().buried
    sink.store.put_new = real
    run.is_due()
    run.alter("UPDATE hdm_chunk SET lease_expires_at = '2000-01-01T00:00:00.000000Z'")
    assert worker.step().receipt.rows == 2
    assert chunk(run) == ("verified",)


def test_a_failure_at_publishing_that_buries_cleans_up(run, worker, sink):
    sink.before["publish"] = raising(CorruptFile("changed"))
    assert worker.step().buried
    assert sink.hidden == {}


# -- recovery: bury --------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [SchemaDrift("x"), CheckFailed("x"), UnrepresentableValue("x"), CorruptFile("x"), BrokenContract("x")],
    ids=lambda error: type(error).__name__,
)
def test_what_cannot_pass_is_buried_at_once(run, worker, source, error):
    source.before_read = raising(error)
    outcome = worker.step()
    assert (outcome.buried, outcome.error) == (True, error)
    assert chunk(run, "status, attempt, error_class") == ("dead", 1, type(error).__name__)
    assert worker.step() is None


def test_an_error_that_nothing_foresaw_is_buried_without_its_text(run, worker, source):
    source.before_read = raising(KeyError(SECRET_ROW))
    outcome = worker.step()
    assert outcome.buried
    assert "unexpected KeyError at runtime/test_worker.py" in outcome.error.message
    kept = run.query("SELECT error_msg, context FROM hdm_dead_letter")
    assert SECRET_ROW not in repr((kept, chunk(run, "error_msg"), outcome.error.message))


@pytest.mark.parametrize(("asked", "lines"), [("1", 1), ("", 0)])
def test_its_traceback_is_shown_where_the_hint_says_so(worker, source, monkeypatch, caplog, asked, lines):
    monkeypatch.setenv("HDM_DEBUG", asked)
    source.before_read = raising(KeyError("x"))
    with caplog.at_level(logging.WARNING, "hdm.worker"):
        assert "HDM_DEBUG=1" in worker.step().error.hint
    assert caplog.text.count("Traceback") == lines


def test_a_mistake_of_the_user_found_late_is_buried_too(run, worker, source):
    source.before_read = raising(UsageError("no such column"))
    assert worker.step().buried
    assert chunk(run) == ("dead",)


def test_one_poisoned_chunk_does_not_stop_the_others(run, source, sink):
    source.rows = words(6)
    run.add(source, sink)
    run.planned()
    source.before_read = lambda one: raising(CheckFailed("bad"))() if one.number == 1 else None
    worker = made(run)
    found = [worker.step().buried for _ in range(3)]
    assert found == [False, True, False]
    assert sink.ids == [0, 1, 4, 5]


# -- recovery: yield -------------------------------------------------------------


def test_a_drain_hands_the_chunk_back_at_once_and_cleans_up(run, worker, source, sink):
    worker.stop.set()
    outcome = worker.step()
    assert isinstance(outcome.error, Drained)
    assert (outcome.buried, chunk(run)) == (False, ("pending",))
    assert "discard" in sink.calls
    other = made(run)
    assert other.step().receipt.rows == 2
    assert chunk(run, "attempt") == (2,)


def test_a_lost_lease_is_left_to_its_new_holder(run, worker, source, sink):
    def taken(one):
        run.alter("UPDATE hdm_chunk SET lease_expires_at = '2000-01-01T00:00:00.000000Z'")
        run.claim(run.new_worker())

    source.before_read = taken
    outcome = worker.step()
    assert isinstance(outcome.error, LeaseLost)
    assert (outcome.buried, sink.shown) == (False, {})
    assert "discard" not in sink.calls, "hdm gc does that, once it is known to be dead"
    assert chunk(run, "status, attempt") == ("leased", 2)


def test_a_failure_whose_lease_is_lost_meanwhile_changes_nothing(run, worker, source, caplog):
    def taken(one):
        run.alter("UPDATE hdm_chunk SET lease_expires_at = '2000-01-01T00:00:00.000000Z'")
        run.claim(run.new_worker())
        raise ConnectionLost("away")

    source.before_read = taken
    with caplog.at_level(logging.WARNING, "hdm.worker"):
        outcome = worker.step()
    assert isinstance(outcome.error, ConnectionLost)
    assert "went to another worker" in caplog.text
    assert chunk(run, "status, attempt, error_class") == ("leased", 2, None)


def test_a_chunk_is_left_to_its_lease_while_the_state_is_away(run, worker, source, sink):
    source.before_read = raising(StateUnavailable("no route"))
    outcome = worker.step()
    assert outcome.waits, "the engine says it once, for all chunks"
    assert isinstance(outcome.error, StateUnavailable)
    assert chunk(run, "status, attempt") == ("leased", 1)
    assert "discard" not in sink.calls


def test_a_sink_that_cannot_clean_up_does_not_keep_the_chunk(run, worker, source, sink, caplog):
    source.before_read = raising(ConnectionLost("away"))
    sink.before["discard"] = raising(RuntimeError("also away"))
    with caplog.at_level(logging.WARNING, "hdm.worker"):
        assert not worker.step().buried
    assert "for hdm gc" in caplog.text
    assert chunk(run) == ("pending",)


# -- back-off ----------------------------------------------------------------------


def test_back_off_doubles_up_to_a_bound_and_is_jittered(worker):
    error = ConnectionLost("x")
    for attempt in range(1, 12):
        waits = {worker._wait(attempt, error) for _ in range(50)}
        assert len(waits) > 10, "all workers would come back at one moment"
        assert max(waits) <= min(60.0, 0.5 * 2**attempt)


def test_back_off_is_never_shorter_than_the_other_side_asks(worker):
    assert worker._wait(1, Throttled("slow", retry_after=90)) == 90
    assert worker._wait(1, ConnectionLost("x")) <= 1


# -- the pulse ----------------------------------------------------------------------


def held(run: Run, ttl: float = 20):
    run.add(Listed(words(2)), Shelf())
    run.planned()
    pulse = Pulse(run.state, run.worker_id, ttl)
    return pulse, pulse.hold(run.claim())


def test_a_renewal_extends_the_lease_and_notes_progress(run):
    pulse, one = held(run)
    run.alter("UPDATE hdm_chunk SET lease_expires_at = '2000-01-01T00:00:00.000000Z'")
    one.rows, one.bytes, one.renewed = 7, 70, one.renewed - 15
    pulse._renew(one)
    pulse.check(one)
    assert chunk(run, "progress_rows, progress_bytes") == (7, 70)
    ((late,),) = run.query("SELECT lease_expires_at > '2001' FROM hdm_chunk")
    assert late


def test_a_lease_that_another_holds_is_lost_at_the_next_renewal(run):
    pulse, one = held(run)
    run.expire(one.lease)
    run.claim(run.new_worker())
    pulse.check(one)
    pulse._renew(one)
    with pytest.raises(LeaseLost):
        pulse.check(one)


def test_a_lease_that_could_not_be_renewed_in_time_is_taken_for_lost(run, monkeypatch, caplog):
    pulse, one = held(run)
    monkeypatch.setattr(run.state.chunks, "renew", raising(StateUnavailable("away")))
    with caplog.at_level(logging.DEBUG, "hdm.worker"):
        pulse._renew(one)
    assert "renewing a lease failed: away" in caplog.text
    pulse.check(one)  # there is still time
    one.renewed -= 20 * 0.9
    with pytest.raises(LeaseLost, match="ran out"):
        pulse.check(one)


def test_a_renewal_counts_from_before_it_was_sent(run, monkeypatch):
    pulse, one = held(run)
    clock = [time.monotonic()]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    before = clock[0]
    real = run.state.chunks.renew

    def slow(*args, **named):
        clock[0] += 5
        real(*args, **named)

    monkeypatch.setattr(run.state.chunks, "renew", slow)
    pulse._renew(one)
    assert one.renewed == before


def test_a_hung_chunk_is_given_up(run):
    pulse, one = held(run)
    one.moved -= 20 * STALL_FACTOR + 1
    pulse._renew(one)
    assert one.lost
    with pytest.raises(LeaseLost):
        pulse.check(one)
    moved = replace(one, lost=False, moved=time.monotonic() - 20 * STALL_FACTOR + 5)
    pulse._renew(moved)
    assert not moved.lost


def test_a_check_is_a_sign_of_life(run):
    pulse, one = held(run)
    one.moved -= 1000
    pulse.check(one)
    assert time.monotonic() - one.moved < 100


def test_the_thread_renews_what_is_held_and_not_what_was_dropped(run, monkeypatch, caplog):
    pulse, one = held(run, ttl=0.03)
    renewed, beats = threading.Event(), threading.Event()
    monkeypatch.setattr(run.state.chunks, "renew", lambda lease, **_: renewed.set())

    def fails(worker_id):
        beats.set()
        raise StateUnavailable("away")

    monkeypatch.setattr(run.state.workers, "heartbeat", fails)
    with caplog.at_level(logging.DEBUG, "hdm.worker"):
        pulse.start()
        assert renewed.wait(5)
        assert beats.wait(5)
        pulse.drop(one)
        pulse.stop()
    assert not pulse._thread.is_alive()
    assert "heartbeat failed: away" in caplog.text
    assert pulse._held == {}


def test_a_file_is_on_record_before_it_is_written(run, worker, sink):
    sink.before["write"] = lambda chunk, attempt: attempt.will_write("shelf:x", "parquet")
    worker.step()
    assert ("shelf:x",) in run.query("SELECT uri FROM hdm_artifact")
