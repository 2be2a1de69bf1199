"""Runs and workers: who took over from whom."""

from __future__ import annotations

import pytest

from hdm.errors import LeaseLost, StateError
from hdm.state import StateManager
from tests.unit.state.conftest import World, receipt_of, run_info


def test_a_run_whose_workers_are_gone_is_aborted_by_the_next(world: World) -> None:
    world.store.workers.take_over([world.worker])
    later = World(world.store, world.key)
    assert world.query("SELECT status FROM hdm_run WHERE run_id = :r", r=world.run) == [("aborted",)]
    assert world.query("SELECT resumed_from FROM hdm_run WHERE run_id = :r", r=later.run) == [(world.run,)]
    assert world.store.runs.latest(world.key, "test") == later.run
    assert world.store.runs.latest(world.key, "other") is None
    assert world.events()[-1] == "run.aborted"


def test_a_run_with_a_live_worker_goes_on_beside_the_next(world: World) -> None:
    later = World(world.store, world.key)
    assert world.query("SELECT status FROM hdm_run WHERE run_id = :r", r=world.run) == [("in_progress",)]
    assert world.query("SELECT resumed_from FROM hdm_run WHERE run_id = :r", r=later.run) == [(None,)]


def test_a_silent_worker_counts_as_gone(world: World) -> None:
    world.alter(
        "UPDATE hdm_worker SET heartbeat_at = '2000-01-01T00:00:00.000000Z' WHERE worker_id = :w",
        w=world.worker,
    )
    World(world.store, world.key)
    assert world.query("SELECT status FROM hdm_run WHERE run_id = :r", r=world.run) == [("aborted",)]


def test_a_run_is_closed_with_its_error_masked(world: World) -> None:
    world.store.runs.close(world.run, "failure", "StateError", "cannot reach postgres://u:pw@h/x")
    row = world.store.runs.row(world.run)
    assert row is not None
    assert (row["status"], row["error_class"], row["error_msg"]) == (
        "failure",
        "StateError",
        "cannot reach postgres://u:***@h/x",
    )
    assert row["ended_at"] >= row["started_at"]
    assert world.store.runs.row("nobody") is None


def test_heartbeats_are_of_the_databases_clock(world: World) -> None:
    before = world.query("SELECT heartbeat_at FROM hdm_worker WHERE worker_id = :w", w=world.worker)[0][0]
    world.store.workers.heartbeat(world.worker)
    after = world.query("SELECT heartbeat_at FROM hdm_worker WHERE worker_id = :w", w=world.worker)[0][0]
    assert after > before
    assert len(after) == len("2026-01-01T00:00:00.000000Z")
    assert after.endswith("Z")


def test_taking_over_ends_the_leases_of_the_dead_at_once(world: World) -> None:
    job = world.planned(2)
    dead = world.new_worker()
    first, second = world.claim(dead), world.claim(dead)
    world.store.chunks.wrote(second, receipt_of(second))
    assert world.store.chunks.claim(world.worker, world.run) is None
    assert world.store.workers.take_over([]) == 0
    assert world.store.workers.take_over([dead, "unknown"]) == 2
    assert world.events(first.chunk_id)[-1] == "lease.taken_over"
    again = [world.claim(), world.claim()]
    assert [one.attempt for one in again] == [2, 2]
    assert [one.receipt is None for one in again] == [True, False]
    with pytest.raises(LeaseLost):
        world.store.chunks.commit(first, receipt_of(first))
    assert world.store.jobs.counts(job.job_id) == {"leased": 1, "written": 1}


def test_taking_over_frees_the_planners_lease(world: World) -> None:
    job = world.store.jobs.open(world.run, world.info())
    planner = world.new_worker()
    with world.store.jobs.plan_lease(job) as mine:
        assert mine
        world.store.workers.take_over([planner])
        with world.store.jobs.plan_lease(job) as theirs:
            assert theirs


def test_only_live_workers_of_the_host_are_listed(world: World) -> None:
    host = world.key
    ids = [world.store.workers.register(world.run, host, pid, f"t{pid}", "0.1") for pid in (1, 2, 3)]
    world.store.workers.retire(ids[0])
    world.store.workers.take_over([ids[1]])
    assert world.store.workers.on(host) == [(ids[2], 3, "t3", "alive")]
    world.store.workers.heartbeat(ids[1])
    world.store.workers.heartbeat(ids[0])
    assert {row[0] for row in world.store.workers.on(host)} == {ids[1], ids[2]}
    assert world.store.workers.on("elsewhere") == []
    assert {row["worker_id"] for row in world.store.workers.of_run(world.run)} == {world.worker, *ids}


def test_an_unknown_run_is_refused(world: World) -> None:
    with pytest.raises(StateError, match="not in the state database"):
        world.store.workers.register("nobody", "h", 1, "t", "0")


def test_status_and_lineage_are_plain_rows(world: World) -> None:
    job = world.planned(3)
    lease = world.claim()
    world.finish(lease)
    world.store.chunks.renew(world.claim(), rows=4, bytes=40)
    row = world.store.runs.status(world.run)[0]
    assert (row["job_id"], row["chunks"], row["pending"], row["held"], row["done"], row["dead"]) == (
        job.job_id,
        3,
        1,
        1,
        1,
        0,
    )
    assert (row["rows"], row["bytes"], row["moving_rows"], row["moving_bytes"]) == (10, 100, 4, 40)
    out = world.store.lineage.of_table(f"{world.key}.t")
    assert [(r["hops"], r["from_name"], r["to_name"], r["chunks"], r["rows"]) for r in out] == [
        (1, f"{world.key}.t", f"{world.key}.u", 1, 10)
    ]
    back = world.store.lineage.of_table(f"{world.key}.u")
    assert [(r["hops"], r["from_name"]) for r in back] == [(-1, f"{world.key}.t")]
    assert world.store.lineage.of_table("nothing") == []
    columns = world.store.lineage.of_columns(f"{world.key}.t")
    assert [(c["source_column"], c["sink_column"], c["lossy"]) for c in columns] == [
        ("id", "id", 0),
        ("ssn", "ssn", 0),
    ]
    assert [c["chunk_id"] for c in world.store.lineage.of_chunk(lease.chunk_id)] == [lease.chunk_id]


def test_the_failpoints_of_a_run_are_passed(
    world: World, shared_store: StateManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hdm import failpoints

    passed: list[str] = []
    monkeypatch.setattr(failpoints, "point", passed.append)
    shared_store.runs.open(run_info(world.key + "x"))
    world.planned(1)
    lease = world.claim()
    world.store.chunks.renew(lease)
    world.store.workers.take_over([world.worker])
    lease = world.claim()
    world.store.chunks.commit(lease, receipt_of(lease))
    other = world.planned(1, key=world.key + "-2")
    lease = world.claim()
    world.expire(lease)
    assert world.store.chunks.import_committed(other, lease.chunk, receipt_of(lease))
    for name in ("R1", "R2", "R4", "H1", "H2", "A1", "L7", "L8", "Z1"):
        assert name in passed
