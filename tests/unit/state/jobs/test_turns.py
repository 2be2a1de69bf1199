"""Chunks that must go in order do: of one job, and of one reading after the other down a chain."""

from __future__ import annotations

from hdm.model import Mode, Receipt
from hdm.state import Job
from hdm.state.records import IN_ORDER
from tests.unit.state.conftest import World
from tests.unit.state.jobs.test_jobs import followers


def test_a_job_in_order_has_one_chunk_at_work(world: World) -> None:
    world.planned(4, max_parallel=IN_ORDER)
    first = world.claim()
    assert first.chunk.number == 0
    assert world.store.chunks.claim(world.new_worker(), world.run) is None
    world.expire(first)
    again = world.claim()
    assert (again.chunk.number, again.attempt) == (0, 2)
    world.store.chunks.fail(again, OSError("x"), retry_in=60, phase="load")
    assert world.store.chunks.claim(world.worker, world.run) is None
    world.alter("UPDATE hdm_chunk SET not_before = NULL WHERE chunk_id = :id", id=first.chunk_id)
    world.finish(world.claim())
    dead = world.claim()
    assert dead.chunk.number == 1
    world.store.chunks.fail(dead, ValueError("x"), retry_in=None, phase="load")
    assert world.store.chunks.claim(world.worker, world.run) is None
    world.store.operators.retry(chunk_id=dead.chunk_id)
    assert world.claim().chunk.number == 1


def test_a_waived_chunk_lets_the_next_ones_go(world: World) -> None:
    world.planned(2, max_parallel=IN_ORDER)
    dead = world.claim()
    world.store.chunks.fail(dead, ValueError("x"), retry_in=None, phase="load")
    world.store.operators.waive(dead.chunk_id, "A. Clerk", "test")
    assert world.claim().chunk.number == 1


def test_another_run_does_not_claim_beside(world: World) -> None:
    job = world.planned(3, max_parallel=IN_ORDER)
    world.claim()
    second = World(world.store, key=world.key)
    assert second.store.jobs.open(second.run, second.info(max_parallel=IN_ORDER)).job_id == job.job_id
    assert second.store.chunks.claim(second.worker, second.run) is None


class Chain:
    """Two readings of a table, staged, and a job that merges them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.first = self.reading()
        self.below = self.job("-b", world.key)
        self.second = self.reading()

    def job(self, name: str, *above: str) -> Job:
        world = self.world
        info = world.info(world.key + name, stage_no=1, upstream_keys=above, mode=Mode.MERGE)
        job = world.store.jobs.open(world.run, info)
        world.store.jobs.plan(job, [])
        return job

    def reading(self) -> list[Receipt]:
        job = self.world.planned(2)
        receipts = []
        for _ in range(2):
            lease = self.world.claim()
            assert lease.job.job_id == job.job_id
            receipts.append(self.world.finish(lease))
        assert self.world.store.jobs.close(job.job_id) == "success"
        return receipts

    def follow(self, receipt: Receipt) -> None:
        self.world.store.jobs.add_downstream_chunks(
            self.below, receipt.chunk_id, followers(self.below, receipt)
        )

    def waiting(self) -> list[str]:
        return [one.chunk_id for one in self.world.store.jobs.pending_receipts(self.below)]


def test_a_later_reading_is_followed_once_the_earlier_is_settled(world: World) -> None:
    chain = Chain(world)
    assert chain.waiting() == [one.chunk_id for one in chain.first]
    chain.follow(chain.first[0])
    assert chain.waiting() == [chain.first[1].chunk_id]
    chain.follow(chain.first[1])
    assert chain.waiting() == []
    leases = [world.claim(), world.claim()]
    world.finish(leases[1])
    assert chain.waiting() == []
    world.store.chunks.fail(leases[0], ValueError("x"), retry_in=None, phase="load")
    assert chain.waiting() == []
    world.store.operators.retry(chunk_id=leases[0].chunk_id)
    world.finish(world.claim())
    assert chain.waiting() == [one.chunk_id for one in chain.second]


def test_a_waived_chunk_lets_the_next_reading_go(world: World) -> None:
    chain = Chain(world)
    for receipt in chain.first:
        chain.follow(receipt)
    world.finish(world.claim())
    dead = world.claim()
    world.store.chunks.fail(dead, ValueError("x"), retry_in=None, phase="load")
    assert chain.waiting() == []
    world.store.operators.waive(dead.chunk_id, "A. Clerk", "test")
    assert chain.waiting() == [one.chunk_id for one in chain.second]


def test_what_only_appends_follows_at_once(world: World) -> None:
    chain = Chain(world)
    info = world.info(world.key + "-c", stage_no=1, upstream_keys=(world.key,))
    beside = world.store.jobs.open(world.run, info)
    world.store.jobs.plan(beside, [])
    everything = [one.chunk_id for one in (*chain.first, *chain.second)]
    assert [one.chunk_id for one in world.store.jobs.pending_receipts(beside)] == everything
