"""The checks that come with hdm: what they count, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import csv, parquet
from pydantic import ValidationError

from hdm.components import row_checks
from hdm.components.check import Check, make_checks
from hdm.components.row_checks import AcceptedValues, InFile, Length, NotNull, Pattern, Range
from hdm.errors import UsageError
from hdm.model import Column, Dataset, Kind, Table
from hdm.sql.table_checks import Freshness, InTable, RowCount, Unique

COLUMNS = (
    Column("id", Kind.INT64, pa.int64()),
    Column("name", Kind.TEXT, pa.string()),
    Column("day", Kind.DATE, pa.date32()),
    Column("ratio", Kind.FLOAT64, pa.float64()),
    Column("exact", Kind.DECIMAL, pa.string()),
    Column("raw", Kind.BINARY, pa.binary()),
)
TABLE = Table(Dataset("x", "t"), ("t",), COLUMNS)


def verdict(kind: type[Check], *batches: list[Any], **conf: Any) -> str | None:
    check = kind(kind.Config.model_validate(conf), TABLE)
    for ids in batches:
        rows = [{"id": one} for one in ids]
        check.observe(pa.RecordBatch.from_pylist(rows, schema=TABLE.schema))
    return check.verdict()


@pytest.mark.parametrize(
    ("kind", "batches", "conf", "found"),
    [
        (NotNull, [[1, 2], [3]], {"column": "id"}, None),
        (NotNull, [[1, None], [None]], {"column": "id"}, "2 NULLs in id (rows 2 and 3 of the chunk)"),
        (Range, [[1, None], [5]], {"column": "id", "min": 1, "max": 5}, None),
        (
            Range,
            [[0, 1], [6]],
            {"column": "id", "min": 1, "max": 5},
            "2 values of id out of range (rows 1 and 3 of the chunk)",
        ),
        (Unique, [[1, 2], [3, None], [None]], {"column": "id", "over": "chunk"}, None),
        (Unique, [[1, 2], [2, 1]], {"column": "id", "over": "chunk"}, "2 values of id come again"),
        (Unique, [], {"column": "id", "over": "chunk"}, None),
        (Unique, [[1, 1]], {"column": "id"}, None),
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
        (Range, {"column": "id", "min": 5, "max": 3}, "min is greater than max"),
        (Range, {"column": "exact", "min": 5}, "travels as text, which has another order"),
        (Range, {"column": "ratio", "max": "nan"}, "NaN is no bound"),
        (Length, {"column": "id", "max": 5}, r"id \(int64\) holds no texts"),
        (Length, {"column": "name"}, "no bound"),
        (Length, {"column": "name", "min": 5, "max": 3}, "min is greater than max"),
        (Pattern, {"column": "day", "matches": "x"}, "holds no texts"),
        (Pattern, {"column": "name", "matches": "[a-z"}, "missing ]"),
        (Pattern, {"column": "name", "matches": "a)|(b"}, "unexpected \\)"),
        (Pattern, {"column": "name", "matches": r"\Qa.b"}, "missing \\)"),
        (AcceptedValues, {"column": "id", "values": [1, "x"]}, "'x' is no value of column id"),
        (InFile, {"column": "id", "file": "/no/such.csv"}, "/no/such.csv cannot be read: No such file"),
        (Unique, {"column": "id", "also": ["nmae"]}, "no column 'nmae'"),
        (Unique, {"column": "id", "also": ["id"]}, "also names id or another column again"),
        (RowCount, {"min": 2, "max": 1}, "min is greater than max"),
        (Freshness, {"column": "name", "max_age": "1d"}, r"name \(text\) is no date or timestamp"),
        (InTable, {"column": "idd", "table": "t"}, "no column 'idd'"),
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
            [days if one.name == "day" else pa.nulls(2, one.type) for one in COLUMNS], schema=TABLE.schema
        )
    )
    assert check.verdict() == "1 values of day out of range (row 1 of the chunk)"


def test_checks_are_made_from_their_words() -> None:
    (made,) = make_checks(
        {"NotNull": NotNull}, TABLE, [{"type": "NotNull", "column": "id", "severity": "warn"}]
    )
    assert isinstance(made, NotNull)
    assert made.config.severity == "warn"


def broken(kind: type[Check], column: str, *values: Any, **conf: Any) -> str | None:
    check = kind(kind.Config.model_validate({"column": column, **conf}), TABLE)
    for value in values:
        check.observe(pa.RecordBatch.from_pylist([{column: value}], schema=TABLE.schema))
    return check.verdict()


@pytest.mark.parametrize(
    ("kind", "column", "values", "conf", "found"),
    [
        (Range, "ratio", [0.5, float("nan"), None, 2.0], {"min": 0}, "1 values of ratio out of range (row 2"),
        (
            Length,
            "name",
            ["", "\u00e4b", "abc", None],
            {"min": 1, "max": 2},
            "2 values of name of another length (rows 1 and 3",
        ),
        (Length, "raw", [b"\xc3\xa4", b"a"], {"max": 1}, "1 values of raw of another length (row 1"),
        (
            Pattern,
            "name",
            ["a1", "xa1", "a1\n", None],
            {"matches": r"[a-z]\d"},
            "2 values of name that do not match (rows 2 and 3",
        ),
        (Pattern, "name", ["a", "b", "ab"], {"matches": "a|b"}, "1 values of name that do not match (row 3"),
        (
            AcceptedValues,
            "name",
            ["NL", None, "DE", "nl"],
            {"values": ["NL", "DE"]},
            "1 values of name that are not accepted (row 4",
        ),
        (
            AcceptedValues,
            "id",
            [1, 2, 3],
            {"values": [1, "3"]},
            "1 values of id that are not accepted (row 2",
        ),
        (NotNull, "id", [None] * 9, {}, "9 NULLs in id (rows 1, 2, 3, 4, 5 and 4 more"),
    ],
)
def test_rows_that_break_a_rule_are_counted_and_named(
    kind: type[Check], column: str, values: list[Any], conf: dict[str, Any], found: str
) -> None:
    assert broken(kind, column, *values, **conf) == f"{found} of the chunk)"


@pytest.mark.parametrize(
    ("tolerate", "holds"), [(0, 0), (1, 1), ("1", 1), ("10%", 1), ("19.9%", 1), ("20%", 2)]
)
def test_a_rule_tolerates_rows_or_a_share_of_them(tolerate: int | str, holds: int) -> None:
    for count in range(4):
        values = [None] * count + [1] * (10 - count)
        assert (broken(NotNull, "id", *values, tolerate=tolerate) is None) == (count <= holds)


def test_every_whole_percent_of_a_hundred_rows_is_tolerated_to_the_row() -> None:
    for share in range(101):
        for count in (share, share + 1):
            check = NotNull(NotNull.Config(column="id", tolerate=f"{share}%"), TABLE)
            check.rows, check.found = 100, count
            assert check.exceeds == (count > share)


@pytest.mark.parametrize("wrong", ["x", -1, "-1", "101%", "5 %", "1.5", "", "%", "nan%"])
def test_what_is_no_number_of_rows_and_no_share_is_refused(wrong: int | str) -> None:
    with pytest.raises(ValidationError, match="write a number of rows, 0 or more, or a share"):
        NotNull.Config(column="id", tolerate=wrong)


def test_error_is_an_older_word_for_fail() -> None:
    assert NotNull.Config.model_validate({"column": "id", "severity": "error"}).severity == "fail"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_values_are_looked_up_in_a_file(tmp_path: Path, kind: str) -> None:
    file, known = tmp_path / f"known.{kind}", pa.table({"code": ["1", "2", None, "2"], "other": ["9"] * 4})
    csv.write_csv(known, file) if kind == "csv" else parquet.write_table(known, file)
    found = broken(InFile, "id", 1, 9, None, 2, file=str(file), field="code")
    assert found == "1 values of id that are not in the file (row 2 of the chunk)"
    csv.write_csv(pa.table({"code": ["9"]}), tmp_path / "known.csv")
    if kind == "csv":  # the file is read again where it changed
        assert broken(InFile, "id", 9, file=str(file), field="code") is None


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.txt", "id\n1\n", "neither .csv nor .parquet"),
        ("a.csv", "code\n1\n", "id"),
        ("a.parquet", "no parquet", "a.parquet: "),
        ("a.csv", "id\nx\n", r"id of .* holds what is no value of column id \(int64\)"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=said) as told:
        broken(InFile, "id", 1, file=str(tmp_path / name))
    assert "'x'" not in str(told.value)


def test_a_file_of_too_many_values_belongs_into_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_checks, "MOST_VALUES", 1)
    (tmp_path / "a.csv").write_text("id\n1\n2\n")
    with pytest.raises(UsageError, match="2 different values of id, more than 1") as told:
        broken(InFile, "id", 1, file=str(tmp_path / "a.csv"))
    assert "InTable" in str(told.value.hint)


def test_several_columns_are_unique_together() -> None:
    check = Unique(Unique.Config(column="id", also=["name"], over="chunk"), TABLE)
    for pair in ((1, "a"), (1, "b"), (1, "a"), (1, None), (1, None)):
        rows = [{"id": pair[0], "name": pair[1]}]
        check.observe(pa.RecordBatch.from_pylist(rows, schema=TABLE.schema))
    assert check.verdict() == "1 values of (id, name) come again"
