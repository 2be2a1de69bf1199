"""An old ``state_manager`` table becomes history in the new database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from hdm.errors import UsageError
from hdm.state.db.legacy_view import COLUMNS
from tests.unit.state.conftest import World


def old_row(number: int, **changes: object) -> tuple[object, ...]:
    values: dict[str, object] = dict.fromkeys(COLUMNS)
    values |= {
        "state_id": f"s{number}",
        "run_id": "old-run",
        "job_id": "old-job",
        "correlation_id_in": "c-in",
        "correlation_id_out": f"c-out-{number}",
        "action": "sinking post-push",
        "status": "success",
        "source_name": "netezza",
        "source_type": "NetezzaSource",
        "sink_name": "fs",
        "sink_type": "FSSink",
        "source_entity": "ADMIN.TEST1",
        "sink_entity": "/stage/test1",
        "first_record_pulled": "id:1,ssn:123-45-6789",
        "sourcing_start_time": "2021-03-01 10:00:00.000001",
        "sinking_end_time": "2021-03-01 10:00:05",
        "created_on": "2021-03-01 10:00:00",
        "updated_on": "2021-03-01 10:00:05",
        "row_count": 250,
        "manifest_name": "old.yml",
    }
    return tuple({**values, **changes}.values())


@pytest.fixture
def old(tmp_path: Path) -> str:
    path = tmp_path / "old.db"
    conn = sqlite3.connect(path)
    conn.execute(f"CREATE TABLE state_manager ({', '.join(COLUMNS)})")
    marks = ", ".join("?" * len(COLUMNS))
    rows = [
        old_row(1),
        old_row(2, sinking_end_time=None, sourcing_end_time="2021-03-01 10:00:03", row_count=None),
        old_row(3, sinking_end_time=None, status="failure"),
        old_row(4, run_id="other-run", manifest_name="other.yml"),
    ]
    conn.executemany(f"INSERT INTO state_manager VALUES ({marks})", rows)
    conn.commit()
    conn.close()
    return f"sqlite:///{path}"


@pytest.mark.slow
def test_only_what_was_loaded_counts_as_success(alone: World, old: str) -> None:
    assert alone.store.import_legacy(old) == {"read": 4, "imported": 4, "success": 2}
    rows = alone.query(
        "SELECT correlation_id_out, status, action, row_count, source_name, source_entity, manifest_name, "
        "sourcing_start_time, first_record_pulled FROM state_manager "
        "ORDER BY manifest_name, correlation_id_out"
    )
    entity = ("netezza", "ADMIN.TEST1", "old.yml", "2021-03-01T10:00:00.000001Z", None)
    assert rows[:3] == [
        ("c-out-1", "success", "sinking post-push", 250, *entity),
        ("c-out-2", "failure", "sourcing post-pull", None, *entity),
        ("c-out-3", "failure", "sourcing pre-pull", 250, *entity),
    ]
    assert rows[3][0] == "c-out-4"
    letters = alone.query("SELECT state, resolved_by FROM hdm_dead_letter")
    assert letters == [("waived", "hdm state import")] * 2
    everything = alone.query("SELECT * FROM hdm_chunk")
    assert "123-45-6789" not in str(everything)


@pytest.mark.slow
def test_importing_again_adds_nothing(alone: World, old: str) -> None:
    alone.store.import_legacy(old)
    assert alone.store.import_legacy(old) == {"read": 4, "imported": 0, "success": 0}
    assert alone.query("SELECT COUNT(*) FROM hdm_chunk WHERE generation = 0") == [(4,)]
    runs = alone.query("SELECT run_id, status FROM hdm_run WHERE started_by = 'hdm state import'")
    assert sorted(row[1] for row in runs) == ["failure", "success"]
    assert alone.store.trail.verify().breaks == []


@pytest.mark.slow
def test_history_is_never_claimed_or_retried(alone: World, old: str) -> None:
    alone.store.import_legacy(old)
    assert alone.store.chunks.claim(alone.worker, alone.run) is None
    assert alone.store.operators.retry() == 0
    assert alone.store.operators.dead() == []


@pytest.mark.slow
def test_an_old_table_in_the_way_of_the_view_is_left(tmp_path: Path, old: str) -> None:
    from hdm.state import StateManager

    with StateManager.open(old) as store:
        assert store.import_legacy(old)["imported"] == 4
        assert World(store).query("SELECT COUNT(*) FROM state_manager") == [(4,)]


@pytest.mark.slow
def test_a_database_without_the_table_is_refused(alone: World, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no table state_manager") as wrong:
        alone.store.import_legacy(f"sqlite:///{tmp_path}/none.db")
    assert wrong.value.exit_code == 2
    assert wrong.value.hint == "name the database in which the old state manager kept its state_manager"
