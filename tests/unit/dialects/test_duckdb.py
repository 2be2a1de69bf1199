"""The DuckDB dialect: what each native type means, and what each kind becomes."""

from __future__ import annotations

import pyarrow as pa
import pytest

from hdm.dialects import dialect
from hdm.dialects.types import Fidelity, carrier
from hdm.errors import ConnectionLost, Deadlock, RejectedRows, UsageError
from hdm.model import Column, Condition, Dataset, Kind, Table

DUCKDB = dialect("duckdb")
EXACT, CLOSE, LOSSY = Fidelity.EXACT, Fidelity.APPROXIMATED, Fidelity.LOSSY


@pytest.mark.parametrize(
    ("native", "kind", "arrow"),
    [
        ("UTINYINT", Kind.INT16, pa.int16()),
        ("UINTEGER", Kind.INT64, pa.int64()),
        ("UBIGINT", Kind.DECIMAL, pa.decimal128(20, 0)),
        ("HUGEINT", Kind.DECIMAL, pa.decimal256(39, 0)),
        ("UHUGEINT", Kind.DECIMAL, pa.decimal256(39, 0)),
        ("BIGNUM", Kind.DECIMAL, pa.string()),
        ("DECIMAL(38,10)", Kind.DECIMAL, pa.decimal128(38, 10)),
        ("TIMESTAMP_NS", Kind.TIMESTAMP, pa.timestamp("ns")),
        ("TIMESTAMP_S", Kind.TIMESTAMP, pa.timestamp("us")),
        ("TIMESTAMP WITH TIME ZONE", Kind.TIMESTAMPTZ, pa.timestamp("us", "UTC")),
        ("TIME_NS", Kind.TIME, pa.time64("ns")),
        ("TIME WITH TIME ZONE", Kind.TIMETZ, pa.string()),
        ("INTEGER[3]", Kind.ARRAY, pa.string()),
        ("STRUCT(a INTEGER)[]", Kind.ARRAY, pa.string()),
        ("STRUCT(a INTEGER)", Kind.OTHER, pa.string()),
        ("MAP(VARCHAR, INTEGER)", Kind.OTHER, pa.string()),
        ("ENUM('a', 'b]')", Kind.ENUM, pa.string()),
        ("BIT", Kind.BIT, pa.string()),
        ("BLOB", Kind.BINARY, pa.binary()),
    ],
)
def test_native_type_has_its_kind_and_carrier(native: str, kind: Kind, arrow: pa.DataType) -> None:
    column = DUCKDB.column_from_catalog("c", native)
    assert (column.kind, column.type) == (kind, arrow)
    assert DUCKDB.stored(column).native == native


@pytest.mark.parametrize(
    ("column", "native", "fidelity"),
    [
        (Column("c", Kind.DECIMAL, pa.decimal128(38, 4), precision=38, scale=4), "DECIMAL(38,4)", EXACT),
        (Column("c", Kind.DECIMAL, pa.decimal256(65, 30), precision=65, scale=30), "VARCHAR", CLOSE),
        (Column("c", Kind.DECIMAL, pa.decimal128(7, 7), precision=3, scale=7), "DECIMAL(7,7)", EXACT),
        (Column("c", Kind.TIMESTAMP, pa.timestamp("ns"), precision=9), "TIMESTAMP_NS", EXACT),
        (Column("c", Kind.TIMESTAMPTZ, pa.timestamp("ns"), precision=9), "TIMESTAMP WITH TIME ZONE", LOSSY),
    ],
)  # fmt: skip
def test_kind_of_another_system_has_its_type(column: Column, native: str, fidelity: Fidelity) -> None:
    kept = DUCKDB.stored(column)
    assert (kept.native, kept.fidelity) == (native, fidelity)


def test_every_kind_has_a_type() -> None:
    for kind in Kind:
        assert DUCKDB.stored(Column("c", kind, carrier(kind))).native


def test_pages_are_ranges_of_rowid() -> None:
    table = Table(Dataset("duckdb:x", "main.t"), ("main", "t"), ())
    conditions = [Condition("@page", ">=", "1"), Condition("@page", "<", "3")]
    assert DUCKDB.predicate(conditions, table) == "rowid >= 2048 AND rowid < 6144"
    with pytest.raises(UsageError):
        DUCKDB.predicate([Condition("@page", ">=", "1 OR 1")], table)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("TransactionException", Deadlock),
        ("IOException", ConnectionLost),
        ("ConversionException", RejectedRows),
    ],
)
def test_errors_are_classed_by_name_and_their_text_is_kept_back(name: str, kind: type) -> None:
    made = DUCKDB.classify(type(name, (Exception,), {})("value 'secret'"))
    assert type(made) is kind
    assert "secret" not in str(made)
