"""Two readings of a replaced table are never loaded together, whoever decides first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from hdm.model import Mode
from hdm.state import Job, StateManager
from hdm.state.jobs import replacing
from tests.unit.state.conftest import World
from tests.unit.state.jobs.test_jobs import followers

LINKS = ("one", "two", "three")


def stage(world: World, number: int) -> Job:
    """The job of the chain's link ``number``, its epoch opened if it is not."""
    keys = [world.key, world.key + "-2", world.key + "-3"]
    above = {"upstream_keys": (keys[number - 1],)} if number else {}
    info = world.info(keys[number], link_key=LINKS[number], stage_no=number, mode=Mode.REPLACE, **above)
    return world.store.jobs.open(world.run, info)


def read(world: World, count: int = 2) -> tuple[Job, bool]:
    """Open the table's next reading and plan it."""
    job = stage(world, 0)
    with world.store.jobs.plan_lease(job) as mine:
        assert mine
        return job, world.store.jobs.plan(job, world.chunks(job, count), unless_loading=LINKS)


def move(world: World, *of: Job) -> None:
    """Move and close all that is pending."""
    while (lease := world.store.chunks.claim(world.worker, world.run)) is not None:
        world.finish(lease)
    for job in of:
        world.store.jobs.close(job.job_id)


def take(world: World, job: Job) -> int:
    """Follow one receipt; how many chunks the job has then."""
    receipt = world.store.jobs.pending_receipts(job, 1)[0]
    made = [one.at(epoch=job.epoch) for one in followers(job, receipt)]
    world.store.jobs.add_downstream_chunks(job, receipt.chunk_id, made)
    return sum(world.store.jobs.counts(job.job_id).values())


def test_what_is_being_loaded_is_not_read_anew(world: World) -> None:
    first, whole = read(world)
    assert whole
    move(world, first)
    below = stage(world, 1)
    assert take(world, below) == 1
    second, whole = read(world)
    assert (second.epoch, whole, world.store.jobs.counts(second.job_id)) == (2, False, {})
    assert world.store.jobs.reread(second).closed_unread, "closed, but not planned"
    assert not world.store.jobs.plan(second, world.chunks(second, 1)), "nor by another planner"
    assert world.store.jobs.skip_epochs(second, 9, None).epoch == 2
    assert stage(world, 0).epoch == 3


def test_what_is_planned_anew_is_not_loaded(world: World) -> None:
    first, _ = read(world)
    move(world, first)
    below = stage(world, 1)
    second, whole = read(world)
    assert whole and take(world, below) == 0
    move(world, second)
    assert take(world, below) == 0 and take(world, below) == 1


def test_a_link_between_does_not_hide_it(world: World) -> None:
    """The last link must not load what the middle one has made of an old reading, nor the first
    read anew while the last one loads."""
    first, _ = read(world, 1)
    move(world, first)
    middle = stage(world, 1)
    take(world, middle)
    move(world, middle)
    below = stage(world, 2)
    _, whole = read(world)
    assert whole and take(world, below) == 0


def test_the_last_of_three_links_keeps_the_first_from_reading(world: World) -> None:
    first, _ = read(world, 1)
    move(world, first)
    middle = stage(world, 1)
    take(world, middle)
    move(world, middle)
    assert take(world, stage(world, 2)) == 1
    assert not read(world)[1]


def test_what_was_read_is_not_left(world: World) -> None:
    empty, whole = read(world, 0)
    assert whole and not world.store.jobs.close_unread(empty), "there was nothing in the table"
    world.store.jobs.close(empty.job_id)
    below = stage(world, 1)
    plan_empty(world, below)
    assert not world.store.jobs.close_unread(below), "its first epoch is empty, too"
    world.store.jobs.close(below.job_id)
    assert not world.store.jobs.close_unread(below)
    full, _ = read(world, 1)
    move(world, full)
    assert take(world, stage(world, 1)) == 1
    assert not world.store.jobs.close_unread(stage(world, 1))


def plan_empty(world: World, job: Job) -> None:
    with world.store.jobs.plan_lease(job) as mine:
        assert mine and world.store.jobs.plan(job, [])


def test_a_chained_epoch_is_left_unless_its_table_was_read_since(world: World) -> None:
    first, _ = read(world, 1)
    move(world, first)
    below = stage(world, 1)
    take(world, below)
    move(world, below)
    second = stage(world, 1)
    plan_empty(world, second)
    assert world.store.jobs.close_unread(second) and world.store.jobs.close_unread(second)
    assert world.store.jobs.reread(second).closed_unread and world.store.jobs.settled(second)
    empty, _ = read(world, 0)
    world.store.jobs.close(empty.job_id)
    third = stage(world, 1)
    plan_empty(world, third)
    assert (third.epoch, world.store.jobs.close_unread(third)) == (3, False)


def test_an_empty_reading_outdates_the_one_before(world: World) -> None:
    first, _ = read(world, 1)
    move(world, first)
    below = stage(world, 1)
    empty, whole = read(world, 0)
    assert whole and take(world, below) == 0
    world.store.jobs.close(empty.job_id)
    assert world.store.jobs.settled(below) and not world.store.jobs.close_unread(below)


def test_what_replaces_waits_for_the_dead_above(world: World) -> None:
    first, _ = read(world, 2)
    below = stage(world, 1)
    plan_empty(world, below)
    world.store.chunks.fail(world.claim(), ValueError("x"), retry_in=None, phase="read")
    world.finish(world.claim())
    assert world.store.jobs.close(first.job_id) == "failure"
    take(world, below)
    world.finish(world.claim())
    assert not world.store.jobs.settled(below)
    world.store.operators.retry(run_id=world.run)
    world.finish(world.claim())
    assert world.store.jobs.close(first.job_id) == "success"
    assert take(world, below) == 2


def test_a_site_is_not_behind_of_what_was_not_read(world: World) -> None:
    first, _ = read(world, 1)
    move(world, first)
    below = stage(world, 1)
    take(world, below)
    move(world, below)
    assert world.store.jobs.close_unread(stage(world, 0))
    assert not is_behind(world, below)
    empty, _ = read(world, 0)
    world.store.jobs.close(empty.job_id)
    assert is_behind(world, below)


def test_a_site_is_not_behind_of_what_is_dead_elsewhere(world: World) -> None:
    first, _ = read(world, 1)
    below = stage(world, 1)
    plan_empty(world, below)
    world.store.chunks.fail(world.claim(), ValueError("x"), retry_in=None, phase="read")
    world.store.jobs.close(first.job_id)
    assert not is_behind(world, below)
    world.store.operators.retry(run_id=world.run)
    world.finish(world.claim())
    assert is_behind(world, below)


def is_behind(world: World, job: Job) -> bool:
    return world.store.jobs.is_behind(job.pipeline_key, job.info.upstream_keys[0], whole=True)


def test_what_is_closed_is_not_followed_into(world: World) -> None:
    first, _ = read(world, 1)
    move(world, first)
    below = stage(world, 1)
    take(world, below)
    move(world, below)
    second, _ = read(world, 1)
    move(world, second)
    receipt = world.store.jobs.pending_receipts(below, 1)[0]
    assert not world.store.jobs.add_downstream_chunks(below, receipt.chunk_id, followers(below, receipt))
    assert (world.store.jobs.reread(below).status, len(world.store.jobs.pending_receipts(below))) == (
        "success",
        1,
    )
    assert world.store.jobs.add_downstream_chunks(stage(world, 1), receipt.chunk_id, [])


def slowly(decide: Callable[..., bool]) -> Callable[..., bool]:
    """Time goes by between the decision and what is written by it."""

    def decided(*args: Any, **options: Any) -> bool:
        found = decide(*args, **options)
        time.sleep(0.3)
        return found

    return decided


@pytest.mark.slow
def test_only_one_of_both_happens(world: World, shared_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("is_loading", "is_outdated"):
        monkeypatch.setattr(replacing, name, slowly(getattr(replacing, name)))
    first, _ = read(world)
    move(world, first)
    below = stage(World(world.store, world.key), 1)  # another run, as another site's is
    receipt = world.store.jobs.pending_receipts(below, 1)[0]
    second = stage(world, 0)
    start, loaded = threading.Barrier(2), [0]

    def load() -> None:
        with StateManager.open(shared_url) as store:
            start.wait()
            made = [one.at(epoch=below.epoch) for one in followers(below, receipt)]
            store.jobs.add_downstream_chunks(below, receipt.chunk_id, made)
            loaded[0] = sum(store.jobs.counts(below.job_id).values())

    other = threading.Thread(target=load)
    other.start()
    chunks = world.chunks(second, 2)
    start.wait()
    planned = world.store.jobs.plan(second, chunks, unless_loading=LINKS)
    other.join()
    assert (loaded[0], planned) in ((1, False), (0, True))
