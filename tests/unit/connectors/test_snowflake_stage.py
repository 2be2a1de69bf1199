"""The internal stage as a store of files, and the sink that publishes them by its ledger."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hdm import failpoints
from hdm.components.sink import Sink
from hdm.connectors.snowflake import SnowflakeInternalStageSink, SnowflakeProfile
from hdm.errors import CorruptFile, LeaseLost
from hdm.files.layout import stem
from hdm.files.stores.base import Stat, Store
from hdm.model import Attempt, Chunk, Mode, Receipt, Table
from hdm.model.json import chunk_from_json, receipt_from_json
from hdm.testing import SinkConformance, StoreConformance
from hdm.testing.rows import as_rows, awkward_batch, awkward_table
from hdm.testing.sinks import JOB, chunk_of, deliver, payload_of
from hdm.testing.stores import (
    CHECKS,
    check_addresses_lead_back,
    check_names_are_taken_once,
    check_nothing_stays_open,
    check_one_of_many_wins,
)
from tests.unit.connectors.test_snowflake import TABLE, account, files_payload, staged  # noqa: F401 -- fixture

SKIPS = (check_names_are_taken_once, check_nothing_stays_open, check_one_of_many_wins)
"""Checks that need a PUT which skips a file that is there: the emulator's never does."""
ODD = (check_addresses_lead_back,)
"""Checks whose names the emulator cannot read in a PUT; hdm gives no such names."""


def on_stage(account: dict[str, Any], **conf: Any) -> SnowflakeInternalStageSink:  # noqa: F811
    cls = SnowflakeInternalStageSink
    return cls(cls.Config(stage_name="landing", **conf), SnowflakeProfile.model_validate(account), name="t")


def rows_of(sink: Sink, table: Table) -> list[tuple[Any, ...]]:
    """What the files hold that the ledger names."""
    assert isinstance(sink, SnowflakeInternalStageSink)
    batches: list[pa.RecordBatch] = []
    for _, receipt in sink.ledger(table, JOB):
        for file in receipt.files:
            with sink.store.open(sink.store.key(file.uri)) as stream:
                batches += pq.read_table(stream).cast(table.schema).to_batches()
    return as_rows(batches)


def keys(sink: SnowflakeInternalStageSink) -> list[str]:
    return [found.key for found in sink.store.list()]


@pytest.fixture
def sink(account: dict[str, Any]) -> SnowflakeInternalStageSink:  # noqa: F811
    made = on_stage(account)
    made.prepare(awkward_table(), JOB, 1, Mode.APPEND)
    return made


class TestSink(SinkConformance):
    @pytest.fixture
    def subject(self, account: dict[str, Any]) -> Sink:  # noqa: F811
        return on_stage(account)

    @pytest.fixture
    def read_back(self) -> Callable[[Sink, Table], list[tuple[Any, ...]]]:
        return rows_of


class TestStore(StoreConformance):
    @pytest.fixture
    def subject(self, account: dict[str, Any]) -> Store:  # noqa: F811
        made = on_stage(account).store
        made.ready()
        return made

    @pytest.mark.parametrize("check", [one for one in CHECKS if one not in SKIPS + ODD])
    def test_promise(self, subject: Store, check: Callable[[Store], None]) -> None:
        check(subject)


# -- at the boundaries between PUT, the ledger's claim and its commit -------------------------


class Killed(BaseException):
    """Ends an attempt as SIGKILL does: nothing of it runs any more."""


@pytest.mark.draw("point", ("C2", "C4", "U2", "U3", "C6", "L1", "L2"), 4)
def test_an_attempt_that_dies_leaves_what_the_next_one_needs(
    point: str, sink: SnowflakeInternalStageSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second process tries again, and the files of the first are discarded, in either order."""
    table, told = awkward_table(), list[str]()

    def passed(name: str) -> None:
        if name == point:
            raise Killed

    dead = on_stage(words(sink))
    monkeypatch.setattr("hdm.files.writer.Writing.give_up", lambda self: None)
    monkeypatch.setattr(failpoints, "point", passed)
    attempt = Attempt(1, will_write=lambda uri, kind: told.append(uri))
    with pytest.raises(Killed):
        dead.write(table, chunk_of(table), attempt, payload_of(table, awkward_batch(table)), Mode.APPEND)
    monkeypatch.undo()
    assert sink.committed(table, chunk_of(table), Mode.APPEND) is None
    assert all(sink.store.uri(key) in told for key in keys(sink)), "what it put is on record"
    receipt = deliver(sink, table, chunk_of(table), 2, awkward_batch(table))
    assert (receipt.adopted, receipt.attempt) == (False, 2)
    sink.discard(table, chunk_of(table), 1)
    assert [sink.store.uri(key) for key in keys(sink)] == [file.uri for file in receipt.files]
    assert rows_of(sink, table) == as_rows([awkward_batch(table)])


def test_an_attempt_that_dies_after_the_commit_has_published(sink: SnowflakeInternalStageSink) -> None:
    table = awkward_table()
    first = deliver(sink, table, chunk_of(table), 1, awkward_batch(table))
    again = deliver(sink, table, chunk_of(table), 2, awkward_batch(table))
    assert (again.adopted, again.files) == (True, first.files)
    for attempt in (1, 2):
        sink.discard(table, chunk_of(table), attempt)
    assert rows_of(sink, table) == as_rows([awkward_batch(table)])


def test_the_slower_of_two_takes_its_files_away(sink: SnowflakeInternalStageSink) -> None:
    """It finds the row only as it claims: both looked before either had written."""
    table, won = awkward_table(), list[Receipt]()

    def overtaken() -> Any:
        won.append(deliver(on_stage(words(sink)), table, chunk_of(table), 2, awkward_batch(table)))
        yield awkward_batch(table)

    payload = replace(payload_of(table), batches=overtaken)
    late = sink.write(table, chunk_of(table), Attempt(1), payload, Mode.APPEND)
    assert (late.adopted, late.files) == (True, won[0].files)
    assert [sink.store.uri(key) for key in keys(sink)] == [file.uri for file in won[0].files]


def words(sink: SnowflakeInternalStageSink) -> dict[str, Any]:
    return {**sink.profile.model_dump(exclude_none=True, by_alias=True), "password": "let-it-be"}


def test_who_lost_the_lease_commits_nothing(sink: SnowflakeInternalStageSink) -> None:
    """It is found out as late as before the ledger's commit."""
    table, sent = awkward_table(), list[str]()

    def check() -> None:
        if sent and keys(sink):
            raise LeaseLost("another worker has it")

    attempt = Attempt(1, check=check, will_write=lambda uri, kind: sent.append(uri), run_id="r" * 32)
    with pytest.raises(LeaseLost):
        sink.write(table, chunk_of(table), attempt, payload_of(table, awkward_batch(table)), Mode.APPEND)
    assert sink.committed(table, chunk_of(table), Mode.APPEND) is None
    sink.discard(table, chunk_of(table), 1)
    assert keys(sink) == []


def test_the_ledger_names_the_run(sink: SnowflakeInternalStageSink) -> None:
    table = awkward_table()
    attempt = Attempt(3, run_id="r" * 32)
    sink.write(table, chunk_of(table), attempt, payload_of(table, awkward_batch(table)), Mode.APPEND)
    name = sink.database.dialect.qualify(sink.records.ledger.path)
    sql = f'SELECT "run_id", "attempt" FROM {name} WHERE "epoch" > 0'
    with sink.store.session("t") as connection:
        found = sink.database.run(connection, sql)
    assert [tuple(row) for row in found] == [("r" * 32, 3)]


# -- what comes from FileSink ----------------------------------------------------------------


def test_a_file_is_as_large_as_split_says(account: dict[str, Any]) -> None:  # noqa: F811
    table = awkward_table()
    one = on_stage(account, split={"rows": 2}, compression="gzip")
    one.prepare(table, JOB, 1, Mode.APPEND)
    receipt = deliver(one, table, chunk_of(table), 1, awkward_batch(table))
    assert {file.rows for file in receipt.files[:-1]} == {2} and len(receipt.files) > 2
    with one.store.open(keys(one)[0]) as stream:
        assert pq.ParquetFile(stream).metadata.row_group(0).column(0).compression == "GZIP"
    assert rows_of(one, table) == as_rows([awkward_batch(table)])


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_upstream_files_are_put_as_they_are(account: dict[str, Any], form: str) -> None:  # noqa: F811
    one = on_stage(account)
    one.prepare(TABLE, JOB, 1, Mode.APPEND)
    batch = pa.RecordBatch.from_pylist([{"id": 1, "Name": "x"}], schema=TABLE.schema)
    file, data = staged(f"file:///x/a.{form}", batch, form)
    payload = files_payload((file, data))
    chunk = Chunk(JOB, TABLE.dataset, 0)
    receipt = one.write(TABLE, chunk, Attempt(1), payload, Mode.APPEND)
    (put,) = receipt.files
    assert (put.format, put.sha256, put.rows) == (form, file.sha256, 1) and put.uri.endswith(f".0.{form}")
    with one.store.open(one.store.key(put.uri)) as stream:
        assert stream.read() == data
    bad = files_payload((file, data[:-1] + b"?"))
    with pytest.raises(CorruptFile, match="not as it was staged"):
        one.write(TABLE, chunk.at(number=1, epoch=2), Attempt(1), bad, Mode.APPEND)
    assert len(keys(one)) == 1


def test_a_file_that_is_gone_is_missed_unless_hdm_or_others_removed_it(
    sink: SnowflakeInternalStageSink,
) -> None:
    table = awkward_table()
    chunks = [chunk_of(table, number) for number in range(3)]
    receipts = [deliver(sink, table, chunk, 1, awkward_batch(table)) for chunk in chunks]
    assert [chunk for chunk, _ in sink.present(table, JOB)] == chunks
    assert sink.retire(chunks[0], receipts[0].files[0].uri)
    assert not sink.retire(chunks[0], receipts[0].files[0].uri)
    sink.remove(receipts[1].files[0].uri)
    assert sink.committed(table, chunks[0], Mode.APPEND) == receipts[0]
    with pytest.raises(CorruptFile, match="is gone") as caught:
        sink.committed(table, chunks[1], Mode.APPEND)
    assert "delete its row of the ledger" in str(caught.value.hint)
    assert [chunk for chunk, _ in sink.present(table, JOB)] == [chunks[0], chunks[2]]
    assert [chunk for chunk, _ in sink.ledger(table, JOB)] == chunks, "a mark is no chunk of the job"
    assert sink.newest_epoch(table, JOB) == 1
    careless = on_stage(words(sink), others_delete=True)
    assert [chunk for chunk, _ in careless.present(table, JOB)] == chunks


@pytest.mark.parametrize(("size", "listed", "whole"), [
    (5, 5, True), (5, 16, True), (16, 32, True), (16, 16, True),
    (5, 4, False), (17, 16, False), (5, 32, False),
])  # fmt: skip
def test_the_padding_of_what_the_driver_encrypts_is_no_damage(size: int, listed: int, whole: bool) -> None:
    """A real stage lists the size of the encrypted file, which is a whole number of 16 bytes."""
    profile = SnowflakeProfile.model_validate({"account": "a", "user": "u", "database": "d", "schema": "s"})
    store = SnowflakeInternalStageSink(SnowflakeInternalStageSink.Config(), profile, name="t").store
    assert store.holds(Stat("k", listed), size) is whole


def test_get_and_remove_name_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a pattern they take all files whose names begin so."""
    profile = SnowflakeProfile.model_validate({"account": "a", "user": "u", "database": "d", "schema": "s"})
    store = SnowflakeInternalStageSink(SnowflakeInternalStageSink.Config(), profile, name="t").store
    said: list[str] = []
    monkeypatch.setattr(store.database, "connect", lambda *args, **more: io.BytesIO())
    monkeypatch.setattr(store.database, "run", lambda connection, sql: said.append(sql) or [])
    seen = {"name": "hdm_stage/hdm/a/b.1", "size": 1, "last_modified": "Tue, 30 Jun 2026 10:00:00 GMT"}
    monkeypatch.setattr(store.database, "rows", lambda connection, sql: [seen])
    assert not store.delete("a/b.1")
    with pytest.raises(FileNotFoundError):  # nothing answers the GET
        store.open("a/b.1")
    assert said[0] == 'REMOVE @"D"."S"."HDM_STAGE"/hdm/a/b.1 PATTERN = \'.*a/b.1$\''
    assert said[1].startswith('GET @"D"."S"."HDM_STAGE"/hdm/a/b.1 \'file://')
    assert said[1].endswith("/' PATTERN = '.*a/b.1$'")


def test_a_put_that_was_skipped_is_a_name_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    profile = SnowflakeProfile.model_validate({"account": "a", "user": "u", "database": "d", "schema": "s"})
    store = SnowflakeInternalStageSink(SnowflakeInternalStageSink.Config(), profile, name="t").store
    monkeypatch.setattr(store.database, "connect", lambda *args, **more: io.BytesIO())
    answer = [("a", "a", 1, 1, "NONE", "NONE", "SKIPPED", "")]
    monkeypatch.setattr(store.database, "run", lambda connection, sql: answer)
    scratch = store.scratch("x/a")
    scratch.write_bytes(b"1")
    with pytest.raises(FileExistsError):
        store.put_new("x/a", scratch)
    assert scratch.exists(), "it is put once more under its name, as soon as that is free"
    assert store.abort_uploads("x/") == 1


# -- stages that hdm 0.1.0 filled --------------------------------------------------------------

OLD_BYTES = 11592
OLD_CHUNK = """{"boundary":false,"conditions":[],"counted":false,
"dataset":{"name":"awkward","namespace":"test"},"epoch":1,"estimate_rows":null,"files":[],"first_number":0,
"first_row":null,"generation":0,"job_key":"conformance","number":0,"row_count":null,
"schema_sha":"722c2c3d5cb405d62b6bf7d4b4ad2f0d6b1ec99fe9192e05876a2b554ebf2c59","seen_key":null,
"snapshot":"0","upstream":null,"upto":null}"""
OLD_RECEIPT = """{"adopted":false,"attempt":1,"boundary_digests":[],"bytes":11592,
"chunk_id":"f758814e82f735c7011a62f4b73b247bfcc90176495a10401051e5218b396b2e","extracted":17,
"files":[{"bytes":11592,"etag":null,"format":"parquet","rows":17,
"sha256":"b521feb0efad55e0b9557456265da2e36cfc32bbd69027769ac7b260552582c6",
"uri":"snowflake://fakesnow/DB1.PUBLIC.LANDING/hdm/f758814e82f735c7011a62f4.1/0.parquet"}],"filtered":0,
"location":"snowflake://fakesnow/DB1.PUBLIC.LANDING/","rows":17,
"sha256":"ac8cd034cc62f37c7fc837837cf69e41400189109d39cd1f7939222ff30955df"}"""
"""What hdm 0.1.0 wrote into the ledger for the first chunk of these tests, and how long its file was."""


def old_chunk(sink: SnowflakeInternalStageSink) -> tuple[Chunk, Receipt]:
    """Put a file and its row as hdm 0.1.0 did: a folder for each attempt, the stage as location."""
    said = OLD_RECEIPT.replace("DB1", sink.stage[0])
    chunk, receipt = chunk_from_json(OLD_CHUNK), receipt_from_json(said)
    sink.store.put_new(sink.store.key(receipt.files[0].uri), bytes(OLD_BYTES))
    row = (JOB, chunk.chunk_id, 1, 0, "r" * 32, 1, 17, receipt.sha256, OLD_CHUNK, said)
    with sink.store.session("t") as connection:
        name = sink.database.dialect.qualify(sink.records.ledger.path)
        sink.database.change(
            connection, f"INSERT INTO {name} VALUES ({', '.join('?' * len(row))}, CURRENT_TIMESTAMP)", row
        )
    return chunk, receipt


def test_what_an_older_version_put_is_still_there_and_published(sink: SnowflakeInternalStageSink) -> None:
    table = awkward_table()
    chunk, receipt = old_chunk(sink)
    assert chunk == chunk_of(table)
    assert sink.committed(table, chunk, Mode.APPEND) == receipt == sink.publish(table, chunk, receipt)
    again = deliver(sink, table, chunk, 2, awkward_batch(table))
    assert (again.adopted, again.files) == (True, receipt.files)
    new = chunk_of(table, 1)
    deliver(sink, table, new, 1, awkward_batch(table, first_id=1000))
    assert [one for one, _ in sink.present(table, JOB)] == [chunk, new]
    sink.discard(table, chunk, 1)
    assert len(keys(sink)) == 2, "its ledger names it"
    assert sink.retire(chunk, receipt.files[0].uri)
    assert sink.committed(table, chunk, Mode.APPEND) == receipt
    assert [one for one, _ in sink.present(table, JOB)] == [chunk, new]


def test_what_a_dead_attempt_of_an_older_version_left_is_removed(sink: SnowflakeInternalStageSink) -> None:
    table = awkward_table()
    chunk, receipt = old_chunk(sink)
    name = f"{stem(chunk)}.2/0.parquet"
    sink.store.put_new(name, b"half of it")
    sink.discard(table, chunk, 2)
    assert keys(sink) == [sink.store.key(receipt.files[0].uri)]
    sink.store.put_new(name, b"half of it")
    assert sink.remove(sink.store.uri(name))
