"""Google Cloud Storage: made once, deleted by generation, told apart by codes, no secret shown."""

import io
import json
import logging
import os
import sys
import threading
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import ValidationError

from hdm.components import registry
from hdm.connectors.gcs import GCSProfile, GCSSink, GCSSource
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
from hdm.files.stores import gcs
from hdm.files.stores.gcs import GCSStore

MIB = 1024 * 1024


@lru_cache(maxsize=1)
def _rsa():
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def service_account(secret, token_uri="http://127.0.0.1:1/token"):
    """The JSON key of an account that logs in at ``token_uri``; ``secret`` stands in it."""
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "tests",
            "private_key_id": secret,
            "private_key": _rsa(),
            "client_email": "hdm@tests.example",
            "token_uri": token_uri,
        }
    )


def upload(store, key, body, **more):
    path = store.scratch(key)
    path.write_bytes(body)
    return store.put_new(key, path, **more)


def content(store, key):
    with store.open(key) as stream:
        return stream.read()


@pytest.fixture
def bucket(gcs_server):
    return gcs_server.fresh()


@pytest.fixture
def make(gcs_server, bucket):
    def sink(endpoint=None, **config):
        profile = GCSProfile(endpoint_url=endpoint or gcs_server.endpoint, anonymous=True)
        return GCSSink(GCSSink.Config(bucket_name=bucket, **config), profile, name="gcs_stg")

    return sink


def test_large_files_go_up_in_parts_and_come_back(make):
    store, body = make(part_bytes=5 * MIB, prefix="p").store, os.urandom(MIB) * 12 + b"tail"
    made = upload(store, "a/b", body)
    assert (made.size, content(store, "a/b")) == (len(body), body)
    with pytest.raises(FileExistsError):
        upload(store, "a/b", body)
    assert store.uri("a/b") == f"gs://{store.bucket}/p/a/b"


@pytest.mark.parametrize("multipart_from", [0, None], ids=["resumable", "one request"])
def test_of_two_writers_of_one_name_the_later_changes_nothing(make, multipart_from):
    store, other = make(multipart_from=multipart_from).store, make(multipart_from=multipart_from).store
    calls = []

    late = 4 if multipart_from == 0 else 2  # after the upload in parts has begun

    def check():
        calls.append(1)
        if len(calls) == late:
            upload(other, "a", b"theirs" * 100)

    with pytest.raises(FileExistsError):
        upload(store, "a", b"mine!!" * 100, check=check)
    assert content(store, "a") == b"theirs" * 100


def test_a_server_that_ignores_the_condition_is_refused_or_looked_at_first(make, gcs_server):
    """The emulator itself keeps conditions for uploads in one request, but not for those in parts."""
    with pytest.raises(UsageError, match="ignores ifGenerationMatch") as caught:
        make(gcs_server.raw).store.put_new("a", b"x")
    assert "create_once: check" in caught.value.hint
    store = make(gcs_server.raw, create_once="check", multipart_from=0).store
    upload(store, "a", b"first")
    with pytest.raises(FileExistsError):
        upload(store, "a", b"second")
    assert content(store, "a") == b"first"


def test_only_the_generation_that_was_seen_is_deleted(make, monkeypatch):
    store = make().store
    store.put_new("a", b"old")
    seen = store._found("a")
    assert store.delete("a") is True
    store.put_new("a", b"new")
    monkeypatch.setattr(store, "_found", lambda key: seen)
    assert store.delete("a") is False
    monkeypatch.undo()
    assert content(store, "a") == b"new"


@pytest.mark.parametrize("before", [0, 10], ids=["before the first read", "after it"])
def test_what_is_replaced_while_it_is_read_is_an_error(make, before):
    store, size = make().store, 9 * MIB
    upload(store, "a", b"1" * size)
    with store.open("a") as stream:
        assert stream.read(before) == b"1" * before
        store.delete("a")
        upload(store, "a", b"2" * size)
        with pytest.raises(CorruptFile, match="was replaced"):
            stream.read()


def test_a_lost_answer_is_found_to_have_been_a_success(make, monkeypatch):
    store, insert = make().store, GCSStore._insert

    def lossy(self, *arguments):
        insert(self, *arguments)
        raise ConnectionLost("the answer is lost")

    store.ready()
    monkeypatch.setattr(GCSStore, "_insert", lossy)
    assert store.put_new("a", b"x").size == 1
    with pytest.raises(FileExistsError):
        store.put_new("a", b"x")


def test_bytes_that_changed_on_their_way_are_found_by_the_checksum(make, monkeypatch):
    """Size and metadata are those of the bytes that were to be sent; what the service counted is not."""
    store, insert = make().store, GCSStore._insert

    def garbled(self, key, stream, *rest):
        insert(self, key, io.BytesIO(b"y" * 100), *rest)

    store.ready()
    monkeypatch.setattr(GCSStore, "_insert", garbled)
    monkeypatch.setattr(gcs, "_sums", lambda *ignored: SUMS_OF_X)
    with pytest.raises(TransientError):
        store.put_new("a", b"x" * 100)


SUMS_OF_X = gcs._sums(io.BytesIO(b"x" * 100))


def test_a_lost_lease_ends_an_upload_and_publishes_nothing(make):
    store, calls = make(part_bytes=5 * MIB).store, []

    def check():
        calls.append(1)
        if len(calls) == 4:
            raise LeaseLost("gone")

    with pytest.raises(LeaseLost):
        upload(store, "a", b"x" * (12 * MIB), check=check)
    assert store.stat("a") is None and store.abort_uploads("a") >= 0


def test_a_listing_of_many_pages_is_complete(make, monkeypatch):
    monkeypatch.setattr(gcs, "_PAGE", 2)
    store = make(prefix="p").store
    for number in range(5):
        store.put_new(f"a/{number}", b"x")
    assert [one.key for one in store.list("a/")] == [f"a/{number}" for number in range(5)]


def test_a_look_tells_what_is_wrong_and_leaves_nothing(make, gcs_server, bucket):
    make(prefix="a").ready()
    assert not list(gcs_server.bucket(bucket).list_blobs())
    absent = GCSSink(GCSSink.Config(bucket_name="nosuch"), GCSProfile(**gcs_server.profile), name="s")
    with pytest.raises(UsageError, match="the bucket of gs://nosuch/ does not exist"):
        absent.ready()
    assert not absent.probe()[0][1]
    assert [ok for _, ok, _ in make().probe()] == [True]


def test_the_environment_sends_no_bytes_to_another_server(make, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    make().store.put_new("a", b"x")
    profile = GCSProfile(credentials_json=service_account("key-of-the-tests"))
    source = GCSSource(GCSSource.Config(bucket_name="abc"), profile, name="s")
    assert source.store.client.api_endpoint == "https://storage.googleapis.com"
    assert type(source.store.client._credentials).__module__ == "google.oauth2.service_account"


def test_the_originals_names_are_understood():
    assert registry.find("source", "GoogleSource") is GCSSource
    assert registry.find("sink", "GoogleSink") is GCSSink


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"anonymous": True}, "name it as endpoint_url"),
        ({"anonymous": True, "endpoint_url": "https://e", "credentials_file": "k"}, "contradict"),
        ({"endpoint_url": "http://gcs.example"}, "must be https"),
        ({"endpoint_url": "https://u:p@gcs.example"}, "must not hold credentials"),
        ({"endpoint_url": "gcs.example"}, "an address such as"),
        ({"credentials_file": "k", "credentials_json": "{}"}, "not both"),
    ],
)
def test_profiles_that_are_wrong_or_unsafe_are_refused(words, said):
    with pytest.raises(ValidationError, match=said):
        GCSProfile(**words)


def test_a_key_that_is_none_is_said_by_its_field_and_not_shown(tmp_path):
    (tmp_path / "key.json").write_text('{"private_key": "canary-4711", "type": "x"}')
    cases = [
        ({"credentials_file": str(tmp_path / "key.json")}, "credentials_file holds no JSON key"),
        ({"credentials_file": str(tmp_path / "absent")}, "cannot be read"),
        ({"credentials_json": "canary-4711"}, "credentials_json holds no JSON key"),
    ]
    for words, said in cases:
        source = GCSSource(GCSSource.Config(bucket_name="abc"), GCSProfile(**words), name="s")
        with pytest.raises(UsageError, match=said) as caught:
            source.store.look()
        assert "canary" not in f"{caught.value} {caught.value.hint} {vars(source)!r}"


# -- a server that answers what it is told ----------------------------------------------


class _Answers(BaseHTTPRequestHandler):
    status, reason, message = 200, "", ""

    def _answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = {"code": self.status, "message": self.message, "errors": [{"reason": self.reason}]}
        text = json.dumps({"error": body}).encode()
        if self.path == "/token":
            self.status, text = 200, b'{"access_token": "token-4711", "expires_in": 3600}'
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Content-Type", "application/json")
        self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def log_message(self, *arguments):
        pass


@pytest.fixture
def answering(monkeypatch):
    made = ThreadingHTTPServer(("127.0.0.1", 0), type("Answers", (_Answers,), {}))
    made.daemon_threads = True
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def store(status, reason, message="canary-text"):
        handler = made.RequestHandlerClass
        handler.status, handler.reason, handler.message = status, reason, message
        where = f"http://127.0.0.1:{made.server_port}"
        profile = GCSProfile(
            endpoint_url=where, credentials_json=service_account("key-4711", f"{where}/token")
        )
        return GCSSink(GCSSink.Config(bucket_name="abc"), profile, name="s").store

    yield store
    made.shutdown()
    thread.join()
    made.server_close()


CODES = [
    (400, "invalid", UsageError, "bucket_name"),
    (401, "authError", UsageError, "refused the credentials"),
    (403, "forbidden", UsageError, "storage.objects.list"),
    (403, "rateLimitExceeded", Throttled, "slow down"),
    (403, "retentionPolicyNotMet", UsageError, "retention policy"),
    (404, "notFound", UsageError, "does not exist"),
    (409, "conflict", TransientError, "conflict"),
    (429, "rateLimitExceeded", Throttled, "slow down"),
    (503, "backendError", Throttled, "slow down"),
]


@pytest.mark.parametrize(("status", "reason", "kind", "said"), CODES)
def test_each_code_has_its_class_and_way_out(status, reason, kind, said, answering, caplog):
    caplog.set_level(logging.INFO)
    store = answering(status, reason)
    with pytest.raises(HdmError) as caught:
        store.look()
    assert type(caught.value) is kind
    shown = f"{caught.value.message} {caught.value.hint}"
    assert said in shown
    for secret in ("canary-text", "token-4711", "key-4711"):
        assert secret not in shown + caplog.text
    if kind is Throttled:
        assert caught.value.retry_after == 7.0


def test_a_server_error_is_tried_again_by_the_driver_and_then_passes(answering, monkeypatch):
    from google.api_core.retry import Retry

    quick = Retry(predicate=gcs._passes, initial=0.01, maximum=0.01, timeout=0.05)
    monkeypatch.setattr(gcs, "_retry", lambda: quick)
    with pytest.raises(TransientError, match="backendError") as caught:
        answering(500, "backendError").look()
    assert type(caught.value) is TransientError


def test_a_checksum_that_the_server_refuses_is_tried_again(answering, monkeypatch):
    monkeypatch.setattr(GCSStore, "_conditions", True)
    store = answering(400, "invalid", "Provided CRC32C AAAAAA== doesn't match calculated CRC32C BBBBBB==.")
    with pytest.raises(TransientError, match="changed on their way"):
        store._insert("a", io.BytesIO(b"x"), gcs.Proof(1, "", ""), SUMS_OF_X, 0, 0)


def test_a_missing_driver_names_its_extra(monkeypatch):
    for name in ("google.cloud.storage", "google.auth", "google.api_core"):
        monkeypatch.setitem(sys.modules, name, None)
    source = GCSSource(GCSSource.Config(bucket_name="abc"), GCSProfile(), name="s")
    with pytest.raises(MissingDriver, match="google-cloud-storage") as caught:
        list(source.tables())
    assert caught.value.hint == "pip install 'hdm[gcs]'"
