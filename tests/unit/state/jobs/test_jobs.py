"""Jobs are opened or adopted, planned once, followed exactly once, and closed when settled."""

from __future__ import annotations

import threading
import time

import pytest

from hdm.model import Chunk, Receipt
from hdm.state import Job
from tests.unit.state.conftest import World, file_of, receipt_of, table


def chained(world: World, count: int = 2) -> tuple[Job, Job]:
    above = world.planned(count)
    below = world.store.jobs.open(
        world.run, world.info(world.key + "-b", stage_no=1, upstream_keys=(world.key,))
    )
    world.store.jobs.plan(below, [])
    return above, below


def followers(below: Job, receipt: Receipt, count: int = 1) -> list[Chunk]:
    return [
        Chunk(
            below.pipeline_key,
            below.info.source.dataset,
            n,
            files=receipt.files,
            first_row=n * 10,
            row_count=10,
            upstream=receipt.chunk_id,
        )
        for n in range(count)
    ]


def test_an_open_job_is_adopted_by_the_next_run(world: World) -> None:
    job = world.planned(2, max_parallel=1)
    world.finish(world.claim())
    later = World(world.store, world.key)
    same = later.store.jobs.open(later.run, later.info(max_parallel=4, site="x"))
    assert (same.job_id, same.adopted, same.planned, same.status) == (job.job_id, True, True, "in_progress")
    assert (same.run_id, same.in_run) == (world.run, later.run)
    assert (same.info.max_parallel, same.info.site) == (4, "x")
    assert later.store.jobs.counts(same.job_id) == {"committed": 1, "pending": 1}
    later.finish(later.claim())
    assert [one.job_id for one in later.store.runs.jobs(later.run)] == [job.job_id]


def test_a_plan_is_written_once(world: World) -> None:
    job = world.planned(2)
    again = world.chunks(job, 3)
    world.store.jobs.plan(job, again)
    assert world.store.jobs.counts(job.job_id) == {"pending": 2}


def test_a_closed_job_is_reread_not_opened_anew(world: World) -> None:
    """Whoever waited for another's plan must not begin the next epoch by looking again."""
    waiting = world.store.jobs.open(world.run, world.info())
    job = world.planned(1)
    world.finish(world.claim())
    world.store.jobs.close(job.job_id)
    seen = world.store.jobs.reread(waiting)
    assert (seen.job_id, seen.epoch, seen.planned, seen.status) == (waiting.job_id, 1, True, "success")
    assert [one.job_id for one in world.store.runs.jobs(world.run)] == [waiting.job_id]


def test_the_tables_come_back_as_they_were_planned(world: World) -> None:
    info = world.info(losses=[("ssn", "cut to 10")], upstream_keys=("x", "a"))
    job = world.store.jobs.open(world.run, info)
    world.store._base.forget(job.job_id)
    found = world.store.runs.jobs(world.run)[0].info
    assert (found.source, found.target, found.losses, found.upstream_keys) == (
        info.source,
        info.target,
        [("ssn", "cut to 10")],
        ("a", "x"),
    )


def test_concurrent_openers_share_one_job(world: World) -> None:
    found: list[str] = []
    runs = [world, World(world.store), World(world.store)]

    def work(one: World) -> None:
        found.append(one.store.jobs.open(one.run, world.info()).job_id)

    threads = [threading.Thread(target=work, args=(one,)) for one in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(set(found)) == 1


def test_one_planner_at_a_time(world: World) -> None:
    job = world.store.jobs.open(world.run, world.info())
    with world.store.jobs.plan_lease(job) as mine:
        assert mine
        with world.store.jobs.plan_lease(job) as theirs:
            assert not theirs
        with world.store.jobs.finish_lease(job) as other:
            assert other
    with world.store.jobs.plan_lease(job) as mine:
        assert mine
    rows = world.query("SELECT token, owner FROM hdm_lease WHERE resource = :r", r=f"plan:{job.pipeline_key}")
    assert rows == [(2, None)]


def test_a_planners_lease_is_renewed_while_it_plans(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = world.store.jobs.open(world.run, world.info())
    monkeypatch.setattr(world.store._base, "lease_ttl", 0.6)
    with world.store.jobs.plan_lease(job) as mine:
        assert mine
        time.sleep(1.0)
        with world.store.jobs.plan_lease(job) as theirs:
            assert not theirs


def test_an_expired_planner_is_replaced(world: World) -> None:
    job = world.store.jobs.open(world.run, world.info())
    with world.store.jobs.plan_lease(job) as mine:
        assert mine
        world.alter(
            "UPDATE hdm_lease SET expires_at = '2000-01-01T00:00:00.000000Z' WHERE resource = :r",
            r=f"plan:{job.pipeline_key}",
        )
        with world.store.jobs.plan_lease(job) as theirs:
            assert theirs


def test_each_upstream_chunk_is_followed_exactly_once(world: World) -> None:
    above, below = chained(world)
    assert world.store.jobs.pending_receipts(below) == []
    receipts = [world.finish(world.claim()) for _ in range(2)]
    assert world.store.jobs.pending_receipts(below) == receipts
    assert world.store.jobs.pending_receipts(below, 1) == receipts[:1]
    barrier = threading.Barrier(3)

    def follow() -> None:
        barrier.wait()
        for receipt in receipts:
            world.store.jobs.add_downstream_chunks(below, receipt.chunk_id, followers(below, receipt, 2))

    threads = [threading.Thread(target=follow) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert world.store.jobs.pending_receipts(below) == []
    assert world.store.jobs.counts(below.job_id) == {"pending": 4}
    assert world.events().count("job.followed") == 2
    taken = [world.claim() for _ in range(4)]
    assert [one.chunk.number for one in taken] == [0, 1, 2, 3]
    assert {one.chunk.upstream for one in taken} == {one.chunk_id for one in receipts}
    assert above.job_id not in {one.job.job_id for one in taken}


def test_numbers_go_on_whatever_has_become_of_the_chunks(world: World) -> None:
    _, below = chained(world)
    receipts = [world.finish(world.claim()) for _ in range(2)]
    world.store.jobs.add_downstream_chunks(below, receipts[0].chunk_id, followers(below, receipts[0], 2))
    assert [world.claim().chunk.number, world.finish(world.claim()).rows] == [0, 10]
    world.store.jobs.add_downstream_chunks(below, receipts[1].chunk_id, followers(below, receipts[1], 2))
    assert [world.claim().chunk.number for _ in range(2)] == [2, 3]


def test_what_is_made_of_a_chunk_comes_from_where_that_was_written(world: World) -> None:
    above, below = chained(world, 1)
    receipt = world.finish(world.claim())
    world.store.jobs.add_downstream_chunks(below, receipt.chunk_id, followers(below, receipt))
    lease = world.claim()
    world.finish(lease)
    assert below.info.source.dataset != above.info.target.dataset
    assert world.query(
        "SELECT d.namespace, d.name, e.from_chunk_id FROM hdm_lineage_edge e "
        "JOIN hdm_dataset d ON d.dataset_id = e.from_dataset_id WHERE e.to_chunk_id = :id",
        id=lease.chunk_id,
    ) == [("dst", f"{world.key}.u", receipt.chunk_id)]


def test_settled_waits_for_upstream(world: World) -> None:
    above, below = chained(world, 1)
    assert not world.store.jobs.settled(below)
    receipt = world.finish(world.claim())
    assert not world.store.jobs.settled(below)
    assert world.store.jobs.close(above.job_id) == "success"
    assert not world.store.jobs.settled(below)
    world.store.jobs.add_downstream_chunks(below, receipt.chunk_id, followers(below, receipt))
    assert not world.store.jobs.settled(below)
    world.finish(world.claim())
    assert world.store.jobs.settled(below)
    assert world.store.jobs.close(below.job_id) == "success"


def test_a_dead_chunk_upstream_does_not_hold_up_the_rest(world: World) -> None:
    above, below = chained(world, 1)
    world.store.chunks.fail(world.claim(), ValueError("x"), retry_in=None, phase="read")
    assert world.store.jobs.close(above.job_id) == "failure"
    assert world.store.jobs.settled(below)


def test_staged_counts_what_downstream_has_to_move(world: World) -> None:
    above, below = chained(world, 2)
    assert world.store.jobs.staged(above) == 0
    receipt = world.finish(world.claim())
    assert world.store.jobs.staged(above) == 1
    world.store.jobs.add_downstream_chunks(below, receipt.chunk_id, followers(below, receipt, 2))
    world.finish(world.claim())
    assert world.store.jobs.staged(above) == 1
    world.finish(world.claim())
    assert world.store.jobs.staged(above) == 0
    assert world.store.jobs.staged(below) == 0


def test_files_are_on_record_from_before_their_first_byte(world: World) -> None:
    above, below = chained(world, 1)

    def states() -> list[tuple[object, ...]]:
        return world.query(
            "SELECT a.uri, a.state, a.attempt FROM hdm_artifact a JOIN hdm_chunk c "
            "ON c.chunk_id = a.chunk_id WHERE c.job_id = :j ORDER BY a.uri",
            j=above.job_id,
        )

    def stale() -> list[str]:
        return [one["uri"] for one in world.store.files.stale() if one["job_id"] == above.job_id]

    first = world.claim()
    world.store.files.begin(first, "file:///1.tmp", "parquet")
    assert stale() == []
    world.expire(first)
    assert stale() == ["file:///1.tmp"]
    second = world.claim()
    world.store.files.begin(second, "file:///2.tmp", "parquet")
    world.store.files.begin(second, file_of(second).uri, "parquet")
    assert stale() == ["file:///1.tmp"]
    receipt = receipt_of(second)
    world.store.chunks.wrote(second, receipt)
    world.expire(second)
    assert stale() == ["file:///1.tmp"]
    third = world.claim()
    assert stale() == ["file:///1.tmp"]
    world.store.chunks.commit(third, receipt)
    assert stale() == ["file:///1.tmp", "file:///2.tmp"]
    for one in world.store.files.stale():
        if one["job_id"] == above.job_id:
            world.store.files.deleted(one["artifact_id"])
    assert stale() == []
    assert [row[1:] for row in states()] == [("DELETED", 1), ("DELETED", 2), ("PUBLISHED", 2)]
    world.store.jobs.add_downstream_chunks(below, receipt.chunk_id, followers(below, receipt, 2))
    world.finish(world.claim())
    assert states()[2][1] == "PUBLISHED"
    world.finish(world.claim())
    assert states()[2][1] == "CONSUMED"


def test_a_changed_schema_is_a_new_version(world: World) -> None:
    from hdm.model import Column, Kind

    job = world.planned(1)
    world.finish(world.claim())
    world.store.jobs.close(job.job_id)
    import pyarrow as pa

    wider = table(f"{world.key}.t", extra=(Column("new", Kind.INT64, pa.int64()),))
    world.store.jobs.open(world.run, world.info(source=wider))
    rows = world.query(
        "SELECT version, change_kind, change_detail FROM hdm_dataset_schema s JOIN hdm_dataset d "
        "ON d.dataset_id = s.dataset_id WHERE d.name = :n ORDER BY version",
        n=f"{world.key}.t",
    )
    assert rows == [(1, "new", None), (2, "changed", '{"added": ["new"], "altered": [], "removed": []}')]
