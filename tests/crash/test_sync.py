"""SIGKILL at every step of a sync: the same call then makes the tables equal, and nothing is doubled."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.crash.conftest import Fresh
from tests.crash.harness import KILLED, Hdm
from tests.flows.kit import ROOT

ROWS = [(n, f"name {n}", n * 10) for n in range(40)]
OTHER = [(n, f"name {n}" if n % 3 else "other", n * 10) for n in range(5, 45)]
EVERY = [f"Y{point}:{nth}" for nth in (1, 2, 3) for point in (1, 2, 3, 4)] + ["Y5:1"]
SOME = {"sqlite": ("Y4:1",), "postgres": ("Y3:2",), "mariadb": ("Y3:3",), "duckdb": ()}
"""The kills of the ordinary run; a call makes deletes, changes and inserts, each one transaction."""
CASES = [
    pytest.param(target, spec, marks=() if spec in SOME[target] else (pytest.mark.long,))
    for target in SOME
    for spec in EVERY
]


def filled(folder: Path, target: Any) -> dict[str, Any]:
    """Two tables without a primary key, so that nothing but hdm keeps a row from being doubled."""
    source = folder / "source.db"
    with contextlib.closing(sqlite3.connect(source)) as connection, connection:
        connection.execute("CREATE TABLE t (id INTEGER, name VARCHAR(40), cents INTEGER)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", ROWS)
    from hdm.components import registry

    cls = registry.find("sink", target.sink)
    database = cls.Database.reached(cls.Profile(**target.profile))
    connection = database.connect("test", write=True)
    try:
        database.begin(connection, write=True)
        database.run(connection, "CREATE TABLE t (id INTEGER, name VARCHAR(40), cents INTEGER)")
        values = ", ".join(f"({n}, '{name}', {cents})" for n, name, cents in OTHER)
        database.run(connection, f"INSERT INTO t VALUES {values}")
        database.commit(connection)
    finally:
        connection.close()
    profiles = folder / "p.yml"
    profiles.write_text(yaml.safe_dump({"dev": {"src": {"path": str(source)}, "dst": dict(target.profile)}}))
    profiles.chmod(0o600)
    system = target.sink.removesuffix("Sink").lower()
    return {
        "args": ["sync", "sqlite:src.t", f"{system}:dst.t", "--key", "id", "--max-deletes", "5", "-e", "dev",
                 "--profiles", str(profiles)],
        "env": {"HDM_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)},
    }  # fmt: skip


@pytest.mark.server
@pytest.mark.parametrize(("target", "spec"), CASES)
def test_a_killed_sync_is_finished_by_the_same_call(
    hdm: Hdm, request: pytest.FixtureRequest, tmp_path: Path, target: str, spec: str
) -> None:
    place = Fresh(request, tmp_path).target(target)
    call = filled(tmp_path, place)
    log = tmp_path / "kills.txt"
    armed = {**call["env"], "HDM_FAILPOINT": f"{spec}:kill", "HDM_FAILPOINT_LOG": str(log)}
    killed = hdm.run(call["args"], armed)
    assert killed.code == KILLED and log.exists(), killed.text()
    done = hdm.run(call["args"], call["env"])
    assert done.code == 0 and "equal, 40 rows" in done.text(), done.text()
    assert sorted(tuple(row) for row in place.query("SELECT id, name, cents FROM t")) == ROWS
    ledger = place.query("SELECT COUNT(*) FROM _hdm_load_ledger WHERE receipt_json IS NULL")
    assert ledger[0][0] == 0
    state = tmp_path / "home" / ".hashmap_data_migrator" / "state.db"
    with contextlib.closing(sqlite3.connect(state)) as connection:
        runs = [row[0] for row in connection.execute("SELECT status FROM hdm_run ORDER BY started_at")]
    assert runs == ["aborted", "success"]
