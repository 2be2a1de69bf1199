"""MariaDB and DuckDB against each other, SQLite and PostgreSQL: values equal after each hop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hdm.dialects.types import Fidelity
from hdm.model import Table
from tests.servers.process import Database
from tests.unit.mysqlkit import duckdb_system, mysql_system
from tests.unit.sqlkit import JOB, System, move, plan, postgres_system, sqlite_system

MARIA = (
    """CREATE TABLE awk (id int PRIMARY KEY, t1 tinyint(1), tu tinyint unsigned, iu int unsigned,
  b bigint, bu bigint unsigned, d decimal(38,10), d65 decimal(65,30), f float, db double, v varchar(200),
  c char(10), l1 varchar(20) CHARACTER SET latin1, tx longtext, vb varbinary(300), bl longblob, j json,
  e enum('a','ü'), s set('x','y'), bt bit(9), y year, dt date, tm time(6), dtm datetime(6),
  ts timestamp(6) NULL) DEFAULT CHARSET utf8mb4""",
    """INSERT INTO awk VALUES (1, -128, 255, 4294967295, -9223372036854775808, 18446744073709551615,
  '-9999999999999999999999999999.9999999999', '1e-30', 3.4028234663852886e38, 1.7976931348623157e308,
  'two\\nlines\\t"\\'\\\\', 'é日🎈', 'é"', 'a,b', x'00ff27', x'', '{"a": 1.50, "a": [1e400]}', 'ü', 'x,y',
  b'100000001', 2155, '9999-12-31', '23:59:59.999999', '9999-12-31 23:59:59.999999',
  '2038-01-19 03:14:07.999999')""",
    """INSERT INTO awk (id, v, tx, bl, db, f, d, dt, dtm, tm, y) VALUES (2, '', 'NULL', x'5c4e', 5e-324, 0.1,
  0, '0001-01-01', '0001-01-01', '00:00:00', 1901)""",
    "INSERT INTO awk (id, v, tx) VALUES (3, ' trail ', '\\\\N'), (4, NULL, '')",
)
DUCK = (
    """CREATE TABLE awk (id integer PRIMARY KEY, bo boolean, u8 utinyint, u64 ubigint, h hugeint,
  bn bignum, d decimal(38,30), f float, db double, v varchar, bl blob, dt date, tm time, ttz timetz,
  ts timestamp, tms timestamp_ms, tz timestamptz, iv interval, uu uuid, j json, l varchar[],
  s struct(a int), bt bit, e enum('a', 'b'))""",
    """INSERT INTO awk VALUES (1, true, 255, 18446744073709551615, -170141183460469231731687303715884105728,
  12345678901234567890123456789012345678901234567890::bignum, 99999999.123456789012345678901234567890, 0.1,
  -1.7976931348623157e308, e'a"\\\\\\n\\t日🎈', '\\x00\\x5C\\xFF'::blob, '9999-12-31', '23:59:59.999999',
  '10:00:00+05:30', '9999-12-31 23:59:59.999999', '1969-12-31 23:59:59.999', '2262-04-11 00:00:00+00',
  interval '-1 year 5 days', '00112233-4455-6677-8899-aabbccddeeff', '{"a":  1e400}', ['a', null, ','],
  {'a': 1}, '0101', 'b')""",
    "INSERT INTO awk (id, bo, v) VALUES (2, false, ''), (3, null, 'NULL')",
)


@pytest.fixture
def systems(
    tmp_path: Path, fresh_mariadb: Callable[..., Database], request: pytest.FixtureRequest
) -> dict[str, System]:
    made: dict[str, System] = {
        "mysql": mysql_system(fresh_mariadb().profile),
        "duckdb": duckdb_system(str(tmp_path / "a.duckdb")),
        "sqlite": sqlite_system(str(tmp_path / "a.sqlite")),
    }
    if "postgres" in str(request.node.callspec.params):
        made["postgres"] = postgres_system(request.getfixturevalue("fresh_postgres")().dsn)
    return made


def _content(system: System, name: str) -> tuple[Table, pa.Table]:
    source = system.source(name)
    table, chunks = plan(source)
    batches = [b for c in chunks for b in source.read(table, c).batches()]
    return table, pa.Table.from_batches(batches, schema=table.schema).sort_by("id")


def _as(array: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """An array in another carrier of the same values."""
    if array.type == kind:
        return array
    if pa.types.is_string(kind) and pa.types.is_decimal(array.type):
        texts = [None if v is None else f"{v:f}" for v in array.to_pylist()]
        return pa.chunked_array([pa.array(texts, kind)])
    if pa.types.is_timestamp(kind) and pa.types.is_timestamp(array.type):
        return array.cast(pa.timestamp(kind.unit)).cast(kind)
    return array.cast(kind)


def _hop(systems: dict[str, System], one: str, other: str) -> None:
    source, sink = systems[one].source("awk"), systems[other].sink("awk2")
    table = source.describe()
    lossy = {column.name for column, _ in sink.losses(table)}
    move(source, sink, job=JOB)
    before, after = _content(systems[one], "awk")[1], _content(systems[other], "awk2")[1]
    assert before.column_names == after.column_names
    changed = [
        name
        for name in before.column_names
        if name not in lossy and not before[name].equals(_as(after[name], before[name].type))
    ]
    assert changed == []
    assert lossy == {
        c.name for c in table.columns if systems[other].sink().dialect.stored(c).fidelity is Fidelity.LOSSY
    }


@pytest.mark.parametrize("other", ["duckdb", "sqlite", "postgres", "mysql"])
def test_from_mariadb(systems: dict[str, System], other: str) -> None:
    for statement in MARIA:
        systems["mysql"].run(statement)
    _hop(systems, "mysql", other)


@pytest.mark.parametrize("other", ["mysql", "sqlite", "postgres", "duckdb"])
def test_from_duckdb(systems: dict[str, System], other: str) -> None:
    for statement in DUCK:
        systems["duckdb"].run(statement)
    _hop(systems, "duckdb", other)


LITE = (
    "CREATE TABLE awk (id INTEGER PRIMARY KEY, t TEXT, v VARCHAR(20), r REAL, d DECIMAL_TEXT(40,5), b BLOB)",
    "INSERT INTO awk VALUES (1, 'a''\"\\\n\t', '', 1e300, '1234567890123456789012345678901.00001', x'00ff')",
    "INSERT INTO awk VALUES (-9223372036854775808, NULL, 'NULL', -0.0, NULL, x'')",
)
POSTGRES = (
    """CREATE TABLE awk (id bigint PRIMARY KEY, bo boolean, n numeric, n50 numeric(50,20), t text,
  v varchar(9), c char(5), by bytea, d date, tm time, ts timestamp, tz timestamptz, iv interval, u uuid,
  j json, jb jsonb,
  a int[], bt bit(5), bv bit varying(9), r real, dp double precision)""",
    """INSERT INTO awk VALUES (1, true, 1e100, 123456789012345678901234567890.12345678901234567890,
  E'a\\'"\\\\\\n\\t日🎈', '', 'x', '\\x00ff5c', '9999-12-31', '23:59:59.999999', '9999-12-31 23:59:59.999999',
  '2020-01-01 00:00:00.000001+05', '1 year -2 days', '00112233-4455-6677-8899-aabbccddeeff', '{"a":  1e400}',
  '{"a": 1}', '{1,NULL}', b'10101', b'', 0.1, 5e-324)""",
    "INSERT INTO awk (id, bo, t) VALUES (2, false, ''), (3, NULL, 'NULL')",
)


@pytest.mark.parametrize("other", ["mysql", "duckdb"])
def test_from_sqlite(systems: dict[str, System], other: str) -> None:
    for statement in LITE:
        systems["sqlite"].run(statement)
    _hop(systems, "sqlite", other)


@pytest.mark.parametrize("pair", ["postgres mysql", "postgres duckdb"])
def test_from_postgres(systems: dict[str, System], pair: str) -> None:
    for statement in POSTGRES:
        systems["postgres"].run(statement)
    _hop(systems, "postgres", pair.split()[1])


def test_the_helper_compares_values() -> None:
    one: Any = pa.chunked_array([pa.array(["1.5"])])
    assert not one.equals(_as(pa.chunked_array([pa.array(["1.50"])]), pa.string()))
