"""Two tables of one PostgreSQL proven equal, and three wrong rows named, against a plain hash total of both.

``python -m benchmarks.proof [--rows N] [--repeats N] [--reladiff PATH]``; the server is the one of
``HDM_BENCH_POSTGRES_URL``. The bare run adds up one md5 of each row's text, first of one table, then of the
other. Without ``--rows`` it is 600,000 rows on each side; the limits are meant for 6,000,000. ``--reladiff``
is the command of that tool (in an environment of its own): its time is printed beside. Ends with 1 above a
limit.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import psycopg

from benchmarks._bench import server
from hdm.components import registry
from hdm.proof.compare import compare
from hdm.proof.result import Comparison
from hdm.proof.side import SqlSide, sql_side

TABLE = """CREATE TABLE proof_a AS SELECT g::bigint AS id, 'customer ' || g % 5000 AS name,
 (g * 1.37)::numeric(15,2) AS price, timestamp '2020-01-01' + g * interval '1.000001 s' AS seen,
 g % 3 = 0 AS flag, CASE WHEN g % 4 > 0 THEN substr(md5(g::text), 1, 10 + g % 20) END AS note
 FROM generate_series(1, {rows}) AS g"""
TOTAL = "SELECT count(*), sum(('x' || substr(md5(t::text), 1, 16))::bit(64)::bigint) FROM {name} AS t"
EQUAL, THREE = 1.3, 2.2


def prepare(connection: psycopg.Connection, rows: int) -> None:
    """Make both tables anew."""
    connection.execute("DROP TABLE IF EXISTS proof_a, proof_b")
    connection.execute(TABLE.format(rows=rows).encode())
    connection.execute("ALTER TABLE proof_a ADD PRIMARY KEY (id)")
    connection.execute("CREATE TABLE proof_b (LIKE proof_a INCLUDING ALL)")
    connection.execute("INSERT INTO proof_b SELECT * FROM proof_a")
    connection.execute("VACUUM ANALYZE proof_a, proof_b")


def side(dsn: str, name: str) -> SqlSide:
    """A table as hdm compares it."""
    cls = registry.find("sink", "PostgresSink")
    database = cls.Database.reached(cls.Profile(url=f"literal:{dsn}"))
    return sql_side(database, database.default_path((name,)))


def bare(connection: psycopg.Connection) -> None:
    """The plain hash total of both tables, one after the other."""
    for name in ("proof_a", "proof_b"):
        connection.execute(TOTAL.format(name=name).encode()).fetchone()


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def told(name: str, times: list[float], plain: list[float], limit: float) -> int:
    """Print a median and its ratio to the plain total; 1 if it is above the limit."""
    ratio = median(times) / median(plain)
    verdict = "ok" if ratio <= limit else "BEYOND THE LIMIT"
    print(f"{name}: {median(times):.2f} s, ratio {ratio:.2f} (limit {limit}) {verdict}", flush=True)
    return int(ratio > limit)


def main() -> int:
    """Measure and print; 1 above a limit."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=600_000)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--reladiff", type=Path)
    asked = options.parse_args()
    dsn = server()
    rows = asked.rows
    with psycopg.connect(dsn, autocommit=True) as connection:
        prepare(connection, rows)
        sides = (side(dsn, "proof_a"), side(dsn, "proof_b"))
        found: list[Comparison] = []

        def ours() -> None:
            found.append(compare(*sides))

        plain, equal, wrong, other = [], [], [], []
        for _ in range(asked.repeats):
            plain.append(seconds(lambda: bare(connection)))
            equal.append(seconds(ours))
        if not all(one.equal and one.rows_a == one.rows_b == rows for one in found):
            sys.exit("the tables were not called equal")
        found.clear()
        damage(connection, rows)
        for _ in range(asked.repeats):
            plain.append(seconds(lambda: bare(connection)))
            wrong.append(seconds(ours))
            if asked.reladiff is not None:
                other.append(seconds(lambda: reladiff(asked.reladiff, dsn)))
        named = {(row.kind, row.key["id"]) for one in found for row in one.shown}
        if named != {("changed", rows // 3), ("missing", rows // 2), ("extra", rows + 1)}:
            sys.exit(f"the wrong rows are {named}")
    print(f"{rows:,} rows a side, plain hash total of both: {median(plain):.2f} s")
    failed = told("equal", equal, plain, EQUAL)
    failed += told("one changed, one lost, one extra named", wrong, plain, THREE)
    if other:
        print(
            f"reladiff, the same three rows: {median(other):.2f} s, ratio {median(other) / median(plain):.2f}"
        )
    return int(failed > 0)


def damage(connection: psycopg.Connection, rows: int) -> None:
    """Change one row of the second table, lose one, and add one."""
    connection.execute("UPDATE proof_b SET name = name || ' ' WHERE id = %s", (rows // 3,))
    connection.execute("DELETE FROM proof_b WHERE id = %s", (rows // 2,))
    more = b"INSERT INTO proof_b SELECT %s, name, price, seen, flag, note FROM proof_a WHERE id = 1"
    connection.execute(more, (rows + 1,))


def reladiff(command: Path, dsn: str) -> None:
    """The same two tables by that tool; it must find the same rows."""
    columns = [word for name in ("name", "price", "seen", "flag", "note") for word in ("-c", name)]
    done = subprocess.run(
        [str(command), dsn, "proof_a", dsn, "proof_b", "-k", "id", *columns],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line[:1] in "+-"]
    if len(lines) != 4:
        sys.exit(f"reladiff found {len(lines)} lines: {done.stdout[-500:]}\n{done.stderr[-500:]}")


if __name__ == "__main__":
    sys.exit(main())
