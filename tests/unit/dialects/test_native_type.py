"""The text of a column's type is one type, or it is refused by name."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from hdm.catalog.rules import make_rules
from hdm.dialects import dialect
from hdm.dialects.native_type import is_type
from hdm.errors import UsageError
from hdm.model import Column, Kind
from hdm.sql.source_config import SqlSourceConfig

TYPES = """numeric(10,2)[]; int(10) unsigned zerofill; timestamp(3) with time zone; enum('a','b''c')
STRUCT(a INTEGER, "b c" VARCHAR[]); nvarchar(max); MAP(VARCHAR, DECIMAL(9,2)); interval day to second(3)
"char"; public."my type"; ARRAY<STRUCT<a INT64, b STRING>>; VARCHAR2(10 CHAR); NUMBER(10,-2); bit varying(5)
VARCHAR(10) COLLATE "C"; INTEGER GENERATED ALWAYS; UNION(num INTEGER, str VARCHAR); INTEGER[3]; set('x')
DOUBLE PRECISION; VECTOR(FLOAT, 3); TIMESTAMP(6) WITH LOCAL TIME ZONE; varchar(9) character set utf8mb4"""
OTHERS = [
    "TEXT DEFAULT (1) CHECK (1=1), evil TEXT DEFAULT 'x'", "TEXT, evil TEXT", "TEXT)", "INT CHECK (1)",
    "INT -- x\n", "INT/**/", "INT; DROP TABLE x", "TEXT DEFAULT 1", "INT (f(x) + 1)", "INT (", "", "( )",
    "int 'x'", "TEXT REFERENCES x", "int primary key", "TEXT\nNOT NULL", "INT(lo_export(1, 'x'))",
    "enum('\\'')", "INT $$x$$", "INT = 1", "INT AS (1)", "INT\0", "varchar(pg_sleep(9))", "INT {fn now()}",
]  # fmt: skip


@pytest.mark.parametrize("text", [one.strip() for line in TYPES.split("\n") for one in line.split(";")])
def test_types_of_every_system_are_types(text: str) -> None:
    assert is_type(text)


@pytest.mark.parametrize("text", OTHERS)
@pytest.mark.parametrize("system", ["sqlite", "postgres", "mysql", "duckdb", "sqlserver", "snowflake"])
def test_what_is_more_than_a_type_never_reaches_ddl(text: str, system: str) -> None:
    assert not is_type(text)
    made = dialect(system)
    column = Column("c", Kind.TEXT, made.column_from_catalog("c", "text").type, True, text, system)
    try:
        ddl = made.column_ddl(column)
    except UsageError as error:
        assert "column c" in error.message
    else:
        assert text == "" or text not in ddl, ddl


def test_a_type_in_the_manifest_is_a_type_too() -> None:
    assert SqlSourceConfig(table_name="t", types={"a": "numeric(9,2)"}).types == {"a": "numeric(9,2)"}
    with pytest.raises(ValidationError, match="a: 'TEXT, evil TEXT' is not the name of one type"):
        SqlSourceConfig(table_name="t", types={"a": "TEXT, evil TEXT"})
    with pytest.raises(UsageError, match=r"rule 1: to: .*'INT CHECK \(1\)' is not the name of one type"):
        make_rules([{"to": "INT CHECK (1)"}])
