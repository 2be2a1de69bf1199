"""Snowflake's connectors through the real connector against fakesnow.

The emulator is kinder: it rolls DDL back, keeps time travel out (the shim drops AT) and never
skips an upload. What depends on that is tested by the SQL that goes out.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import sys
import threading
from dataclasses import replace
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pyarrow as pa
import pytest

from hdm.api.garbage import is_held
from hdm.connectors.snowflake import (
    SnowflakeAzureCopySink,
    SnowflakeCopySink,
    SnowflakeDatabase,
    SnowflakeInternalStageSink,
    SnowflakeProfile,
    SnowflakeS3CopySink,
    SnowflakeSource,
)
from hdm.connectors.snowflake.copy import location_of
from hdm.connectors.snowflake.session import arguments
from hdm.connectors.snowflake.staging import Put, _check, copy_sql
from hdm.errors import (
    BrokenContract,
    CorruptFile,
    HdmError,
    MissingDriver,
    RejectedRows,
    UnrepresentableValue,
    UsageError,
)
from hdm.files.formats import format_named
from hdm.model import Attempt, Chunk, Column, Dataset, Kind, Mode, Payload, StagedFile, Table
from hdm.sql.merge import make_stage
from hdm.sql.swap import swap_chunk, swap_session

JOB = "j" * 64
COLUMNS = (
    Column("id", Kind.INT64, pa.int64(), False),
    Column("Name", Kind.TEXT, pa.string(), length=50),
    Column("price", Kind.DECIMAL, pa.decimal128(20, 4), precision=20, scale=4),
    Column("ok", Kind.BOOLEAN, pa.bool_()),
    Column("f", Kind.FLOAT64, pa.float64()),
    Column("raw", Kind.BINARY, pa.binary()),
    Column("day", Kind.DATE, pa.date32()),
    Column("at", Kind.TIMESTAMP, pa.timestamp("us")),
    Column("utc", Kind.TIMESTAMPTZ, pa.timestamp("us", "UTC")),
)
TABLE = Table(Dataset("memory", "orders"), ("orders",), COLUMNS, ("id",))
AT = dt.datetime(2020, 2, 29, 23, 59, 59, 123456)


def batch(*ids, name="né🎈"):
    rows = [
        {
            "id": i, "Name": name, "price": Decimal("1234567890123456.7891"), "ok": True, "f": 0.1,
            "raw": b"\0'\xff", "day": AT.date(), "at": AT, "utc": AT.replace(tzinfo=dt.UTC),
        }
        if i % 2
        else {"id": i, "Name": ""}
        for i in ids
    ]  # fmt: skip
    return pa.RecordBatch.from_pylist(rows, schema=TABLE.schema)


@pytest.fixture
def account(snowflake_server):
    return {**snowflake_server.fresh(), "network_timeout": 15}


def profile(account):
    return SnowflakeProfile.model_validate(account)


def sink(account, cls=SnowflakeCopySink, **conf):
    return cls(cls.Config.model_validate({"table_name": "orders", **conf}), profile(account), name="t")


def sink_on_stage(account, name="landing"):
    cls = SnowflakeInternalStageSink
    return cls(cls.Config(stage_name=name), profile(account), name="t")


def read(account, **conf):
    one = SnowflakeSource(
        SnowflakeSource.Config.model_validate({"table_name": "orders", **conf}), profile(account), name="s"
    )
    table, rows = one.describe(), []
    with one.snapshot() as token:
        for chunk in one.split(table, one.window(), JOB, token):
            for found in one.read(table, chunk).batches():
                assert found.schema.equals(table.schema)
                rows += found.to_pylist()
    return rows


def write(one, chunk, *batches, mode=Mode.APPEND, attempt=1, payload=None):
    one.prepare(TABLE, JOB, chunk.epoch, mode)
    payload = payload or Payload(TABLE, lambda: iter(batches))
    return one.write(TABLE, chunk, Attempt(attempt), payload, mode)


def chunk(number=0, epoch=1):
    return Chunk(JOB, TABLE.dataset, number, epoch=epoch)


def staged(uri, rows, form="parquet"):
    stream = io.BytesIO()
    compression = "zstd" if form == "parquet" else "none"
    writer = format_named(form).writer(stream, TABLE, compression, 1 << 20)
    writer.write(rows)
    writer.close()
    data = stream.getvalue()
    return StagedFile(uri, form, len(data), rows.num_rows, hashlib.sha256(data).hexdigest()), data


def files_payload(*pairs):
    held = {file.uri: data for file, data in pairs}
    return Payload(
        TABLE,
        lambda: iter(()),
        files=tuple(f for f, _ in pairs),
        open=lambda file: io.BytesIO(held[file.uri]),
    )


def plain(rows):
    return [{**row, "id": int(row["id"])} for row in sorted(rows, key=lambda row: row["id"])]


def test_rows_are_loaded_and_read_back(account):
    one = sink(account)
    receipt = write(one, chunk(), batch(1, 2, 3))
    assert receipt.rows == 3 and one.committed(TABLE, chunk(), Mode.APPEND).rows == 3
    assert plain(read(account)) == batch(1, 2, 3).to_pylist()
    assert write(one, chunk(), batch(1, 2, 3), attempt=2).adopted
    assert len(read(account)) == 3


def test_merge_and_replace(account):
    one = sink(account)
    write(one, chunk(), batch(1, 2, 3))
    write(one, chunk(epoch=2), batch(3, 5, name="new"), mode=Mode.MERGE)
    assert {row["id"]: row["Name"] for row in plain(read(account))} == {1: "né🎈", 2: "", 3: "new", 5: "new"}
    write(one, chunk(epoch=3), batch(7), mode=Mode.REPLACE)
    assert len(read(account)) == 4
    one.finish(TABLE, JOB, 3, Mode.REPLACE)
    one.finish(TABLE, JOB, 3, Mode.REPLACE)
    assert [row["id"] for row in plain(read(account))] == [7]


def test_the_newest_row_of_a_text_stays_whatever_the_order_of_chunks(account):
    table = replace(TABLE, key=(), cursor="id")
    for number, order in enumerate([(1, 2, 3), (3, 1, 2), (2, 3, 1), (3, 2, 1)]):
        one = sink(account, table_name=f"versions_{number}", key=["Name"])
        one.prepare(table, JOB, 1, Mode.MERGE)
        for place in order:
            rows = [batch(2 * place + 1, name="a"), batch(2 * place + 11, name="A")]
            part = chunk(place).at(epoch=number + 1, snapshot=str(place))
            one.write(table, part, Attempt(1), Payload(table, lambda rows=rows: iter(rows)), Mode.MERGE)
        found = {row["Name"]: row["id"] for row in read(account, table_name=f"versions_{number}")}
        assert found == {"a": 7, "A": 17}


def test_a_row_that_is_there_twice_is_merged_once_without_a_definition(account):
    one = sink(account)
    write(one, chunk(), batch(1))
    rows = batch(3, 3, 5, name="new")
    assert write(one, chunk(epoch=2), rows, mode=Mode.MERGE).rows == 3
    assert [row["id"] for row in plain(read(account))] == [1, 3, 5]
    doubled = batch(7), batch(7, name="other")
    with pytest.raises(RejectedRows, match="different rows with one key"):
        write(one, chunk(epoch=3), *doubled, mode=Mode.MERGE)


def test_replacing_keeps_comment_and_keys(account):
    one = sink(account)
    write(one, chunk(), batch(1))
    connection = one.database.connect("t", write=True)
    path = one.target(TABLE).path
    one.database.change(connection, f"COMMENT ON TABLE {one.dialect.qualify(path)} IS 'ours alone'")
    for epoch in (3, 4):
        write(one, chunk(epoch=epoch), batch(7), mode=Mode.REPLACE)
        one.finish(TABLE, JOB, epoch, Mode.REPLACE)
        told = "SELECT comment FROM information_schema.tables WHERE table_schema = ? AND table_name = ?"
        assert one.database.run(connection, told, path[-2:]) == [("ours alone",)]
        assert one.database.find(connection, path).key == ("id",)
    connection.close()


def test_what_is_loaded_is_tagged_with_run_and_chunk(account):
    one = sink(account)
    one.prepare(TABLE, JOB, 1, Mode.APPEND)
    one.write(TABLE, chunk(), Attempt(3, run_id="r'1"), Payload(TABLE, lambda: iter([batch(1)])), Mode.APPEND)
    connection = one.database.connect("t")
    tags = [json.loads(tag) for (tag,) in one.database.run(connection, "SHOW QUERY TAGS")]
    connection.close()
    assert {"app": "hdm", "run": "r'1", "chunk": chunk().chunk_id, "attempt": 3} in tags


@pytest.mark.parametrize("after", ["INSERT OVERWRITE", "DROP"])
def test_a_swap_cut_short_is_finished_not_undone(account, monkeypatch, after):
    one = sink(account)
    write(one, chunk(), batch(1))
    write(one, chunk(epoch=3), batch(7), mode=Mode.REPLACE)
    change = SnowflakeDatabase.change

    def dies(self, connection, sql, values=()):
        done = change(self, connection, sql, values)
        if sql.startswith(after):
            raise ConnectionResetError
        return done

    with monkeypatch.context() as broken:
        broken.setattr(SnowflakeDatabase, "change", dies)
        with pytest.raises(ConnectionResetError):
            one.finish(TABLE, JOB, 3, Mode.REPLACE)
    one.prepare(TABLE, JOB, 3, Mode.REPLACE)
    one.finish(TABLE, JOB, 3, Mode.REPLACE)
    assert [row["id"] for row in plain(read(account))] == [7]


def test_a_table_that_is_replaced_is_the_same_table(account):
    """A swap would exchange its policies, grants, tags and streams with it."""
    one, said = sink(account), []
    write(one, chunk(), batch(1))
    change = SnowflakeDatabase.change
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            SnowflakeDatabase, "change", lambda *about: (said.append(about[2]), change(*about))[1]
        )
        write(one, chunk(epoch=3), batch(7), mode=Mode.REPLACE)
        one.finish(TABLE, JOB, 3, Mode.REPLACE)
    assert not [text for text in said if "SWAP WITH" in text or "RENAME" in text or " LIKE " in text]
    assert [text for text in said if text.startswith("INSERT OVERWRITE")]


def test_a_failing_chunk_leaves_nothing(account):
    one = sink(account)
    write(one, chunk(), batch(1))

    def breaks():
        yield batch(3)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        write(one, chunk(epoch=2), payload=Payload(TABLE, breaks))
    assert one.committed(TABLE, chunk(epoch=2), Mode.APPEND) is None
    assert len(read(account)) == 1


def test_an_older_attempt_that_hangs_is_aborted(account):
    one = sink(account)
    one.prepare(TABLE, JOB, 1, Mode.APPEND)
    hung = one.database.connect(f"hdm:{chunk().chunk_id[:12]}:1", write=True)
    one.database.begin(hung, write=True)
    assert one._ledger(one.target(TABLE)).claim(hung, chunk(), Attempt(1))
    assert not write(one, chunk(), batch(1), attempt=2).adopted
    assert len(read(account)) == 1


def test_an_older_attempt_that_hangs_on_an_internal_stage_is_aborted(account):
    one = sink_on_stage(account)
    one.prepare(TABLE, JOB, 1, Mode.APPEND)
    hung = one.database.connect(f"hdm:{chunk().chunk_id[:12]}:1", write=True)
    one.database.begin(hung, write=True)
    assert one.records.ledger.claim(hung, chunk(), Attempt(1))
    assert not write(one, chunk(), batch(1), attempt=2).adopted
    assert one.committed(TABLE, chunk(), Mode.APPEND).rows == 1


def test_a_swap_that_hangs_is_aborted(account):
    """Its job's lease has ended, and whoever finishes the job now has it alone."""
    one = sink(account)
    write(one, chunk(), batch(1), mode=Mode.REPLACE)
    swap = swap_chunk(JOB, one.target(TABLE).dataset, 1)
    hung = swap_session(one.database, swap)
    one.database.begin(hung, write=True)
    assert one._ledger(one.target(TABLE)).claim(hung, swap, Attempt(1))
    one.finish(TABLE, JOB, 1, Mode.REPLACE)
    assert one.newest_epoch(TABLE, JOB) == 1 and len(read(account)) == 1


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_staged_files_go_in_untouched(account, form):
    one = sink(account)
    pairs = [staged(f"file:///x/{n}.{form}", batch(n, n + 1), form) for n in (1, 3)]
    receipt = write(one, chunk(), payload=files_payload(*pairs))
    assert receipt.rows == 4
    rows = plain(read(account))
    assert [row["id"] for row in rows] == [1, 2, 3, 4]
    assert rows[0]["at"] == AT and rows[1]["at"] is None
    if form == "parquet":  # of CSV the emulator takes hexadecimal text for bytes, and "" for NULL
        assert rows[0]["raw"] == b"\0'\xff" and rows[1]["Name"] == ""


def test_a_file_that_is_not_what_was_staged_is_refused(account):
    file, data = staged("file:///x/1.parquet", batch(1))
    with pytest.raises(CorruptFile):
        write(sink(account), chunk(), payload=files_payload((file, data[:-1] + b"x")))
    assert read(account) == []


def test_a_count_that_differs_is_not_committed(account):
    file, data = staged("file:///x/1.parquet", batch(1, 2))
    with pytest.raises(RejectedRows, match="2 of 3 rows"):
        write(sink(account), chunk(), payload=files_payload((replace(file, rows=3), data)))
    assert read(account) == []


def test_an_external_stage_is_copied_by_name(account, s3_server):
    import boto3

    place = f"http://127.0.0.1:{s3_server.port}"
    s3 = boto3.client(
        "s3",
        endpoint_url=place,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
    )
    s3.create_bucket(Bucket="warehouse")
    file, data = staged("s3://warehouse/load/t/a.parquet", batch(1, 2))
    _, more = staged("s3://warehouse/load/t/a.parquet.bak", batch(9))
    s3.put_object(Bucket="warehouse", Key="load/t/a.parquet", Body=data)
    s3.put_object(Bucket="warehouse", Key="load/t/a.parquet.bak", Body=more)
    one = sink(account, SnowflakeS3CopySink, stage_name="tmp", file_format="csv", stage_directory="data")
    with pytest.raises(UsageError, match="external stage"):
        write(one, chunk(), payload=files_payload((file, data)))
    connection = one.database.connect("t", write=True)
    one.database.run(connection, "CREATE STAGE TMP URL = 's3://warehouse/load/'")
    connection.close()
    assert write(one, chunk(), payload=files_payload((file, data))).rows == 2
    assert [row["id"] for row in plain(read(account))] == [1, 2]
    connection = one.database.connect("t")
    one.database.change(connection, f"DELETE FROM {one.dialect.qualify(one.target(TABLE).path)}")
    connection.close()
    again = chunk().at(generation=1)
    assert not write(one, again, payload=files_payload((file, data))).adopted, "COPY's history is no ledger"
    assert [row["id"] for row in plain(read(account))] == [1, 2]
    assert s3.list_objects_v2(Bucket="warehouse")["KeyCount"] == 2
    refused = files_payload((file, data))
    refused.confirm = lambda one: (_ for _ in ()).throw(CorruptFile(one.uri))
    with pytest.raises(CorruptFile):
        write(one, chunk(1, 3), payload=refused)
    far, data = staged("s3://elsewhere/a.parquet", batch(1))
    with pytest.raises(UsageError, match="does not lie under"):
        write(one, chunk(1, 2), payload=files_payload((far, data)))


def test_the_internal_stage_publishes_what_its_ledger_names(account):
    one = sink_on_stage(account)
    receipt = write(one, chunk(), batch(1, 2, 3))
    assert receipt.rows == 3 and len(receipt.files) == 1 and receipt.files[0].bytes == receipt.bytes
    assert receipt.files[0].uri.startswith("snowflake://fakesnow/DB")
    assert write(one, chunk(), batch(1, 2, 3), attempt=2).adopted
    assert one.committed(TABLE, chunk(), Mode.APPEND).files == receipt.files
    one.discard(TABLE, chunk(), 2)
    assert one.remove(receipt.files[0].uri)


def test_the_janitor_leaves_what_the_ledger_names_though_the_state_does_not_know(account):
    """The worker died between the ledger's commit and the state's."""
    one = sink_on_stage(account)
    (file,) = write(one, chunk(), batch(1)).files
    link = SimpleNamespace(sink=one, outgoing=lambda table: table)
    job = SimpleNamespace(info=SimpleNamespace(source=TABLE, mode=Mode.APPEND))
    assert is_held(link, job, chunk(), file.uri)
    assert not is_held(link, job, chunk(), file.uri.replace(".1.0.", ".2.0."))
    assert not is_held(link, job, chunk(epoch=2), file.uri)


def test_dates_beyond_its_calendar_are_refused(account):
    far = Table(TABLE.dataset, ("far",), (Column("d", Kind.DATE, pa.date32()),))
    rows = pa.RecordBatch.from_arrays(
        [pa.array([2**31 - 1], pa.int32()).cast(pa.date32())], schema=far.schema
    )
    one = sink(account, table_name="far")
    one.prepare(far, JOB, 1, Mode.APPEND)
    with pytest.raises(UnrepresentableValue):
        one.write(
            far, Chunk(JOB, far.dataset, 0), Attempt(1), Payload(far, lambda: iter([rows])), Mode.APPEND
        )


def test_definitions_never_run_inside_a_transaction(account):
    one = sink(account)
    connection = one.database.connect("t", write=True)
    one.database.begin(connection, write=True)
    one.database.run(connection, "SELECT 1")
    with pytest.raises(BrokenContract, match="CREATE"):
        one.database.change(connection, "CREATE TABLE x (a INT)")
    connection.close()


# -- what the emulator cannot show: the SQL itself ---------------------------------------


def fake(**more):
    return SnowflakeProfile.model_validate(
        {"account": "a", "user": "u", "database": "d", "schema": "s", **more}
    )


def test_copy_says_exactly_what_and_nothing_dangerous():
    import sqlglot

    database = SnowflakeDatabase(fake())
    for form in ("parquet", "csv"):
        sql = copy_sql(
            database, '@"D"."S"."TMP"', ("D", "S", "o'rders"), ["id", 'na"me'], ["a/1.x", "a/b'2"], form
        )
        assert "FILES = ('a/1.x', 'a/b''2')" in sql and "ON_ERROR = ABORT_STATEMENT" in sql
        assert sql.endswith("FORCE = TRUE PURGE = FALSE TRUNCATECOLUMNS = FALSE")
        assert not any(word in sql for word in ("PATTERN", "CONTINUE", "SKIP_FILE"))
        assert isinstance(sqlglot.parse_one(sql, read="snowflake"), sqlglot.exp.Copy)
    assert "MATCH_BY_COLUMN_NAME = CASE_SENSITIVE" in copy_sql(
        database, "@x", ("t",), ["id"], ["f"], "parquet"
    )
    assert "USE_LOGICAL_TYPE = TRUE" in copy_sql(database, "@x", ("t",), ["id"], ["f"], "parquet")


@pytest.mark.parametrize(
    ("result", "ok"),
    [
        ([("s3://b/x/1.parquet", "LOADED", 2, 2, 1, 0)], True),
        ([("s3://b/x/1.parquet", "LOADED", 2, 1, 1, 1)], False),
        ([("s3://b/x/1.parquet", "LOAD_SKIPPED", 0, 0, 1, 1)], False),
        ([("s3://b/x/1.parquet", "PARTIALLY_LOADED", 2, 2, 1, 0)], False),
        ([("Copy executed with 0 files processed.",)], False),
        ([("stage/x/1.parquet", "LOADED", 2, 2, 1, 0)], True),
        ([("s3://b/y/1.parquet", "LOADED", 2, 2, 1, 0)], False),
        ([], False),
    ],
)
def test_every_file_is_counted(result, ok):
    if ok:
        _check(result, [Put("x/1.parquet", 2)])
    else:
        with pytest.raises(RejectedRows):
            _check(result, [Put("x/1.parquet", 2)])


def test_the_azure_stage_is_made_from_an_integration_without_a_secret():
    seen = []
    one = SnowflakeAzureCopySink(
        SnowflakeAzureCopySink.Config(
            table_name="t",
            stage_name="tmp",
            storage_integration="blob_int",
            url="azure://acct.blob.core.windows.net/data/",
        ),
        fake(),
        name="t",
    )
    one.database.change = lambda connection, sql, values=(): seen.append(sql) or 0
    one.database.connect = lambda *a, **k: SimpleNamespace(close=lambda: None)
    with pytest.raises(HdmError, match="AttributeError"):
        one.prepare(TABLE, JOB, 1, Mode.APPEND)  # goes on to ask the catalogue, which is not there
    assert seen[0] == (
        'CREATE STAGE IF NOT EXISTS "D"."S"."TMP" URL = '
        "'azure://acct.blob.core.windows.net/data/' STORAGE_INTEGRATION = \"BLOB_INT\""
    )
    file = StagedFile("azure://acct.blob.core.windows.net/data/t/1.parquet", "parquet", 1, 1, "")
    assert one._below(file, "azure://acct.blob.core.windows.net/data/") == "t/1.parquet"


def test_a_url_with_a_token_is_refused():
    conf = {"table_name": "t", "stage_name": "tmp", "storage_integration": "i", "url": "azure://a.b/c?sig=x"}
    one = SnowflakeAzureCopySink(SnowflakeAzureCopySink.Config(**conf), fake(), name="t")
    with pytest.raises(UsageError, match="secret"):
        one.prepare(TABLE, JOB, 1, Mode.APPEND)


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("s3://b/k/f", "b/k/f"),
        ("azure://acct.blob.core.windows.net/c/k", "c/k"),
        ("https://acct.blob.core.windows.net/c/k", "c/k"),
        ("azure://acct/c/k", "c/k"),
        ("http://127.0.0.1:10000/c/k", "c/k"),
        ("wasbs://c@acct.blob.core.windows.net/k", "c/k"),
    ],
)
def test_places_are_compared_whatever_their_spelling(uri, place):
    assert location_of(uri) == place


def test_the_session_is_exact_and_its_secrets_do_not_show():
    given = fake(password="canary-1", private_key_path="/k.p8", private_key_passphrase="canary-2")
    made = arguments(given, "hdm:abc:1")
    assert made["arrow_number_to_decimal"] is True and made["session_parameters"]["QUERY_TAG"] == "hdm:abc:1"
    assert made["session_parameters"]["TIMEZONE"] == "UTC" and made["authenticator"] == "SNOWFLAKE_JWT"
    assert made["private_key_file_pwd"] == "canary-2" and "canary" not in repr(given)
    assert made["platform_detection_timeout_seconds"] == 0.0, "nobody but Snowflake is spoken to"


def test_rows_to_be_merged_lie_in_the_targets_schema():
    """The profile need not name one, and without it a bare name has no place."""
    home = SnowflakeProfile.model_validate({"account": "a", "user": "u"})
    one = SnowflakeCopySink(SnowflakeCopySink.Config(table_name=["D", "S", "T"]), home, name="t")
    said = []
    one.database.change = lambda connection, sql, values=(): said.append(sql) or 0
    one.database.begin = one.database.commit = lambda *a, **k: None
    make_stage(one.database, None, one.target(TABLE), chunk(), Attempt(1))
    assert said[0].startswith('CREATE TEMPORARY TABLE "D"."S"."_hdm_stage_')


def test_the_originals_profile_and_conf_are_taken():
    fake(authenticator="snowflake", role="R", warehouse="W", password="p")
    SnowflakeAzureCopySink.Config.model_validate(
        {"env": "snowflake_x", "stage_name": "TMP", "file_format": "csv", "stage_directory": "data"}
    )


def test_time_travel_is_in_every_query():
    one = SnowflakeSource(SnowflakeSource.Config(table_name="o"), fake(), name="s")
    table = Table(Dataset("x", "o"), ("D", "S", "o"), (Column("id", Kind.INT64, pa.int64()),))
    sql = one.select(table, chunk().at(snapshot="2020-01-01 00:00:00.000000000"))
    moment = "'2020-01-01 00:00:00.000000000 +0000', 'YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM'"
    assert sql.endswith(f"AT(TIMESTAMP => TO_TIMESTAMP_TZ({moment}))")  # whatever TIMESTAMP_INPUT_FORMAT is
    assert "AT(" not in one.select(table, chunk())


def test_a_missing_connector_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "snowflake", None)
    with pytest.raises(MissingDriver, match=r"hdm\[snowflake\]"):
        SnowflakeDatabase(fake()).connect()


class _Refusal(BaseHTTPRequestHandler):
    """Snowflake's answer to a wrong password."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        message = "Incorrect username or password was specified."
        body = json.dumps({"success": False, "code": "390100", "message": message, "data": {}}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


@pytest.mark.slow
def test_a_wrong_password_is_told_by_a_look():
    """The emulator takes any; real answers come with this code."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusal) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        where = fake(password="canary-4711", host="127.0.0.1", port=server.server_address[1], protocol="http")
        try:
            for cls in (SnowflakeInternalStageSink, SnowflakeCopySink):
                with pytest.raises(UsageError, match="390100") as caught:
                    cls(cls.Config(), where, name="t").ready()
                assert "canary" not in str(caught.value)
        finally:
            server.shutdown()
            thread.join()


def test_a_look_finds_out_that_there_is_no_home_and_leaves_nothing(account):
    one = sink_on_stage(account)
    one.ready()
    connection = one.database.connect()
    try:
        assert one.database.rows(connection, "SHOW STAGES") == []
        assert not one.records.ledger.exists(connection)
    finally:
        connection.close()
    assert one.place == f"{account['database']}.PUBLIC"
    for name, absent in (
        ("nosuch.public.a", "database NOSUCH"),
        ("nosuch.a", f"schema {account['database']}.NOSUCH"),
    ):
        homeless = sink_on_stage(account, name)
        with pytest.raises(UsageError, match=f"there is no {absent}"):
            homeless.ready()
        assert homeless.probe()[-1][:2] == ("schema", False)
    with pytest.raises(UsageError, match="there is no database NOSUCH"):
        one.database.look(("NOSUCH", "PUBLIC", "a"))
