"""The watermark: never ahead of the data, whatever order chunks finish in."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from hdm import failpoints
from hdm.errors import ConnectionLost
from hdm.model import Chunk, Condition
from hdm.state import Job
from hdm.state.records import Watermark
from tests.unit.state.conftest import World, receipt_of, table


def ahead(world: World, job: Job) -> list[tuple[object, ...]]:
    return world.query(
        "SELECT w.value, c.chunk_no FROM hdm_watermark w JOIN hdm_chunk c ON c.job_id = w.job_id "
        "AND c.chunk_no <= w.chunk_no WHERE w.job_id = :j AND c.status NOT IN ('committed', 'waived')",
        j=job.job_id,
    )


def value(world: World, job: Job) -> str | None:
    mark = world.store.watermarks.current(job.pipeline_key)
    return None if mark is None else mark.value


def test_it_is_the_end_of_the_committed_prefix_in_any_order(world: World) -> None:
    job = world.planned(8)
    leases = [world.claim() for _ in range(8)]
    random.Random(7).shuffle(leases)
    done: set[int] = set()
    assert value(world, job) is None
    for lease in leases:
        world.finish(lease)
        done.add(lease.chunk.number)
        prefix = next(n for n in range(9) if n not in done)
        assert value(world, job) == (None if prefix == 0 else str(prefix * 10 - 1))
        assert ahead(world, job) == []
    assert world.store.watermarks.current(job.pipeline_key) == Watermark("id", "int64", "79")


def test_a_dead_chunk_stops_it_until_it_is_waived(world: World) -> None:
    job = world.planned(3)
    leases = [world.claim() for _ in range(3)]
    world.store.chunks.fail(leases[1], ValueError("x"), retry_in=None, phase="read")
    world.finish(leases[0])
    world.finish(leases[2])
    assert value(world, job) == "9"
    world.store.operators.waive(leases[1].chunk_id, "me", "known")
    assert value(world, job) == "29"


def test_chunks_without_a_value_are_passed_over(world: World) -> None:
    job = world.store.jobs.open(world.run, world.info())
    parts = world.chunks(job, 3)
    world.store.jobs.plan(job, [parts[0].at(upto=None), parts[1], parts[2].at(upto=None)])
    world.finish(world.claim())
    assert value(world, job) is None
    world.finish(world.claim())
    assert value(world, job) == "19"
    world.finish(world.claim())
    assert value(world, job) == "19"


def test_a_table_without_a_cursor_has_none(world: World) -> None:
    job = world.planned(1, source=table(f"{world.key}.n", cursor=None))
    world.finish(world.claim())
    assert world.store.watermarks.current(job.pipeline_key) is None


def test_the_next_epoch_appends(world: World) -> None:
    first = world.planned(1)
    world.finish(world.claim())
    world.store.jobs.close(first.job_id)
    second = world.store.jobs.open(world.run, world.info())
    assert (second.epoch, second.adopted, second.status) == (2, False, "planning")
    world.store.jobs.plan(second, world.chunks(second, 1, upto="99"), snapshot="snap")
    world.finish(world.claim())
    assert world.store.watermarks.current(first.pipeline_key) == Watermark(
        "id", "int64", "99", snapshot="snap"
    )
    assert world.query(
        "SELECT seq, value FROM hdm_watermark WHERE pipeline_key = :k ORDER BY seq", k=first.pipeline_key
    ) == [(1, "9"), (2, "99")]


def test_ties_and_nulls_are_kept_by_digest(world: World) -> None:
    job = world.store.jobs.open(world.run, world.info())
    dataset = job.info.source.dataset
    parts = [
        Chunk(job.pipeline_key, dataset, 0, (Condition("id", "<", "50"),)),
        Chunk(job.pipeline_key, dataset, 1, (Condition("id", "=", "50"),), boundary=True, upto="50"),
        Chunk(job.pipeline_key, dataset, 2, (Condition("id", "null"),), boundary=True),
    ]
    world.store.jobs.plan(job, parts)
    assert world.store.watermarks.seen(job.pipeline_key, "point") == Counter()
    world.finish(world.claim())
    world.finish(world.claim(), boundary_digests=("aa", "aa", "bb"))
    world.finish(world.claim(), boundary_digests=("cc",))
    mark = world.store.watermarks.current(job.pipeline_key)
    assert mark is not None
    assert (mark.value, mark.ties, mark.nulls) == ("50", 3, 1)
    assert world.store.watermarks.seen(job.pipeline_key, "point") == Counter({"aa": 2, "bb": 1})
    assert world.store.watermarks.seen(job.pipeline_key, "null") == Counter({"cc": 1})


def test_digests_of_an_older_value_no_longer_count(world: World) -> None:
    assert left_a_value(world)
    assert world.store.watermarks.seen(world.key, "point") == Counter(("bb", "bc"))


def left_a_value(world: World) -> str:
    """A job whose watermark has moved from 50, with a tie, to 60, with two; its id."""
    job = world.store.jobs.open(world.run, world.info())
    dataset = job.info.source.dataset
    parts = [
        Chunk(job.pipeline_key, dataset, n, (Condition("id", "=", up),), boundary=True, upto=up)
        for n, up in enumerate(("50", "60"))
    ]
    world.store.jobs.plan(job, parts)
    world.finish(world.claim(), boundary_digests=("aa",))
    world.finish(world.claim(), boundary_digests=("bb", "bc"))
    return job.job_id


def test_the_digests_of_a_value_that_the_watermark_has_left_are_dropped(world: World) -> None:
    assert world.store.jobs.close(left_a_value(world)) == "success"
    kept = world.query("SELECT value FROM hdm_boundary WHERE pipeline_key = :k", k=world.key)
    assert kept == [("60",)]


@pytest.mark.parametrize("kind", ["point", "null"])
def test_what_is_only_counted_replaces_what_was_told_apart(world: World, kind: str) -> None:
    job = world.store.jobs.open(world.run, world.info())
    dataset = job.info.source.dataset
    at = Condition("id", "=", "50") if kind == "point" else Condition("id", "null")
    upto = "50" if kind == "point" else None
    once = Chunk(job.pipeline_key, dataset, 1, (at,), boundary=True, upto=upto)
    first = Chunk(job.pipeline_key, dataset, 0, (Condition("id", "<=", "50"),), upto="50")
    again = once.at(number=2, seen_key=kind, counted=True)
    world.store.jobs.plan(job, [first, once, again])
    world.finish(world.claim())
    world.finish(world.claim(), boundary_digests=("aa", "bb"))
    mark = world.store.watermarks.current(job.pipeline_key)
    assert mark is not None
    assert (mark.ties + mark.nulls, mark.ties_counted, mark.nulls_counted) == (2, False, False)
    world.finish(world.claim(), rows=1, extracted=3, filtered=2)
    mark = world.store.watermarks.current(job.pipeline_key)
    assert mark is not None
    assert mark.ties + mark.nulls == 3
    assert (mark.ties_counted, mark.nulls_counted) == (kind == "point", kind == "null")
    assert world.store.watermarks.seen(job.pipeline_key, kind) == Counter()


def test_nulls_alone_are_remembered(world: World) -> None:
    job = world.store.jobs.open(world.run, world.info())
    part = Chunk(job.pipeline_key, job.info.source.dataset, 0, (Condition("id", "null"),), boundary=True)
    world.store.jobs.plan(job, [part])
    world.finish(world.claim(), boundary_digests=("cc", "cd"))
    assert world.store.watermarks.current(job.pipeline_key) == Watermark(
        "id", "int64", None, 0, 2, schemas=frozenset({""})
    )


@pytest.mark.parametrize("point", ["L7", "L8", "A1"])
def test_a_failure_inside_the_commit_leaves_nothing_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    job = world.planned(1)
    lease = world.claim()
    receipt = receipt_of(lease)
    world.store.chunks.wrote(lease, receipt)
    trail = world.events()
    monkeypatch.setattr(failpoints, "_passes", {})
    monkeypatch.setattr(failpoints, "_points", {point: [(1, "raise:ConnectionLost")]})
    with pytest.raises(ConnectionLost):
        world.store.chunks.commit(lease, receipt)
    assert value(world, job) is None
    assert world.row(lease.chunk_id, "status") == ("written",)
    assert world.query("SELECT COUNT(*) FROM hdm_artifact WHERE chunk_id = :c", c=lease.chunk_id) == [(0,)]
    assert world.events() == trail
    world.store.chunks.commit(lease, receipt)
    assert value(world, job) == "9"
    assert world.store.trail.verify_chain(world.run) == []


def test_imported_chunks_count_only_without_a_gap(world: World) -> None:
    job = world.store.jobs.open(world.run, world.info())
    parts = world.chunks(job, 4)
    for number, expected in ((1, None), (0, "19"), (3, "19"), (2, "39")):
        receipt = receipt_of(_lease_like(parts[number].chunk_id))
        assert world.store.chunks.import_committed(job, parts[number], receipt)
        assert value(world, job) == expected
        assert not world.store.chunks.import_committed(job, parts[number], receipt)
    world.store.jobs.plan(job, world.chunks(job, 5))
    assert world.store.jobs.counts(job.job_id) == {"committed": 4, "pending": 1}


def test_importing_leaves_a_chunk_under_a_live_lease_to_its_worker(world: World) -> None:
    job = world.planned(1)
    lease = world.claim()
    receipt = receipt_of(lease)
    world.store.chunks.wrote(lease, receipt)
    assert not world.store.chunks.import_committed(job, lease.chunk, receipt)
    world.store.chunks.commit(lease, receipt)
    assert world.events(lease.chunk_id).count("chunk.committed") == 1


@pytest.mark.parametrize("settled", ["dead", "expired"])
def test_a_chunk_of_an_earlier_epoch_is_imported_into_its_own_job(world: World, settled: str) -> None:
    earlier = world.planned(2)
    lease, other = world.claim(), world.claim()
    world.store.chunks.fail(lease, ValueError("x"), retry_in=None, phase="publish")
    world.finish(other)
    world.store.jobs.close(earlier.job_id)
    later = world.store.jobs.open(world.run, world.info(), go_past=True)
    assert later.epoch == earlier.epoch + 1
    if settled == "expired":
        world.store.operators.retry(chunk_id=lease.chunk_id)
        lease = world.claim()
        world.expire(lease)
    assert value(world, later) == "19"
    assert world.store.chunks.import_committed(later, lease.chunk, receipt_of(lease))
    assert value(world, later) == "19"
    edges = world.query("SELECT job_id FROM hdm_lineage_edge WHERE to_chunk_id = :c", c=lease.chunk_id)
    assert edges == [(earlier.job_id,)]
    adopted = "SELECT job_id FROM hdm_event WHERE chunk_id = :c AND event_type = 'chunk.adopted'"
    assert world.query(adopted, c=lease.chunk_id) == [(earlier.job_id,)]
    assert [text for run, text in world.store.trail.verify().breaks if run == world.run] == []


def test_importing_fences_a_worker_whose_lease_expired(world: World) -> None:
    from hdm.errors import LeaseLost

    job = world.planned(1)
    lease = world.claim()
    world.expire(lease)
    assert world.store.chunks.import_committed(job, lease.chunk, receipt_of(lease))
    with pytest.raises(LeaseLost):
        world.store.chunks.commit(lease, receipt_of(lease))
    assert world.events(lease.chunk_id).count("chunk.adopted") == 1


def test_importing_settles_a_dead_chunk(world: World) -> None:
    job = world.planned(1)
    lease = world.claim()
    world.store.chunks.fail(lease, ValueError("x"), retry_in=None, phase="publish")
    assert world.store.chunks.import_committed(job, lease.chunk, receipt_of(lease))
    assert world.store.operators.dead(job_id=job.job_id) == []
    assert world.store.jobs.close(job.job_id) == "success"


def _lease_like(chunk_id: str):  # type: ignore[no-untyped-def]
    from types import SimpleNamespace

    return SimpleNamespace(chunk_id=chunk_id, attempt=1)
