"""Plain SQLAlchemy as the oracle: by the fast way and by it, the same work leaves the same tables."""

from __future__ import annotations

import itertools
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hdm.errors import CheckFailed, ConnectionLost, LeaseLost, UsageError
from hdm.model import Chunk, Condition, FileNames, Receipt
from hdm.state import StateManager
from hdm.state.chunks.claims import ClaimRequest
from hdm.state.db import pg_pipeline, statements
from hdm.state.db.database import Database
from hdm.state.db.tables import metadata
from hdm.state.records import CheckResult
from tests.unit.state.conftest import BACKENDS, World, file_of, receipt_of
from tests.unit.state.jobs.test_jobs import followers

TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
SEAL = re.compile(r"\b[0-9a-f]{64}\b")
"""A digest of a whole row, in an event's payload: the row's times are part of it."""
OF_TIME = {"hdm_event": {"hash", "prev_hash"}, "hdm_chain_head": {"hash"}, "hdm_worker": {"clock_skew_ms"}}
"""Columns whose values follow from the time: the chain hashes over it, and how far two clocks are apart."""


@pytest.fixture(params=BACKENDS)
def two_urls(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """Two empty databases of one kind."""
    if request.param == "sqlite":
        return [f"sqlite:///{tmp_path}/{name}.db" for name in ("fast", "plain")]
    make = request.getfixturevalue(f"fresh_{request.param}")
    return [make().url for _ in range(2)]


def test_the_same_work_leaves_the_same_tables_both_ways(
    two_urls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    past_sqlalchemy = _counted(monkeypatch)
    fast = _tables_after(two_urls[0], "0", monkeypatch)
    assert past_sqlalchemy
    past_sqlalchemy.clear()
    plain = _tables_after(two_urls[1], "1", monkeypatch)
    assert past_sqlalchemy == []
    assert fast.keys() == plain.keys() == metadata.tables.keys()
    for name, rows in fast.items():
        assert rows == plain[name], name
    used = {name.removeprefix("hdm_") for name, rows in fast.items() if rows}
    assert used >= {
        "run", "job", "chunk", "worker", "event", "artifact", "watermark", "boundary", "dead_letter",
        "validation", "follow", "lease", "trail", "job_upstream",
    }  # fmt: skip


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what does not go through SQLAlchemy's own execution."""
    seen: list[str] = []
    by_driver, by_libpq = statements._driver, pg_pipeline.carry_out

    def driver(conn: Any) -> Any:
        seen.append("driver")
        return by_driver(conn)

    def carry_out(*args: Any, **options: Any) -> Any:
        seen.append("libpq")
        return by_libpq(*args, **options)

    monkeypatch.setattr(statements, "_driver", driver)
    monkeypatch.setattr(pg_pipeline, "carry_out", carry_out)
    return seen


def _tables_after(url: str, plain: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[Any, ...]]]:
    numbers = itertools.count(1)
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=next(numbers)))
    monkeypatch.setenv("HDM_STATE_PLAIN", plain)
    with StateManager.open(url) as store:
        _work(World(store, key="p"))
        assert store.trail.verify().breaks == []  # the chain and the seals are true to this way's own times
        return dict(store._base.db.read(lambda conn: list(_all_tables(conn))))


def _all_tables(conn: Any) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    for name, table in metadata.tables.items():
        kept = [column for column in table.columns if column.name not in OF_TIME.get(name, ())]
        rows = [
            tuple(_timeless(column.name, value) for column, value in zip(kept, row, strict=True))
            for row in conn.execute(select(*kept))
        ]
        yield name, sorted(rows, key=repr)


def _timeless(column: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return TIME.sub("TIME", SEAL.sub("SEAL", value) if column == "payload" else value)


def _work(world: World) -> None:
    """Do what workers, a planner and an operator do, with every way that a chunk can go."""
    store, other = world.store, world.new_worker()
    job = world.planned(8)
    follower = store.jobs.open(world.run, world.info("q", upstream_keys=("p",), stage_no=1))
    store.workers.heartbeat(other)

    def file(lease: Any) -> tuple[str, str]:
        return file_of(lease).uri, "parquet"

    names = {job.pipeline_key: FileNames("file:///stage/{chunk}.parquet", "parquet")}
    first = world.claim(file_names=names)
    store.files.begin(first, *file(first))
    store.chunks.renew(first, rows=5, bytes=50)
    store.chunks.record_checks(first, [CheckResult("NotNull", "id", "{}", "warn", None)])
    second = _commit(world, first, target_rows=10, claim_next=ClaimRequest(None, names))
    assert second is not None
    store.files.begin(second, *file(second))
    store.chunks.wrote(second, receipt_of(second))
    world.expire(second)
    third = world.claim(other)
    with pytest.raises(LeaseLost):
        store.chunks.commit(second, receipt_of(second))
    with pytest.raises(LeaseLost):
        store.files.begin(second, "file:///stage/late.parquet", "parquet")
    _commit(world, third, target_rows=None)
    for target_rows in (9, -1):
        _commit(world, world.claim(file_names=names), target_rows=target_rows)
    for _ in range(2):
        store.chunks.fail(world.claim(), CheckFailed("bad rows"), retry_in=None, phase="check")
    failing = world.claim(file_names=names)
    store.files.begin(failing, "file:///stage/another.parquet", "parquet")
    store.chunks.fail(failing, ConnectionLost("gone"), retry_in=0.0, phase="read")
    again = world.claim()
    store.files.begin(again, "file:///stage/another.parquet", "parquet")
    store.chunks.fail(again, ConnectionLost("gone"), retry_in=0.0, phase="read", counts=False)
    released = world.claim()
    store.chunks.release(released)
    _commit(world, world.claim(), target_rows=10)
    dead = store.operators.dead(run_id=world.run)
    store.operators.waive(dead[0]["chunk_id"], "somebody", "ticket 4711")
    assert store.operators.retry(chunk_id=dead[1]["chunk_id"], by="somebody") == 1
    while (lease := store.chunks.claim(world.worker, world.run)) is not None:
        _commit(world, lease, target_rows=10)
    for receipt in store.jobs.pending_receipts(follower):
        store.jobs.add_downstream_chunks(follower, receipt.chunk_id, followers(follower, receipt))
    while (lease := store.chunks.claim(other, world.run)) is not None:
        _commit(world, lease, target_rows=10)
    with store.jobs.finish_lease(job) as mine:
        assert mine
        store.jobs.close(job.job_id)
    later = store.jobs.open(world.run, world.info("r"))
    parts = [
        Chunk("r", later.info.source.dataset, 0, (Condition("id", "<", "50"),)),
        Chunk("r", later.info.source.dataset, 1, (Condition("id", "=", "50"),), boundary=True, upto="50"),
    ]
    store.jobs.plan(later, parts)
    world.finish(world.claim())
    world.finish(world.claim(), boundary_digests=("aa", "aa", "bb"))
    store.runs.close(world.run, "failure", "ValueError", "something")


def _commit(world: World, lease: Any, **how: Any) -> Any:
    receipt: Receipt = receipt_of(lease)
    world.store.chunks.wrote(lease, receipt)
    return world.store.chunks.commit(lease, receipt, **how)


def test_both_ways_work_on_one_run(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with StateManager.open(empty_url) as fast:
        world = World(fast)
        job = world.planned(4)
        first = world.claim()
        monkeypatch.setenv("HDM_STATE_PLAIN", "1")
        with StateManager.open(empty_url) as plain:
            world.store = plain
            second = world.claim()
            _commit(world, first, target_rows=10)
            world.store = fast
            _commit(world, second, target_rows=10)
            for store in (plain, fast):
                world.store = store
                _commit(world, world.claim(), target_rows=10)
            assert plain.jobs.settled(job)
            assert fast.jobs.settled(job)
            assert plain.trail.verify().breaks == fast.trail.verify().breaks == []


def test_the_switch_is_1_or_0(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HDM_STATE_PLAIN", "yes")
    with pytest.raises(UsageError, match="HDM_STATE_PLAIN is 'yes'") as wrong:
        Database(f"sqlite:///{tmp_path}/s.db")
    assert wrong.value.hint is not None
    assert "write 1" in wrong.value.hint
