"""Files in the store of an address: hdm's own for file://, a plugin's for its scheme."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hdm.components import registry
from hdm.connectors.store import StoreChunkSource, StoreSink, StoreSource
from hdm.errors import UsageError
from hdm.files.stores.base import LocalStore
from hdm.model import Attempt, Mode
from hdm.testing.rows import as_rows, awkward_batch, awkward_table
from hdm.testing.sinks import chunk_of, payload_of
from hdm.testing.sources import plan, read_all


def made(cls: Any, **conf: Any) -> Any:
    return cls(cls.Config.model_validate(conf), None, name="here")


def test_a_file_address_is_read_and_written_like_a_folder(tmp_path: Path) -> None:
    url = (tmp_path / "a b").as_uri()
    table = awkward_table(("big", "words"))
    sink, batch = (
        made(StoreSink, url=url, file_format="jsonl"),
        awkward_batch(awkward_table(("big", "words"))),
    )
    sink.prepare(table, "job", 1, Mode.APPEND)
    chunk = chunk_of(table)
    sink.publish(table, chunk, sink.write(table, chunk, Attempt(1), payload_of(table, batch), Mode.APPEND))
    assert list((tmp_path / "a b").rglob("*.jsonl"))
    source = made(StoreSource, url=url)
    assert read_all(source) == as_rows([batch])
    assert source.namespace == sink.namespace == url
    pieces = made(StoreChunkSource, url=url, chunk=2)
    assert len(plan(pieces)[1]) == -(-batch.num_rows // 2)
    assert read_all(pieces) == as_rows([batch])
    assert sink.probe() == source.probe() == [("store", True, url)]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nowhere", "an address is SCHEME://"),
        ("://x", "an address is SCHEME://"),
        ("filee:///x", "no store is registered as 'filee'"),
    ],
)
def test_an_address_without_a_store_is_refused(url: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        made(StoreSource, url=url)


@pytest.mark.parametrize(
    ("url", "said"),
    [("file://host/x", "names no directory"), ("s3://bucket/x", "is not opened by its address")],
)
def test_what_no_store_opens_is_refused(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        _ = made(StoreSource, url=url).store


def test_the_store_says_what_its_profile_holds() -> None:
    assert StoreSource.profile_for(StoreSource.Config(url="file:///x")) is None
    assert registry.find("store", "file") is LocalStore
