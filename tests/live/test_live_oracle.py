"""What the double of Oracle's data frames says of the driver, asked of a real server: every value arrives."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from hdm.dialects import dialect
from tests.live.named import SET, component
from tests.live.test_live import JOB
from tests.unit.connectors.test_oracle_frames import NUMBERS, OTHERS, UNBOUNDED, same

ORACLE = dialect("oracle")
MOMENTS = ("DATE", "TIMESTAMP(0)", "TIMESTAMP(3)", "TIMESTAMP(6)")
HERE = [name for name in SET if name == "ORACLE"]

pytestmark = pytest.mark.live


def pytest_generate_tests(metafunc: Any) -> None:
    if "system" in metafunc.fixturenames:
        metafunc.parametrize("system", HERE)


@pytest.fixture
def place(system: str) -> Iterator[tuple[Any, Any, str]]:
    """A connection that writes, its database, and the name of a table that is dropped at the end."""
    database = component("sink", system).database
    connection, name = database.connect("hdm:live", write=True), f"HDM_LIVE_{uuid.uuid4().hex[:8].upper()}"
    try:
        yield connection, database, name
    finally:
        database.run(connection, ORACLE.drop_table(database.default_path((name,))))
        connection.close()


def stored(place: tuple[Any, Any, str], native: str, literals: list[str]) -> None:
    connection, database, name = place
    full = ORACLE.qualify(database.default_path((name,)))
    database.run(connection, f'CREATE TABLE {full} ("C" {native})')
    for literal in literals:
        database.change(connection, f"INSERT INTO {full} VALUES ({literal})")
    database.commit(connection)


def read(system: str, place: tuple[Any, Any, str], *, query: bool) -> list[Any]:
    full = ORACLE.qualify(place[1].default_path((place[2],)))
    source = component(
        "source", system, **({"query": f"SELECT * FROM {full}"} if query else {"table_name": place[2]})
    )
    table = source.describe()
    with source.snapshot() as token:
        chunks = list(source.split(table, source.window(), JOB, token))
        batches = [batch for chunk in chunks for batch in source.read(table, chunk).batches()]
    return [value for batch in batches for value in batch.column(0).to_pylist()]


@pytest.mark.parametrize("query", [False, True], ids=["table", "query"])
@pytest.mark.parametrize("native", [*NUMBERS, *UNBOUNDED])
def test_numbers_arrive_as_they_are(system: str, place: Any, native: str, query: bool) -> None:
    values = (NUMBERS | UNBOUNDED)[native]
    stored(place, native, ["NULL" if value is None else f"TO_NUMBER('{value:f}')" for value in values])
    found = read(system, place, query=query)
    assert len(found) == len(values) and all(map(same, found, values)), found


@pytest.mark.parametrize("query", [False, True], ids=["table", "query"])
@pytest.mark.parametrize("native", MOMENTS)
def test_moments_arrive_as_they_are(system: str, place: Any, native: str, query: bool) -> None:
    given, arrives = OTHERS[native]
    column = ORACLE.column_from_catalog("C", native)
    stored(place, native, ["NULL" if one is None else ORACLE.literal(one, column) for one in given])
    assert read(system, place, query=query) == list(arrives)


@pytest.mark.parametrize("query", [False, True], ids=["table", "query"])
def test_nanoseconds_arrive(system: str, place: Any, query: bool) -> None:
    text = "2020-02-29 01:02:03.000000900"
    stored(place, "TIMESTAMP(9)", [ORACLE.literal(text, ORACLE.column_from_catalog("C", "TIMESTAMP(9)"))])
    full = ORACLE.qualify(place[1].default_path((place[2],)))
    said = {"query": f"SELECT * FROM {full}"} if query else {"table_name": place[2]}
    source = component("source", system, **said, types={"C": "text"})
    table = source.describe()
    (chunk,) = source.split(table, source.window(), JOB, None)
    assert [row["C"] for batch in source.read(table, chunk).batches() for row in batch.to_pylist()] == [text]


def test_a_sample_of_a_tables_blocks_gives_addresses(system: str, place: Any) -> None:
    connection, database, name = place
    stored(place, "NUMBER(9,0)", [])
    full = ORACLE.qualify(database.default_path((name,)))
    database.change(connection, f"INSERT INTO {full} SELECT LEVEL FROM dual CONNECT BY LEVEL <= 200000")
    database.commit(connection)
    edges = database.rowid_ranges(connection, full, 4, 4_000_000)
    assert edges == sorted(set(edges)) and all(len(edge) == 18 for edge in edges)
    assert read(system, place, query=False).count(Decimal(7)) == 1
