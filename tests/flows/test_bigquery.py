"""From SQLite through Parquet in Cloud Storage into BigQuery, and on into DuckDB, by the command line."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from hdm.testing.rows import TEXTS
from tests.flows.kit import Place
from tests.servers import bigquery, gcs


def stages(bucket: str) -> list[dict[str, Any]]:
    """SQLite -> Cloud Storage -> BigQuery -> DuckDB, the first two with the row's text in another case."""
    up = {"name": "up", "type": "GCSSink", "conf": {"env": "gcs", "bucket_name": bucket}}
    load = {"name": "load", "type": "BigQuerySink", "conf": {"env": "bq", "cluster": ["id"]}}
    back = {"name": "load", "type": "BigQuerySource", "conf": {"env": "bq", "table_name": "words"}}
    read = {"env": "src", "table_name": "words", "chunk": {"rows": 8}}
    landed = {"name": "landed", "type": "DuckDBSink", "conf": {"env": "landed"}}
    return [
        {"source": {"name": "src", "type": "SQLiteSource", "conf": read}, "sink": up, "mode": "replace"},
        {"source": {**up, "type": "GCSSource"}, "sink": load, "mode": "replace"},
        {"source": {**back, "name": "bq"}, "sink": landed, "mode": "replace"},
    ]


def place_of(
    tmp_path: Path, server: bigquery.BigQuery, storage: gcs.GCS
) -> tuple[Place, list[tuple[Any, ...]]]:
    server.reach(storage.endpoint)
    place = Place(tmp_path)
    rows = [
        (n, word, None if n % 5 == 0 else n * 0.1, bytes([n, 0, 255]), f"{n}.{n:04}")
        for n, word in enumerate([*TEXTS, None], 1)
    ]
    with sqlite3.connect(place.source) as source:
        source.execute(
            "CREATE TABLE words "
            "(id INTEGER PRIMARY KEY, word TEXT, part DOUBLE, raw BLOB, paid DECIMAL(12,4))"
        )
        source.executemany("INSERT INTO words VALUES (?, ?, ?, ?, ?)", rows)
    place.profiles |= {
        "gcs": storage.profile, "bq": server.fresh(), "landed": {"path": str(tmp_path / "landed.duckdb")}
    }  # fmt: skip
    return place, rows


def test_from_a_database_through_cloud_storage_and_back(
    tmp_path: Path, bigquery_server: bigquery.BigQuery, gcs_server: gcs.GCS
) -> None:
    place, rows = place_of(tmp_path, bigquery_server, gcs_server)
    extract, load, back = stages(gcs_server.fresh())
    wanted = [(*row[:4], Decimal(row[4])) for row in rows]
    for parts in ([extract, load], [back], [extract, load], [back]):
        place.manifest = {
            "version": 1,
            "orchestrator": {"name": "o", "type": "DeclaredOrchestrator"},
            "declared_data_links": {"stages": parts},
        }
        done = place.write().hdm("run")
        assert done.code == 0, done.said
    with duckdb.connect(str(tmp_path / "landed.duckdb"), read_only=True) as target:
        assert target.execute("SELECT * FROM words ORDER BY id").fetchall() == wanted
    dataset = str(place.profiles["bq"]["dataset"])
    assert bigquery_server.tables(dataset) == ["_hdm_ledger_head", "_hdm_load_ledger", "words"]
    client = bigquery_server.client()
    loads = [
        one for one in client.list_jobs() if one.job_type == "load" and one.destination.dataset_id == dataset
    ]
    client.close()
    assert loads and all(uri.startswith("gs://") for one in loads for uri in one.source_uris)
    assert sum(one.output_rows for one in loads) == 2 * len(rows)
