"""What a database sums up of its rows is, bit for bit, what is summed up of the rows that are read."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from hdm.components import registry
from hdm.proof.buckets import Buckets
from hdm.proof.compare import compare
from hdm.proof.forms import Accepted, Pair
from hdm.proof.pairing import Wishes, paired
from hdm.proof.rows import RowsCompared
from hdm.proof.side import SqlSide, sql_side
from hdm.proof.sums import Sums, unequal
from tests.servers.process import Database

TABLE = """CREATE TABLE {name} (id bigint, small smallint, flag boolean, price numeric(30,10), loose numeric,
 f4 real, f8 double precision, name text, code varchar(40), uid uuid, doc jsonb, raw bytea,
 born date, at time, seen timestamp, zoned timestamptz)"""
AWKWARD: dict[str, list[Any]] = {
    "id": [None, 0, 1, 7, -5, 2_000_000_000, 3, 4, 5, 6, 8, 9, 10, 11],
    "small": [None, 0, -32768, 32767],
    "flag": [None, True, False],
    "price": [None, "0", "0.0000000001", "-1.5000000000", "99999999999999999999.9999999999", "1000"],
    "loose": [None, "1.50", "1.5", "NaN", "100", "0.00", "-0.1", "1e20", "1e-20"],
    "f4": [None, "0", "-0", "NaN", "Infinity", "1.1", "-3.4e38"],
    "f8": [None, "0", "-0", "NaN", "-Infinity", "1.1", "5e-324", "1.7976931348623157e308"],
    "name": [None, "", " ", "a ", "\u00e4", "a\u0308", "\U0001f600", "N", "t1:a", "x" * 5000],
    "code": [None, "", "a", "a "],
    "uid": [None, "00000000-0000-0000-0000-00000000000a"],
    "doc": [None, '{"b": 1, "a": [1, 2.50, null]}', '""'],
    "raw": [None, b"", b"\x00\xff", b"N"],
    "born": [None, "2024-02-29", "0001-01-01", "4713-01-01 BC", "5874897-12-31", "infinity", "-infinity"],
    "at": [None, "00:00", "23:59:59.999999"],
    "seen": [None, "2024-03-31 01:30:00.123456", "1969-12-31 23:59:59.999999", "infinity", "0044-01-01 BC"],
    "zoned": [None, "2024-03-31 01:30:00.5+02", "infinity", "1900-01-01 00:00:00.000001+00"],
}  # fmt: skip


def fill(database: Database, name: str, seed: int, rows: int = 80) -> None:
    draw = random.Random(seed)
    marks = ", ".join(["%s"] * len(AWKWARD))
    with psycopg.connect(database.dsn) as connection:
        connection.execute(TABLE.format(name=name))  # type: ignore[call-overload]
        for _ in range(rows):
            connection.execute(
                f"INSERT INTO {name} VALUES ({marks})", [draw.choice(values) for values in AWKWARD.values()]
            )


def side(database: Database, name: str) -> SqlSide:
    cls = registry.find("sink", "PostgresSink")
    made = cls.Database.reached(cls.Profile(**database.profile))
    return sql_side(made, made.default_path((name,)))


def both(one: SqlSide, buckets: Buckets, *, first: bool = True) -> Iterator[Sums]:
    """The sums that the database computes, and those of the rows that are read."""
    with one.open() as reader:
        computed = reader.sums(buckets, first=first)
        assert computed is not None
        loaded = Sums()
        loaded.load(computed)
        yield loaded
        read = Sums()
        for batch in reader.batches([pair.a for pair in buckets.pairs]):
            rows = buckets.place(batch, first=first)
            read.add(rows.bucket, rows.place, rows.hash)
        yield read


def ways(pairs: tuple[Pair, ...]) -> dict[str, Buckets]:
    return {
        "ranges": Buckets(pairs, (0,), ranges=True, low=-5, width=3),
        "hashed": Buckets(pairs, (7, 0), hashed=16),
        "whole": Buckets(pairs, (), hashed=16),
    }


@pytest.fixture(scope="module")
def database(postgres_database: Database) -> Database:
    fill(postgres_database, "awkward", seed=1)
    return postgres_database


@pytest.mark.server
@pytest.mark.parametrize("way", ["ranges", "hashed", "whole"])
def test_postgres_sums_up_the_same(database: Database, way: str) -> None:
    one = side(database, "awkward")
    computed, read = both(one, ways(paired(one.table, one.table, Wishes()).pairs)[way])
    assert computed.rows == read.rows == 80
    assert unequal(computed, read) == []
    assert computed.table().num_rows > 3


@pytest.mark.server
@pytest.mark.parametrize("column", [*AWKWARD])
def test_each_column_is_spelled_the_same(database: Database, column: str) -> None:
    """One column at a time, so that a wrong one is named."""
    one = side(database, "awkward")
    pairs = paired(one.table, one.table, Wishes()).pairs
    chosen = tuple(pair for pair in pairs if pair.a.name == column)
    computed, read = both(one, Buckets(chosen, (), hashed=1 << 12))
    assert unequal(computed, read) == [] and read.rows == 80


@pytest.mark.server
def test_accepted_rules_are_spelled_the_same(database: Database) -> None:
    one = side(database, "awkward")
    accept = {
        "name": Accepted(trailing_blanks=True, empty_is_null=True),
        "code": Accepted(empty_is_null=True),
        "f8": Accepted(zero_sign=True),
        "f4": Accepted(zero_sign=True),
    }
    pairs = paired(one.table, one.table, Wishes(accept=accept)).pairs
    computed, read = both(one, ways(pairs)["ranges"])
    assert unequal(computed, read) == []
    plain, _ = both(one, ways(paired(one.table, one.table, Wishes()).pairs)["ranges"])
    assert unequal(plain, read) != []


@pytest.mark.server
def test_what_cannot_be_spelled_surely_is_read(database: Database) -> None:
    with psycopg.connect(database.dsn) as connection:
        connection.execute("CREATE TABLE odd (id bigint, padded char(5), gap interval)")
        connection.execute("INSERT INTO odd VALUES (1, 'a', '1 day'), (2, 'b ', NULL)")
        connection.execute("CREATE TABLE odd2 AS SELECT * FROM odd")
    one = side(database, "odd")
    for excluded in ("padded", "gap", "id"):
        pairs = paired(one.table, one.table, Wishes(exclude=(excluded,))).pairs
        with one.open() as reader:
            assert reader.sums(Buckets(pairs, (), hashed=4), first=True) is None
    seconds = Accepted(seconds=3)
    made = paired(*[side(database, "awkward").table] * 2, Wishes(accept={"seen": seconds})).pairs
    with side(database, "awkward").open() as reader:
        assert reader.sums(Buckets(made, (), hashed=4), first=True) is None
    assert compare(one, side(database, "odd2")).equal


@pytest.mark.server
def test_a_wrong_row_is_named_and_equal_tables_are_not_read(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(database.dsn) as connection:
        connection.execute("CREATE TABLE a (id bigint PRIMARY KEY, name text, price numeric(9,2))")
        connection.execute("INSERT INTO a SELECT n, 'name ' || n, n / 4.0 FROM generate_series(1, 5000) AS n")
        connection.execute("CREATE TABLE b AS SELECT * FROM a")
    read: list[int] = []
    placed = RowsCompared._placed

    def counting(self: RowsCompared, *given: Any, **named: Any) -> Iterator[Any]:
        for rows, batch in placed(self, *given, **named):
            read.append(batch.num_rows)
            yield rows, batch

    monkeypatch.setattr(RowsCompared, "_placed", counting)
    a, b = side(database, "a"), side(database, "b")
    assert compare(a, b).equal and read == []
    with psycopg.connect(database.dsn) as connection:
        connection.execute("UPDATE b SET name = name || ' ' WHERE id = 1234")
        connection.execute("DELETE FROM b WHERE id = 3456")
        connection.execute("INSERT INTO b SELECT * FROM b WHERE id = 77")
    one = compare(a, b)
    assert (one.missing, one.extra, one.changed) == (1, 1, 1) and sum(read) < 20
    assert {(row.kind, row.key["id"]) for row in one.shown} == {
        ("changed", 1234), ("missing", 3456), ("extra", 77),
    }  # fmt: skip
    whole = compare(replace(a, table=replace(a.table, key=())), b)
    assert (whole.missing, whole.extra) == (2, 2)
