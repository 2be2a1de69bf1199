"""Files of others from the command line: a workbook's sheets and an Avro file into DuckDB by one manifest."""

from __future__ import annotations

import io
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import fastavro

from tests.conformance.workbook import workbook
from tests.flows.kit import Place

PRICE = {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 10}


def link(name: str, place: Place, table: str, **conf: Any) -> dict[str, Any]:
    return {
        "source": {"name": name, "type": "FSSource", "conf": {"directory": str(place.stage), **conf}},
        "sink": {"name": f"to_{table}", "type": "DuckDBSink", "conf": {"env": "duck", "table_name": table}},
    }


def rows(place: Place, table: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(place.folder / "duck.db"), read_only=True) as db:
        return sorted(db.execute(f"SELECT * FROM {table}").fetchall())


def test_sheets_and_avro_arrive_and_another_sheet_is_another_link(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.profiles["duck"] = {"path": str(tmp_path / "duck.db")}
    place.stage.mkdir()
    (place.stage / "book.xlsx").write_bytes(
        workbook(
            People=[["id", "since"], [1, datetime(2024, 2, 29, 12)]],
            Prices=[["id", "price"], [7, 19.99]],
            Other=[["id", "price"], [8, 0.1]],
        )
    )
    with io.BytesIO() as out:
        fields = [{"name": "id", "type": "long"}, {"name": "price", "type": ["null", PRICE]}]
        record = {"id": 2**63 - 1, "price": Decimal("-1234567890123456789012345678.0123456789")}
        fastavro.writer(out, {"type": "record", "name": "r", "fields": fields}, [record], codec="snappy")
        (place.stage / "events.avro").write_bytes(out.getvalue())
    typed = [{"name": "id", "type": "int32"}, {"name": "price", "type": "decimal(9,2)"}]
    prices: dict[str, Any] = {"file_format": "excel", "columns": typed, "excel": {"sheet": "Prices"}}
    links = [
        link("people", place, "people", file_format="excel", excel={"sheet": "People"}),
        link("prices", place, "prices", **prices),
        link("events", place, "events", file_format="avro"),
    ]
    for _ in range(2):
        place.manifest = {"declared_data_links": links}
        assert place.write().hdm("run").code == 0
        assert rows(place, "people") == [(1.0, datetime(2024, 2, 29, 12))]
        assert rows(place, "events") == [(record["id"], record["price"])]
        assert rows(place, "prices") == [(7, Decimal("19.99"))]
    prices["excel"] = {"sheet": "Other"}
    place.manifest = {"declared_data_links": [link("prices", place, "prices", **prices)]}
    assert place.write().hdm("run").code == 0
    assert rows(place, "prices") == [(7, Decimal("19.99")), (8, Decimal("0.10"))]
