"""The same flow against real systems: HDM_LIVE_<SYSTEM>_URL holds a profile as a JSON object.

Not part of any other run: `make test-live` selects the mark ``live``. A system whose variable is
not set is not collected.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from hdm.model import Attempt, Chunk, Column, Dataset, Kind, Mode, Payload, Table
from hdm.testing import sinks
from tests.live.named import SET, component

JOB = "e" * 64
COLUMNS = (
    Column("ID", Kind.INT64, pa.int64(), False),
    Column("NAME", Kind.TEXT, pa.string(), length=50),
    Column("PRICE", Kind.DECIMAL, pa.decimal128(20, 4), precision=20, scale=4),
    Column("F", Kind.FLOAT64, pa.float64()),
    Column("RAW", Kind.BINARY, pa.binary(), length=20),
    Column("AT", Kind.TIMESTAMP, pa.timestamp("us"), precision=6),
)

pytestmark = pytest.mark.live


def pytest_generate_tests(metafunc: Any) -> None:
    if "system" in metafunc.fixturenames:
        metafunc.parametrize("system", SET)


@pytest.fixture
def table(system: str) -> Any:
    name = f"HDM_LIVE_{uuid.uuid4().hex[:8].upper()}"
    yield Table(Dataset("live", name), (name,), COLUMNS, ("ID",))
    clear(component("sink", system, table_name=name, allow_loss=True), Table(Dataset("", ""), (name,), ()))


def clear(sink: Any, table: Table, keys: Iterable[str] = ()) -> None:
    """Drop the table and the tests' rows of the ledger, which is one for the whole schema.

    ``keys``: of jobs that are not the tests' own.
    """
    quote, ledger = sink.dialect.quote, sink._ledger(sink.target(table))
    connection = sink.database.connect("hdm:clean", write=True)
    try:
        sink.database.run(connection, sink.dialect.drop_table(sink.target(table).path))
        sink.database.commit(connection)
        if ledger.exists(connection):
            jobs = ", ".join(map(sink.dialect.string, (JOB, sinks.JOB, *keys)))
            where = f"{quote('job_key')} IN ({jobs})"
            sink.database.begin(connection, write=True)
            sink.database.change(connection, f"DELETE FROM {sink.dialect.qualify(ledger.path)} WHERE {where}")
            sink.database.commit(connection)
    finally:
        connection.close()


def rows(*numbers: int, name: str = "né🎈") -> pa.RecordBatch:
    at = dt.datetime(2020, 2, 29, 23, 59, 59, 123456)
    made = [
        {
            "ID": n,
            "NAME": name,
            "PRICE": Decimal("1234567890123456.7891"),
            "F": 0.1,
            "RAW": b"\0\xff",
            "AT": at,
        }
        if n % 2
        else {"ID": n}
        for n in numbers
    ]
    return pa.RecordBatch.from_pylist(made, schema=pa.schema([(c.name, c.type, c.nullable) for c in COLUMNS]))


def write(one: Any, table: Table, epoch: int, batch: pa.RecordBatch, mode: Mode, attempt: int = 1) -> Any:
    chunk = Chunk(JOB, table.dataset, 0, epoch=epoch)
    one.prepare(table, JOB, epoch, mode)
    return one.write(table, chunk, Attempt(attempt), Payload(table, lambda: iter([batch])), mode)


def read(system: str, table: Table, **conf: Any) -> list[dict[str, Any]]:
    one = component("source", system, table_name=table.path[-1], **conf)
    found, out = one.describe(), []
    with one.snapshot() as token:
        for chunk in one.split(found, one.window(), JOB, token):
            for batch in one.read(found, chunk).batches():
                assert batch.schema.equals(found.schema)
                out += batch.to_pylist()
    return sorted(({**row, "ID": int(row["ID"])} for row in out), key=lambda row: row["ID"])


def test_what_is_written_once_is_read_back(system: str, table: Table) -> None:
    one = component("sink", system, table_name=table.path[-1], allow_loss=True)
    assert write(one, table, 1, rows(*range(1, 60)), Mode.APPEND).rows == 59
    assert write(one, table, 1, rows(*range(1, 60)), Mode.APPEND, attempt=2).adopted
    assert read(system, table, chunk={"rows": 10}) == rows(*range(1, 60)).to_pylist()


def test_merge_then_replace(system: str, table: Table) -> None:
    one = component("sink", system, table_name=table.path[-1], allow_loss=True)
    write(one, table, 1, rows(1, 2, 3), Mode.APPEND)
    write(one, table, 2, rows(3, 5, name="new"), Mode.MERGE)
    assert [(row["ID"], row["NAME"]) for row in read(system, table)][2:] == [(3, "new"), (5, "new")]
    write(one, table, 3, rows(7), Mode.REPLACE)
    one.finish(table, JOB, 3, Mode.REPLACE)
    one.finish(table, JOB, 3, Mode.REPLACE)
    assert [row["ID"] for row in read(system, table)] == [7]


def test_the_doctor_finds_nothing_wrong(system: str) -> None:
    found = component("sink", system, table_name="X").probe()
    assert found and all(ok for what, ok, _ in found if what != "role")
