"""PostgreSQL -> Parquet on S3 -> Redshift by COPY, and Redshift -> DuckDB, from the command line.

Real here: PostgreSQL, the bytes in the bucket, the drivers of Redshift and S3. Redshift itself is
``tests/servers/redshift.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from tests.flows.chain import sample as warehouse
from tests.flows.kit import Place
from tests.servers.process import Database
from tests.servers.redshift import Redshift

PLAIN = "id, flag, small, medium, big, double, fraction, amount, wide, words"
EXACT = (
    f"{PLAIN}, encode(raw, 'hex'), day::text, clock::text, moment::text, instant::text, code::text, short, "
    "padded, doc::text"
)


@pytest.fixture
def place(
    tmp_path: Path, fresh_postgres: Callable[..., Database], fresh_redshift: Callable[[], Redshift]
) -> Place:
    made = Place(tmp_path)
    source, cluster = fresh_postgres(), fresh_redshift()
    with psycopg.connect(source.dsn, autocommit=True) as connection:
        warehouse._awkward(connection)
        connection.execute("CREATE TABLE public.orders (id bigint PRIMARY KEY, word varchar(20), n int)")
        connection.execute(
            "INSERT INTO public.orders SELECT n, 'it''s ' || n, n % 7 FROM generate_series(1, 200) n"
        )
    made.profiles = {
        "pg": source.profile, "s3": cluster.s3.profile, "rs": cluster.profile,
        "duck": {"path": str(tmp_path / "far.duckdb")},
    }  # fmt: skip
    made.cluster, made.pg = cluster, source  # type: ignore[attr-defined]
    return made


def link(
    source: str, reads: dict[str, Any], sink: str, writes: dict[str, Any], *names: str
) -> dict[str, Any]:
    first, second = names
    return {
        "source": {"name": first, "type": source, "conf": reads},
        "sink": {"name": second, "type": sink, "conf": writes},
    }


def run(place: Place, *links: dict[str, Any]) -> None:
    place.manifest = {
        "version": 1,
        "orchestrator": {"name": "o", "type": "DeclaredOrchestrator"},
        "declared_data_links": {"stages": list(links)},
    }
    done = place.write().hdm("run")
    assert done.code == 0, done.said


def test_the_awkward_table_goes_through_s3_into_redshift_and_on_into_duckdb(place: Place) -> None:
    cluster: Redshift = place.cluster  # type: ignore[attr-defined]
    bucket = {"env": "s3", "bucket_name": cluster.bucket, "prefix": "staged"}
    stages = [
        link("PostgresSource", {"env": "pg", "table_name": table, **conf}, "S3Sink", bucket, table, "staged")
        for table, conf in (("awkward.awkward", {}), ("public.orders", {"chunk": {"rows": 60}}))
    ]
    into = link("S3Source", bucket, "RedshiftCopySink", {"env": "rs"}, "staged", "warehouse")
    for _ in range(2):  # the second run moves nothing
        run(place, *stages, into)
    pg: Database = place.pg  # type: ignore[attr-defined]
    with psycopg.connect(pg.dsn, options="-c timezone=UTC") as source:
        wanted = source.execute(f"SELECT {EXACT} FROM awkward.awkward ORDER BY id".encode()).fetchall()
    with psycopg.connect(cluster.under.dsn, options="-c timezone=UTC") as target:
        found = target.execute(f"SELECT {EXACT} FROM awkward ORDER BY id".encode()).fetchall()
        assert target.execute("SELECT COUNT(*), COUNT(DISTINCT id) FROM orders").fetchone() == (200, 200)
    assert found == wanted
    assert [key for key in cluster.staged() if key.startswith("on/the way")] == []
    copies = [sql for sql in cluster.seen if sql.startswith("COPY")]
    assert copies and all("MANIFEST" in sql and "MAXERROR" not in sql for sql in copies)
    assert not any("staged/" in sql or "it''s" in sql for sql in cluster.seen)  # neither files nor values

    onward = [
        link(
            "RedshiftSource",
            {"env": "rs", "table_name": table, **conf},
            "DuckDBSink",
            {"env": "duck"},
            table,
            "far",
        )
        for table, conf in (("awkward", {}), ("orders", {"chunk": {"rows": 70}}))
    ]
    run(place, *onward)
    with duckdb.connect(place.profiles["duck"]["path"]) as far:
        assert far.execute("SELECT COUNT(*), MAX(word) FROM orders").fetchone() == (200, "it's 99")
        names = PLAIN.replace("fraction", "fraction::varchar::double")
        plain = far.execute(f"SELECT {names}, lower(hex(raw)), day::text FROM awkward ORDER BY id").fetchall()
    assert [repr(row) for row in plain] == [repr(row[:12]) for row in wanted]
