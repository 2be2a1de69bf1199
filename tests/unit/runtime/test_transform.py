"""``transform:`` maps and filters rows by one SELECT, and nothing else."""

from __future__ import annotations

import pyarrow as pa
import pytest

from hdm.errors import CheckFailed, UsageError
from hdm.model import Column, Dataset, Kind, Table
from hdm.runtime.transform import Transform

COLUMNS = (
    Column("id", Kind.INT64, pa.int64(), nullable=False),
    Column("name", Kind.TEXT, pa.string()),
    Column("at", Kind.TIMESTAMPTZ, pa.timestamp("us", "UTC")),
)
TABLE = Table(Dataset("x", "t"), ("t",), COLUMNS, ("id",), "id")


def batch(*rows: tuple[int, str | None]) -> pa.RecordBatch:
    plain = [{"id": number, "name": name, "at": None} for number, name in rows]
    return pa.RecordBatch.from_pylist(plain, schema=TABLE.schema)


@pytest.mark.slow
def test_maps_and_filters() -> None:
    made = Transform("SELECT id, upper(name) AS name, id * 2 AS twice FROM batch WHERE id > 1", TABLE)
    assert made(batch((1, "a"), (2, "b"), (3, None))).to_pylist() == [
        {"id": 2, "name": "B", "twice": 4},
        {"id": 3, "name": None, "twice": 6},
    ]
    assert made(batch((1, "a"))).num_rows == 0


@pytest.mark.slow
def test_a_column_that_stays_keeps_its_declaration() -> None:
    made = Transform("SELECT id, batch.at, name || '' AS other FROM batch", TABLE).table
    assert made.columns[:2] == (COLUMNS[0], COLUMNS[2])
    assert (made.columns[2].name, made.columns[2].kind) == ("other", Kind.TEXT)
    assert made.key == ("id",)
    assert Transform("SELECT name FROM batch", TABLE).table.key == ()


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT nope FROM batch", "nope"),
        ("DROP TABLE batch", "not one SELECT"),
        ("SELECT 1; SELECT 2", "not one SELECT"),
        ("SELECT * FROM read_csv('/etc/passwd')", "transform of t"),
        ("SELECT [id] AS list FROM batch", "does not carry"),
    ],
)
def test_refuses_anything_else(sql: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Transform(sql, TABLE)


@pytest.mark.slow
def test_rows_cannot_multiply() -> None:
    made = Transform("SELECT b.id FROM batch b, (VALUES (1), (2)) c(x)", TABLE)
    with pytest.raises(CheckFailed, match="made 4 rows of 2"):
        made(batch((1, "a"), (2, "b")))


def test_a_value_that_cannot_be_cast_is_not_quoted() -> None:
    made = Transform("SELECT CAST(name AS INTEGER) AS n FROM batch", TABLE)
    with pytest.raises(CheckFailed) as caught:
        made(batch((1, "a secret")))
    assert "secret" not in str(caught.value)
