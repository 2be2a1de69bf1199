"""The auditor's twelve questions, as they stand in docs/reference/audit.sql, on real databases."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from hdm.model import Chunk
from tests.unit.state.conftest import World

SQL = Path(__file__).parents[4] / "docs" / "reference" / "audit.sql"
QUESTIONS = {
    int(number): statement.strip().rstrip(";")
    for number, statement in re.findall(r"^-- Q(\d+) [^\n]*\n([^\n]*;)$", SQL.read_text(), re.M)
}


def ask(world: World, number: int, **named: str) -> list[dict[str, Any]]:
    statement = QUESTIONS[number]
    for name, value in named.items():
        statement = statement.replace(f"<{name}>", value)
    return world.store._base.db.read(
        lambda conn: [dict(row) for row in conn.execute(text(statement.replace(":", "\\:"))).mappings()]
    )


def test_there_are_twelve_single_statements() -> None:
    assert sorted(QUESTIONS) == list(range(1, 13))
    for statement in QUESTIONS.values():
        assert ";" not in statement


@pytest.mark.slow
def test_all_twelve(alone: World) -> None:
    """One story: a chain of two jobs, a fenced zombie, a dead chunk waived, a lossy column."""
    world, store = alone, alone.store
    above = world.planned(3, losses=[("ssn", "cut to 4 characters")])
    below = store.jobs.open(
        world.run,
        world.info(
            world.key + "-b",
            stage_no=1,
            upstream_keys=(world.key,),
            source=above.info.target,
            target=_named(world, "final"),
        ),
    )
    store.jobs.plan(below, [])
    zombie = world.claim()
    world.expire(zombie)
    first = world.claim(world.new_worker())
    receipt = world.finish(first, 10, target_rows=10, extracted=12, filtered=2)
    with pytest.raises(Exception, match="lost"):
        world.finish(zombie)
    second = world.claim()
    world.finish(second)
    third = world.claim()
    held = ask(world, 5)
    assert [(row["chunk_id"], row["status"], row["lease_owner"], row["worker_state"]) for row in held] == [
        (third.chunk_id, "leased", world.worker, "alive")
    ]
    store.chunks.fail(third, ValueError("bad"), retry_in=None, phase="write")
    assert ask(world, 8)[0]["state"] == "open"
    store.operators.waive(third.chunk_id, "ann", "test data")
    part = Chunk(
        below.pipeline_key, below.info.source.dataset, 0, files=receipt.files, upstream=receipt.chunk_id
    )
    store.jobs.add_downstream_chunks(below, receipt.chunk_id, [part])
    last = world.claim()
    world.finish(last)
    store.jobs.close(above.job_id)
    store.jobs.add_downstream_chunks(below, second.chunk_id, [])
    store.jobs.close(below.job_id)
    store.runs.close(world.run, "success")
    store.trail.anchor_run(world.run, "file:///anchors")

    (run,) = ask(world, 1)
    assert (run["run_id"], run["started_by"], run["git_sha"], run["status"]) == (
        world.run,
        "tester",
        "a" * 40,
        "success",
    )
    assert ask(world, 2) == []
    (origin,) = ask(world, 3, chunk=last.chunk_id)
    assert (origin["uri"], origin["sha256"], origin["lease_owner"]) == (
        receipt.files[0].uri,
        "f" * 64,
        world.worker,
    )
    (direct,) = ask(world, 3, chunk=first.chunk_id)
    assert direct["source_filter"] == "id >= 0 AND id < 10"
    reached = ask(world, 4, table=f"{world.key}.t")
    assert [(row["name"], row["hops"]) for row in reached] == [
        (f"{world.key}.t", 0),
        (f"{world.key}.u", 1),
        (f"{world.key}.final", 2),
    ]
    assert ask(world, 5) == []
    assert ask(world, 6) == []
    (fenced,) = ask(world, 7)
    assert (fenced["chunk_id"], int(fenced["holders"]), int(fenced["fenced"]), int(fenced["committers"])) == (
        first.chunk_id,
        2,
        1,
        1,
    )
    (waived,) = ask(world, 8)
    assert (waived["row_no"], waived["state"], waived["resolved_by"], waived["reason"]) == (
        -1,
        "waived",
        "ann",
        "test data",
    )
    assert [row["job_id"] for row in ask(world, 9)] == [below.job_id]
    versions = ask(world, 10)
    assert {(row["name"], row["version"], int(row["jobs"])) for row in versions} >= {(f"{world.key}.t", 1, 1)}
    assert ask(world, 11) == []
    (column,) = ask(world, 12, table=f"{world.key}.t", column="ssn")
    assert (column["sink_column"], column["lossy"], column["transform_subtype"]) == (
        "ssn",
        1,
        "TRANSFORMATION",
    )


def _named(world: World, name: str) -> Any:
    from tests.unit.state.conftest import table

    return table(f"{world.key}.{name}", "end", None)


def _finished(world: World) -> str:
    world.planned(2)
    for _ in range(2):
        world.finish(world.claim())
    return world.store.runs.jobs(world.run)[0].job_id


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE hdm_chunk SET rows_loaded = rows_loaded - 1 WHERE chunk_no = 1",
        "UPDATE hdm_chunk SET rows_loaded = NULL WHERE chunk_no = 1",
        "UPDATE hdm_chunk SET rows_filtered = 3 WHERE chunk_no = 1",
    ],
)
@pytest.mark.slow
def test_q2_finds_rows_that_are_not_accounted_for(alone: World, damage: str) -> None:
    job_id = _finished(alone)
    assert ask(alone, 2) == []
    assert alone.alter(damage) == 1
    assert [row["job_id"] for row in ask(alone, 2)] == [job_id]


@pytest.mark.parametrize("status", ["pending", "leased", "written", "dead"])
@pytest.mark.slow
def test_q6_finds_a_watermark_ahead_of_its_data(alone: World, status: str) -> None:
    _finished(alone)
    assert ask(alone, 6) == []
    assert alone.alter("UPDATE hdm_chunk SET status = :s WHERE chunk_no = 0", s=status) == 1
    assert {row["chunk_no"] for row in ask(alone, 6)} == {0}


BREAKS = {
    "edited": "UPDATE hdm_event SET payload = '{}' WHERE seq = 3",
    "retyped": "UPDATE hdm_event SET event_type = 'x' WHERE seq = 3",
    "deleted in the middle": "DELETE FROM hdm_event WHERE seq = 3",
    "deleted at the end": "DELETE FROM hdm_event WHERE seq = 12",
    "relinked": "UPDATE hdm_event SET prev_hash = '0' WHERE seq = 3",
    "head set back": "UPDATE hdm_chain_head SET seq = 11",
    "head replaced": "UPDATE hdm_chain_head SET hash = '0'",
    "anchor differs": "UPDATE hdm_anchor SET hash = '0'",
    "anchor beyond": "UPDATE hdm_anchor SET seq = 99",
}


@pytest.mark.parametrize("damage", BREAKS)
@pytest.mark.slow
def test_a_changed_trail_is_found(alone: World, damage: str) -> None:
    _finished(alone)
    store = alone.store
    seq, _ = store.trail.anchor_run(alone.run, "file:///anchors")
    assert seq == 12 == len(store.runs.events(alone.run))
    assert ask(alone, 11) == []
    assert store.trail.verify_chain(alone.run) == []
    assert alone.alter(BREAKS[damage]) == 1
    assert store.trail.verify_chain(alone.run)
    if damage not in ("edited", "retyped"):
        assert [row["run_id"] for row in ask(alone, 11)] == [alone.run]


@pytest.mark.slow
def test_an_unknown_run_has_no_chain(alone: World) -> None:
    assert alone.store.trail.verify_chain("nobody") == ["run nobody has no chain head"]


@pytest.mark.slow
def test_a_truncated_chain_with_a_corrected_head_is_found_by_its_anchor(alone: World) -> None:
    _finished(alone)
    alone.store.trail.anchor_run(alone.run, "file:///anchors")
    alone.alter("DELETE FROM hdm_event WHERE seq = 12")
    alone.alter("UPDATE hdm_chain_head SET seq = 11, hash = (SELECT hash FROM hdm_event WHERE seq = 11)")
    assert alone.store.trail.verify_chain(alone.run) == ["anchor 12: beyond the end of the chain"]
    assert [row["run_id"] for row in ask(alone, 11)] == [alone.run]


@pytest.mark.slow
def test_the_view_speaks_the_originals_language(alone: World) -> None:
    world = alone
    world.planned(4)
    dead, done, written, open_ = (world.claim() for _ in range(4))
    world.store.chunks.fail(dead, ValueError("x"), retry_in=None, phase="read")
    world.finish(done)
    from tests.unit.state.conftest import receipt_of

    world.store.chunks.wrote(written, receipt_of(written))
    rows = world.query(
        "SELECT state_id, action, status, row_count, source_entity, manifest_name, first_record_pulled "
        "FROM state_manager"
    )
    found = {row[0]: row[1:] for row in rows}
    entity = f"{world.key}.t"
    assert found == {
        dead.chunk_id: ("sourcing pre-pull", "failure", None, entity, world.key, "0"),
        done.chunk_id: ("sinking post-push", "success", 10, entity, world.key, "10"),
        written.chunk_id: ("sinking pre-push", "in_progress", 10, entity, world.key, "20"),
        open_.chunk_id: ("sourcing pre-pull", "in_progress", None, entity, world.key, "30"),
    }


@pytest.mark.slow
def test_a_job_that_loaded_nothing_needs_no_validation(alone: World) -> None:
    job = alone.planned(0)
    assert alone.store.jobs.close(job.job_id) == "success"
    assert ask(alone, 9) == []
