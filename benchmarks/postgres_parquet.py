"""PostgreSQL to Parquet files, state, hashes and lineage on, against COPY to nowhere.

``python -m benchmarks.postgres_parquet [--rows N] [--repeats N]``; the server is the one of
``HDM_BENCH_POSTGRES_URL``. Ends with 1 above ``--limit``.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks._bench import compare, copy_to_nowhere, hdm, prepare, server


def main() -> int:
    """Measure and print; 1 above the limit."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=6_000_000)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--limit", type=float, default=1.6)
    asked = options.parse_args()
    dsn = server()
    prepare(dsn, asked.rows)
    chunk = {"rows": max(asked.rows // 4, 1)}
    stage: dict[str, object] = {
        "source": {
            "name": "pg",
            "type": "PostgresSource",
            "conf": {"env": "pg", "table_name": "lineitem", "chunk": chunk},
        },
        "sink": {"name": "stage", "type": "FSSink", "conf": {"directory": "STAGE"}},
    }
    name = f"PostgreSQL -> Parquet, {asked.rows} rows"
    return compare(name, lambda: copy_to_nowhere(dsn), lambda: hdm(dsn, [stage]), asked.repeats, asked.limit)


if __name__ == "__main__":
    sys.exit(main())
