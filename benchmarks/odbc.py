"""Extraction through ODBC against arrow-odbc alone: the ratio must stay below 1.15.

Both read the same table with the same SELECT list, so that what is compared is hdm's own work:
planning, measuring long values, casting to the carriers, counting.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from statistics import median
from urllib.parse import urlsplit

import arrow_odbc
import psycopg
import pyarrow as pa

from hdm.connectors.odbc import ODBCProfile, ODBCSource
from hdm.dialects.odbc import wire
from hdm.model import Chunk

ROWS, RUNS, LIMIT = 300_000, 5, 1.15
TABLE = """CREATE TABLE IF NOT EXISTS odbc_bench AS SELECT g::bigint id, (g % 1000)::int part,
  (g * 1.37)::numeric(15,2) price, g / 3.0::float8 ratio, timestamp '2020-01-01' + g * interval '1 s' AS made,
  (md5(g::text))::varchar(40) word, g % 2 = 0 flag FROM generate_series(1, {rows}) g"""


def seconds(work: Callable[[], int]) -> float:
    start = time.perf_counter()
    assert work() == ROWS
    return time.perf_counter() - start


def main() -> int:
    url = urlsplit(os.environ["HDM_BENCH_POSTGRES_URL"].replace("+psycopg", ""))
    with psycopg.connect(url.geturl(), autocommit=True) as connection:
        connection.execute(TABLE.format(rows=ROWS).encode())
        connection.execute("ANALYZE odbc_bench")
    profile = ODBCProfile.model_validate(
        {
            "driver": "PostgreSQL Unicode", "dialect": "postgres", "host": url.hostname, "port": url.port,
            "database": url.path[1:], "user": url.username, "password": url.password,
        }
    )  # fmt: skip
    source = ODBCSource(ODBCSource.Config(table_name="odbc_bench"), profile, name="bench")
    table = source.describe()
    chunk = Chunk("j" * 64, table.dataset, 0, schema_sha=table.schema_sha)
    sql = source.select(table, chunk)
    text = source.database.connection_string("bench")
    schema = pa.schema([(c.name, wire("postgres", c)) for c in table.columns])

    def bare() -> int:
        reader = arrow_odbc.connect(text).read_arrow_batches(
            sql, batch_size=65_536, max_bytes_per_batch=32 * 1024 * 1024, max_text_size=16_000, schema=schema
        )
        return sum(batch.num_rows for batch in reader)

    def ours() -> int:
        return sum(batch.num_rows for batch in source.read(table, chunk).batches())

    bare(), ours()
    ratios = []
    for _ in range(RUNS):
        alone = seconds(bare)
        ratios.append(seconds(ours) / alone)
    ratio = median(ratios)
    print(f"hdm / arrow-odbc over {ROWS:,} rows: {ratio:.2f} (limit {LIMIT})")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
