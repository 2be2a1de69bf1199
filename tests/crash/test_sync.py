"""SIGKILL at every step of a sync, and of a run in mode sync: the same call then makes the tables equal.

Nothing is doubled, and the run's chunk counts each row that was written, whoever was killed.
"""

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
        database.run(connection, "CREATE TABLE t (id BIGINT, name VARCHAR(40), cents BIGINT)")
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


RUN = [*EVERY, *(f"{point}:1" for point in ("Y0", "Y6", "Y7", "Y8", "C7", "L6", "U4", "V1", "V2", "L3"))]
OFTEN = {"sqlite": ("Y7:1",), "postgres": ("Y4:1",), "mariadb": ("Y8:1",), "duckdb": ()}
KILLS = [
    pytest.param(target, spec, marks=() if spec in OFTEN[target] else (pytest.mark.long,))
    for target in OFTEN
    for spec in RUN
]


def linked(folder: Path, target: Any) -> dict[str, Any]:
    """The same tables, with a manifest whose link is in mode sync."""
    call = filled(folder, target)
    link = {
        "source": {"name": "src", "type": "SQLiteSource", "conf": {"env": "src", "table_name": "t"}},
        "sink": {
            "name": "dst",
            "type": target.sink,
            "conf": {"env": "dst", "table_name": "t", "key": ["id"]},
        },
        "mode": "sync",
        "max_deletes": 5,
    }
    manifest = folder / "m.yml"
    manifest.write_text(yaml.safe_dump({"version": 1, "declared_data_links": {"stages": [link]}}))
    args = [str(manifest), "-e", "dev", "--profiles", str(folder / "p.yml")]
    return {"args": args, "env": {**call["env"], "HDM_LEASE_TTL": "2"}}


@pytest.mark.server
@pytest.mark.parametrize(("target", "spec"), KILLS)
def test_a_killed_run_in_mode_sync_is_finished_by_the_next(
    hdm: Hdm, request: pytest.FixtureRequest, tmp_path: Path, target: str, spec: str
) -> None:
    place = Fresh(request, tmp_path).target(target)
    call = linked(tmp_path, place)
    log = tmp_path / "kills.txt"
    armed = {**call["env"], "HDM_FAILPOINT": f"{spec}:kill", "HDM_FAILPOINT_LOG": str(log)}
    killed = hdm.run(["run", *call["args"]], armed)
    assert killed.code == KILLED and log.exists(), killed.text()
    done = hdm.run(["run", *call["args"]], call["env"])
    assert done.code == 0, done.text()
    assert sorted(tuple(row) for row in place.query("SELECT id, name, cents FROM t")) == ROWS
    assert place.query("SELECT COUNT(*) FROM _hdm_load_ledger WHERE receipt_json IS NULL")[0][0] == 0
    state = tmp_path / "home" / ".hashmap_data_migrator" / "state.db"
    with contextlib.closing(sqlite3.connect(state)) as connection:
        counts = connection.execute(
            "SELECT SUM(rows_extracted), SUM(rows_loaded), SUM(rows_filtered) FROM hdm_chunk "
            "WHERE status IN ('committed', 'verified')"
        ).fetchall()
    assert counts == [(22, 17, 5)]
    verified = hdm.run(["state", "verify", *call["args"]], call["env"])
    assert verified.code == 0, verified.text()
    again = hdm.run(["run", *call["args"]], call["env"])
    assert again.code == 0, again.text()
