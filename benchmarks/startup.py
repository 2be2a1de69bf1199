"""Start-up of ``hdm --help`` as a ratio to ``python -c pass``, and in seconds.

``python -m benchmarks.startup`` ends with 1 above 0.3 s, or if a driver was imported.
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

LIMIT = 0.3
ROUNDS = 9
DRIVERS = ("psycopg", "pymysql", "duckdb", "oracledb", "pyodbc", "boto3", "snowflake", "nzpy", "pyarrow")


def seconds(*args: str) -> float:
    """How long one command takes."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *args], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def main() -> int:
    """Measure in turn, so that a busy machine slows both."""
    pairs = [(seconds("-c", "pass"), seconds("-m", "hdm", "--help")) for _ in range(ROUNDS)]
    bare, helped = min(one for one, _ in pairs), min(one for _, one in pairs)
    ratio = median(two / one for one, two in pairs)
    print(f"python -c pass {bare:.3f} s, hdm --help {helped:.3f} s, ratio {ratio:.1f}")
    look = f"import sys, hdm.cli; print(*set(sys.modules) & set({DRIVERS!r}))"
    imported = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, check=True
    ).stdout.split()
    if imported:
        print(f"imported: {', '.join(imported)}")
    return 1 if helped > LIMIT or imported else 0


if __name__ == "__main__":
    sys.exit(main())
