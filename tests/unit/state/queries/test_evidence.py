"""What certificates, lineage of rows and OpenLineage are made of is read alike from every database."""

from __future__ import annotations

import pytest

from hdm.api.openlineage import events_of
from hdm.api.row_lineage import WAIVED, YES, find
from hdm.proof import statement
from tests.unit.state.conftest import World

FACTS = {
    "source": "a", "target": "b", "level": "rows", "equal": True, "key": ["id"], "source_rows": 20,
    "target_rows": 20, "missing": 0, "extra": 0, "different": 0, "within_tolerance": 0, "unsteady": False,
    "only_one_side": [], "notes": [], "totals_differ": {}, "causes": [], "by": "tester",
    "manifest_sha256": "0" * 64,
}  # fmt: skip


@pytest.mark.slow
def test_a_run_is_told_the_same_by_each_database(alone: World) -> None:
    world, store = alone, alone.store
    job = world.planned(3, losses=[("ssn", "cut to 4 characters")])
    for _ in range(2):
        world.finish(world.claim(), 10, target_rows=10)
    last = world.claim()
    store.chunks.fail(last, ValueError("wrong"), retry_in=None, phase="write")
    store.operators.waive(last.chunk_id, "A. Person", "known")
    assert store.jobs.close(job.job_id) == "success"
    began = store.reports.clock()
    assert store.trail.newest_jobs([world.key, "none"]) == {world.key: job.job_id}
    store.trail.record_comparison(job.job_id, {**FACTS, "began": began})
    store.runs.close(world.run, "success")
    assert store.trail.verify().breaks == []

    evidence = store.trail.evidence(world.run)
    statement.refuse(evidence)
    leaves = statement.leaves(evidence)
    said = statement.statement(evidence, leaves, {"name": "tester", "public_key": ""}, [])["predicate"]
    (table,) = said["tables"]
    assert (said["result"], table["loaded"], table["verified"]) == ("WARNED", 20, 2)
    assert table["comparison"]["equal"] is True
    assert said["says"] == [f"{world.key}.u: a part is missing, waived by A. Person: known"]
    assert table["losses"] == [["ssn", "cut to 4 characters"]]

    found = store.lineage.of_rows([f"{world.key}.u"])
    told = {key: [one.brought for one in find(found, {"id": key})] for key in ("0", "9", "10", "25", "30")}
    assert told == {"0": [YES], "9": [YES], "10": [YES], "25": [WAIVED], "30": []}

    ((run_id, upto),) = store.trail.untold({})
    kinds = [event["eventType"] for _, event in events_of(store.trail.told_of(run_id, upto))]
    assert kinds == ["START", "COMPLETE"]
    assert store.trail.untold({run_id: upto}) == []
    assert len(store.trail.identity()) == 64
