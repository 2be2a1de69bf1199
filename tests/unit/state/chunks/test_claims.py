"""Who gets which chunk: order, sites, bounds, and never twice."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from multiprocessing.queues import Queue
from typing import Any

import pytest
from sqlalchemy import Connection

from hdm.errors import LeaseLost
from hdm.state import ClaimRequest, Lease, StateManager
from hdm.state.chunks import claims, watermarks
from hdm.state.db import pg_pipeline
from hdm.state.db.statements import Prepared, Values
from tests.unit.state.conftest import World, in_threads, receipt_of


@pytest.mark.slow
def test_downstream_first_then_by_number(world: World) -> None:
    world.planned(2)
    below = world.planned(2, key=world.key + "-b", stage_no=1)
    taken = [world.claim() for _ in range(4)]
    assert [(one.job.job_id == below.job_id, one.chunk.number) for one in taken] == [
        (True, 0),
        (True, 1),
        (False, 0),
        (False, 1),
    ]


def test_jobs_of_one_stage_take_turns(world: World) -> None:
    for letter in "ab":
        world.planned(2, key=f"{world.key}-{letter}")
    assert [world.claim().chunk.number for _ in range(4)] == [0, 0, 1, 1]


def test_an_expired_lease_of_a_lower_number_goes_first(world: World) -> None:
    world.planned(3)
    first = world.claim()
    world.expire(first)
    again = world.claim()
    assert (again.chunk_id, again.attempt) == (first.chunk_id, 2)


def test_expired_leases_are_looked_for_once_a_second(world: World) -> None:
    world.planned(3)
    first = world.claim()
    world.expire(first)
    world.store._base.looked[world.run, None] = time.monotonic()
    second = world.claim()
    assert second.chunk.number == 1, "a look has just been had"
    world.store._base.looked[world.run, None] -= 1.1
    assert world.claim().chunk_id == first.chunk_id
    world.finish(second)
    world.expire(world.claim())
    assert world.claim().attempt == 2, "there is no other: nobody waits for the second to pass"


@pytest.mark.parametrize("most", [5, None])
def test_neither_a_claim_nor_a_commit_reads_all_chunks_of_a_job(
    postgres_server: Any, most: int | None
) -> None:
    """With the plans that were made while the planner knew nothing of the table."""
    with StateManager.open(postgres_server.fresh().url) as store:
        world = World(store)
        job = world.planned(800, max_parallel=most)
        following: Lease | None = None
        for _ in range(500):
            lease = following or world.claim()
            world.store.chunks.wrote(lease, receipt_of(lease))
            following = world.store.chunks.commit(
                lease, receipt_of(lease), target_rows=10, claim_next=ClaimRequest()
            )
        lease = following or world.claim()
        asked = [claims._usual(False, False, True), claims._usual(True, False, True)]
        if most is None:
            asked = [claims._plain(False), *asked[1:]]
        queries = [(query, {"run": world.run}) for query in asked]
        for query, named in (*queries, watermarks.growth(job, lease.chunk_id)):

            def explain(conn: Connection, query: Prepared = query, named: Values = named) -> Any:
                compiled = query.compiled(conn, named)
                values = ", ".join(f"'{value}'" for value in compiled.bind(named))
                # The very statement that the store has used so far, with the plan it has had.
                name = pg_pipeline._names[conn.connection.driver_connection][compiled.text].decode()
                return conn.exec_driver_sql(
                    f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE {name} ({values})"
                ).scalar_one()

            read = list(_rows_read(store._base.db.run(explain)[0]["Plan"]))
            assert len(read) > 5
            assert max(read) < 50


def _rows_read(node: dict[str, Any]) -> Iterator[int]:
    removed = [node.get(f"Rows Removed by {what}", 0) for what in ("Filter", "Join Filter")]
    yield node["Actual Rows"] + sum(removed)
    for part in node.get("Plans", ()):
        yield from _rows_read(part)


def test_a_worker_takes_only_its_site(world: World) -> None:
    world.planned(1, key=world.key + "-on", site="onprem", stage_no=2)
    world.planned(1, key=world.key + "-cl", site="cloud", stage_no=1)
    world.planned(1)
    got = [world.claim(site="cloud").job.info.site for _ in range(2)]
    assert got == ["cloud", None]
    assert world.store.chunks.claim(world.worker, world.run, site="cloud") is None
    assert world.claim().job.info.site == "onprem"


def test_max_parallel_counts_live_leases_only(world: World) -> None:
    world.planned(3, max_parallel=2)
    first = world.claim()
    world.claim()
    assert world.store.chunks.claim(world.worker, world.run) is None
    world.finish(first)
    third = world.claim()
    assert world.store.chunks.claim(world.worker, world.run) is None
    world.expire(third)
    assert world.claim().chunk_id == third.chunk_id


def test_max_parallel_holds_between_two_runs_at_the_same_moment(
    postgres_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One takes the chunk whose lease ran out while the other sees one that nobody holds."""
    url = postgres_server.fresh().url
    with StateManager.open(url) as one, StateManager.open(url) as two:
        first = World(one)
        second = World(two, key=first.key)
        first.planned(4, max_parallel=1)
        two.jobs.open(second.run, second.info(max_parallel=1))
        first.expire(first.claim())
        two._base.looked[second.run, None] = time.monotonic()
        looked, lease_of = threading.Event(), claims._lease

        def slow(base: Any, *rest: Any) -> Any:
            if base is one._base:
                looked.set()
                time.sleep(0.5)
            return lease_of(base, *rest)

        monkeypatch.setattr(claims, "_lease", slow)
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(one.chunks.claim(first.worker, first.run)))
        thread.start()
        assert looked.wait(30)
        assert two.chunks.claim(second.worker, second.run) is None
        thread.join()
        assert found[0].chunk.number == 0


def test_a_lease_is_on_record_even_if_the_databases_clock_stepped_back(world: World) -> None:
    world.planned(1)
    lease = world.claim()
    world.store.chunks.release(lease)
    world.alter(
        "UPDATE hdm_chunk SET lease_expires_at = '2999-01-01T00:00:00.000000Z' WHERE chunk_id = :id",
        id=lease.chunk_id,
    )
    assert world.claim().attempt == 2
    assert world.row(lease.chunk_id, "status", "attempt") == ("leased", 2)


def test_each_run_looks_for_its_own_expired_leases(world: World) -> None:
    other = World(world.store)
    for one in (world, other):
        one.planned(3)
    other.expire(other.claim())
    world.claim()
    assert other.claim().attempt == 2


def test_skipped_jobs_are_left(world: World) -> None:
    job = world.planned(1)
    assert world.store.chunks.claim(world.worker, world.run, skip_jobs=frozenset({job.job_id})) is None
    assert world.claim().job.job_id == job.job_id


def test_only_the_runs_own_jobs(world: World) -> None:
    world.planned(1)
    other = World(world.store)
    assert other.store.chunks.claim(other.worker, other.run) is None
    other.store.jobs.open(other.run, world.info())
    assert other.claim().job.adopted


@pytest.mark.slow
def test_threads_never_claim_one_chunk_twice(world: World) -> None:
    job = world.planned(24)
    taken: list[str] = []
    guard = threading.Lock()

    def work() -> None:
        worker = world.new_worker()
        while (lease := world.store.chunks.claim(worker, world.run)) is not None:
            with guard:
                taken.append(lease.chunk_id)
            receipt = receipt_of(lease)
            world.store.chunks.wrote(lease, receipt)
            world.store.chunks.commit(lease, receipt)

    in_threads(4, work)
    assert len(taken) == len(set(taken)) == 24
    assert world.store.jobs.counts(job.job_id) == {"committed": 24}
    assert world.store.trail.verify_chain(world.run) == []
    mark = world.store.watermarks.current(job.pipeline_key)
    assert mark is not None
    assert mark.value == "239"


def _claim_all(url: str, run: str, start: object, found: Queue[list[str]]) -> None:
    with StateManager.open(url) as store:
        worker = store.workers.register(run, "here", 1, "token", "0.1")
        start.wait()  # type: ignore[attr-defined]
        mine = []
        while (lease := store.chunks.claim(worker, run)) is not None:
            mine.append(lease.chunk_id)
            store.chunks.commit(lease, receipt_of(lease))
        found.put(mine)


@pytest.mark.slow
def test_processes_never_claim_one_chunk_twice(world: World, shared_url: str) -> None:
    job = world.planned(24)
    fork = multiprocessing.get_context("fork")
    found: Queue[list[str]] = fork.Queue()
    start = fork.Barrier(3)
    workers = [fork.Process(target=_claim_all, args=(shared_url, world.run, start, found)) for _ in range(3)]
    for one in workers:
        one.start()
    taken = [chunk for _ in workers for chunk in found.get(timeout=60)]
    for one in workers:
        one.join(60)
        assert one.exitcode == 0
    assert len(taken) == len(set(taken)) == 24
    assert world.store.jobs.counts(job.job_id) == {"committed": 24}
    assert world.store.trail.verify_chain(world.run) == []


def _in_child(world: World, found: Queue[str]) -> None:
    lease = world.claim()
    world.finish(lease)
    own = world.store._base.db._pid == os.getpid()
    found.put(lease.chunk_id if own else "on the parent's connection")


@pytest.mark.slow
def test_a_forked_child_has_connections_of_its_own(world: World) -> None:
    job = world.planned(2)
    mine = world.claim()
    fork = multiprocessing.get_context("fork")
    found: Queue[str] = fork.Queue()
    child = fork.Process(target=_in_child, args=(world, found))
    child.start()
    theirs = found.get(timeout=60)
    child.join(60)
    assert child.exitcode == 0
    assert theirs == world.chunks(job, 2)[1].chunk_id != mine.chunk_id
    world.finish(mine)
    assert world.store.trail.verify_chain(world.run) == []


def test_two_holders_one_committer(world: World) -> None:
    world.planned(1)
    first = world.claim()
    world.expire(first)
    second = world.claim(world.new_worker())
    outcome: list[str] = []

    def commit(lease: object) -> None:
        try:
            world.store.chunks.commit(lease, receipt_of(lease))  # type: ignore[arg-type]
            outcome.append("committed")
        except LeaseLost:
            outcome.append("lost")

    threads = [threading.Thread(target=commit, args=(lease,)) for lease in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcome) == ["committed", "lost"]
    assert world.row(second.chunk_id, "attempt") == (2,)
