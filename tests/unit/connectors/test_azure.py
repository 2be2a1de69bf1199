"""Azure Blob Storage: made once, blocks never mixed, nothing left behind, no secret shown."""

import hashlib
import logging
import os
import sys
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, quote

import pyarrow as pa
import pytest
from pydantic import ValidationError

from hdm.components import registry
from hdm.config.profile import load_profiles
from hdm.connectors.azure import AzureBlobSink, AzureBlobSource, AzureProfile
from hdm.errors import CorruptFile, HdmError, LeaseLost, MissingDriver, TransientError, UsageError
from hdm.model import Attempt, Chunk, Column, ComponentSpec, Dataset, Kind, Mode, Payload, Table

APPEND = Mode.APPEND
MIB = 1024 * 1024
SMALL = Table(
    Dataset("postgres://h", "shop.public.orders"),
    ("shop", "public", "orders"),
    (Column("id", Kind.INT64, pa.int64(), False),),
)


def batch(low, high):
    return pa.record_batch([list(range(low, high))], schema=SMALL.schema)


def chunk(number=0):
    return Chunk("job", SMALL.dataset, number, snapshot=str(number), schema_sha=SMALL.schema_sha)


def stage(sink, *batches, one=None, attempt=1):
    one = one or chunk()
    sink.prepare(SMALL, "job", 1, APPEND)
    receipt = sink.write(SMALL, one, Attempt(attempt), Payload(SMALL, lambda: iter(batches)), APPEND)
    return sink.publish(SMALL, one, receipt)


def upload(store, key, body, **more):
    path = store.scratch(key)
    path.write_bytes(body)
    return store.put_new(key, path, **more)


@pytest.fixture
def container(azurite_server):
    return azurite_server.fresh()


@pytest.fixture
def keyed(azurite_server):
    return AzureProfile(account_url=azurite_server.account_url, account_key=azurite_server.key)


@pytest.fixture
def make(keyed, container):
    def sink(profile=keyed, **config):
        return AzureBlobSink(AzureBlobSink.Config(container=container, **config), profile, name="azure_stg")

    return sink


@pytest.fixture
def sas(azurite_server, container):
    """``sas(permission)``: a real SAS of the container."""
    from azure.storage.blob import generate_container_sas

    def signed(permission="rwdlac"):
        return generate_container_sas(
            "devstoreaccount1", container, azurite_server.key, permission=permission,
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )  # fmt: skip

    return signed


def uncommitted(azurite_server, container):
    with azurite_server.service() as service:
        client = service.get_container_client(container)
        whole = {one.name for one in client.list_blobs()}
        found = [one.name for one in client.list_blobs(include=["uncommittedblobs"])]
    return [name for name in found if name not in whole]


def test_large_files_go_up_in_blocks_and_come_back(make):
    store, body = make(part_bytes=5 * MIB).store, os.urandom(MIB) * 12 + b"tail"
    made = upload(store, "a/b", body, sha256=hashlib.sha256(body).hexdigest())
    assert made.size == len(body)
    with store.open("a/b") as stream:
        assert stream.read() == body
    with pytest.raises(FileExistsError):
        upload(store, "a/b", body)


def test_two_writers_of_one_name_never_mix_their_blocks(make, azurite_server, container):
    """The measured hazard: with equal block ids, one writer's commit published the other's bytes."""
    store, other = make(multipart_from=0).store, make(multipart_from=0).store
    calls = []

    def check():
        calls.append(1)
        if len(calls) == 2:
            upload(other, "a", b"theirs" * 100)

    with pytest.raises(FileExistsError):
        upload(store, "a", b"mine!!" * 100, check=check)
    with store.open("a") as stream:
        assert stream.read() == b"theirs" * 100
    assert uncommitted(azurite_server, container) == []


def test_a_lost_lease_leaves_no_blocks(make, azurite_server, container):
    calls = []

    def check():
        calls.append(1)
        if len(calls) == 4:
            raise LeaseLost("gone")

    with pytest.raises(LeaseLost):
        upload(make(part_bytes=5 * MIB).store, "a", b"x" * (12 * MIB), check=check)
    assert uncommitted(azurite_server, container) == []


def test_discard_forgets_the_blocks_of_one_dead_attempt_only(make, azurite_server, container):
    sink, one = make(), chunk()
    stage(sink, batch(0, 5), one=one)
    folder = sink.store.key(sink.committed(SMALL, one, APPEND).location)
    with azurite_server.service() as service:
        for number in (2, 12, 21):
            name = f"{folder}/{one.chunk_id[:24]}.{number}.0.parquet"
            service.get_blob_client(container, name).stage_block("YmxvY2s=", b"dead")
    for _ in range(2):
        sink.discard(SMALL, one, 2)
    assert sorted(n.split(".")[1] for n in uncommitted(azurite_server, container)) == ["12", "21"]
    assert sink.remove(sink.store.uri(f"{folder}/{one.chunk_id[:24]}.12.0.parquet"))
    assert len(uncommitted(azurite_server, container)) == 1
    assert sink.committed(SMALL, one, APPEND).rows == 5


def test_a_flipped_byte_is_seen_before_a_row_is(make, keyed, azurite_server, container):
    sink = make()
    receipt = stage(sink, batch(0, 500))
    name = sink.store.key(receipt.files[0].uri)
    with azurite_server.service() as service:
        blob = service.get_blob_client(container, name)
        body = blob.download_blob().readall()
        blob.upload_blob(body[:50] + bytes([body[50] ^ 1]) + body[51:], overwrite=True)
    reader = AzureBlobSource(AzureBlobSource.Config(container=container), keyed, name="r")
    (one,) = reader.follow(sink.target(SMALL), receipt, "next")
    with pytest.raises(CorruptFile):
        next(reader.read(sink.target(SMALL), one).batches())


def test_a_blob_replaced_while_it_is_read_is_seen(make, azurite_server, container):
    store = make().store
    upload(store, "a", b"x" * (12 * MIB))
    with store.open("a") as stream, azurite_server.service() as service:
        assert len(stream.read(MIB)) == MIB
        service.get_blob_client(container, "a").upload_blob(b"y" * (12 * MIB), overwrite=True)
        with pytest.raises(CorruptFile, match="replaced"):
            stream.read()


def test_the_originals_profile_and_conf_run_unchanged(azurite_server, container, sas, tmp_path):
    path = tmp_path / "hdm_profiles.yml"
    path.write_text(
        f"dev:\n  azure:\n    url: {azurite_server.account_url}\n    azure_account_url: azure://x\n"
        f"    sas: '{sas()}'\n    container_name: {container}\n"
    )
    path.chmod(0o600)
    profiles = load_profiles(path, "dev")
    conf = {"env": "azure", "container": container}
    sink = registry.create("sink", ComponentSpec("azure_sink", "AzureBlobSink", conf), profiles)
    receipt = stage(sink, batch(0, 5))
    assert receipt.files[0].uri.startswith(f"azure://devstoreaccount1/{container}/azure_sink/")
    conf = {"env": "azure", "container": container, "file_format": "parquet"}
    source = registry.create("source", ComponentSpec("azure_src", "AzureBlobSource", conf), profiles)
    (one,) = source.follow(sink.target(SMALL), receipt, "next")
    assert sum(b.num_rows for b in source.read(sink.target(SMALL), one).batches()) == 5


def test_every_spelling_of_an_account_is_understood(azurite_server, container, sas):
    spellings = (
        {"connection_string": azurite_server.connection_string},
        {"url": azurite_server.connection_string},
        {"url": f"{azurite_server.account_url}?{sas()}"},
        {"account_url": azurite_server.account_url, "sas": "?" + sas()},
    )
    for words in spellings:
        profile = AzureProfile(**words, container_name=container)
        config = AzureBlobSource.Config(allow_empty=True)
        assert list(AzureBlobSource(config, profile, name="s").tables()) == []
    cloud = AzureProfile(azure_account_url="azure://acc.blob.core.windows.net/data", sas="sig=abcd1234")
    source = AzureBlobSource(AzureBlobSource.Config(container="data"), cloud, name="s")
    assert source.store.client.url.startswith("https://acc.blob.core.windows.net/data")
    assert source.namespace == "azure://acc/data"


def test_profiles_that_are_wrong_or_unsafe_are_refused():
    with pytest.raises(ValidationError):
        AzureProfile(sas="sig=x")
    unsafe = AzureProfile(account_url="http://acc.example", sas="sig=abcd1234")
    with pytest.raises(UsageError, match="not https"):
        _ = AzureBlobSource(AzureBlobSource.Config(container="abc"), unsafe, name="s").store
    nameless = AzureProfile(account_url="https://acc.example", sas="sig=abcd1234")
    with pytest.raises(UsageError, match="no container"):
        _ = AzureBlobSource(AzureBlobSource.Config(), nameless, name="s").store


def test_no_failure_shows_a_key_or_a_sas(azurite_server, container, sas, caplog):
    caplog.set_level(logging.INFO)
    weak, gone = sas("l"), sas()
    wrong_key = "QUtDQU5BUlk0NzEx" * 5 + "QUFBQQ=="
    where = azurite_server.account_url
    cases = [
        (AzureProfile(account_url=where, sas=weak), container, "Azure denied"),
        (AzureProfile(account_url=where, account_key=wrong_key), container, "Azure"),
        (AzureProfile(account_url=where, sas=gone[:-6] + "AAAA%3D"), container, "Azure"),
        (AzureProfile(account_url=where, account_key=azurite_server.key), "absent", "exist"),
    ]
    for profile, name, words in cases:
        sink = AzureBlobSink(AzureBlobSink.Config(container=name), profile, name="s")
        with pytest.raises(HdmError) as caught:
            sink.store.put_new("a", b"x")
        assert words in f"{caught.value.message}"
        shown = f"{caught.value} {caught.value.__cause__!r} {sink.probe()} {vars(sink)!r} {profile!r}"
        secrets = {wrong_key, azurite_server.key, weak, gone}
        secrets |= {s for text in (weak, gone) for s in parse_qs(text)["sig"]}
        secrets |= {quote(s, safe="") for s in secrets}
        assert not [s for s in secrets if s in shown or s in caplog.text]


def test_a_look_tells_what_is_wrong_and_leaves_nothing(make, keyed, azurite_server, container, sas):
    make(prefix="a").ready()
    with azurite_server.service() as service:
        assert not list(service.get_container_client(container).list_blobs())
    absent = AzureBlobSink(AzureBlobSink.Config(container="nosuch"), keyed, name="s")
    with pytest.raises(UsageError, match="the container of azure://devstoreaccount1/nosuch/ does not exist"):
        absent.ready()
    listing = make(AzureProfile(account_url=azurite_server.account_url, sas=sas("l")))
    with pytest.raises(UsageError, match="Azure denied"):
        listing.ready()
    assert not listing.probe()[0][1], "the doctor sees what a run would be refused"
    assert make(prefix="a").place == f"azure://devstoreaccount1/{container}/a"


def test_bytes_that_change_on_their_way_are_refused_by_the_server(make, monkeypatch):
    store = make().store
    monkeypatch.setattr("hdm.files.stores.azure._settings", _wrong_settings)
    with pytest.raises((TransientError, HdmError)):
        store.put_new("a", b"x" * 100)


def _wrong_settings(md5):
    from azure.storage.blob import ContentSettings

    return ContentSettings(content_md5=bytearray(hashlib.md5(b"another").digest()))


def test_a_missing_driver_names_its_extra(monkeypatch):
    for name in ("azure.core", "azure.storage.blob"):
        monkeypatch.setitem(sys.modules, name, None)
    profile = AzureProfile(account_url="https://acc.example", sas="sig=abcd1234")
    source = AzureBlobSource(AzureBlobSource.Config(container="abc"), profile, name="s")
    with pytest.raises(MissingDriver, match="azure-storage-blob") as caught:
        list(source.tables())
    assert caught.value.hint == "pip install 'hdm[azure]'"
