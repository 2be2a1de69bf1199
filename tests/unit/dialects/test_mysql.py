"""The MySQL dialect: what each native type means, and what each kind becomes."""

from __future__ import annotations

import pyarrow as pa
import pytest

from hdm.dialects import dialect
from hdm.dialects.types import Fidelity, carrier
from hdm.errors import Deadlock, RejectedRows, SchemaDrift, UsageError
from hdm.model import Column, Condition, Dataset, Kind, Table

MYSQL = dialect("mysql")
EXACT, CLOSE, LOSSY = Fidelity.EXACT, Fidelity.APPROXIMATED, Fidelity.LOSSY


@pytest.mark.parametrize(
    ("native", "kind", "arrow"),
    [
        ("tinyint(1)", Kind.INT8, pa.int8()),
        ("tinyint(3) unsigned", Kind.INT16, pa.int16()),
        ("smallint(5) unsigned zerofill", Kind.INT32, pa.int32()),
        ("mediumint(8) unsigned", Kind.INT32, pa.int32()),
        ("int(10) unsigned", Kind.INT64, pa.int64()),
        ("bigint(20) unsigned", Kind.DECIMAL, pa.decimal128(20, 0)),
        ("bigint", Kind.INT64, pa.int64()),
        ("year(4)", Kind.INT16, pa.int16()),
        ("decimal(65,30)", Kind.DECIMAL, pa.decimal256(65, 30)),
        ("decimal(10,0) unsigned", Kind.DECIMAL, pa.decimal128(10, 0)),
        ("float", Kind.FLOAT32, pa.float32()),
        ("double(20,3)", Kind.FLOAT64, pa.float64()),
        ("varchar(20)", Kind.TEXT, pa.string()),
        ("longtext", Kind.TEXT, pa.string()),
        ("json", Kind.JSON, pa.string()),
        ("varbinary(3)", Kind.BINARY, pa.binary()),
        ("mediumblob", Kind.BINARY, pa.binary()),
        ("enum('a','b(,''')", Kind.ENUM, pa.string()),
        ("set('x')", Kind.ENUM, pa.string()),
        ("bit(64)", Kind.BIT, pa.string()),
        ("date", Kind.DATE, pa.date32()),
        ("time(6)", Kind.TIME, pa.time64("us")),
        ("datetime(6)", Kind.TIMESTAMP, pa.timestamp("us")),
        ("timestamp", Kind.TIMESTAMPTZ, pa.timestamp("us", "UTC")),
        ("point", Kind.OTHER, pa.string()),
        ("inet6", Kind.OTHER, pa.string()),
    ],
)
def test_native_type_has_its_kind_and_carrier(native: str, kind: Kind, arrow: pa.DataType) -> None:
    column = MYSQL.column_from_catalog("c", native)
    assert (column.kind, column.type) == (kind, arrow)
    assert MYSQL.stored(column).native == native


@pytest.mark.parametrize(
    ("column", "native", "fidelity"),
    [
        (Column("c", Kind.BOOLEAN, pa.bool_()), "tinyint(1)", CLOSE),
        (Column("c", Kind.TEXT, pa.string(), length=20), "varchar(20)", EXACT),
        (Column("c", Kind.TEXT, pa.string(), length=20_000), "longtext", EXACT),
        (Column("c", Kind.DECIMAL, pa.decimal256(65, 30), precision=65, scale=30), "decimal(65,30)", EXACT),
        (Column("c", Kind.DECIMAL, pa.string()), "longtext", CLOSE),
        (Column("c", Kind.DECIMAL, pa.decimal128(38, 38), precision=5, scale=38), "longtext", CLOSE),
        (Column("c", Kind.TIMESTAMP, pa.timestamp("ns"), precision=9), "datetime(6)", LOSSY),
        (Column("c", Kind.TIMESTAMPTZ, pa.timestamp("us", "UTC")), "datetime(6)", CLOSE),
        (Column("c", Kind.TIME, pa.time64("us"), precision=3), "time(3)", EXACT),
    ],
)  # fmt: skip
def test_kind_of_another_system_has_its_type(column: Column, native: str, fidelity: Fidelity) -> None:
    kept = MYSQL.stored(column)
    assert (kept.native, kept.fidelity) == (native, fidelity)


def test_every_kind_has_a_type() -> None:
    for kind in Kind:
        assert MYSQL.stored(Column("c", kind, carrier(kind))).native


@pytest.mark.parametrize("name", ["smile🎈", "blank ", "x" * 65, "nul\0"])
def test_names_that_the_server_would_alter_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        MYSQL.quote(name)


def test_names_and_strings_are_quoted() -> None:
    assert MYSQL.quote("a`b") == "`a``b`"
    assert MYSQL.string("a\\'b\0") == "'a\\\\''b\\0'"


def test_conditions_are_compared_in_the_columns_own_type() -> None:
    columns = (
        MYSQL.column_from_catalog("n", "bigint(20) unsigned"),
        MYSQL.column_from_catalog("t", "timestamp(6)"),
        MYSQL.column_from_catalog("s", "varchar(5)"),
    )
    table = Table(Dataset("mysql://h", "d.t"), ("d", "t"), columns)
    conditions = [
        Condition("n", ">=", "18446744073709551615"),
        Condition("t", "<", "2020-01-01 00:00:00.000001"),
        Condition("s", "=", "o'x\\"),
    ]
    assert MYSQL.predicate(conditions, table) == (
        "`n` >= 18446744073709551615 AND `t` < CAST('2020-01-01 00:00:00.000001' AS DATETIME(6)) "
        "AND `s` = 'o''x\\\\'"
    )
    with pytest.raises(UsageError):
        MYSQL.predicate([Condition("n", ">", "1 OR 1=1")], table)


def test_keys_get_types_that_an_index_can_have() -> None:
    columns = (
        Column("a", Kind.TEXT, pa.string(), False),
        Column("b", Kind.BINARY, pa.binary(), False),
        Column("c", Kind.TEXT, pa.string()),
    )
    made = MYSQL.create_table(("d", "t"), columns, ("a", "b"))
    assert "`a` varchar(384) NOT NULL" in made
    assert "`b` varbinary(1536) NOT NULL" in made
    assert "`c` longtext" in made


def test_columns_that_overflow_a_row_become_text() -> None:
    columns = [Column(f"c{n}", Kind.TEXT, pa.string(), length=5000) for n in range(5)]
    made = MYSQL.create_table(("d", "t"), columns)
    assert made.count("varchar(5000)") == 2 and made.count("longtext") == 3


@pytest.mark.parametrize(
    ("number", "kind"), [(1213, Deadlock), (1205, Deadlock), (1406, RejectedRows), (1146, SchemaDrift)]
)
def test_errors_are_classed_by_number_and_their_text_is_kept_back(number: int, kind: type) -> None:
    made = MYSQL.classify(RuntimeError(number, "Data too long: 'secret'"))
    assert type(made) is kind
    assert "secret" not in str(made)


def test_merge_updates_by_join_and_matches_null_keys_only_on_demand() -> None:
    update, insert = MYSQL.merge(("d", "t"), ("s",), ["k", "v"], ["k"])
    assert update.startswith("UPDATE `d`.`t` AS t JOIN `s` AS s ON (t.`k` = s.`k`) SET t.`v` = s.`v`")
    assert insert.startswith("INSERT INTO `d`.`t` (`k`, `v`) SELECT")
    assert "<=>" in MYSQL.merge(("d", "t"), ("s",), ["k", "v"], ["k"], null_keys=True)[0]
