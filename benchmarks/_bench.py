"""A generated lineitem table in PostgreSQL, bare COPY runs to compare with, and whole hdm runs.

The hdm runs include the start of Python and the making of the state database, about a second.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import psycopg

ROOT = Path(__file__).resolve().parent.parent
LINEITEM = """
CREATE TABLE lineitem AS SELECT
  g::bigint l_orderkey, (g * 7 % 200000)::int l_partkey,
  (g % 10000)::int l_suppkey, (g % 7)::int l_linenumber,
  (g % 50)::numeric(15,2) l_quantity, (g * 1.37)::numeric(15,2) l_extendedprice,
  (g % 10 / 100.0)::numeric(15,2) l_discount, (g % 8 / 100.0)::numeric(15,2) l_tax,
  substr('ANR', g % 3 + 1, 1)::char(1) l_returnflag, substr('OF', g % 2 + 1, 1)::char(1) l_linestatus,
  date '1992-01-01' + g % 2500 l_shipdate, date '1992-01-01' + g % 2400 l_commitdate,
  date '1992-01-01' + g % 2300 l_receiptdate,
  (array['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'])[g % 4 + 1]::char(25) l_shipinstruct,
  (array['TRUCK', 'MAIL', 'AIR', 'SHIP'])[g % 4 + 1]::char(10) l_shipmode,
  substr(md5(g::text), 1, 10 + g % 30)::varchar(44) l_comment
FROM generate_series(1, {rows}) g
"""


def server() -> str:
    """The DSN of the server to use."""
    url = os.environ.get("HDM_BENCH_POSTGRES_URL")
    if not url:
        sys.exit("set HDM_BENCH_POSTGRES_URL, or run: make bench")
    return re.sub(r"^postgresql\+\w+:", "postgresql:", url)


def prepare(dsn: str, rows: int) -> None:
    """Make the table once; a table of another size is made again."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        found = connection.execute("SELECT to_regclass('lineitem')").fetchone()
        if found and found[0]:
            held = connection.execute("SELECT count(*) FROM lineitem").fetchone()
            if held and held[0] == rows:
                return
            connection.execute("DROP TABLE lineitem")
        connection.execute(LINEITEM.format(rows=int(rows)).encode())
        connection.execute("ALTER TABLE lineitem ADD PRIMARY KEY (l_orderkey)")
        connection.execute("VACUUM ANALYZE lineitem")


def psql() -> str:
    """psql, as on the PATH or beside a Debian server."""
    found = shutil.which("psql") or next(
        (str(p) for p in sorted(Path("/usr/lib/postgresql").glob("*/bin/psql"), reverse=True)), None
    )
    if found is None:
        sys.exit("the bare COPY needs psql")
    return found


def copy_to_nowhere(dsn: str) -> None:
    """``COPY (FORMAT binary)`` to nowhere, one process."""
    with open(os.devnull, "wb") as nowhere:
        copy = [psql(), "-qc", "COPY lineitem TO STDOUT (FORMAT binary)", dsn]
        subprocess.run(copy, stdout=nowhere, check=True)


def copy_pipe(dsn: str) -> None:
    """``COPY | COPY`` in binary into a new table without a key."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS bare")
        connection.execute("CREATE TABLE bare (LIKE lineitem)")
    out = subprocess.Popen(
        [psql(), "-qc", "COPY lineitem TO STDOUT (FORMAT binary)", dsn], stdout=subprocess.PIPE
    )
    subprocess.run([psql(), "-qc", "COPY bare FROM STDIN (FORMAT binary)", dsn], stdin=out.stdout, check=True)
    if out.wait():
        sys.exit("the bare COPY failed")


def hdm(dsn: str, stages: list[dict[str, object]]) -> float:
    """Seconds of one whole run of the command in a fresh folder, start-up included."""
    folder = Path(tempfile.mkdtemp(prefix="hdm-bench-"))
    try:
        manifest = {
            "version": 1,
            "orchestrator": {"name": "bench", "type": "DeclaredOrchestrator", "conf": None},
            "state_manager": {"name": "state", "type": "SQLiteStateManager", "conf": {"connection": "state"}},
            "declared_data_links": {"stages": stages},
        }
        text = json.dumps(manifest).replace("STAGE", str(folder / "stage"))
        (folder / "manifest.yml").write_text(text)
        profiles = folder / "profiles.yml"
        profiles.touch(mode=0o600)
        entries = {"pg": {"url": f"literal:{dsn}"}, "state": {"path": str(folder / "state.db")}}
        profiles.write_text(json.dumps({"bench": entries}))
        command = [sys.executable, "-m", "hdm", str(folder / "manifest.yml"), "-e", "bench"]
        start = time.perf_counter()
        done = subprocess.run(
            [*command, "--profiles", str(profiles)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        spent = time.perf_counter() - start
        if done.returncode:
            sys.exit(f"hdm ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return spent
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def compare(
    name: str, bare: Callable[[], object], ours: Callable[[], float], repeats: int, limit: float
) -> int:
    """Run both in turn, print the medians and their ratio; 1 if it is above the limit."""
    bares, runs = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        bare()
        bares.append(time.perf_counter() - start)
        runs.append(ours())
    ratio = median(runs) / median(bares)
    verdict = "ok" if ratio <= limit else "BEYOND THE LIMIT"
    times = f"bare {median(bares):.2f} s, hdm {median(runs):.2f} s"
    print(f"{name}: {times}, ratio {ratio:.2f} (limit {limit}) {verdict}")
    return int(ratio > limit)
