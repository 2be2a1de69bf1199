"""The next chunk, claimed with the commit of the last; and the file that a claim puts on record."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from hdm.errors import ConnectionLost, LeaseLost
from hdm.model import FileNames
from hdm.state import ClaimRequest, Lease
from hdm.state.records import StaleArtifact
from tests.unit.state.conftest import World, in_threads, receipt_of


class NamesOfAll(dict[str, FileNames]):
    """One pattern for the files of whatever pipeline."""

    def __init__(self, pattern: str, kind: str = "parquet") -> None:
        super().__init__()
        self.names = FileNames(pattern, kind)

    def get(self, key: str, default: Any = None) -> FileNames:
        return self.names


NAMES = NamesOfAll("file:///stage/{chunk}.{attempt}.parquet")
ON = ClaimRequest(file_names=NAMES)


def first_file_of(lease: Lease) -> tuple[str, str]:
    return f"file:///stage/{lease.chunk_id}.{lease.attempt}.parquet", "parquet"


def committed(
    world: World, lease: Lease, claim_next: ClaimRequest | None = ON, uri: str | None = None
) -> Lease | None:
    """What the commit of a chunk of one file, as announced or at ``uri``, gives back."""
    found = receipt_of(lease)
    (file,) = found.files
    receipt = receipt_of(
        lease, files=(type(file)(uri or first_file_of(lease)[0], "parquet", 9, 10, "f" * 64),)
    )
    world.store.chunks.wrote(lease, receipt)
    return world.store.chunks.commit(lease, receipt, target_rows=10, claim_next=claim_next)


def files(world: World, lease: Lease) -> list[tuple[object, ...]]:
    return world.query("SELECT uri, state, attempt FROM hdm_artifact WHERE chunk_id = :id", id=lease.chunk_id)


def stale(world: World, lease: Lease) -> list[StaleArtifact]:
    return [one for one in world.store.files.stale() if one["chunk_id"] == lease.chunk_id]


def test_the_next_lease_is_as_a_claim_gives_it(world: World) -> None:
    world.planned(3)
    lease = world.claim()
    following = committed(world, lease)
    assert following is not None
    assert (following.chunk.number, following.attempt, following.receipt) == (1, 1, None)
    assert (following.worker_id, following.run_id, following.ttl) == (world.worker, world.run, lease.ttl)
    assert world.row(following.chunk_id, "status", "attempt", "lease_owner") == ("leased", 1, world.worker)
    assert world.events(following.chunk_id) == ["chunk.claimed"]
    world.store.chunks.renew(following, rows=1)
    assert world.claim().chunk.number == 2, "what goes with a commit is taken"
    assert world.store.trail.verify_chain(world.run) == []


def test_nobody_goes_on_unasked_and_nothing_follows_the_last(world: World) -> None:
    world.planned(2)
    lease = world.claim()
    assert committed(world, lease, None) is None
    assert committed(world, world.claim()) is None
    assert world.store.chunks.claim(world.worker, world.run) is None


def test_who_lost_the_lease_gets_no_other(world: World) -> None:
    world.planned(2)
    lease = world.claim()
    world.expire(lease)
    newer = world.claim()
    with pytest.raises(LeaseLost):
        world.store.chunks.commit(lease, receipt_of(lease), claim_next=ON)
    assert committed(world, newer) is not None, "the other chunk was still free"


def test_going_on_heeds_the_site_and_leaves_the_rest_to_a_claim(world: World) -> None:
    world.planned(1, key=world.key + "-a", site="a", stage_no=1)
    world.planned(1, key=world.key + "-b", site="b")
    world.planned(2, key=world.key + "-few", max_parallel=1)
    lease = world.claim(site="a")
    assert lease.job.pipeline_key.endswith("-a")
    assert committed(world, lease, ClaimRequest("a")) is None, "how many are at work is for a claim to count"
    assert world.claim(site="a").job.pipeline_key.endswith("-few")


def test_leases_that_ran_out_are_looked_for_all_the_same(world: World) -> None:
    world.planned(3)
    lost = world.claim()
    mine = world.claim()
    world.expire(lost)
    assert committed(world, mine) is None, "it is time for a closer look"
    assert world.claim().chunk_id == lost.chunk_id


@pytest.mark.slow
def test_many_who_go_on_never_get_one_chunk_twice(world: World) -> None:
    world.planned(24)
    taken: list[str] = []

    def work() -> None:
        worker = world.new_worker()
        lease: Lease | None = None
        while lease := lease or world.store.chunks.claim(worker, world.run, file_names=NAMES):
            taken.append(lease.chunk_id)
            lease = committed(world, lease)

    in_threads(4, work)
    assert len(taken) == len(set(taken)) == 24
    assert world.query(
        "SELECT COUNT(*) FROM hdm_artifact a JOIN hdm_chunk c ON c.chunk_id = a.chunk_id "
        "JOIN hdm_job j ON j.job_id = c.job_id WHERE j.pipeline_key = :key AND a.state = 'PUBLISHED'",
        key=world.key,
    ) == [(24,)]
    assert world.store.trail.verify_chain(world.run) == []


@pytest.mark.parametrize("with_a_commit", [False, True])
def test_what_is_announced_is_on_record_before_it_is_begun(world: World, with_a_commit: bool) -> None:
    world.planned(2)
    lease: Lease | None = world.claim(file_names=NAMES)
    assert lease is not None
    if with_a_commit:
        lease = committed(world, lease)
        assert lease is not None
    uri, kind = first_file_of(lease)
    assert files(world, lease) == [(uri, "TMP", 1)]
    world.store.files.begin(lease, uri, kind)
    assert files(world, lease) == [(uri, "TMP", 1)]
    committed(world, lease, None)
    assert files(world, lease) == [(uri, "PUBLISHED", 1)]


def test_a_dead_attempt_leaves_what_it_announced_to_be_found(world: World) -> None:
    world.planned(1)
    lease = world.claim(file_names=NAMES)
    assert stale(world, lease) == []
    world.expire(lease)
    assert [one["uri"] for one in stale(world, lease)] == [first_file_of(lease)[0]]


def test_what_was_never_begun_is_off_the_record_once_the_attempt_is_over(world: World) -> None:
    world.planned(3)
    done, failed, released = (world.claim(file_names=NAMES) for _ in range(3))
    assert all(files(world, one) for one in (done, failed, released))
    world.store.files.begin(done, "file:///other", "parquet")
    committed(world, done, None, "file:///other")
    world.store.chunks.fail(failed, ConnectionLost("away"), retry_in=0, phase="x")
    world.store.chunks.release(released)
    assert files(world, done) == [("file:///other", "PUBLISHED", 1)]
    assert files(world, failed) == files(world, released) == []


def test_what_was_begun_stays_on_record_when_the_attempt_fails(world: World) -> None:
    world.planned(1)
    lease = world.claim(file_names=NAMES)
    world.store.files.begin(lease, *first_file_of(lease))
    world.store.chunks.fail(lease, ConnectionLost("away"), retry_in=0, phase="x")
    assert [state for _, state, _ in files(world, lease)] == ["TMP"]


def test_a_file_that_is_known_already_is_not_taken_for_announced(world: World) -> None:
    """A sink whose names do not carry the attempt: the record of the last attempt is brought up to date."""
    world.planned(1)
    same = "file:///stage/same.parquet", "parquet"
    first = world.claim(file_names=NamesOfAll(*same))
    world.store.files.begin(first, *same)
    world.expire(first)
    again = world.claim(file_names=NamesOfAll(*same))
    assert files(world, again) == [(same[0], "TMP", 1)]
    world.store.files.begin(again, *same)
    assert files(world, again) == [(same[0], "TMP", 2)]


@pytest.mark.parametrize(
    ("uri", "kind"), [("", "csv"), ("x" * 1025, "csv"), ("x\0y", "csv"), ("\ud800", "csv"), ("x", "f" * 33)],
    ids=repr,
)  # fmt: skip
def test_a_file_that_cannot_be_recorded_is_not_announced(world: World, uri: str, kind: str) -> None:
    """It is a plugin's mistake, and its own attempt's: not that of the chunk that is committed."""
    world.planned(2)
    following = committed(world, world.claim(), ClaimRequest(file_names=NamesOfAll(uri, kind)))
    assert following is not None
    assert files(world, following) == []
    assert following.announced == set()


def test_files_are_named_by_pipeline_and_only_while_there_is_something_to_write(world: World) -> None:
    job = world.planned(2)
    names = {job.pipeline_key: NAMES.names}
    first = world.claim(file_names={"another": NAMES.names})
    assert files(world, first) == []
    second = world.claim(file_names=names)
    assert files(world, second) == [(first_file_of(second)[0], "TMP", 1)]
    world.store.chunks.wrote(first, receipt_of(first))
    world.expire(first)
    again = world.claim(file_names=names)
    assert (again.chunk_id, again.receipt is None) == (first.chunk_id, False)
    assert files(world, again) == [], "nothing is written any more"


def test_whatever_is_wrong_with_the_next_chunk_this_one_is_committed(world: World) -> None:
    world.planned(2)
    lease = world.claim()
    world.alter(
        "UPDATE hdm_chunk SET body = '{' WHERE job_id = :job AND status = 'pending'", job=lease.job.job_id
    )
    assert committed(world, lease) is None
    assert world.row(lease.chunk_id, "status") == ("verified",)
    with pytest.raises(ValueError, match="Expecting"):
        world.store.chunks.claim(world.worker, world.run)


@pytest.mark.parametrize("taken", [False, True])
def test_a_commit_whose_answer_was_lost_still_gives_the_next_lease(
    world: World, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    world.planned(3)
    lease = world.claim()
    database, turns = world.store._base.db, list[Any]()
    write = database._write

    def lossy(work: Any) -> Any:
        result = write(work)
        turns.append(result)
        if isinstance(result, Lease) and len(turns) == 2:  # the first was 'written'
            if taken:
                world.expire(result)
                world.claim()
            raise OperationalError("x", None, Exception("gone"), connection_invalidated=True)
        return result

    monkeypatch.setattr(database, "_write", lossy)
    following = committed(world, lease)
    if taken:
        assert following is None
    else:
        assert following is not None
        assert (following.chunk.number, world.claim().chunk.number) == (1, 2)
        world.store.files.begin(following, *first_file_of(following))
        assert [state for _, state, _ in files(world, following)] == ["TMP"]


def test_what_was_announced_long_ago_is_begun_by_asking(world: World) -> None:
    """The lease may have run out meanwhile, and clean-up have passed."""
    world.planned(1)
    young = world.claim(file_names=NAMES)
    lease = replace(young, since=young.since - 0.91 * young.ttl)
    world.expire(lease)
    (found,) = stale(world, lease)
    world.store.files.deleted(found["artifact_id"])
    world.store.chunks.renew(lease)
    world.store.files.begin(lease, *first_file_of(lease))
    assert [state for _, state, _ in files(world, lease)] == ["TMP"]


def test_who_lost_the_lease_long_ago_cannot_begin_what_was_announced(world: World) -> None:
    world.planned(1)
    young = world.claim(file_names=NAMES)
    lease = replace(young, since=young.since - young.ttl)
    world.expire(lease)
    world.claim()
    with pytest.raises(LeaseLost):
        world.store.files.begin(lease, *first_file_of(lease))
