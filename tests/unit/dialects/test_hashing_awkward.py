"""Every type of the type matrix: what a database sums up is what its rows give, or they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hdm.errors import UnrepresentableValue
from hdm.proof.buckets import Buckets
from hdm.proof.forms import Accepted, Pair
from hdm.proof.pairing import Wishes, paired
from hdm.proof.side import SqlSide, side_of, sql_side
from hdm.proof.sums import Sums, unequal
from tests.conformance import type_matrix
from tests.conformance.systems import System, duckdb_system, mariadb_system, postgres_system

READ = {
    "duckdb": {"TIMESTAMP_NS", "TIME_NS"},
    "mysql": {"float", "double", "bit(1)", "bit(9)", "point", "inet6"},
    "postgres": {
        "bit varying(9)", "bit(5)", "character(5)", "inet", "int4range", "integer[]", "interval", "point",
        "text[]", "time with time zone", "xml",
    },
}  # fmt: skip
"""Types whose values no SQL spells for certain, so that a table with one is read."""
IMPOSSIBLE = {"date", "datetime(6)", "timestamp(6)", "time(6)"}
"""Types of which MariaDB's table has values that are no day or time: the rows are read, which says so."""


@pytest.fixture(scope="module")
def ask(
    fresh_mariadb: Callable[..., Any], fresh_postgres: Callable[..., Any]
) -> dict[str, Callable[..., Any]]:
    return {"mysql": fresh_mariadb, "postgres": fresh_postgres}


@pytest.fixture(scope="module", params=["duckdb", "mysql", "postgres"])
def system(
    request: pytest.FixtureRequest,
    ask: dict[str, Callable[..., Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[System]:
    folder: Path = tmp_path_factory.mktemp("awkward")
    match request.param:
        case "duckdb":
            made = duckdb_system(folder)
        case "mysql":
            made = mariadb_system(ask["mysql"]())
        case _:
            made = postgres_system(ask["postgres"]())
    type_matrix.fill(made)
    with closing(made.source("awk").database.connect("held")):  # so that a file is opened once
        yield made


Answers = dict[str, tuple[Pair, Sums | None, Sums | None]]


@pytest.fixture(scope="module")
def answers(system: System) -> Answers:
    """By column of the type matrix: the sums of this column, computed and read."""
    one = side(system)
    return {pair.a.name: (pair, *both(one, Buckets((pair,), (), hashed=1 << 12))) for pair in pairs_of(one)}


def side(system: System, name: str = "awk") -> SqlSide:
    database = system.source(name).database
    return sql_side(database, database.default_path((name,)))


def both(one: SqlSide, buckets: Buckets) -> tuple[Sums | None, Sums | None]:
    """The sums that the database computes, and those of the rows that are read; None if it cannot be."""
    with one.open() as reader:
        table = reader.sums(buckets, first=True)
        computed, read = None, Sums()
        if table is not None:
            computed = Sums()
            computed.load(table)
    try:
        with one.open() as reader:
            for batch in reader.batches([pair.a for pair in buckets.pairs]):
                rows = buckets.place(batch, first=True)
                read.add(rows.bucket, rows.place, rows.hash)
    except UnrepresentableValue:
        return computed, None
    return computed, read


def pairs_of(one: SqlSide, **accept: Accepted) -> tuple[Pair, ...]:
    return paired(one.table, one.table, Wishes(accept=accept)).pairs


@pytest.mark.server
def test_each_type_is_spelled_the_same_or_read(system: System, answers: Answers) -> None:
    wrong, unspelled = [], set()
    for pair, computed, read in answers.values():
        if computed is None:
            unspelled.add(pair.a.native)
        elif read is not None and unequal(computed, read):
            wrong.append(pair.a.native)
    assert wrong == []
    assert unspelled == READ[system.name] | (IMPOSSIBLE if system.name == "mysql" else set())


@pytest.mark.server
@pytest.mark.parametrize("way", ["ranges", "hashed", "whole"])
def test_rows_of_many_columns(system: System, answers: Answers, way: str) -> None:
    one = side(system)
    able = [pair for pair, *sums in answers.values() if None not in sums]
    buckets = {
        "ranges": Buckets(able, (0,), ranges=True, low=0, width=3),
        "hashed": Buckets(able, (1, 0), hashed=16),
        "whole": Buckets(able, (), hashed=16),
    }[way]
    computed, read = both(one, buckets)
    assert computed is not None and read is not None
    assert unequal(computed, read) == [] and computed.rows == read.rows > 3
    assert computed.table().num_rows > 2


MARIA = """CREATE TABLE days (id BIGINT UNSIGNED PRIMARY KEY, born DATE, seen DATETIME(6), at TIME(6),
 cut TIME(2), zoned TIMESTAMP(6) NULL, old VARCHAR(20) CHARACTER SET latin1,
 german VARCHAR(20) COLLATE utf8mb4_german2_ci,
 code CHAR(5), raw BINARY(4), price DECIMAL(9,4), big BIGINT UNSIGNED, padded INT(8) ZEROFILL)"""
ROWS = [
    "(1, '0001-01-01', '0001-01-01 00:00:00', '00:00:00', '00:00', '1970-01-02', 'a ', '\u00e4', 'a', 'a', "
    "0, 0, 1)",
    "(7, '1582-10-10', '1582-10-10 23:59:59.999999', '23:59:59.999999', '01:02:03.45', "
    "'2038-01-19 03:14:07', '\u00e9', 'ae', 'a ', '', -0.5, 18446744073709551615, 5)",
    "(8, '9999-12-31', '1969-12-31 23:59:59.999999', '12:00:00.5', NULL, NULL, '', '', '', NULL, 100, 7, "
    "NULL)",
    "(90, '2024-02-29', '9999-12-31 23:59:59.999999', NULL, NULL, NULL, NULL, ' ', NULL, 'abcd', 12345.6789, "
    "NULL, 0)",
]


@pytest.fixture(scope="module")
def maria(ask: dict[str, Callable[..., Any]]) -> System:
    made = mariadb_system(ask["mysql"]())
    made.run(MARIA)
    for row in ROWS:
        made.run(f"INSERT INTO days VALUES {row}")
    return made


@pytest.mark.server
def test_days_charsets_and_collations_of_mariadb(maria: System) -> None:
    one = side(maria, "days")
    rules = {
        "old": Accepted(trailing_blanks=True, empty_is_null=True),
        "german": Accepted(empty_is_null=True),
    }
    found = {}
    for accept in ({}, rules):
        for pair in pairs_of(one, **accept):
            found[pair.a.name] = both(one, Buckets((pair,), (), hashed=1 << 12))
            computed, read = found[pair.a.name]
            assert read is not None and (computed is None) == (pair.a.name == "padded"), pair.a.name
            assert computed is None or unequal(computed, read) == [], (pair.a.name, accept)
    pairs = [pair for pair in pairs_of(one) if pair.a.name != "padded"]
    for buckets in (Buckets(pairs, (3,), hashed=4), Buckets(pairs, (), hashed=16)):
        computed, read = both(one, buckets)
        assert computed is not None and read is not None and unequal(computed, read) == []


@pytest.mark.server
@pytest.mark.parametrize("day", ["2024-02-31", "2024-00-05", "0000-00-00", "0000-05-05"])
def test_a_day_that_is_none_is_read(maria: System, day: str) -> None:
    maria.run("CREATE OR REPLACE TABLE odd (id BIGINT PRIMARY KEY, born DATE)")
    maria.run(f"SET STATEMENT sql_mode = 'ALLOW_INVALID_DATES' FOR INSERT INTO odd VALUES (1, '{day}')")
    assert maria.run("SELECT CAST(born AS CHAR) FROM odd") == [(day,)]
    one = side(maria, "odd")
    with one.open() as reader:
        assert reader.sums(Buckets(pairs_of(one), ()), first=True) is None


@pytest.mark.server
@pytest.mark.long
def test_a_row_longer_than_a_packet_is_read(maria: System) -> None:
    """CONCAT gives NULL then: it must not count for equal to another such row."""
    maria.run("CREATE TABLE wide (id BIGINT PRIMARY KEY, a LONGTEXT, b LONGTEXT)")
    most = int(maria.run("SELECT @@max_allowed_packet")[0][0])
    half = most // 2 - 50
    maria.run(f"INSERT INTO wide VALUES (1, REPEAT('a', {half}), REPEAT('b', {half}))")
    one = side(maria, "wide")
    with one.open() as reader:
        assert reader.sums(Buckets(pairs_of(one), (0,), ranges=True), first=True) is not None
    maria.run(f"UPDATE wide SET b = REPEAT('b', {half + 100})")
    with one.open() as reader:
        assert reader.sums(Buckets(pairs_of(one), (0,), ranges=True), first=True) is None


@pytest.mark.server
def test_accepted_differences_of_duckdb(tmp_path: Path) -> None:
    made = duckdb_system(tmp_path)
    made.run("CREATE TABLE t (id BIGINT, name VARCHAR, ratio DOUBLE, tiny DECIMAL(3,3), far DATE)")
    made.run(
        "INSERT INTO t VALUES (-5, 'a ', '-0.0', 0.5, 'infinity'), (4, ' ', 0, -0.25, '5877642-06-25 (BC)'), "
        "(5, '', 'NaN', 0, NULL), (NULL, NULL, '-NaN', NULL, '-infinity')"
    )
    one = side(made, "t")
    accept = {"name": Accepted(trailing_blanks=True, empty_is_null=True), "ratio": Accepted(zero_sign=True)}
    for chosen in ({}, accept):
        pairs = pairs_of(one, **chosen)
        for pair in pairs:
            computed, read = both(one, Buckets((pair,), (), hashed=1 << 12))
            assert computed is not None and read is not None and unequal(computed, read) == [], pair.a.name
        computed, read = both(one, Buckets(pairs, (0,), ranges=True, low=-5, width=4))
        assert computed is not None and read is not None and unequal(computed, read) == []


@pytest.mark.server
def test_a_type_that_the_manifest_declares_is_read(tmp_path: Path) -> None:
    """What a column is said to be need not be what the database's SQL takes it for."""
    made = duckdb_system(tmp_path)
    made.run("CREATE TABLE t AS SELECT 1 AS id, '1.50' AS price")
    for types, computed in (({}, True), ({"price": "DECIMAL(9,2)"}, False)):
        one = side_of(made.source("t", types=types))
        assert isinstance(one, SqlSide)
        pairs = pairs_of(one)
        with one.open() as reader:
            assert (reader.sums(Buckets(pairs, ()), first=True) is not None) == computed


@pytest.mark.server
def test_texts_of_several_collations_of_postgres(ask: dict[str, Callable[..., Any]]) -> None:
    """Also one that takes different texts for equal: what counts are the bytes."""
    made = postgres_system(ask["postgres"]())
    made.run("CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)")
    texts = 'a text COLLATE "C", b text COLLATE "POSIX", c text COLLATE loose'
    made.run(f"CREATE TABLE t (id bigint, {texts}, d bytea)")
    made.run("INSERT INTO t VALUES (1, 'a', 'A', 'Ab', ''), (2, '', NULL, '', NULL)")
    made.run("INSERT INTO t VALUES (3, ' ', '\u00e4', 'aB ', 'x')")
    one = side(made, "t")
    rules = {name: Accepted(trailing_blanks=True, empty_is_null=True) for name in "abc"}
    for accept in ({}, rules):
        pairs = pairs_of(one, **accept)
        for chosen in (pairs, pairs[:4]):
            computed, read = both(one, Buckets(chosen, (), hashed=16))
            assert computed is not None and read is not None and unequal(computed, read) == []
