"""The planner: jobs opened, planned ahead, followed down the chain and closed, each once."""

from __future__ import annotations

import itertools
import time
from contextlib import ExitStack
from dataclasses import replace

import pytest

from hdm.errors import (
    CheckFailed,
    ConnectionLost,
    SnapshotLost,
    StateMissing,
    StateUnavailable,
    UsageError,
)
from hdm.model import Attempt, Dataset, LinkSpecs, Mode
from hdm.planning.planner import LOOKAHEAD, Planner
from hdm.planning.preflight import pipeline_of, preflight
from hdm.planning.tries import MAX_TRIES
from hdm.planning.windows import job_info
from hdm.runtime.link import DataLink
from hdm.state import Jobs
from tests.unit.linkkit import TABLE, Listed, Run, Shelf, spec, words


class Staged(Listed):
    """Reads what the sink above has published."""

    chunks_from_files = True


def raising(error):
    def act(*_):
        raise error

    return act


def work(run: Run, planner: Planner | None = None) -> int:
    """Carry every chunk that can be claimed through its link; how many."""
    done = 0
    while (lease := run.state.chunks.claim(run.worker_id, run.run_id)) is not None:
        run.move(lease, Attempt(lease.attempt))
        done += 1
    return done


def to_the_end(run: Run, planner: Planner) -> int:
    done = 0
    for _ in range(20):
        more = planner.tick()
        done += work(run)
        if not more:
            planner.close()
            return done
    raise AssertionError("the run does not end")


def at_once(monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, high: 0.0)


def one(run: Run, rows=3, mode=Mode.APPEND, table=TABLE, **options) -> tuple[Listed, Shelf]:
    source, sink = Listed(words(rows), table), Shelf()
    run.add(source, sink, mode=mode, **options)
    return source, sink


def snapshots(planner: Planner) -> list[ExitStack]:
    """The snapshots that the planner holds open."""
    return [one.snapshot for one in planner._runs.values() if one.snapshot is not None]


def chain(run: Run, rows=4, mode=Mode.APPEND) -> tuple[Listed, Shelf, Shelf]:
    first, middle, last = Listed(words(rows)), Shelf("middle"), Shelf("last")
    above = run.add(first, middle, mode=mode)
    run.add(Staged(words(rows)), last, upstream=(above.spec.key,), mode=mode)
    return first, middle, last


# -- one job, from open to closed ----------------------------------------------------


def test_a_job_is_prepared_written_ahead_moved_and_closed(run):
    _source, sink = one(run, rows=5)
    planner = run.planner()
    assert planner.tick()
    assert sink.calls == ["prepare"]
    ((count, planned),) = run.query(
        "SELECT COUNT(*), MAX(j.planned) FROM hdm_chunk c JOIN hdm_job j ON j.job_id = c.job_id"
    )
    assert (count, planned) == (3, 1)
    assert planner.progress()[next(iter(run.links))] == ("words -> words out", 0, 3)
    assert work(run) == 3
    assert planner.progress()[next(iter(run.links))] == ("words -> words out", 3, 3)
    assert not planner.tick()
    assert sink.calls[-1] == "finish"
    assert list(planner.closed().values()) == ["success"]
    assert planner.succeeded()
    assert sink.ids == [0, 1, 2, 3, 4]


def test_the_snapshot_is_held_until_the_job_is_closed(run):
    source, _ = one(run)
    planner = run.planner()
    planner.tick()
    assert source.held == ["words"]
    assert run.claim().chunk.snapshot == "token"
    run.alter("UPDATE hdm_chunk SET lease_expires_at = '2000-01-01T00:00:00.000000Z'")
    work(run)
    planner.tick()
    assert source.held == []


def test_the_snapshot_is_let_go_when_planning_fails_and_when_the_planner_is_closed(run):
    source, _ = one(run)
    source.before_split = raising(CheckFailed("no"))
    planner = run.planner()
    planner.tick()
    assert (source.held, len(planner.failed)) == ([], 1)
    source.before_split = lambda: None
    other = run.again().planner()
    other.tick()
    assert source.held == ["words"]
    other.close()
    assert source.held == []


def test_a_snapshot_that_breaks_while_it_is_let_go_does_not_spoil_a_finished_job(run):
    _source, _ = one(run)
    planner = run.planner()
    planner.tick()
    work(run)
    snapshots(planner)[0].callback(raising(ConnectionLost("gone")))
    assert not planner.tick()
    assert planner.succeeded()


@pytest.mark.slow
def test_an_epoch_stays_open_while_a_chunk_is_unfinished_and_the_next_run_finishes_it(run):
    source, sink = one(run, rows=4)
    run.planner().tick()
    lease = run.claim()
    run.move(lease, Attempt(1))
    source.rows = words(8)
    later = run.again()
    planner = later.planner()
    planner.tick()
    (job,) = planner.jobs.values()
    assert (job.epoch, job.adopted) == (1, True)
    assert to_the_end(later, planner) == 1
    assert sink.ids == [0, 1, 2, 3], "what came since is the next epoch's"
    last = run.again()
    assert to_the_end(last, last.planner()) == 2
    assert sink.ids == list(range(8))


def test_a_dead_chunk_leaves_the_epoch_open_and_the_sink_unfinished(run):
    _source, sink = one(run, rows=4)
    planner = run.planner()
    planner.tick()
    run.state.chunks.fail(run.claim(), CheckFailed("bad"), retry_in=None, phase="x")
    work(run)
    assert not planner.tick()
    assert list(planner.closed().values()) == ["failure"]
    assert "finish" not in sink.calls
    assert not planner.succeeded()
    assert run.state.operators.retry(run_id=run.run_id) == 1
    later = run.again()
    again = later.planner()
    assert to_the_end(later, again) == 1
    assert (again.succeeded(), sink.ids, sink.calls.count("finish")) == (True, [0, 1, 2, 3], 1)


def test_a_merging_job_whose_last_chunk_is_settled_between_two_questions_is_closed(run, monkeypatch):
    """The worker buries the last chunk after the planner has asked whether the job is settled. Left open, the
    job would keep the next run from the rows after it."""
    sink = Shelf()
    sink.modes = frozenset(Mode)
    run.add(Listed(words(2), replace(TABLE, key=("id",))), sink, mode=Mode.MERGE)
    planner = run.planner()
    planner.tick()
    settled, asked = Jobs.settled, []

    def late(self, job):
        if asked:
            return settled(self, job)
        asked.append(settled(self, job))
        run.state.chunks.fail(run.claim(), CheckFailed("bad"), retry_in=None, phase="x")
        work(run)
        return asked[0]

    monkeypatch.setattr(Jobs, "settled", late)
    planner.tick()
    planner.tick()
    assert asked == [False]
    assert list(planner.closed().values()) == ["failure"]
    (job,) = planner.jobs.values()
    assert run.state.jobs.reread(job).status == "failure", "closed in the state database, too"


@pytest.mark.slow
def test_a_second_run_reads_only_above_the_watermark(run):
    source, sink = one(run, rows=4)
    to_the_end(run, run.planner())
    source.rows = words(7)
    later = run.again()
    assert to_the_end(later, later.planner()) == 2
    assert sink.ids == list(range(7))
    last = run.again()
    planner = last.planner()
    assert to_the_end(last, planner) == 0
    assert planner.succeeded()


def test_a_table_without_a_watermark_is_not_appended_twice(run):
    _source, sink = one(run, table=replace(TABLE, cursor=None))
    to_the_end(run, run.planner())
    sink.calls.clear()
    later = run.again()
    planner = later.planner()
    assert to_the_end(later, planner) == 0
    assert "moved before and not read again" in planner.notes[0]
    assert "finish" not in sink.calls, "an epoch without anything in it must not end a swap"
    assert planner.succeeded()


def test_it_is_not_appended_twice_if_the_state_is_away_when_that_is_asked(run, monkeypatch):
    """Its job is open by then; it must not be planned before the question is answered."""
    _source, sink = one(run, table=replace(TABLE, cursor=None))
    to_the_end(run, run.planner())
    later = run.again()
    planner, reports, away = later.planner(), type(run.state.reports), [1]
    real = reports.moved_nothing

    def moved_nothing(self, key):
        if away:
            away.pop()
            raise StateUnavailable("away")
        return real(self, key)

    monkeypatch.setattr(reports, "moved_nothing", moved_nothing)
    with pytest.raises(StateUnavailable):
        planner.tick()
    assert to_the_end(later, planner) == 0
    assert (sink.ids, planner.succeeded()) == ([0, 1, 2], True)


def test_it_is_not_appended_twice_by_a_process_that_joins_before_it_is_planned(run):
    """The process that opened its job may be slow, or killed before it asked whether to read it."""
    _source, sink = one(run, table=replace(TABLE, cursor=None))
    to_the_end(run, run.planner())
    later = run.again()
    (link,) = later.links.values()
    later.state.jobs.open(later.run_id, job_info(pipeline_of(link, link.source.table), 1))
    joined = later.planner(joined=True)
    assert to_the_end(later, joined) == 0
    assert (sink.ids, joined.succeeded()) == ([0, 1, 2], True)


def test_what_replaces_is_read_anew_each_time(run):
    _source, _sink = one(run, mode=Mode.REPLACE)
    to_the_end(run, run.planner())
    later = run.again()
    assert to_the_end(later, later.planner()) == 2


def test_an_empty_table_is_a_finished_job(run):
    _source, sink = one(run, rows=0)
    planner = run.planner()
    assert not planner.tick()
    assert planner.succeeded()
    assert sink.calls == ["prepare", "finish"]


def test_a_chunk_that_only_the_target_knows_of_is_taken_over(run):
    """The state database was lost; the ledger was not."""
    source, sink = one(run, rows=4)
    to_the_end(run, run.planner())
    run.alter("DELETE FROM hdm_watermark")
    for table in ("validation", "lineage_edge", "artifact", "boundary", "chunk"):
        run.alter(f"DELETE FROM hdm_{table}")
    for table in ("column_lineage", "job_upstream", "run_job", "job"):
        run.alter(f"DELETE FROM hdm_{table}")
    later = run.again()
    planner = later.planner()
    reads = len(source.reads)
    to_the_end(later, planner)
    assert planner.succeeded()
    assert (len(source.reads), sink.ids) == (reads, [0, 1, 2, 3])


def test_a_chunk_whose_worker_ended_before_its_check_is_checked_at_the_end(run):
    _source, _sink = one(run, rows=2)
    planner = run.planner()
    planner.tick()
    work(run)
    run.alter("UPDATE hdm_chunk SET status = 'committed'")
    planner.tick()
    assert run.query("SELECT status FROM hdm_chunk") == [("verified",)]


# -- failures ------------------------------------------------------------------------


def test_what_cannot_be_reached_is_tried_again_and_then_opened(run, monkeypatch):
    at_once(monkeypatch)
    source, sink = one(run)
    source.before_split = raising(ConnectionLost("away"))
    planner = run.planner()
    assert planner.tick()
    assert planner.tick()
    assert (planner.failed, sink.ids) == ({}, [])
    source.before_split = lambda: None
    to_the_end(run, planner)
    assert (planner.succeeded(), sink.ids) == (True, [0, 1, 2])


def test_it_is_given_up_after_some_tries_and_the_table_named(run, monkeypatch):
    at_once(monkeypatch)
    source, _sink = one(run)
    tries = []
    source.before_split = lambda: tries.append(1) or raising(ConnectionLost("away"))()
    planner = run.planner()
    while planner.tick():
        pass
    assert len(tries) == MAX_TRIES
    assert list(planner.failed.values()) == ["words: away"]
    assert not planner.succeeded()


def test_tries_wait_between(run, monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    clock = [time.monotonic()]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    source, _ = one(run)
    tries = []
    source.before_split = lambda: tries.append(clock[0]) or raising(ConnectionLost("away"))()
    planner = run.planner()
    for _ in range(40):
        planner.tick()
        clock[0] += 0.5
    gaps = [round(b - a, 1) for a, b in itertools.pairwise(tries)]
    assert gaps == [1.0, 2.0, 4.0, 8.0]


def test_a_mistake_ends_only_its_own_job(run):
    bad, bad_sink = one(run)
    bad.before_split = raising(SnapshotLost("gone"))
    sink = Shelf("second")
    run.add(Listed(words(2)), sink)
    planner = run.planner()
    to_the_end(run, planner)
    assert (sink.ids, bad_sink.ids) == ([0, 1], [])
    assert list(planner.failed.values()) == ["words: gone"]
    assert not planner.succeeded()


def test_what_ends_the_command_is_raised(run):
    source, _ = one(run)
    source.before_split = raising(StateMissing("none"))
    with pytest.raises(StateMissing):
        run.planner().tick()
    assert source.held == []


def test_a_mistake_in_one_table_does_not_end_the_others(run):
    source, sink = one(run)
    other = Listed(words(2), replace(TABLE, dataset=Dataset("memory", "others")))
    run.add(other, Shelf("second"))
    source.before_split = raising(UsageError("wrong"))
    planner = run.planner()
    to_the_end(run, planner)
    assert (source.held, sink.ids, list(planner.failed.values())) == ([], [], ["words: wrong"])
    assert not planner.succeeded()


def test_a_job_below_a_failed_one_fails_by_name_and_is_not_waited_for(run):
    first, _, last = chain(run)
    first.before_split = raising(SnapshotLost("gone"))
    planner = run.planner()
    planner.tick()
    assert not planner.tick()
    assert sorted(planner.failed.values()) == ["words: gone", "words: its upstream failed"]
    assert last.calls == []


def test_a_link_is_not_opened_before_the_one_above_it(run, monkeypatch):
    """It would find nothing to wait for, and close at once."""
    at_once(monkeypatch)
    _, _, last = chain(run)
    real, away = run.state.jobs.open, [1]

    def open_job(run_id, info, **named):
        if away and not info.upstream_keys:
            away.pop()
            raise StateUnavailable("away")
        return real(run_id, info, **named)

    monkeypatch.setattr(run.state.jobs, "open", open_job)
    planner = run.planner()
    with pytest.raises(StateUnavailable):
        planner.tick()
    assert planner.jobs == {}
    to_the_end(run, planner)
    assert (planner.succeeded(), len(last.shown)) == (True, 2)


def test_a_failure_of_anything_is_no_success(run):
    one(run)
    planner = run.planner()
    to_the_end(run, planner)
    assert planner.succeeded()
    planner.refuse({"a table that waits for a person": "narrowed"})
    assert not planner.succeeded()


def test_chunks_that_others_replaced_are_not_counted_as_progress(run):
    one(run, rows=4)
    planner = run.planner()
    planner.tick()
    (job,) = planner.jobs.values()
    first = run.query("SELECT chunk_id FROM hdm_chunk WHERE chunk_no = 0")[0][0]
    old = run.state.reports.chunk(first)
    run.state.chunks.supersede(job, [first], [old.at(generation=1)])
    assert next(iter(planner.progress().values()))[1:] == (0, 2)


# -- chains ----------------------------------------------------------------------------


def test_a_chained_job_follows_each_receipt_once_and_as_it_comes(run):
    _, _middle, last = chain(run)
    planner = run.planner()
    planner.tick()
    lease = run.claim()
    run.move(lease, Attempt(1))
    planner.tick()
    planner.tick()
    kinds = run.query("SELECT stage_no, COUNT(*) FROM hdm_chunk c JOIN hdm_job j ON j.job_id = c.job_id "
                      "GROUP BY stage_no ORDER BY 1")  # fmt: skip
    assert kinds == [(1, 2), (2, 1)], "loading starts before extraction ends, and nothing is followed twice"
    first, second = planner.jobs.values()
    assert (planner.feeds(first), planner.feeds(second)) == (True, False)
    to_the_end(run, planner)
    assert planner.succeeded()
    assert len(last.shown) == 2


def test_a_chained_job_is_not_closed_before_the_one_above(run):
    _, _, last = chain(run, rows=2)
    planner = run.planner()
    planner.tick()
    below = next(job for job in planner.jobs.values() if job.info.upstream_keys)
    planner.tick()
    assert below.pipeline_key not in planner.closed()
    assert "finish" not in last.calls
    to_the_end(run, planner)
    assert last.calls[-1] == "finish"


@pytest.mark.slow
def test_what_replaces_is_not_read_anew_while_its_last_reading_is_being_loaded(run):
    first, _middle, _last = chain(run, rows=4, mode=Mode.REPLACE)
    planner = run.planner()
    planner.tick()
    above, below = planner.jobs.values()
    for _ in range(2):
        upper = run.state.chunks.claim(run.worker_id, run.run_id, skip_jobs=frozenset({below.job_id}))
        run.move(upper, Attempt(1))
    planner.tick()
    assert planner.closed()[above.pipeline_key] == "success"
    first.rows = words(6)
    later = run.again()
    again = later.planner()
    reads = len(first.reads)
    to_the_end(later, again)
    assert (len(first.reads), again.notes) == (
        reads,
        ["words: this run finishes what the last one read; run again to read anew"],
    )
    assert again.succeeded()
    last_run = run.again()
    to_the_end(last_run, last_run.planner())
    assert len(first.reads) == reads + 3


# -- several processes -------------------------------------------------------------------


def test_two_planners_plan_and_finish_one_job_once(run):
    _source, _sink = one(run, rows=4)
    first, second = run.planner(), run.planner()
    first.tick()
    second.tick()
    assert len(run.query("SELECT chunk_id FROM hdm_chunk")) == 2
    work(run)
    assert not first.tick()
    assert not second.tick()
    assert first.succeeded()
    assert second.succeeded()
    assert run.events().count("job.planned") == run.events().count("job.closed") == 1


def test_a_job_that_another_process_plans_just_now_is_left_to_it(run):
    source, _ = one(run)
    planner = run.planner()
    (waiting,) = planner._runs.values()
    planner._opening.open(waiting, waiting.pipeline)
    (job,) = planner.jobs.values()
    run.alter("UPDATE hdm_job SET planned = 0, status = 'planning'")
    job = run.state.jobs.reread(job)
    splits = []
    source.before_split = lambda: splits.append(1)
    with run.state.jobs.plan_lease(job) as mine:
        assert mine
        planner._opening.plan(waiting, job)
    assert splits == []


def test_a_joined_run_does_not_open_again_what_it_has_closed(run):
    source, sink = one(run, rows=2)
    to_the_end(run, run.planner())
    source.rows, splits = words(6), []
    source.before_split = lambda: splits.append(1)
    joined = run.planner(joined=True)
    assert not joined.tick()
    assert (splits, sink.ids, joined.succeeded()) == ([], [0, 1], True)
    assert [job.epoch for job in joined.jobs.values()] == [1]


def test_a_joined_run_takes_up_what_is_open(run):
    _source, sink = one(run, rows=2)
    run.planner().tick()
    joined = run.planner(joined=True)
    assert to_the_end(run, joined) == 1
    assert (len(joined.jobs), joined.succeeded(), sink.ids) == (1, True, [0, 1])


@pytest.mark.slow
def test_a_joined_run_goes_on_with_a_closed_job_that_has_more_to_follow(run):
    _first, _middle, _last = chain(run, rows=2)
    to_the_end(run, run.planner())
    run.alter("DELETE FROM hdm_follow")
    joined = run.planner(joined=True)
    joined.tick()
    assert run.query("SELECT COUNT(*) FROM hdm_follow") == [(1,)]
    assert joined.succeeded()


# -- bounds --------------------------------------------------------------------------------


@pytest.mark.slow
def test_no_more_snapshots_are_held_at_once_than_the_lookahead(run):
    tables = [replace(TABLE, dataset=Dataset("list", f"t{n:02}"), path=(f"t{n:02}",)) for n in range(12)]
    source, sink = Listed(words(1)), Shelf()
    link = run.add(source, sink)
    planner = Planner(run.state, run.run_id, run.links)
    planner.begin([pipeline_of(link, table) for table in tables])
    planner.tick()
    assert (len(planner.jobs), len(snapshots(planner))) == (LOOKAHEAD, LOOKAHEAD)
    key = link.spec.key
    assert planner.jobs_of({key}) == {job.job_id for job in planner.jobs.values()}
    assert planner.jobs_of({"another"}) == frozenset()
    assert planner.progress()[key] == ("words -> words out", 0, LOOKAHEAD)
    to_the_end(run, planner)
    assert (len(planner.jobs), snapshots(planner)) == (12, [])


@pytest.mark.slow
def test_tables_that_fail_at_their_end_do_not_keep_the_others_from_being_opened(run):
    """Their snapshots are let go: as many as the lookahead would else be held, and the run never end."""
    source, sink = Listed(words(1)), Shelf()
    link = run.add(source, sink)
    tables = [
        replace(TABLE, dataset=Dataset("list", f"t{n:02}"), path=(f"t{n:02}",)) for n in range(LOOKAHEAD + 1)
    ]
    sink.before["finish"] = raising(CheckFailed("no"))
    planner = Planner(run.state, run.run_id, run.links)
    planner.begin([pipeline_of(link, table) for table in tables])
    to_the_end(run, planner)
    assert (len(planner.failed), source.held) == (LOOKAHEAD + 1, [])


@pytest.mark.slow
def test_tables_of_a_system_that_stays_away_do_not_keep_the_others_from_being_opened(run):
    away, there = run.add(Listed(words(1)), Shelf("away")), run.add(Listed(words(1)), Shelf("there"))
    tables = [
        replace(TABLE, dataset=Dataset("list", f"t{n:02}"), path=(f"t{n:02}",)) for n in range(LOOKAHEAD + 1)
    ]
    planner = Planner(run.state, run.run_id, run.links)
    planner.begin([*(pipeline_of(away, table) for table in tables), pipeline_of(there, TABLE)])
    planner.tick()
    planner.leave_for_now(frozenset({away.spec.key}), ConnectionLost("away"))
    to_the_end(run, planner)
    assert (len(planner.failed), there.sink.ids) == (LOOKAHEAD + 1, [0])


def test_offset_is_said_to_be_useless_where_it_would_double_rows(run):
    class Offset(Listed):
        def window(self):
            return replace(super().window(), offset="10")

    run.add(Offset(words(2)), Shelf())
    planner = run.planner()
    planner.tick()
    assert "offset is not used" in planner.notes[0]


def test_a_source_says_why_it_did_not_cut(run):
    class Whole(Listed):
        def why_not_split(self, table, chunks):
            return f"{len(chunks)} chunk(s)"

    run.add(Whole(words(2)), Shelf())
    planner = run.planner()
    planner.tick()
    assert planner.notes == ["words: 1 chunk(s)"]


def test_a_survey_and_a_planner_agree_on_what_a_link_is(run):
    one(run)
    planner = Planner(run.state, run.run_id, run.links)
    planner.begin(preflight(run.links))
    planner.tick()
    (link,) = run.links.values()
    assert isinstance(link, DataLink)
    assert next(iter(planner.jobs)) == pipeline_of(link, TABLE).pipeline_key


def test_other_sites_links_are_known_by_their_specs(run):
    """With links that another site carries out, a job here rests instead of being closed."""
    above = spec("above", site="there")
    link = run.add(Staged(words(2)), Shelf("here"), upstream=(above.key,))
    specs = LinkSpecs((above, link.spec))
    run.state.workers.retire(run.worker_id)  # which, having no site, could have done the other link
    run.new_worker("here")
    planner = Planner(run.state, run.run_id, run.links, site="here", specs=specs)
    planner.begin([])
    assert not planner.tick()
    assert planner.closing_notes() == ["nothing new was published for this site"]
    assert planner.succeeded()
