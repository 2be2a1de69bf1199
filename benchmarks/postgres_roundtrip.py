"""PostgreSQL to Parquet files to PostgreSQL, against a bare binary COPY pipe.

``python -m benchmarks.postgres_roundtrip [--rows N] [--repeats N]``; the server is the one of
``HDM_BENCH_POSTGRES_URL``. Ends with 1 above ``--limit``.
"""

from __future__ import annotations

import argparse
import sys

import psycopg

from benchmarks._bench import compare, copy_pipe, hdm, prepare, server


def main() -> int:
    """Measure and print; 1 above the limit."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=6_000_000)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--limit", type=float, default=2.5)
    asked = options.parse_args()
    dsn = server()
    prepare(dsn, asked.rows)
    chunk = {"rows": max(asked.rows // 6, 1)}
    stages: list[dict[str, object]] = [
        {
            "source": {
                "name": "pg",
                "type": "PostgresSource",
                "conf": {"env": "pg", "table_name": "lineitem", "chunk": chunk},
            },
            "sink": {"name": "stage", "type": "FSSink", "conf": {"directory": "STAGE"}},
        },
        {
            "source": {"name": "stage", "type": "FSSource", "conf": {"directory": "STAGE"}},
            "sink": {"name": "copy", "type": "PostgresSink", "conf": {"env": "pg", "table_name": "moved"}},
        },
    ]

    def moved() -> float:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS moved, _hdm_load_ledger")
            connection.execute("CREATE TABLE moved (LIKE lineitem)")
            spent = hdm(dsn, stages)
            rows = connection.execute("SELECT count(*) FROM moved").fetchone()
        if rows is None or rows[0] != asked.rows:
            sys.exit(f"only {rows} rows have arrived")
        return spent

    name = f"PostgreSQL -> Parquet -> PostgreSQL, {asked.rows} rows"
    return compare(name, lambda: copy_pipe(dsn), moved, asked.repeats, asked.limit)


if __name__ == "__main__":
    sys.exit(main())
