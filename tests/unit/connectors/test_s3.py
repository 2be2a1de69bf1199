"""S3: made once, proven after the upload, refused where the server cannot be trusted, no secret shown."""

import dataclasses
import hashlib
import io
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pytest
from pydantic import ValidationError

from hdm.connectors.s3 import S3ChunkSource, S3Profile, S3Sink, S3Source
from hdm.errors import (
    ConnectionLost,
    CorruptFile,
    HdmError,
    LeaseLost,
    MissingDriver,
    Throttled,
    TransientError,
    UsageError,
)
from hdm.files.stores import scratch
from hdm.files.stores.s3 import S3Store
from hdm.model import Attempt, Chunk, Column, Dataset, Kind, Mode, Payload, Table, Window

APPEND = Mode.APPEND
MIB = 1024 * 1024
KEY_ID, SECRET, TOKEN = "AKIACANARY4711KEYID", "canary/Secret+4711==", "canary-session-token-4711"
SMALL = Table(
    Dataset("postgres://h", "shop.public.orders"),
    ("shop", "public", "orders"),
    (Column("id", Kind.INT64, pa.int64(), False), Column("note", Kind.TEXT, pa.string())),
)


def batch(low, high):
    return pa.record_batch([list(range(low, high)), [f"n{i}" for i in range(low, high)]], schema=SMALL.schema)


def chunk(number=0):
    return Chunk("job", SMALL.dataset, number, snapshot=str(number), schema_sha=SMALL.schema_sha)


def payload(*batches):
    return Payload(SMALL, lambda: iter(batches))


@pytest.fixture(autouse=True)
def _ask_anew(monkeypatch):
    monkeypatch.setattr(S3Store, "_known", {})


@pytest.fixture
def bucket(s3_server):
    return s3_server.fresh()


@pytest.fixture
def make(s3_server, bucket):
    def sink(name="s3_stg", **config):
        return S3Sink(S3Sink.Config(bucket_name=bucket, **config), S3Profile(**s3_server.profile), name=name)

    return sink


def stage(sink, *batches, one=None, attempt=1):
    one = one or chunk()
    sink.prepare(SMALL, "job", 1, APPEND)
    receipt = sink.write(SMALL, one, Attempt(attempt), payload(*batches), APPEND)
    return sink.publish(SMALL, one, receipt)


def upload(store, key, body, **more):
    path = store.scratch(key)
    path.write_bytes(body)
    return store.put_new(key, path, **more)


def big(size=12 * MIB):
    return os.urandom(MIB) * (size // MIB) + b"tail"


def test_large_files_go_up_in_parts_and_come_back(make, s3_server, bucket):
    store, body = make(part_bytes=5 * MIB, prefix="a").store, big()
    made = upload(store, "b/c", body, sha256=hashlib.sha256(body).hexdigest())
    head = s3_server.client().head_object(Bucket=bucket, Key="a/b/c")
    assert head["ETag"].endswith('-3"')
    assert head["Metadata"]["hdmsha256"] == hashlib.sha256(body).hexdigest()
    assert (made.size, made.etag) == (len(body), head["ETag"])
    with store.open("b/c") as stream:
        assert stream.read() == body
    assert not store.scratch("b/c").exists()


@pytest.mark.parametrize(("size", "ending"), [(5 * MIB, '"'), (5 * MIB + 1, '-2"')])
def test_only_a_file_larger_than_a_part_goes_up_in_parts(make, s3_server, bucket, size, ending):
    upload(make(part_bytes=5 * MIB).store, "a", b"x" * size)
    etag = s3_server.client().head_object(Bucket=bucket, Key="a")["ETag"]
    assert etag.endswith(ending) and ("-" in etag) == ("-" in ending)


def test_addresses_hold_nothing_but_bucket_and_key(make, bucket):
    receipt = stage(make(prefix="/stage/"), batch(0, 5))
    assert receipt.files[0].uri.startswith(f"s3://{bucket}/stage/s3_stg/")
    assert make().store.key(receipt.files[0].uri).startswith("stage/s3_stg/")
    with pytest.raises(UsageError, match="bucket or container"):
        make(prefix="other").store.key(receipt.files[0].uri)


def test_a_scratch_file_that_changed_is_not_uploaded(make):
    store = make().store
    with pytest.raises(TransientError, match="scratch"):
        upload(store, "a", b"x", sha256=hashlib.sha256(b"y").hexdigest())
    assert store.stat("a") is None


def test_a_lost_lease_ends_an_upload_between_parts(make, s3_server, bucket):
    store, calls = make(part_bytes=5 * MIB).store, []

    def check():
        calls.append(1)
        if len(calls) == 4:
            raise LeaseLost("gone")

    with pytest.raises(LeaseLost):
        upload(store, "a", big(), check=check)
    assert store.stat("a") is None
    assert "Uploads" not in s3_server.client().list_multipart_uploads(Bucket=bucket)


def test_an_upload_given_up_by_a_janitor_is_tried_again(make):
    store, calls = make(part_bytes=5 * MIB).store, []

    def check():
        calls.append(1)
        if len(calls) == 4:
            assert store.abort_remote("a") == 1

    with pytest.raises(TransientError, match=r"given up|UploadPart"):
        upload(store, "a", big(), check=check)


@pytest.mark.parametrize("size", [10, 12 * MIB])
def test_the_lost_answer_to_a_successful_upload_is_found_out(make, monkeypatch, size):
    store = make(part_bytes=5 * MIB).store
    store.ready()
    name = "complete_multipart_upload" if size > 100 else "put_object"
    real = getattr(store.client, name)

    def twice(**words):
        real(**words)
        return real(**words)

    monkeypatch.setattr(store.client, name, twice)
    assert upload(store, "a", b"x" * size).size == size
    monkeypatch.setattr(store.client, name, real)
    with pytest.raises(FileExistsError):
        upload(store, "a", b"x" * size)


def test_what_a_forgetful_server_damaged_is_seen(make, monkeypatch, s3_server, bucket):
    """moto takes any checksum: hdm reads back. With verify: head it would not have noticed."""
    store = make().store
    assert not store.vouches
    real = store.put_bytes

    def damaged(key, body, proof):
        found = real(key, body, proof)
        kept = s3_server.client().head_object(Bucket=bucket, Key=key)["Metadata"]
        s3_server.client().put_object(
            Bucket=bucket, Key=key, Body=bytes([body[0] ^ 1]) + body[1:], Metadata=kept
        )
        return found

    monkeypatch.setattr(store, "put_bytes", damaged)
    with pytest.raises(TransientError, match="other bytes"):
        upload(store, "a", b"data")
    trusting = make(verify="head").store
    monkeypatch.setattr(trusting, "put_bytes", damaged)
    assert upload(trusting, "b", b"data").size == 4


def test_a_server_that_compares_sums_is_believed(rclone_server):
    bucket = rclone_server.fresh()
    config = S3Sink.Config(bucket_name=bucket, create_once="check")
    store = S3Sink(config, S3Profile(**rclone_server.profile), name="s").store
    assert store.vouches
    assert [s.key for s in store.list()] == []


def test_a_server_without_conditions_is_refused_unless_that_is_accepted(rclone_server):
    bucket = rclone_server.fresh()
    strict = S3Sink(S3Sink.Config(bucket_name=bucket), S3Profile(**rclone_server.profile), name="s")
    with pytest.raises(UsageError, match="If-None-Match") as caught:
        strict.prepare(SMALL, "job", 1, APPEND)
    assert "create_once: check" in caught.value.hint
    assert strict.probe()[0][:2] == ("bucket", False)
    weaker = S3Sink(
        S3Sink.Config(bucket_name=bucket, create_once="check"), S3Profile(**rclone_server.profile), name="s"
    )
    assert stage(weaker, batch(0, 5)).rows == 5


@pytest.mark.parametrize("size", [10, 12 * MIB])
def test_discard_aborts_one_dead_attempt_only(make, s3_server, bucket, size):
    sink, one = make(part_bytes=5 * MIB), chunk()
    stage(sink, batch(0, 5), one=one, attempt=1)
    folder = sink.store.key(sink.committed(SMALL, one, APPEND).location)
    client, begun = s3_server.client(), {}
    for number in (2, 12, 21):
        key = f"{folder}/{one.chunk_id[:24]}.{number}.0.parquet"
        begun[number] = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        client.put_object(Bucket=bucket, Key=key + ".x", Body=b"dead")
    for _ in range(2):
        sink.discard(SMALL, one, 2)
    left = {u["UploadId"] for u in client.list_multipart_uploads(Bucket=bucket)["Uploads"]}
    assert left == {begun[12], begun[21]}
    assert sink.remove(sink.store.uri(f"{folder}/{one.chunk_id[:24]}.12.0.parquet"))
    assert sink.committed(SMALL, one, APPEND).rows == 5
    assert len([s for s in sink.store.list() if s.key.endswith(".x")]) == 2


def test_a_flipped_byte_is_seen_before_a_row_is(make, s3_server, bucket):
    sink = make()
    receipt = stage(sink, batch(0, 500))
    key = sink.store.key(receipt.files[0].uri)
    client = s3_server.client()
    body = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    client.put_object(Bucket=bucket, Key=key, Body=body[:50] + bytes([body[50] ^ 1]) + body[51:])
    for cls, conf in ((S3Source, {}), (S3ChunkSource, {"chunk": 100})):
        reader = cls(cls.Config(bucket_name=bucket, **conf), sink.profile, name="r")
        for one in reader.follow(sink.target(SMALL), receipt, "next"):
            with pytest.raises(CorruptFile):
                next(reader.read(sink.target(SMALL), one).batches())


def test_a_file_that_another_system_will_fetch_is_confirmed_first(make, s3_server, bucket, monkeypatch):
    """By its mark; where that differs, by its content."""
    sink = make()
    receipt = stage(sink, batch(0, 500))
    (file,), table = receipt.files, sink.target(SMALL)
    reader = S3Source(S3Source.Config(bucket_name=bucket), sink.profile, name="r")
    (one,) = reader.follow(table, receipt, "next")
    given = reader.read(table, one)
    with monkeypatch.context() as watched:
        watched.setattr(S3Source, "_open", None)
        given.confirm(file)
    given.confirm(dataclasses.replace(file, etag='"other"'))
    place = {"Bucket": bucket, "Key": sink.store.key(file.uri)}
    client = s3_server.client()
    body = client.get_object(**place)["Body"].read()
    client.put_object(**place, Body=body[:50] + bytes([body[50] ^ 1]) + body[51:])
    with pytest.raises(CorruptFile, match="another checksum"):
        given.confirm(file)
    client.put_object(**place, Body=body)
    given.confirm(file)
    client.delete_object(**place)
    with pytest.raises(CorruptFile, match="is gone"):
        given.confirm(file)


def test_bytes_travel_untouched_between_stores(make, s3_server, bucket):
    first, second = make(prefix="one"), make(name="two", prefix="two", multipart_from=0)
    receipt = stage(first, batch(0, 9))
    table = first.target(SMALL)
    reader = S3Source(S3Source.Config(bucket_name=bucket), first.profile, name="r")
    (one,) = reader.follow(table, receipt, "next")
    given, decoded = reader.read(table, one), []
    watched = Payload(table, lambda: decoded.append(1) or given.batches(), files=given.files, open=given.open)
    second.prepare(table, "next", 1, APPEND)
    copied = second.publish(table, one, second.write(table, one, Attempt(1), watched, APPEND))
    assert [(f.sha256, f.bytes) for f in copied.files] == [(f.sha256, f.bytes) for f in receipt.files]
    assert not decoded


def test_pieces_of_one_file_are_fetched_once(make, bucket, monkeypatch):
    receipt = stage(make(), batch(0, 100))
    reader = S3ChunkSource(S3ChunkSource.Config(bucket_name=bucket, chunk=10), make().profile, name="r")
    real, opened = reader.store.open, []
    monkeypatch.setattr(reader.store, "open", lambda key: opened.append(key) or real(key))
    table = make().target(SMALL)
    found = [
        row["id"]
        for one in reader.follow(table, receipt, "next")
        for found in reader.read(table, one).batches()
        for row in found.to_pylist()
    ]
    assert (found, len(opened)) == (list(range(100)), 1)


def test_foreign_files_are_described_and_read(make, s3_server, bucket):
    client = s3_server.client()
    client.put_object(Bucket=bucket, Key="users.csv", Body=b"id,name\n007,\n8,x\n")
    client.put_object(Bucket=bucket, Key="folder/", Body=b"")
    reader = S3Source(S3Source.Config(bucket_name=bucket), make().profile, name="r")
    table = reader.describe()
    chunks = list(reader.split(table, Window(), "job", None))
    assert [r for c in chunks for b in reader.read(table, c).batches() for r in b.to_pylist()] == [
        {"id": "007", "name": None},
        {"id": "8", "name": "x"},
    ]


def test_reading_goes_on_where_the_connection_broke(make, bucket, monkeypatch):
    store, body = make().store, big(3 * MIB)
    upload(store, "a", body)
    real, asked = store._get, []

    def breaking(key, offset, etag):
        asked.append(offset)
        found = real(key, offset, etag)
        if len(asked) < 3:
            found["Body"] = io.BytesIO(found["Body"].read()[: 1 * MIB])
        return found

    monkeypatch.setattr(store, "_get", breaking)
    with store.open("a") as stream:
        assert stream.read() == body
    assert asked == [0, MIB, 2 * MIB]


def test_an_object_replaced_while_it_is_read_is_seen(make, s3_server, bucket, monkeypatch):
    store = make().store
    upload(store, "a", big(3 * MIB))
    real, asked = store._get, []

    def replaced(key, offset, etag):
        found = real(key, offset, etag)
        if not asked:
            asked.append(1)
            found["Body"] = io.BytesIO(found["Body"].read()[:MIB])
            s3_server.client().put_object(Bucket=bucket, Key="a", Body=big(3 * MIB))
        return found

    monkeypatch.setattr(store, "_get", replaced)
    with store.open("a") as stream, pytest.raises(CorruptFile, match="replaced"):
        stream.read()


def test_the_sinks_encryption_is_asked_for(make, s3_server, bucket):
    stage(make(sse="aws:kms", kms_key_id="alias/hdm", multipart_from=0), batch(0, 5))
    client = s3_server.client()
    keys = [one["Key"] for one in client.list_objects_v2(Bucket=bucket)["Contents"]]
    found = [client.head_object(Bucket=bucket, Key=key) for key in keys]
    assert {one.get("ServerSideEncryption") for one in found} == {"aws:kms"}


@pytest.mark.slow
def test_the_originals_profiles_are_taken(monkeypatch, tmp_path):
    (tmp_path / "credentials").write_text("[plant]\naws_access_key_id=a\naws_secret_access_key=b\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    for words in (
        {"profile": "plant", "region": "eu-west-1"},
        {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "eu-west-1"},
    ):
        source = S3Source(S3Source.Config(bucket_name="abc"), S3Profile(**words), name="s")
        assert source.store.client.meta.region_name == "eu-west-1"
    absent = S3Source(S3Source.Config(bucket_name="abc"), S3Profile(profile="nobody"), name="s")
    with pytest.raises(UsageError, match="credentials"):
        _ = absent.store.client


@pytest.mark.parametrize(
    "words",
    [
        {"endpoint_url": "http://storage.example"},
        {"endpoint_url": "https://user:pw@storage.example"},
        {"aws_access_key_id": "a"},
        {"no_such_key": 1},
    ],
)
def test_profiles_that_are_wrong_or_unsafe_are_refused(words):
    with pytest.raises(ValidationError):
        S3Profile(**words)
    S3Profile(endpoint_url="http://storage.example", insecure=True)


class _Answers(BaseHTTPRequestHandler):
    """A server that gives one answer to everything."""

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        status, code = self.server.answer
        body = b"" if self.command == "HEAD" else f"<Error><Code>{code}</Code></Error>".encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("retry-after", "7")
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

    def log_message(self, *words):
        pass


@pytest.fixture
def answering(monkeypatch):
    """``answering(status, code)``: a profile of a server that answers so, whatever is asked."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr("hdm.files.stores.s3_connect.ATTEMPTS", 1)

    def profile(status, code):
        server.answer = (status, code)
        return S3Profile(
            aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET, aws_session_token=TOKEN,
            region="eu-west-1", endpoint_url=f"http://127.0.0.1:{server.server_address[1]}",
        )  # fmt: skip

    yield profile
    server.shutdown()
    thread.join()
    server.server_close()


ANSWERS = [
    (503, "SlowDown", Throttled, "slow"),
    (429, "TooManyRequests", Throttled, "slow"),
    (403, "AccessDenied", UsageError, "denied"),
    (403, "InvalidAccessKeyId", UsageError, "credentials"),
    (403, "SignatureDoesNotMatch", UsageError, "credentials"),
    (400, "ExpiredToken", UsageError, "credentials"),
    (404, "NoSuchBucket", UsageError, "does not exist"),
    (500, "InternalError", TransientError, "refused"),
    (409, "ConditionalRequestConflict", TransientError, "refused"),
    (400, "BadDigest", TransientError, "changed on their way"),
]


@pytest.mark.slow  # boto3 tries again, with pauses, before it gives up
@pytest.mark.parametrize(("status", "code", "kind", "words"), ANSWERS)
def test_answers_become_errors_that_say_what_to_do_and_show_no_secret(
    answering, caplog, status, code, kind, words
):
    caplog.set_level(logging.INFO)
    profile = answering(status, code)
    sink = S3Sink(S3Sink.Config(bucket_name="plant"), profile, name="s")
    source = S3Source(S3Source.Config(bucket_name="plant"), profile, name="r")
    asked = [
        lambda: sink.store._put("a", b"x", _proof(), {}),
        lambda: list(source.tables()),
        lambda: source.store.open("a"),
    ]
    for ask in asked:
        with pytest.raises(kind, match=words) as caught:
            ask()
        shown = f"{caught.value} {caught.value.hint} {caught.value.__cause__!r} {caplog.text}"
        assert not [s for s in (KEY_ID, SECRET, TOKEN, quote(SECRET, safe="")) if s in shown]
        if kind is Throttled:
            assert caught.value.retry_after == 7
    for act in (lambda: sink.prepare(SMALL, "job", 1, APPEND), lambda: sink.store.abort_uploads("a")):
        with pytest.raises(HdmError) as caught:
            act()
        assert SECRET not in f"{caught.value}"
    assert all(s not in f"{sink.probe()!r} {vars(sink)!r} {profile!r}" for s in (KEY_ID, SECRET, TOKEN))


def _proof():
    from hdm.files.stores.object_base import Proof

    return Proof(1, hashlib.sha256(b"x").hexdigest(), "n")


@pytest.mark.slow
def test_the_denied_permission_is_named(answering):
    profile = answering(403, "AccessDenied")
    sink = S3Sink(S3Sink.Config(bucket_name="plant"), profile, name="s")
    with pytest.raises(UsageError) as caught:
        sink.prepare(SMALL, "job", 1, APPEND)
    assert "s3:PutObject" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        list(sink.store.list())
    assert "s3:ListBucket" in caught.value.hint


@pytest.mark.slow
def test_a_server_that_is_not_there_is_tried_again_later(monkeypatch):
    monkeypatch.setattr("hdm.files.stores.s3_connect.ATTEMPTS", 1)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        profile = S3Profile(
            aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET, region="eu-west-1",
            endpoint_url=f"http://127.0.0.1:{held.getsockname()[1]}",
        )  # fmt: skip
        store = S3Source(S3Source.Config(bucket_name="plant"), profile, name="r").store
        for ask in (lambda: store.stat("a"), store.look):
            with pytest.raises(ConnectionLost) as caught:
                ask()
            assert SECRET not in str(caught.value)


def test_a_look_tells_what_is_wrong_and_leaves_nothing(make, s3_server, bucket):
    make(prefix="a").ready()
    assert "Contents" not in s3_server.client().list_objects_v2(Bucket=bucket)
    sink = make(prefix="a")
    stage(sink, batch(0, 5))
    sink.ready()
    absent = S3Sink(S3Sink.Config(bucket_name="nosuch"), sink.profile, name="s")
    with pytest.raises(UsageError, match="the bucket of s3://nosuch/ does not exist"):
        absent.ready()
    assert absent.probe() == [("bucket", False, "the bucket of s3://nosuch/ does not exist")]
    assert (make().place, make(prefix="a").place) == (f"s3://{bucket}", f"s3://{bucket}/a")


@pytest.mark.slow
def test_a_look_is_denied_where_the_look_for_a_manifest_is(answering):
    """Without s3:ListBucket a missing object is denied: to the survey, and to every chunk."""
    sink = S3Sink(S3Sink.Config(bucket_name="plant"), answering(403, "AccessDenied"), name="s")
    hints = []
    for ask in (sink.ready, lambda: sink.committed(SMALL, chunk(), APPEND)):
        with pytest.raises(UsageError, match="S3 denied GetObject") as caught:
            ask()
        hints.append(caught.value.hint)
    assert hints[0] == hints[1] and "s3:GetObject and s3:ListBucket" in hints[0]


def test_wrong_keys_are_refused_by_a_server_that_checks_them(rclone_server):
    bucket = rclone_server.fresh()
    for words in ({"aws_access_key_id": KEY_ID}, {"aws_secret_access_key": SECRET}):
        source = S3Source(
            S3Source.Config(bucket_name=bucket), S3Profile(**{**rclone_server.profile, **words}), name="r"
        )
        with pytest.raises(UsageError, match="refused the credentials") as caught:
            list(source.tables())
        assert not [s for s in (KEY_ID, SECRET) if s in str(caught.value)]


def test_a_missing_driver_names_its_extra(monkeypatch):
    for name in ("boto3", "botocore"):
        monkeypatch.setitem(sys.modules, name, None)
    source = S3Source(S3Source.Config(bucket_name="abc"), S3Profile(), name="s")
    with pytest.raises(MissingDriver, match="boto3") as caught:
        list(source.tables())
    assert caught.value.hint == "pip install 'hdm[s3]'"


@pytest.mark.slow
def test_no_driver_is_imported_before_it_connects():
    code = (
        "import sys, hdm.connectors.s3, hdm.connectors.azure;"
        "assert not {'boto3', 'botocore', 'azure.core'} & set(sys.modules)"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(root)})


def test_scratch_files_of_dead_processes_go_and_those_of_living_ones_stay(tmp_path):
    code = (
        "import sys, time; from hdm.files.stores import scratch;"
        "(scratch.folder(sys.argv[1]) / 'half').write_bytes(b'x'); print('made', flush=True); time.sleep(60)"
    )
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as other:
        try:
            assert other.stdout.readline() == b"made\n"
            own = scratch.folder(str(tmp_path)) / "mine"
            own.write_bytes(b"y")
            assert scratch.sweep(str(tmp_path)) == 0
            assert len(list(tmp_path.rglob("half"))) == 1
        finally:
            other.send_signal(signal.SIGKILL)
        other.wait()
    assert scratch.sweep(str(tmp_path)) == 1
    assert not list(tmp_path.rglob("half"))
    assert own.exists()


def test_a_scratch_folder_that_others_can_enter_is_refused(tmp_path):
    (tmp_path / f"hdm-scratch-{os.getuid()}").mkdir(mode=0o755)
    with pytest.raises(UsageError, match="only this user"):
        scratch.folder(str(tmp_path))


def test_a_chunk_whose_files_were_retired_is_still_committed(make):
    sink, one = make(keep="verified"), chunk()
    receipt = stage(sink, batch(0, 5), one=one)
    assert sink.retire(one, receipt.files[0].uri)
    assert not sink.retire(one, receipt.files[0].uri)
    assert sink.committed(SMALL, one, APPEND) == receipt
    assert [r for _, r in sink.ledger(SMALL, "job")] == [receipt]
    again = sink.write(SMALL, one, Attempt(2), payload(batch(0, 5)), APPEND)
    assert (again.adopted, again.rows) == (True, 5)
    other = stage(sink, batch(5, 9), one=chunk(1))
    sink.store.delete(sink.store.key(other.files[0].uri))
    with pytest.raises(CorruptFile, match="gone"):
        sink.committed(SMALL, chunk(1), APPEND)
