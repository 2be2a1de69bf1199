"""What only a real system can show of ``docs/reference/real-systems.md``: each test names its rows there.

A test that is about one system alone is collected for that one. All are made to cost little: dozens of rows,
one text of 17 MB, one wait of twenty seconds.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from hdm.components import registry
from hdm.errors import HdmError, PermanentError, SchemaDrift, TransientError, UnrepresentableValue, UsageError
from hdm.model import Attempt, Chunk, Column, Dataset, Kind, Mode, Payload, Table
from hdm.sql.database import Database
from tests.live.named import SET, SYSTEMS, component
from tests.live.test_live import JOB, clear, read, write

pytestmark = pytest.mark.live
finding = pytest.mark.finding
ID = Column("ID", Kind.INT64, pa.int64(), False)
LONG = "x" * 17_000_000
TEXTS = [
    "O'Neil",
    "what?",
    "''?''",
    "a\\",
    "\\'; x",
    "œuvre à 5 €",
    "漢字 🎈",
    " ",
    "NULL",
    "two\nlines",
    "tab\t|",
]


def pytest_generate_tests(metafunc: Any) -> None:
    if "system" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("only")
        metafunc.parametrize("system", [one for one in SET if mark is None or one in mark.args])


Make = Callable[..., tuple[Any, Table]]


@pytest.fixture
def made(system: str) -> Iterator[Make]:
    """``made(columns, key)``: a sink and the table that it writes, which is dropped at the end."""
    left = []

    def make(columns: tuple[Column, ...], key: tuple[str, ...] = ("ID",), **conf: Any) -> tuple[Any, Table]:
        name = f"HDM_LIVE_{uuid.uuid4().hex[:8].upper()}"
        table = Table(Dataset("live", name), (name,), columns, key)
        one = component("sink", system, table_name=name, allow_loss=True, **conf)
        left.append((one, table))
        return one, table

    yield make
    for one, table in left:
        clear(one, table)


def put(
    one: Any, table: Table, values: list[dict[str, Any]], mode: Mode = Mode.APPEND, epoch: int = 1
) -> Any:
    return write(one, table, epoch, pa.RecordBatch.from_pylist(values, schema=table.schema), mode)


def plain(values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "ID": int(row["ID"])} for row in values]


def test_versions(system: str, report: dict[str, dict[str, str]]) -> None:
    """For the report: which server and driver this is about."""
    told = component("sink", system, table_name="X").database.probe()
    known = {what: said for what, _, said in told if what in ("version", "server", "driver")}
    report[system] = {what: said[:80] for what, said in known.items()}
    assert all(ok for what, ok, _ in told if what == "connection")


@finding("netezza: values are pasted unescaped", "oracle: replacement marks", "sqlserver: code pages")
def test_texts_arrive_as_they_are(system: str, made: Make) -> None:
    one, table = made((ID, Column("T", Kind.TEXT, pa.string(), length=60)))
    given = [{"ID": n, "T": text} for n, text in enumerate(TEXTS)]
    put(one, table, given)
    assert read(system, table) == given
    changed = [{"ID": n, "T": text + "!"} for n, text in enumerate(TEXTS)]
    put(one, table, changed, Mode.MERGE, 2)
    assert read(system, table) == changed


@finding(
    "snowflake: whole numbers come in the narrowest integers", "oracle: nanoseconds, far years, NUMBER(5,-2)"
)
def test_numbers_arrive_digit_for_digit(system: str, made: Make) -> None:
    digits = ((1, 0), (4, 0), (18, 0), (19, 0), (38, 0), (38, 10), (5, 5))
    columns = tuple(
        Column(f"N{p}_{s}", Kind.DECIMAL, pa.decimal128(p, s), precision=p, scale=s) for p, s in digits
    )
    one, table = made((ID, *columns))
    most = {f"N{p}_{s}": Decimal(f"{'9' * (p - s)}.{'9' * s}") for p, s in digits}
    least = {name: value.copy_negate() for name, value in most.items()}
    put(one, table, [{"ID": 1, **most}, {"ID": 2, **least}, {"ID": 3}])
    found = read(system, table)
    for row, wanted in zip(found, (most, least, dict.fromkeys(most)), strict=True):
        assert {name: row[name] for name in most} == wanted


@finding(
    "snowflake: nanoseconds and far years",
    "sqlserver: 9999-12-31 in nanoseconds",
    "oracle: nanoseconds, far years",
)
def test_the_end_of_time_arrives(system: str, made: Make) -> None:
    one, table = made((ID, Column("AT", Kind.TIMESTAMP, pa.timestamp("us"), precision=6)))
    moments = [
        dt.datetime(9999, 12, 31, 23, 59, 59, 999999),
        dt.datetime(1, 1, 1),
        dt.datetime(2020, 2, 29, 1, 2, 3, 4),
    ]
    given = [{"ID": n, "AT": at} for n, at in enumerate(moments)]
    put(one, table, given)
    assert read(system, table) == given


@finding("snowflake: undeclared VARCHAR is 16 MB")
def test_a_text_of_17_mb_arrives_or_is_refused_and_never_cut(system: str, made: Make) -> None:
    one, table = made((ID, Column("T", Kind.TEXT, pa.string())))
    try:
        put(one, table, [{"ID": 1, "T": LONG}])
    except (UnrepresentableValue, PermanentError, UsageError):
        assert system != "SNOWFLAKE", "declared with its greatest length"
        assert one.committed(table, Chunk(JOB, table.dataset, 0, epoch=1), Mode.APPEND) is None
    else:
        assert read(system, table) == [{"ID": 1, "T": LONG}]


@finding("netezza: BEGIN is sent once a session", "snowflake: what follows an ended transaction is committed")
def test_rows_and_their_receipt_come_together(system: str, made: Make) -> None:
    one, table = made((ID,))
    ledger = type(one._ledger(one.target(table)))
    fill = ledger.fill

    def broken(*args: Any) -> None:
        raise RuntimeError("before the ledger is filled")

    chunk = Chunk(JOB, table.dataset, 0, epoch=1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ledger, "fill", broken)
        with pytest.raises(RuntimeError):
            put(one, table, [{"ID": 1}])
    assert ledger.fill is fill and one.committed(table, chunk, Mode.APPEND) is None
    assert one.rows(table) == 0
    for attempt in (2, 3):
        batch = pa.RecordBatch.from_pylist([{"ID": 1}], schema=table.schema)
        done = write(one, table, 1, batch, Mode.APPEND, attempt)
    assert done.adopted and one.rows(table) == 1


@finding(
    "snowflake: the ledger is locked while rows are read and uploaded",
    "netezza: a round trip for each row; head row first",
    "snowflake: the 21st that waits for a lock is refused (000625)",
)
def test_loads_of_one_schema_go_side_by_side(system: str, made: Make) -> None:
    """While one chunk's rows are still being read, another chunk is loaded; then four at once."""
    one, table = made((ID,), ())
    one.prepare(table, JOB, 1, Mode.APPEND)

    def load(number: int, batches: Callable[[], Iterator[pa.RecordBatch]]) -> None:
        chunk = Chunk(JOB, table.dataset, number, epoch=1, snapshot=str(number))
        for attempt in range(1, 6):  # what may pass is tried again, as a worker does
            with suppress(TransientError):
                one.write(table, chunk, Attempt(attempt), Payload(table, batches), Mode.APPEND)
                return
        raise AssertionError(f"chunk {number} was never loaded")

    def of(number: int) -> pa.RecordBatch:
        return pa.RecordBatch.from_pylist([{"ID": number}], schema=table.schema)

    def slow() -> Iterator[pa.RecordBatch]:
        inner = threading.Thread(target=load, args=(9, lambda: iter([of(9)])))
        inner.start()
        inner.join(120)
        assert not inner.is_alive(), "a load waits for another one's rows"
        yield of(0)

    load(0, slow)
    several = [threading.Thread(target=load, args=(n, lambda n=n: iter([of(n)]))) for n in range(1, 5)]
    for thread in several:
        thread.start()
    for thread in several:
        thread.join()
    assert [row["ID"] for row in read(system, table)] == [0, 1, 2, 3, 4, 9]


@finding("snowflake: dead transactions on the head")
def test_an_older_attempt_that_hangs_does_not_stop_the_next(system: str, made: Make) -> None:
    one, table = made((ID,))
    if type(one.database).evict is Database.evict:
        return  # sessions of dead attempts end by the server's own rules here
    one.prepare(table, JOB, 1, Mode.APPEND)
    chunk = Chunk(JOB, table.dataset, 0, epoch=1)
    hangs = one.database.connect(f"hdm:{chunk.chunk_id[:12]}:1", write=True)
    try:
        one.database.begin(hangs, write=True)
        assert one._ledger(one.target(table)).claim(hangs, chunk, Attempt(1))
        batch = pa.RecordBatch.from_pylist([{"ID": 1}], schema=table.schema)
        assert (
            one.write(table, chunk, Attempt(2), Payload(table, lambda: iter([batch])), Mode.APPEND).rows == 1
        )
        with pytest.raises(HdmError):
            one.database.run(hangs, f"SELECT COUNT(*) FROM {one.dialect.qualify(one.target(table).path)}")
            one.database.commit(hangs)
            raise AssertionError("the dead attempt could commit")
    finally:
        with suppress(Exception):
            hangs.close()
    assert one.rows(table) == 1


@finding("snowflake: a default collation that folds keys", "sqlserver: keys that fold case")
def test_keys_that_differ_in_case_are_kept_apart_or_refused(system: str, made: Make) -> None:
    key = Column("K", Kind.TEXT, pa.string(), False, length=20)
    one, table = made((key, Column("ID", Kind.INT64, pa.int64())), ("K",))
    given = [{"K": "a", "ID": 1}, {"K": "A", "ID": 2}, {"K": "ä", "ID": 3}]
    try:
        put(one, table, given, Mode.MERGE)
    except HdmError as error:
        assert not isinstance(error, TransientError)
        assert one.rows(table) in (0, None)
    else:
        assert read(system, table) == given


@finding("snowflake: INFORMATION_SCHEMA for each chunk", "oracle: ALL_ views for each chunk")
def test_a_table_that_is_altered_is_not_read_as_it_was_planned(system: str, made: Make) -> None:
    one, table = made((ID,))
    put(one, table, [{"ID": n} for n in range(5)])
    time.sleep(11 if system == "ORACLE" else 0)  # until its description is kept
    source = component("source", system, table_name=table.path[-1])
    found = source.describe()
    with source.snapshot() as token:
        (chunk,) = source.split(found, source.window(), JOB, token)
        for _ in range(2):
            assert sum(batch.num_rows for batch in source.read(found, chunk).batches()) == 5
        connection = one.database.connect("hdm:live", write=True)
        added = Column("MORE", Kind.INT64, pa.int64())
        one.database.change(connection, one.dialect.add_column(found.path, added))
        one.database.commit(connection)
        connection.close()
        now = replace(chunk, snapshot=None)  # a snapshot of PostgreSQL shows the table as it was
        with pytest.raises(SchemaDrift):
            list(source.read(found, now).batches())


@finding("snowflake: AT(TIMESTAMP) of the last seconds", "oracle: no grant for the SCN")
def test_chunks_of_one_snapshot_see_one_moment(system: str, made: Make) -> None:
    one, table = made((ID,))
    put(one, table, [{"ID": n} for n in range(40)])
    source = component("source", system, table_name=table.path[-1], chunk={"rows": 10})
    found = source.describe()
    with source.snapshot() as token:
        chunks = list(source.split(found, source.window(), JOB, token))
        if token is None:
            return  # sessions share no snapshot here: each chunk is held against its own count
        put(one, table, [{"ID": n} for n in range(100, 105)], Mode.APPEND, 2)
        seen = sum(batch.num_rows for chunk in chunks for batch in source.read(found, chunk).batches())
    assert seen == 40


@finding(
    "snowflake: unknown error numbers count as passing",
    "netezza: real messages; a login's reason",
    "oracle: codes",
    "sqlserver: codes",
)
def test_mistakes_are_not_tried_again(system: str) -> None:
    database = component("sink", system, table_name="X").database
    for sql in ('SELECT * FROM "HDM_NO_SUCH_TABLE"', "SELEC 1", "SELECT CAST('x' AS INTEGER)"):
        connection = database.connect("hdm:live")
        try:
            with pytest.raises(HdmError) as caught:
                database.run(connection, sql)
            assert not isinstance(caught.value, TransientError), sql
        finally:
            connection.close()
    given = json.loads(os.environ[f"HDM_LIVE_{system}_URL"])
    if given.get("password"):
        cls = registry.find("sink", SYSTEMS[system][1])
        wrong = cls.Profile.model_validate({**given, "password": "hdm-live-wrong-password"})
        try:
            cls(cls.Config.model_validate({"table_name": "X"}), wrong, name="w").database.connect().close()
        except HdmError as error:  # else the server asks for no password
            assert isinstance(error, UsageError)


@finding("oracle: LONG in the catalogue; views twice; invisible columns", "sqlserver: its own crawler")
def test_the_catalogue_is_crawled(system: str, made: Make) -> None:
    from hdm.catalog.patterns import select

    one, table = made((ID, Column("T", Kind.TEXT, pa.string(), length=60)))
    put(one, table, [{"ID": 1, "T": "x"}])
    catalog = registry.find("catalog", SYSTEMS[system][0].replace("Source", "Catalog"))
    profile = catalog.Profile.model_validate(json.loads(os.environ[f"HDM_LIVE_{system}_URL"]))
    schema = one.target(table).path[-2]
    found = catalog(catalog.Config.model_validate({}), profile, name="c").crawl(
        select([f"{schema}.{table.path[-1]}"])
    )
    assert [[column.name for column in relation.table.columns] for relation in found.relations] == [
        ["ID", "T"]
    ]


@finding(
    "netezza: replace loses distribution and grants",
    "snowflake: a swap loses kind, grants, policies, streams",
)
def test_a_table_that_is_replaced_keeps_what_belongs_to_it(system: str, made: Make) -> None:
    """A view on the table, which binds it by identity on some systems, shows the new rows."""
    one, table = made((ID,))
    put(one, table, [{"ID": 1}])
    database, path = one.database, one.target(table).path
    view = (*path[:-1], path[-1] + "_V")
    connection = database.connect("hdm:live", write=True)
    try:
        database.begin(connection, write=True)
        database.change(
            connection,
            f"CREATE VIEW {one.dialect.qualify(view)} AS SELECT * FROM {one.dialect.qualify(path)}",
        )
        database.commit(connection)
        put(one, table, [{"ID": 7}], Mode.REPLACE, 2)
        one.finish(table, JOB, 2, Mode.REPLACE)
        shown = database.run(connection, f"SELECT {one.dialect.quote('ID')} FROM {one.dialect.qualify(view)}")
        assert [int(row[0]) for row in shown] == [7]
        database.rollback(connection)
    finally:
        database.begin(connection, write=True)
        database.change(connection, f"DROP VIEW {one.dialect.qualify(view)}")
        database.commit(connection)
        connection.close()


@finding("grants in `doctor`")
def test_the_doctor_knows_the_rights(system: str, made: Make) -> None:
    one, table = made((ID,))
    put(one, table, [{"ID": 1}])
    path = one.target(table).path
    for part in ("source", "sink", "append", "merge", "replace"):
        told = one.database.grants(path, part)
        assert all(ok for _, ok, _ in told), part
    source = component("source", system, table_name=table.path[-1]).probe()
    assert ("grants", True) in [(what, ok) for what, ok, _ in source]


@pytest.mark.only("SNOWFLAKE")
@finding("snowflake: `network_timeout` ends statements")
def test_a_statement_outlives_the_network_timeout(system: str) -> None:
    cls = registry.find("sink", SYSTEMS[system][1])
    given = json.loads(os.environ[f"HDM_LIVE_{system}_URL"])
    patient = cls.Profile.model_validate({**given, "network_timeout": 10})
    database = cls(cls.Config.model_validate({"table_name": "X"}), patient, name="w").database
    connection = database.connect("hdm:live")
    try:
        assert "20" in str(database.run(connection, "SELECT SYSTEM$WAIT(20)")[0][0])
    finally:
        connection.close()


@pytest.mark.only("SNOWFLAKE")
@finding(
    "snowflake: COPY skips by its own history; PURGE, TRUNCATECOLUMNS", "snowflake: JSON becomes one string"
)
def test_json_arrives_as_json(system: str, made: Make) -> None:
    doc = Column("DOC", Kind.JSON, pa.string(), native="VARIANT", origin="snowflake")
    one, table = made((ID, doc))
    put(one, table, [{"ID": 1, "DOC": '{"a": [1, 2]}'}, {"ID": 2}])
    connection = one.database.connect("hdm:live")
    try:
        path = one.dialect.qualify(one.target(table).path)
        assert one.database.run(connection, f'SELECT TYPEOF("DOC") FROM {path} WHERE "ID" = 1') == [
            ("OBJECT",)
        ]
    finally:
        connection.close()


@pytest.mark.only("NETEZZA")
@finding("netezza: short files", "netezza: nzpy holds a whole result")
def test_a_table_is_unloaded(system: str, made: Make, tmp_path: Any) -> None:
    one, table = made((ID, Column("T", Kind.TEXT, pa.string(), length=60)))
    given = [{"ID": n, "T": text} for n, text in enumerate(TEXTS)]
    put(one, table, given)
    cls = registry.find("source", "NetezzaExternalTableSource")
    profile = cls.Profile.model_validate(json.loads(os.environ[f"HDM_LIVE_{system}_URL"]))
    source = cls(
        cls.Config.model_validate({"table_name": table.path[-1], "directory": str(tmp_path)}),
        profile,
        name="u",
    )
    found = source.describe()
    chunks = source.split(found, source.window(), JOB, None)
    seen = [
        row for chunk in chunks for batch in source.read(found, chunk).batches() for row in batch.to_pylist()
    ]
    assert sorted(plain(seen), key=lambda row: row["ID"]) == given


@pytest.mark.only("ORACLE")
@finding("oracle: ROWIDs of tables organised by their index", "oracle: NTILE over all ROWIDs")
def test_a_table_without_a_key_is_cut_by_row_addresses(system: str, made: Make) -> None:
    one, table = made((ID,), ())
    put(one, table, [{"ID": n} for n in range(200)])
    assert [row["ID"] for row in read(system, table, chunk={"rows": 40})] == list(range(200))
