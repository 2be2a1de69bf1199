"""The model's values as JSON and back; and what an earlier version wrote is still read."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from hdm.dialects.types import carrier
from hdm.model import Chunk, Column, Condition, Dataset, Kind, Receipt, StagedFile, Table
from hdm.model import json as wire

FILE = StagedFile("file:///ü/a.parquet", "parquet", 9, 2, "a" * 64, etag="e")
TABLE = Table(
    Dataset("pg://h", 'odd."name'),
    ("db", "s.x", "t"),
    (
        Column("id", Kind.INT64, pa.int64(), False, "bigint", "postgres", identity=True),
        Column("d", Kind.DECIMAL, pa.decimal256(60, 30), precision=60, scale=30, default="0", comment="é"),
        Column("at", Kind.TIMESTAMPTZ, pa.timestamp("us", "UTC"), generated="now()"),
    ),
    ("id",),
    "at",
    rows=5,
    bytes=50,
)
CHUNK = Chunk(
    "job",
    TABLE.dataset,
    3,
    (Condition("at", ">", "2020-01-01 00:00:00.000001"), Condition("id", "null")),
    files=(FILE,),
    first_row=1,
    row_count=2,
    schema_sha=TABLE.schema_sha,
    snapshot="s",
    epoch=2,
    generation=1,
    upstream="u",
    boundary=True,
    seen_key="point",
    upto="x",
    estimate_rows=7,
)
RECEIPT = Receipt("c" * 64, 2, 5, 50, 8, 3, "b" * 64, (FILE,), "loc", ("d" * 64, "e" * 64), True)


def test_a_table_comes_back():
    again = wire.table_from_json(wire.table_to_json(TABLE))
    assert again == TABLE
    assert again.schema_sha == TABLE.schema_sha


def test_a_chunk_comes_back_with_its_identity():
    again = wire.chunk_from_json(wire.chunk_to_json(CHUNK))
    assert again == CHUNK
    assert again.chunk_id == CHUNK.chunk_id


def test_a_receipt_comes_back():
    bare, bound = (
        Chunk("j", Dataset("n", "t"), 0),
        Chunk("j", Dataset("n", "t"), 0, relation="r", rows_in_all=0),
    )
    assert "relation" not in wire.chunk_to_json(bare) and bare.chunk_id == bound.chunk_id
    assert wire.chunk_from_json(wire.chunk_to_json(bound)) == bound
    assert wire.receipt_from_json(wire.receipt_to_json(RECEIPT)) == RECEIPT


@pytest.mark.parametrize("kind", list(Kind))
def test_the_carrier_of_every_kind_is_text_and_back(kind):
    for made in (carrier(kind), carrier(kind, 6, 2) if kind is Kind.DECIMAL else carrier(kind, 3)):
        assert wire.type_from_text(wire.type_text(made)) == made


def test_a_type_that_hdm_does_not_carry_is_refused():
    with pytest.raises(ValueError, match="list"):
        wire.type_from_text(str(pa.list_(pa.int8())))


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (wire.chunk_from_json, wire.chunk_to_json(CHUNK)),
        (wire.receipt_from_json, wire.receipt_to_json(RECEIPT)),
        (wire.table_from_json, wire.table_to_json(TABLE)),
    ],
)
def test_what_an_older_version_did_not_know_has_its_default(read, text):
    body = json.loads(text)
    for name in ("seen_key", "estimate_rows", "adopted", "location", "rows", "bytes"):
        if read is wire.receipt_from_json and name == "rows":
            continue
        body.pop(name, None)
    read(json.dumps(body))


def test_a_receipt_of_an_older_version_says_how_many_were_rejected():
    """Always 0: nothing rejected single rows."""
    body = json.loads(wire.receipt_to_json(RECEIPT))
    assert wire.receipt_from_json(json.dumps({**body, "rejected": 0})) == RECEIPT


def test_the_text_is_the_same_for_the_same_value():
    """Ledgers and the trail's hashes are made of it."""
    assert wire.receipt_to_json(Receipt("c", 1, 2)) == (
        '{"adopted":false,"attempt":1,"boundary_digests":[],"bytes":0,"chunk_id":"c","extracted":null,'
        '"files":[],"filtered":0,"location":"","rows":2,"sha256":null}'
    )
    assert wire.receipt_from_json(wire.receipt_to_json(Receipt("c", 1, 2, anew=True))).anew
