"""The checks that come with hdm: what they count, and what they refuse."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from hdm.components.check import Check, NotNull, Range, RowCount, Unique, make_checks
from hdm.errors import UsageError
from hdm.model import Column, Dataset, Kind, Table

COLUMNS = (
    Column("id", Kind.INT64, pa.int64()),
    Column("name", Kind.TEXT, pa.string()),
    Column("day", Kind.DATE, pa.date32()),
)
TABLE = Table(Dataset("x", "t"), ("t",), COLUMNS)


def verdict(kind: type[Check], *batches: list[Any], **conf: Any) -> str | None:
    check = kind(kind.Config.model_validate(conf), TABLE)
    for ids in batches:
        rows = [{"id": one, "name": None, "day": None} for one in ids]
        check.observe(pa.RecordBatch.from_pylist(rows, schema=TABLE.schema))
    return check.verdict()


@pytest.mark.parametrize(
    ("kind", "batches", "conf", "found"),
    [
        (NotNull, [[1, 2], [3]], {"column": "id"}, None),
        (NotNull, [[1, None], [None]], {"column": "id"}, "2 NULLs in id"),
        (Range, [[1, None], [5]], {"column": "id", "min": 1, "max": 5}, None),
        (Range, [[0, 1], [6]], {"column": "id", "min": 1, "max": 5}, "2 values of id out of range"),
        (Unique, [[1, 2], [3, None], [None]], {"column": "id"}, None),
        (Unique, [[1, 2], [2, 1]], {"column": "id"}, "2 values of id come again"),
        (Unique, [], {"column": "id"}, None),
        (RowCount, [[1], [2]], {"min": 2, "max": 2}, None),
        (RowCount, [[1]], {"min": 2}, "1 rows, expected 2 to any"),
        (RowCount, [[1, 2]], {"max": 1}, "2 rows, expected 0 to 1"),
    ],
)
def test_verdicts(kind: type[Check], batches: list[Any], conf: dict[str, Any], found: str | None) -> None:
    assert verdict(kind, *batches, **conf) == found


@pytest.mark.parametrize(
    ("kind", "conf", "said"),
    [
        (NotNull, {"column": "idd"}, "no column 'idd'"),
        (Range, {"column": "id"}, "no bound"),
        (Range, {"column": "id", "min": "a"}, "'a' is no value"),
        (Range, {"column": "day", "max": "2024-13-01"}, "'2024-13-01' is no value"),
    ],
)
def test_a_rule_that_does_not_fit_is_refused(kind: type[Check], conf: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        verdict(kind, **conf)


def test_dates_compare_as_dates() -> None:
    check = Range(Range.Config(column="day", min="2024-01-02"), TABLE)
    days = pa.array([19723, 19724], pa.int32()).cast(pa.date32())  # 2024-01-01 and the next
    check.observe(
        pa.RecordBatch.from_arrays(
            [pa.nulls(2, pa.int64()), pa.nulls(2, pa.string()), days], schema=TABLE.schema
        )
    )
    assert check.verdict() == "1 values of day out of range"


def test_checks_are_made_from_their_words() -> None:
    (made,) = make_checks(
        {"NotNull": NotNull}, TABLE, [{"type": "NotNull", "column": "id", "severity": "warn"}]
    )
    assert isinstance(made, NotNull)
    assert made.config.severity == "warn"
