"""The next chunk, claimed with the commit of the last; and the file that a claim puts on record."""

from __future__ import annotations

import threading

import pytest

from hdm.errors import ConnectionLost, LeaseLost
from hdm.state import GoOn, Lease
from tests.unit.state.conftest import World, receipt_of


def first_file(lease: Lease) -> tuple[str, str]:
    return f"file:///stage/{lease.chunk_id}.{lease.attempt}.parquet", "parquet"


ON = GoOn(announce=first_file)


def committed(world: World, lease: Lease, go_on: GoOn | None = ON, uri: str | None = None) -> Lease | None:
    """What the commit of a chunk of one file, as announced or at ``uri``, gives back."""
    found = receipt_of(lease)
    (file,) = found.files
    receipt = receipt_of(lease, files=(type(file)(uri or first_file(lease)[0], "parquet", 9, 10, "f" * 64),))
    world.store.wrote(lease, receipt)
    return world.store.commit(lease, receipt, target_rows=10, go_on=go_on)


def files(world: World, lease: Lease) -> list[tuple[object, ...]]:
    return world.query("SELECT uri, state, attempt FROM hdm_artifact WHERE chunk_id = :id", id=lease.chunk_id)


def test_the_next_lease_is_as_a_claim_gives_it(world: World) -> None:
    world.planned(3)
    lease = world.claim()
    following = committed(world, lease)
    assert following is not None
    assert (following.chunk.number, following.attempt, following.receipt) == (1, 1, None)
    assert (following.worker_id, following.run_id, following.ttl) == (world.worker, world.run, lease.ttl)
    assert world.row(following.chunk_id, "status", "attempt", "lease_owner") == ("leased", 1, world.worker)
    assert world.events(following.chunk_id) == ["chunk.claimed"]
    world.store.renew(following, rows=1)
    assert world.claim().chunk.number == 2, "what goes with a commit is taken"
    assert world.store.verify_chain(world.run) == []


def test_nobody_goes_on_unasked_and_nothing_follows_the_last(world: World) -> None:
    world.planned(2)
    lease = world.claim()
    assert committed(world, lease, None) is None
    assert committed(world, world.claim()) is None
    assert world.store.claim(world.worker, world.run) is None


def test_who_lost_the_lease_gets_no_other(world: World) -> None:
    world.planned(2)
    lease = world.claim()
    world.expire(lease)
    newer = world.claim()
    with pytest.raises(LeaseLost):
        world.store.commit(lease, receipt_of(lease), go_on=ON)
    assert committed(world, newer) is not None, "the other chunk was still free"


def test_going_on_heeds_the_site_and_leaves_the_rest_to_a_claim(world: World) -> None:
    world.planned(1, key=world.key + "-a", site="a", stage_no=1)
    world.planned(1, key=world.key + "-b", site="b")
    world.planned(2, key=world.key + "-few", max_parallel=1)
    lease = world.claim(site="a")
    assert lease.job.pipeline_key.endswith("-a")
    assert committed(world, lease, GoOn("a")) is None, "how many are at work is for a claim to count"
    assert world.claim(site="a").job.pipeline_key.endswith("-few")


def test_leases_that_ran_out_are_looked_for_all_the_same(world: World) -> None:
    world.planned(3)
    lost = world.claim()
    mine = world.claim()
    world.expire(lost)
    assert committed(world, mine) is None, "it is time for a closer look"
    assert world.claim().chunk_id == lost.chunk_id


def test_many_who_go_on_never_get_one_chunk_twice(world: World) -> None:
    world.planned(24)
    taken: list[str] = []

    def work() -> None:
        worker = world.new_worker()
        lease: Lease | None = None
        while lease := lease or world.store.claim(worker, world.run, announce=first_file):
            taken.append(lease.chunk_id)
            lease = committed(world, lease)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 24
    assert world.query(
        "SELECT COUNT(*) FROM hdm_artifact a JOIN hdm_chunk c ON c.chunk_id = a.chunk_id "
        "JOIN hdm_job j ON j.job_id = c.job_id WHERE j.pipeline_key = :key AND a.state = 'PUBLISHED'",
        key=world.key,
    ) == [(24,)]
    assert world.store.verify_chain(world.run) == []


@pytest.mark.parametrize("with_a_commit", [False, True])
def test_what_is_announced_is_on_record_before_it_is_begun(world: World, with_a_commit: bool) -> None:
    world.planned(2)
    lease: Lease | None = world.claim(announce=first_file)
    assert lease is not None
    if with_a_commit:
        lease = committed(world, lease)
        assert lease is not None
    uri, kind = first_file(lease)
    assert files(world, lease) == [(uri, "TMP", 1)]
    world.store.begin_artifact(lease, uri, kind)
    assert files(world, lease) == [(uri, "TMP", 1)]
    committed(world, lease, None)
    assert files(world, lease) == [(uri, "PUBLISHED", 1)]


def test_a_dead_attempt_leaves_what_it_announced_to_be_found(world: World) -> None:
    world.planned(1)
    lease = world.claim(announce=first_file)
    assert world.store.stale_artifacts() == []
    world.expire(lease)
    assert [one["uri"] for one in world.store.stale_artifacts()] == [first_file(lease)[0]]


def test_what_was_never_begun_is_off_the_record_once_the_attempt_is_over(world: World) -> None:
    world.planned(3)
    done, failed, released = (world.claim(announce=first_file) for _ in range(3))
    assert all(files(world, one) for one in (done, failed, released))
    world.store.begin_artifact(done, "file:///other", "parquet")
    committed(world, done, None, "file:///other")
    world.store.fail(failed, ConnectionLost("away"), retry_in=0, phase="x")
    world.store.release(released)
    assert files(world, done) == [("file:///other", "PUBLISHED", 1)]
    assert files(world, failed) == files(world, released) == []


def test_what_was_begun_stays_on_record_when_the_attempt_fails(world: World) -> None:
    world.planned(1)
    lease = world.claim(announce=first_file)
    world.store.begin_artifact(lease, *first_file(lease))
    world.store.fail(lease, ConnectionLost("away"), retry_in=0, phase="x")
    assert [state for _, state, _ in files(world, lease)] == ["TMP"]


def test_a_file_that_is_known_already_is_not_taken_for_announced(world: World) -> None:
    """A sink whose names do not carry the attempt: the record of the last attempt is brought up to date."""
    world.planned(1)
    same = "file:///stage/same.parquet", "parquet"
    first = world.claim(announce=lambda lease: same)
    world.store.begin_artifact(first, *same)
    world.expire(first)
    again = world.claim(announce=lambda lease: same)
    assert files(world, again) == [(same[0], "TMP", 1)]
    world.store.begin_artifact(again, *same)
    assert files(world, again) == [(same[0], "TMP", 2)]
