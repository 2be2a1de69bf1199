"""Tables go by JDBC from H2 into HSQLDB and on into SQLite, from the command line; signals stay Python's."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.flows.kit import ROOT, Place
from tests.servers.jdbc import Drivers, Plain

DDL = """CREATE TABLE orders (id BIGINT PRIMARY KEY, word VARCHAR(40), paid DECIMAL(38,18),
moment TIMESTAMP(9),
instant TIMESTAMP(6) WITH TIME ZONE, clock TIME(6), raw VARBINARY(9), ok BOOLEAN, born DATE)"""
FILL = """INSERT INTO orders SELECT x, CASE WHEN MOD(x, 7) = 0 THEN NULL ELSE 'word ''' || x END,
x * 1.000000000000000001, DATEADD('NANOSECOND', x, TIMESTAMP '1700-02-28 02:30:00'),
DATEADD('SECOND', x, TIMESTAMP '2020-03-29 02:30:00+02:00'), TIME '23:59:59.000001', X'00FF', MOD(x, 2) = 0,
DATE '0001-01-01' FROM SYSTEM_RANGE({}, {})"""


def test_rows_go_from_h2_to_hsqldb_and_on_and_a_second_run_brings_what_is_new(
    tmp_path: Path, jdbc_drivers: Drivers
) -> None:
    place = Place(tmp_path)
    place.profiles |= {name: jdbc_drivers.fresh(name) for name in ("h2", "hsqldb")}
    source = Plain(place.profiles["h2"])
    source.execute(DDL)
    source.execute(FILL.format(1, 100))
    first = {"env": "h2", "table_name": "ORDERS", "watermark": {"column": "ID"}, "chunk": {"rows": 30}}
    place.manifest = manifest("JDBCSource", first, "JDBCSink", {"env": "hsqldb", "mode": "merge"})
    place.write()
    for rows in (100, 130):
        assert place.hdm("run").code == 0
        held = Plain(place.profiles["hsqldb"])
        held.execute('SELECT COUNT(*), SUM("PAID"), MAX("MOMENT"), MIN("BORN") FROM "ORDERS"')
        paid = rows * (rows + 1) // 2
        found = [(int(n), *rest) for n, *rest in held.fetchall()]
        held.close()
        assert found == [(rows, f"{paid}.{paid:018d}", f"1700-02-28 02:30:00.{rows:09d}", "0001-01-01")]
        if rows == 100:
            source.execute(FILL.format(101, 130))
    source.close()
    onward = {"env": "hsqldb", "table_name": "ORDERS", "chunk": {"rows": 40}}
    place.manifest = manifest("JDBCSource", onward, "SQLiteSink", {"env": "dst"})
    assert place.write().hdm("run").code == 0
    asked = "SELECT COUNT(*), MAX(MOMENT), MIN(INSTANT), MAX(RAW), MAX(CLOCK) FROM ORDERS"
    with closing(sqlite3.connect(place.target)) as target:
        last = target.execute(asked).fetchone()
    assert last[0] == 130 and last[1].endswith("02:30:00.000000130") and last[3] == b"\0\xff"
    assert last[2].startswith("2020-03-29 00:30:01") and last[4] == "23:59:59.000001"


def manifest(source: str, reads: dict[str, Any], sink: str, writes: dict[str, Any]) -> dict[str, Any]:
    link = {
        "source": {"name": "from", "type": source, "conf": reads},
        "sink": {"name": "to", "type": sink, "conf": writes},
    }
    orchestrator = {"name": "o", "type": "DeclaredOrchestrator"}
    return {"version": 1, "orchestrator": orchestrator, "declared_data_links": {"stages": [link]}}


def test_a_machine_leaves_signals_to_python(jdbc_drivers: Drivers) -> None:
    code = """import os, signal
from hdm.sql import jdbc_machine
signal.signal(signal.SIGTERM, lambda *_: print("drained", flush=True))
jdbc_machine.java()
os.kill(os.getpid(), signal.SIGTERM)
print("goes on")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout.split("\n")[:2]) == (0, ["drained", "goes on"]), done.stderr
