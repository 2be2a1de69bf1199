"""Peak memory of whole commands: it follows neither the table's size nor a row's width."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tests.servers.process import Database

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.alone]
GROWTH = 1.2
BUDGET_MB = 550
"""Python with its libraries (about 130), and some sixteen copies of the widest row at once."""
ROWS = "SELECT g AS id, md5(g::text) AS a, (g * 1.37)::numeric(15,2) AS b, now() + g * interval '1 s' AS c"

_MEASURED = """
import atexit, pathlib, runpy, sys
def note(path):
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    pathlib.Path(path).write_text(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))
atexit.register(note, sys.argv.pop(1))
runpy.run_module("hdm", run_name="__main__", alter_sys=True)
"""
"""Runs hdm and keeps its peak in kB. Not ru_maxrss: that begins with what the process had that
started it, which is the whole test suite's."""


def peak_mb(
    folder: Path, database: Database, table: str, workers: int, chunk: dict[str, int] | None
) -> float:
    """Move one table PostgreSQL -> Parquet -> PostgreSQL; the command's peak memory in MB."""
    folder.mkdir()
    stage = {"directory": str(folder / "stage")}
    read: dict[str, Any] = {"env": "pg", "table_name": table, **({"chunk": chunk} if chunk else {})}
    stages = [
        {
            "source": {"name": "pg", "type": "PostgresSource", "conf": read},
            "sink": {"name": "stage", "type": "FSSink", "conf": stage},
        },
        {
            "source": {"name": "stage", "type": "FSSource", "conf": stage},
            "sink": {
                "name": "out",
                "type": "PostgresSink",
                "conf": {"env": "pg", "table_name": f"{table}_out"},
            },
        },
    ]
    manifest = {
        "version": 1,
        "orchestrator": {"type": "DeclaredOrchestrator", "conf": {"workers": workers}},
        "declared_data_links": {"stages": stages},
    }
    (folder / "manifest.yml").write_text(yaml.safe_dump(manifest))
    profiles = folder / "profiles.yml"
    profiles.touch(mode=0o600)
    profiles.write_text(yaml.safe_dump({"dev": {"pg": dict(database.profile)}}))
    peak = folder / "peak.txt"
    command = [
        sys.executable,
        "-c",
        _MEASURED,
        str(peak),
        str(folder / "manifest.yml"),
        "-e",
        "dev",
        "--profiles",
        str(profiles),
    ]
    subprocess.run(command, env={**os.environ, "HDM_HOME": str(folder)}, check=True)
    return int(peak.read_text()) / 1024


def rows_of(database: Database, table: str) -> int:
    with psycopg.connect(database.dsn) as connection:
        found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert found is not None
    return int(found[0])


def test_ten_times_the_rows_take_the_same_memory(
    tmp_path: Path, fresh_postgres: Callable[..., Database]
) -> None:
    database, peaks = fresh_postgres(), {}
    for rows in (200_000, 2_000_000):
        with psycopg.connect(database.dsn, autocommit=True) as connection:
            connection.execute(f"CREATE TABLE t{rows} AS {ROWS} FROM generate_series(1, {rows}) g")
            connection.execute(f"ALTER TABLE t{rows} ADD PRIMARY KEY (id)")
            connection.execute(f"ANALYZE t{rows}")
        peaks[rows] = peak_mb(tmp_path / str(rows), database, f"t{rows}", workers=4, chunk={"rows": 50_000})
        assert rows_of(database, f"t{rows}_out") == rows
    small, large = peaks.values()
    print(f"peak MB: {peaks}")
    assert large < small * GROWTH, peaks


def test_fifty_rows_of_20_mb_pass_within_the_budget(
    tmp_path: Path, fresh_postgres: Callable[..., Database]
) -> None:
    database = fresh_postgres()
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE wide (id int PRIMARY KEY, body text)")
        connection.execute("ALTER TABLE wide ALTER COLUMN body SET STORAGE EXTERNAL")
        connection.execute(
            "INSERT INTO wide SELECT g, repeat(chr(64 + g), 20000000) FROM generate_series(1, 50) g"
        )
        connection.execute("ANALYZE wide")
    peak = peak_mb(tmp_path / "wide", database, "wide", workers=1, chunk=None)
    print(f"peak MB: {peak:.0f}")
    assert rows_of(database, "wide_out") == 50
    assert peak < BUDGET_MB, peak
