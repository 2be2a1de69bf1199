"""Mode ``replace``: the sink is told to swap once a whole reading is beside the target, and never else."""

from __future__ import annotations

import pytest

from hdm.errors import CheckFailed, ConnectionLost
from hdm.model import Attempt, Mode
from hdm.planning import opening
from hdm.planning.pipeline_run import Phase
from hdm.planning.planner import Planner
from tests.unit.linkkit import Listed, Run, Shelf, words
from tests.unit.planning.test_planner import Staged, at_once, raising, to_the_end


class Swapped(Shelf):
    """Remembers each call of ``finish``: the epoch, and how many chunks of it were there."""

    def __init__(self, name: str = "shelf") -> None:
        super().__init__(name)
        self.swaps: list[tuple[int, int]] = []

    def finish(self, table, job_key, epoch, mode):
        self.swaps.append((epoch, sum(chunk.epoch == epoch for chunk, _, _ in self.shown.values())))


def chain(run: Run, rows=4, links=2, mode=Mode.REPLACE) -> tuple[Listed, list[Swapped]]:
    first = Listed(words(rows))
    sinks = [Swapped(f"sink {n}") for n in range(links)]
    above = run.add(first, sinks[0], mode=mode)
    for sink in sinks[1:]:
        above = run.add(Staged(words(rows)), sink, upstream=(above.spec.key,), mode=Mode.REPLACE)
    return first, sinks


def read_only(run: Run, planner: Planner) -> None:
    """Read the table and close its job; nothing of it is loaded."""
    publish(run, planner)
    planner.tick()
    planner.close()


def publish(run: Run, planner: Planner) -> None:
    """Open the jobs, and read the table; nothing of it is followed."""
    planner.tick()
    below = frozenset(job.job_id for job in planner.jobs.values() if job.info.upstream_keys)
    while (lease := run.state.chunks.claim(run.worker_id, run.run_id, skip_jobs=below)) is not None:
        run.move(lease, Attempt(lease.attempt))


def again(run: Run) -> Planner:
    """One more run, from begin to end."""
    later = run.again()
    planner = later.planner()
    to_the_end(later, planner)
    return planner


def fail_one(run: Run) -> None:
    """One chunk is dead, the others are moved, and the run ends."""
    planner = run.planner()
    planner.tick()
    run.state.chunks.fail(run.claim(), CheckFailed("bad"), retry_in=None, phase="x")
    to_the_end(run, planner)
    assert not planner.succeeded()


# -- for what was not read, nothing is swapped in ----------------------------------------


@pytest.mark.slow
def test_a_job_that_another_process_closes_first_is_not_swapped_for_nothing(run, monkeypatch):
    first, (_, last) = chain(run)
    read_only(run, run.planner())
    first.rows = words(6)
    ours = run.again()
    mine, real, others = ours.planner(), opening.waits_for_chain, [run]

    def waits(state, one, specs):
        found = real(state, one, specs)
        if specs is mine.specs and others:
            again(others.pop())
        return found

    monkeypatch.setattr(opening, "waits_for_chain", waits)
    to_the_end(ours, mine)
    assert mine.succeeded()
    assert mine.notes == ["words: this run finishes what the last one read; run again to read anew"]
    assert last.swaps == [(1, 2)]
    assert again(run).succeeded()
    assert last.swaps == [(1, 2), (3, 3)]


@pytest.mark.parametrize("links", [1, 2])
@pytest.mark.slow
def test_a_reading_that_was_left_is_swapped_by_nobody(run, monkeypatch, links):
    _, sinks = chain(run, links=links)
    assert again(run).succeeded()
    with monkeypatch.context() as patched:
        patched.setattr(opening, "waits_for_chain", lambda *_: False)
        patched.setattr(opening, "is_loading", lambda _state, one, _specs: not one.upstream_keys)
        planner = run.again().planner()
        above = next(iter(planner._runs.values()))
        planner._opening.open(above, above.pipeline)
        planner.close()
    (job,) = planner.jobs.values()
    assert (job.epoch, job.closed_unread, len(planner.notes)) == (2, True, 1)
    assert again(run).succeeded()
    assert [sink.swaps for sink in sinks] == [[(1, 2), (3, 2)]] + [[(1, 2), (2, 2)]] * (links - 1)


@pytest.mark.slow
def test_a_planner_that_comes_upon_a_left_job_closes_it_too(run, monkeypatch):
    """It had opened the same epoch, and its snapshot is let go."""
    first, (_, last) = chain(run)
    read_only(run, run.planner())
    monkeypatch.setattr(opening, "waits_for_chain", lambda *_: False)
    one, two = run.again(), run.again()
    left, late = one.planner(), two.planner()
    below = [one for one in late._runs.values() if one.pipeline.upstream_keys]
    first.before_split = lambda: first.held.append("split") or left.tick()
    for one_below in below:
        one_below.phase = Phase.IDLE
    with monkeypatch.context() as patched:
        patched.setattr(opening, "is_loading", lambda _state, _one, specs: specs is left.specs)
        late.tick()
    assert (first.held, [job.closed_unread for job in late.jobs.values()]) == (["split"], [True])
    for one_below in below:
        one_below.phase = Phase.WAITING
    to_the_end(two, late)
    to_the_end(one, left)
    assert late.succeeded() and left.succeeded()
    assert last.swaps == [(1, 2)] * len(last.swaps)


@pytest.mark.parametrize("links", [1, 2, 3])
@pytest.mark.slow
def test_a_table_that_is_empty_is_swapped_in(run, links):
    """Its reading has no chunk, and leaves nothing to follow."""
    first, sinks = chain(run, links=links)
    assert again(run).succeeded()
    first.rows = []
    assert again(run).succeeded()
    assert again(run).succeeded()
    assert [sink.swaps for sink in sinks] == [[(1, 2), (2, 0), (3, 0)]] * links


@pytest.mark.parametrize("links", [1, 2, 3])
def test_a_first_reading_may_be_empty(run, links):
    _, sinks = chain(run, rows=0, links=links)
    assert again(run).succeeded()
    assert [sink.swaps for sink in sinks] == [[(1, 0)]] * links


@pytest.mark.slow
def test_what_is_appended_above_and_has_nothing_new_keeps_what_is_below(run):
    _, (_, last) = chain(run, mode=Mode.APPEND)
    for _ in range(3):
        assert again(run).succeeded()
    assert last.swaps == [(1, 2)]


# -- what is swapped in is whole -----------------------------------------------------------


@pytest.mark.parametrize("links", [2, 3])
@pytest.mark.slow
def test_a_chunk_that_is_dead_above_is_waited_for(run, links):
    _, sinks = chain(run, links=links)
    fail_one(run)
    assert not again(run).succeeded(), "still dead"
    assert [sink.swaps for sink in sinks] == [[]] * links
    run.state.operators.retry(run_id=run.run_id)
    assert again(run).succeeded()
    assert [sink.swaps for sink in sinks] == [[(1, 2)]] * links


@pytest.mark.slow
def test_what_is_loaded_without_a_waived_chunk_is_whole(run):
    _, (_, last) = chain(run)
    fail_one(run)
    ((dead,),) = run.query("SELECT chunk_id FROM hdm_chunk WHERE status = 'dead'")
    run.state.operators.waive(dead, "ann", "known")
    assert again(run).succeeded()
    assert last.swaps == [(1, 1)]


@pytest.mark.parametrize("mode", [Mode.APPEND, Mode.REPLACE])
@pytest.mark.slow
def test_a_source_that_is_away_ends_the_run_and_the_next_one_reads_it(run, monkeypatch, mode):
    at_once(monkeypatch)
    first, (_, last) = chain(run, mode=mode)
    assert again(run).succeeded()
    first.rows, first.before_split = words(6), raising(ConnectionLost("away"))
    assert sorted(again(run).failed.values()) == ["words: away", "words: its upstream failed"]
    first.before_split = lambda: None
    assert again(run).succeeded()
    assert last.swaps == [(1, 2), (2, 3 if mode is Mode.REPLACE else 1)]


@pytest.mark.slow
def test_what_comes_after_the_swap_is_the_next_epochs(run):
    """A process that still holds the closed job must not write to it."""
    first, (_, last) = chain(run)
    read_only(run, run.planner())
    ours = run.again()
    mine = ours.planner()
    mine.tick()
    assert again(run).succeeded()
    first.rows = words(6)
    later = run.again()
    theirs = later.planner()
    publish(later, theirs)
    to_the_end(ours, mine)
    assert mine.succeeded()
    to_the_end(later, theirs)
    assert theirs.succeeded()
    assert last.swaps == [(1, 2), (2, 3)]


# -- what only the target knows of ------------------------------------------------------------


@pytest.mark.slow
def test_an_epoch_that_only_the_target_knows_of_is_not_taken_for_this_one(run):
    first, (middle, last) = chain(run)
    assert again(run).succeeded()
    for sink in (middle, last):
        for chunk, receipt, rows in list(sink.shown.values()):
            lost = chunk.at(epoch=4)
            sink.shown[lost.chunk_id] = (lost, receipt, rows)
    first.rows = [(n, "new") for n in range(4)]
    planner = again(run)
    assert planner.succeeded()
    assert planner.notes == ["words: the state database knows less than the target: read anew"] * 2
    assert (middle.swaps[-1], last.swaps[-1]) == ((5, 2), (5, 2))
    rows = [row for chunk, _, rows in middle.shown.values() if chunk.epoch == 5 for row in rows]
    assert {row["word"] for row in rows} == {"new"}
