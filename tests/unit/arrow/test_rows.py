"""Driver rows to Arrow and back: exactly, or refused by the column's name and never by the value."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from hdm.arrow import rows
from hdm.errors import UnrepresentableValue
from hdm.model import Column, Kind

COLUMNS = (
    Column("n", Kind.INT16, pa.int16(), False),
    Column("t", Kind.TEXT, pa.string()),
    Column("d", Kind.DECIMAL, pa.decimal128(5, 2)),
)


def test_rows_become_columns_of_the_declared_carriers():
    made = rows.to_batch([(1, "a", Decimal("1.50")), (2, None, None)], COLUMNS)
    assert made.schema.types == [pa.int16(), pa.string(), pa.decimal128(5, 2)]
    assert [field.nullable for field in made.schema] == [False, True, True]
    assert made.to_pylist()[1] == {"n": 2, "t": None, "d": None}


def test_no_rows_are_an_empty_batch_with_its_columns():
    made = rows.to_batch([], COLUMNS)
    assert (made.num_rows, made.schema.names) == (0, ["n", "t", "d"])


@pytest.mark.parametrize(
    ("row", "column"),
    [((99999, "a", None), "n"), ((1, b"\xff\xfe", None), "t"), ((1, "a", Decimal("1234.567")), "d")],
)
def test_a_value_that_does_not_fit_names_its_column_and_is_not_shown(row, column):
    with pytest.raises(UnrepresentableValue, match=f"column {column}:") as wrong:
        rows.to_batch([row], COLUMNS)
    assert "99999" not in str(wrong.value)
    assert "1234" not in str(wrong.value)


def test_a_decoder_is_used_for_its_column_only():
    def doubled(values, kind):
        return pa.array([2 * value for value in values], kind)

    made = rows.to_batch([(1, "a", None)], COLUMNS, {"n": doubled})
    assert made.to_pylist() == [{"n": 2, "t": "a", "d": None}]


def test_a_short_row_is_a_defect_and_not_padded():
    with pytest.raises(ValueError):
        rows.to_batch([(1, "a", None), (2, "b")], COLUMNS)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_a_text_is_measured_in_characters(kind):
    rows.check_length(pa.array(["éé", None], kind), "t", 2)
    rows.check_length(pa.array(["\U0001f388" * 3], kind), "t", 3)
    rows.check_length(pa.array([], kind), "t", 1)
    with pytest.raises(UnrepresentableValue, match="longer than the 2 characters"):
        rows.check_length(pa.array(["abc"], kind), "t", 2)


def test_other_types_have_no_length():
    rows.check_length(pa.array([123456]), "n", 1)


def test_cells_are_what_any_driver_takes():
    moment = pa.array([datetime(2020, 1, 2, 3, 4, 5, 6), None], pa.timestamp("us"))
    assert rows.cells(moment) == ["2020-01-02 03:04:05.000006", None]
    assert rows.cells(pa.array([Decimal("1.50")], pa.decimal128(5, 2))) == ["1.50"]
    assert rows.cells(pa.array([1, None])) == [1, None]


def test_decimals_never_have_an_exponent():
    tiny = pa.array([Decimal("0.0000000000000001"), None, Decimal(0)], pa.decimal128(38, 16))
    assert rows.decimal_texts(tiny).to_pylist() == ["0.0000000000000001", None, "0.0000000000000000"]
