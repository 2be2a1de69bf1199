"""Which jobs are full: by what is staged and in work, by bounds of links, by systems that are away."""

from __future__ import annotations

import threading
from typing import Any

from hdm.model import Attempt
from hdm.planning.breaker import Breaker
from hdm.runtime.back_pressure import BackPressure
from hdm.state import Job
from tests.unit.linkkit import Listed, Run, Shelf, words


class Staged(Listed):
    chunks_from_files = True


def chain(run: Run, bound: int | None, **above: Any) -> tuple[BackPressure, Job, Job]:
    """A table of ten chunks that is staged, and the link below, whose source is what was staged."""
    first = run.add(Listed(words(20)), Shelf("middle"), **above)
    second = run.add(Staged(words(2)), Shelf("last"), upstream=(first.spec.key,))
    planner = run.planner()
    planner.tick()
    jobs = {job.link_key: job for job in planner.jobs.values()}
    pressure = BackPressure(planner, 8, bound)
    pressure.recount()
    return pressure, jobs[first.spec.key], jobs[second.spec.key]


def waits(pressure: BackPressure) -> bool:
    """Whether nothing has changed that is worth a recount."""
    return not pressure._changed.is_set()


def test_a_job_is_full_once_its_chunks_in_work_reach_the_bound(run: Run) -> None:
    pressure, above, below = chain(run, 2)
    pressure.started(above)
    pressure.started(below)
    pressure.started(below)
    assert (pressure.full_jobs(), waits(pressure)) == (frozenset(), True), "nobody reads what is below"
    pressure.started(above)
    assert (pressure.full_jobs(), waits(pressure)) == ({above.job_id}, False)
    pressure.wait_for_change(0)
    pressure.settled(above)
    assert not waits(pressure)
    assert pressure.full_jobs() == {above.job_id}, "until it is counted what became of the chunk"
    pressure.recount()
    assert pressure.full_jobs() == frozenset()


def test_what_is_staged_counts_until_it_is_loaded_below(run: Run) -> None:
    pressure, above, _ = chain(run, 2)
    for _ in range(2):
        lease = run.claim()
        pressure.started(lease.job)
        run.move(lease, Attempt(1))
        pressure.settled(lease.job)
    pressure.recount()
    assert pressure.full_jobs() == {above.job_id}


def test_without_a_bound_nothing_is_counted_as_full(run: Run) -> None:
    pressure, above, _ = chain(run, None)
    for _ in range(20):
        pressure.started(above)
    pressure.recount()
    assert (pressure.full_jobs(), waits(pressure)) == (frozenset(), True)


def test_jobs_of_a_link_at_its_threads_and_of_one_whose_system_is_away_are_full(
    run: Run, monkeypatch
) -> None:
    pressure, above, below = chain(run, None, threads=1)
    pressure.started(above)
    assert pressure.full_jobs() == {above.job_id}
    monkeypatch.setattr(Breaker, "barred", lambda self: {below.link_key})
    assert pressure.full_jobs() == {above.job_id, below.job_id}
    pressure.settled(above)
    assert pressure.full_jobs() == {below.job_id}


def test_what_is_filled_while_the_planner_counts_is_not_lost(run: Run, monkeypatch) -> None:
    """The count of what is staged comes from the state, and takes as long as the state does."""
    pressure, above, _ = chain(run, 1)
    asked, go_on = threading.Event(), threading.Event()

    def slow(job: Job) -> int:
        asked.set()
        assert go_on.wait(10)
        return 0

    monkeypatch.setattr(run.state.jobs, "staged", slow)
    counting = threading.Thread(target=pressure.recount)
    counting.start()
    assert asked.wait(10)
    pressure.started(above)
    go_on.set()
    counting.join(10)
    assert pressure.full_jobs() == {above.job_id}
