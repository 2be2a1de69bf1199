"""Identities: what makes a chunk another chunk, a schema another schema, and what does not."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from hdm.model import Chunk, Column, Condition, Dataset, Kind, Receipt, StagedFile, Table, Tally, digest

FILE = StagedFile("file:///a", "parquet", 9, 2, "a" * 64)
CHUNK = Chunk(
    "job", Dataset("ns", "t"), 3, (Condition("id", ">=", "1"), Condition("id", "<", "9")), schema_sha="s" * 64
)


def test_the_identity_of_a_chunk_is_the_same_for_ever():
    """Ledgers in targets hold it: another spelling would load everything again."""
    assert CHUNK.chunk_id == "c4b454ca93c25da98f633cd1d35d35fab9bd08911d231cbb17e0620ca8801b70"


@pytest.mark.parametrize(
    "changes",
    [
        {"job_key": "other"},
        {"dataset": Dataset("ns", "u")},
        {"dataset": Dataset("nst", "")},
        {"conditions": (Condition("id", ">=", "1"),)},
        {"conditions": (Condition("id", ">=", "1"), Condition("id", "<=", "9"))},
        {"conditions": (Condition("id", ">=", "1"), Condition("id", "<", None))},
        {"files": (FILE,)},
        {"first_row": 0},
        {"row_count": 5},
        {"seen_key": "point"},
        {"schema_sha": "t" * 64},
        {"snapshot": "x"},
        {"upstream": "u"},
        {"epoch": 2},
        {"generation": 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_whatever_decides_the_rows_decides_the_identity(changes):
    assert CHUNK.at(**changes).chunk_id != CHUNK.chunk_id


@pytest.mark.parametrize(
    "changes", [{"number": 7}, {"boundary": True}, {"upto": "9"}, {"estimate_rows": 5}], ids=str
)
def test_what_does_not_decide_the_rows_does_not(changes):
    assert CHUNK.at(**changes).chunk_id == CHUNK.chunk_id


def test_a_file_is_known_by_its_name_and_content_only():
    one = CHUNK.at(files=(FILE,))
    assert CHUNK.at(files=(replace(FILE, sha256="b" * 64),)).chunk_id != one.chunk_id
    assert CHUNK.at(files=(replace(FILE, uri="file:///b"),)).chunk_id != one.chunk_id
    assert CHUNK.at(files=(replace(FILE, etag="e", rows=7),)).chunk_id == one.chunk_id


def test_parts_of_a_digest_cannot_run_into_each_other():
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("a") != digest("a", "")
    assert Dataset("a", "bc").dataset_id != Dataset("ab", "c").dataset_id


COLUMN = Column("a", Kind.DECIMAL, pa.decimal128(9, 2), True, "numeric(9,2)", precision=9, scale=2)
TABLE = Table(Dataset("ns", "t"), ("t",), (COLUMN, Column("b", Kind.TEXT, pa.string())))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "c"},
        {"kind": Kind.OTHER},
        {"type": pa.decimal128(10, 2)},
        {"nullable": False},
        {"native": "decimal(9,2)"},
        {"length": 1},
        {"precision": 8},
        {"scale": 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_schema_is_another_when_values_could_be(changes):
    other = replace(TABLE, columns=(replace(COLUMN, **changes), TABLE.columns[1]))
    assert other.schema_sha != TABLE.schema_sha


def test_a_schema_is_the_same_whatever_is_said_about_it():
    noted = replace(COLUMN, comment="c", default="0", origin="x", identity=True)
    assert (
        replace(TABLE, columns=(noted, TABLE.columns[1]), rows=7, key=("a",)).schema_sha == TABLE.schema_sha
    )
    turned = replace(TABLE, columns=TABLE.columns[::-1])
    assert turned.schema_sha != TABLE.schema_sha


def test_a_column_is_found_by_its_exact_name():
    assert TABLE.column("a") is COLUMN
    with pytest.raises(KeyError):
        TABLE.column("A")


def test_a_receipt_is_completed_with_what_the_link_counted():
    tally = Tally(extracted=5, filtered=2, digests=["d"])
    done = tally.complete(Receipt("c", 1, 2))
    assert (done.extracted, done.filtered, done.boundary_digests) == (5, 2, ("d",))
    assert Tally().complete(Receipt("c", 1, 2)).extracted == 2, "files that travelled untouched"
