"""Every way a chunk can go, and that a stale attempt can go none of them."""

from __future__ import annotations

import json

import pytest

from hdm.errors import BrokenContract, CheckFailed, IllegalTransition, LeaseLost
from hdm.state import Lease
from tests.unit.state.conftest import World, receipt_of


def status(world: World, lease: Lease) -> str:
    return str(world.row(lease.chunk_id, "status")[0])


@pytest.mark.slow
def test_the_straight_way(world: World) -> None:
    job = world.planned(1)
    lease = world.claim()
    assert (lease.attempt, lease.job.job_id, lease.chunk, lease.receipt) == (
        1,
        job.job_id,
        world.chunks(job, 1)[0],
        None,
    )
    assert status(world, lease) == "leased"
    world.store.chunks.renew(lease, rows=5, bytes=50)
    assert world.row(lease.chunk_id, "progress_rows", "progress_bytes") == (5, 50)
    receipt = receipt_of(lease)
    world.store.chunks.wrote(lease, receipt)
    assert status(world, lease) == "written"
    world.store.chunks.commit(lease, receipt, target_rows=10)
    assert status(world, lease) == "verified"
    assert world.events(lease.chunk_id) == [
        "chunk.claimed",
        "chunk.written",
        "chunk.committed",
        "chunk.verified",
    ]
    assert world.row(lease.chunk_id, "rows_extracted", "rows_loaded", "bytes", "lease_owner") == (
        10,
        10,
        100,
        world.worker,
    )
    assert world.store.chunks.claim(world.worker, world.run) is None
    assert world.store.jobs.settled(job)
    assert world.store.jobs.close(job.job_id) == "success"
    closed = world.store.jobs.last_closed(job.pipeline_key)
    assert closed is not None
    assert closed.job_id == job.job_id


def test_a_chunk_may_be_committed_without_having_been_written(world: World) -> None:
    """The target held it already."""
    world.planned(1)
    lease = world.claim()
    world.store.chunks.commit(lease, receipt_of(lease, adopted=True))
    assert status(world, lease) == "committed"


def test_commit_and_wrote_may_be_repeated_by_the_same_attempt(world: World) -> None:
    world.planned(1)
    lease = world.claim()
    receipt = receipt_of(lease)
    world.store.chunks.wrote(lease, receipt)
    world.store.chunks.wrote(lease, receipt)
    world.store.chunks.commit(lease, receipt, target_rows=10)
    world.store.chunks.commit(lease, receipt, target_rows=10)
    assert world.events(lease.chunk_id).count("chunk.committed") == 1
    assert world.events(lease.chunk_id).count("chunk.verified") == 1


def test_a_written_chunk_is_claimed_with_its_receipt(world: World) -> None:
    world.planned(1)
    first = world.claim()
    receipt = receipt_of(first)
    world.store.chunks.wrote(first, receipt)
    world.expire(first)
    second = world.claim()
    assert (second.attempt, second.receipt) == (2, receipt)
    assert status(world, second) == "written"
    world.store.chunks.commit(second, receipt)
    assert status(world, second) == "committed"


@pytest.mark.parametrize(
    "change",
    ["renew", "begin_artifact", "wrote", "commit", "fail", "bury", "release"],
)
@pytest.mark.parametrize("by", ["another worker", "the same worker"])
def test_a_stale_attempt_is_refused_and_changes_nothing(world: World, change: str, by: str) -> None:
    world.planned(1)
    stale = world.claim()
    world.expire(stale)
    live = world.claim(world.worker if by == "the same worker" else world.new_worker())
    before = world.row(live.chunk_id, "status", "attempt", "lease_owner", "receipt", "lease_expires_at")
    store, receipt = world.store, receipt_of(stale)
    tries = {
        "renew": lambda: store.chunks.renew(stale),
        "begin_artifact": lambda: store.files.begin(stale, "file:///x", "parquet"),
        "wrote": lambda: store.chunks.wrote(stale, receipt),
        "commit": lambda: store.chunks.commit(stale, receipt),
        "fail": lambda: store.chunks.fail(stale, ValueError("x"), retry_in=1, phase="read"),
        "bury": lambda: store.chunks.fail(stale, ValueError("x"), retry_in=None, phase="read"),
        "release": lambda: store.chunks.release(stale),
    }
    with pytest.raises(LeaseLost):
        tries[change]()
    assert (
        world.row(live.chunk_id, "status", "attempt", "lease_owner", "receipt", "lease_expires_at") == before
    )
    assert world.query("SELECT COUNT(*) FROM hdm_artifact WHERE chunk_id = :c", c=live.chunk_id) == [(0,)]
    assert world.query("SELECT COUNT(*) FROM hdm_dead_letter WHERE chunk_id = :c", c=live.chunk_id) == [(0,)]
    if change not in ("renew", "begin_artifact"):
        assert world.events(live.chunk_id)[-1] == "lease.lost"
    world.finish(live)
    with pytest.raises(LeaseLost):
        tries[change]()
    assert status(world, live) == "committed"


def test_the_same_attempt_of_another_worker_is_refused(world: World) -> None:
    world.planned(1)
    lease = world.claim()
    world.alter("UPDATE hdm_chunk SET lease_owner = 'other' WHERE chunk_id = :id", id=lease.chunk_id)
    with pytest.raises(LeaseLost):
        world.store.chunks.wrote(lease, receipt_of(lease))
    with pytest.raises(LeaseLost):
        world.store.chunks.renew(lease)


def test_failing_puts_the_chunk_off_and_its_attempt_grows(world: World) -> None:
    world.planned(1)
    first = world.claim()
    world.store.chunks.fail(first, ValueError("boom"), retry_in=60, phase="read")
    assert world.row(first.chunk_id, "status", "error_class") == ("pending", "ValueError")
    assert world.store.chunks.claim(world.worker, world.run) is None
    world.alter(
        "UPDATE hdm_chunk SET not_before = '2000-01-01T00:00:00.000000Z' WHERE chunk_id = :i",
        i=first.chunk_id,
    )
    assert world.claim().attempt == 2


def test_failing_to_publish_keeps_the_receipt(world: World) -> None:
    world.planned(1)
    first = world.claim()
    receipt = receipt_of(first)
    world.store.chunks.wrote(first, receipt)
    world.store.chunks.fail(first, ValueError("boom"), retry_in=60, phase="publish")
    assert status(world, first) == "written"
    assert world.store.chunks.claim(world.worker, world.run) is None
    world.expire(first)
    assert world.claim().receipt == receipt


def test_a_buried_chunk_leaves_its_context_without_secrets_or_rows(world: World) -> None:
    job = world.planned(2)
    lease = world.claim()
    try:
        try:
            raise ValueError("invalid input 'secret-row-value'\nDETAIL: Key (email)=(x@y.z)")
        except ValueError as cause:
            raise CheckFailed("url postgresql://u:hunter2@h/db password=hunter3", hint="look") from cause
    except CheckFailed as error:
        world.store.chunks.fail(lease, error, retry_in=None, phase="write")
    assert status(world, lease) == "dead"
    letter = world.store.operators.dead(job_id=job.job_id)[0]
    context = json.loads(letter["context"])
    assert (context["phase"], context["attempt"], context["hint"]) == ("write", 1, "look")
    assert context["errors"] == ["hdm.errors.CheckFailed", "builtins.ValueError"]
    everything = (
        str(letter) + str(world.store.runs.events(world.run)) + str(world.row(lease.chunk_id, "error_msg"))
    )
    assert "hunter" not in everything
    assert "secret-row-value" not in everything
    world.finish(world.claim())
    assert world.store.jobs.settled(job)
    assert world.store.jobs.close(job.job_id) == "failure"
    assert world.store.jobs.last_closed(job.pipeline_key) is None


def test_a_foreign_errors_values_stay_out(world: World) -> None:
    world.planned(1)
    lease = world.claim()
    error = ValueError("duplicate key 'alice@example.org' Key (ssn)=(123-45-6789)\nDETAIL: row 7")
    world.store.chunks.fail(lease, error, retry_in=None, phase="write")
    stored = str(world.row(lease.chunk_id, "error_msg")) + str(world.store.operators.dead(run_id=world.run))
    assert "duplicate key" in stored
    for value in ("alice", "123-45", "row 7"):
        assert value not in stored


def test_releasing_hands_back_at_once(world: World) -> None:
    world.planned(1)
    first = world.claim()
    world.store.chunks.release(first)
    assert status(world, first) == "pending"
    second = world.claim()
    world.store.chunks.wrote(second, receipt_of(second))
    world.store.chunks.release(second)
    assert status(world, second) == "written"
    assert world.claim().attempt == 3


@pytest.mark.parametrize("counts", [{"extracted": 11}, {"extracted": 9}, {"extracted": 10, "filtered": 2}])
def test_a_receipt_that_does_not_add_up_is_refused(world: World, counts: dict[str, int]) -> None:
    world.planned(1)
    lease = world.claim()
    for change in (world.store.chunks.wrote, world.store.chunks.commit):
        with pytest.raises(BrokenContract):
            change(lease, receipt_of(lease, **counts))
    assert status(world, lease) == "leased"
    world.finish(lease, extracted=12, filtered=2)


def test_a_receipt_of_another_chunk_is_refused(world: World) -> None:
    world.planned(2)
    one, two = world.claim(), world.claim()
    with pytest.raises(BrokenContract):
        world.store.chunks.commit(one, receipt_of(two))


def test_a_failed_comparison_is_on_record_and_the_chunk_stays_committed(world: World) -> None:
    job = world.planned(1)
    lease = world.claim()
    world.store.chunks.commit(lease, receipt_of(lease), target_rows=9)
    assert status(world, lease) == "committed"
    assert world.store.jobs.failed_checks(job.job_id) == 1
    assert world.query(
        "SELECT source_value, target_value, status FROM hdm_validation WHERE job_id = :j", j=job.job_id
    ) == [("10", "9", "fail")]


def test_what_the_protocol_does_not_know_is_refused(world: World) -> None:
    job = world.planned(1)
    lease = world.claim()
    with pytest.raises(IllegalTransition):
        world.store.jobs.close(job.job_id)
    with pytest.raises(IllegalTransition):
        world.store.operators.waive(lease.chunk_id, "me", "because")
    world.finish(lease)
    with pytest.raises(IllegalTransition):
        world.store.chunks.release(lease)
    with pytest.raises(IllegalTransition):
        world.store.chunks.fail(lease, ValueError(), retry_in=1, phase="x")


def test_retry_revives_the_dead_and_waive_accepts_them(world: World) -> None:
    job = world.planned(3)
    for _ in range(3):
        world.store.chunks.fail(world.claim(), ValueError("x"), retry_in=None, phase="read")
    assert world.store.jobs.close(job.job_id) == "failure"
    first, _, third = world.store.operators.dead(job_id=job.job_id)
    assert world.store.operators.retry(chunk_id=first["chunk_id"], by="ann") == 1
    world.store.operators.waive(third["chunk_id"], "bob", "not needed, password=x")
    assert world.store.jobs.counts(job.job_id) == {"pending": 1, "dead": 1, "waived": 1}
    letters = world.query(
        "SELECT d.state, d.resolved_by, d.reason FROM hdm_dead_letter d JOIN hdm_chunk c "
        "ON c.chunk_id = d.chunk_id WHERE c.job_id = :j ORDER BY c.chunk_no",
        j=job.job_id,
    )
    assert letters == [
        ("replayed", "ann", None),
        ("open", None, None),
        ("waived", "bob", "not needed, password=***"),
    ]
    lease = world.claim()
    assert lease.attempt == 2
    world.store.chunks.fail(lease, ValueError("again"), retry_in=None, phase="read")
    assert {row["error_msg"] for row in world.store.operators.dead(job_id=job.job_id)} == {"again", "x"}
    assert world.store.operators.retry(run_id=world.run) == 2
    for _ in range(2):
        world.finish(world.claim())
    assert world.store.jobs.close(job.job_id) == "success"
    assert world.store.operators.retry(job_id=job.job_id) == 0


def test_superseded_chunks_make_way(world: World) -> None:
    job = world.planned(2)
    held = world.claim()
    old = world.chunks(job, 2)
    new = world.chunks(job, 2, start=10, generation=1)
    with pytest.raises(IllegalTransition):
        world.store.chunks.supersede(job, [held.chunk_id], new)
    assert world.store.jobs.counts(job.job_id) == {"leased": 1, "pending": 1}
    world.store.chunks.supersede(job, [old[1].chunk_id], new)
    assert world.store.jobs.counts(job.job_id) == {"leased": 1, "superseded": 1, "pending": 2}
    world.finish(held)
    for _ in range(2):
        world.finish(world.claim())
    assert world.store.jobs.close(job.job_id) == "success"
