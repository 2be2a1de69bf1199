"""S3 on two servers: moto, which knows conditions but checks no sums, and rclone, which checks
signatures and sums but knows no conditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hdm.components.sink import Sink
from hdm.components.source import Source
from hdm.connectors.s3 import S3ChunkSource, S3Profile, S3Sink, S3Source
from hdm.files.stores.base import Store
from hdm.model import Table
from hdm.testing import SinkConformance, SourceConformance, StoreConformance
from hdm.testing.stores import CHECKS, check_one_of_many_wins
from tests.conformance.object_files import CANARY, read_back, staged

SERVERS = ("s3_server", "rclone_server")


class Bucket:
    """A new bucket on one of the servers."""

    def __init__(self, kind: str, server: Any) -> None:
        self.profile = S3Profile(**server.profile)
        self.name = server.fresh()
        self.weaker = {"create_once": "check"} if kind == "rclone_server" else {}

    def sink(self, **conf: Any) -> S3Sink:
        config = {"bucket_name": self.name, "prefix": "stage", "multipart_from": 0, **self.weaker, **conf}
        return S3Sink(S3Sink.Config(**config), self.profile, name="s3_stg")

    def source(self, cls: Any = S3Source, **conf: Any) -> Any:
        config = {"bucket_name": self.name, "prefix": "stage", **conf}
        return cls(cls.Config(**config), self.profile, name="s3_src")


@pytest.fixture(params=SERVERS)
def bucket(request: pytest.FixtureRequest) -> Bucket:
    return Bucket(request.param, request.getfixturevalue(request.param))


@pytest.fixture
def nowhere() -> S3Profile:
    return S3Profile(
        aws_access_key_id="nobody", aws_secret_access_key=CANARY, region="eu-west-1",
        endpoint_url="http://127.0.0.1:1",
    )  # fmt: skip


@pytest.fixture
def secret() -> str:
    return CANARY


class TestStore(StoreConformance):
    @pytest.fixture
    def subject(self, s3_server: Any) -> Store:
        return Bucket("s3_server", s3_server).sink().store


class TestStoreWithoutConditions(StoreConformance):
    """All but the race, which nothing but a server's own condition can settle: who looks first
    and then creates may find that another did so between."""

    @pytest.fixture
    def subject(self, rclone_server: Any) -> Store:
        return Bucket("rclone_server", rclone_server).sink().store

    @pytest.mark.parametrize("check", [one for one in CHECKS if one is not check_one_of_many_wins])
    def test_promise(self, subject: Store, check: Callable[[Store], None]) -> None:
        check(subject)


class TestSink(SinkConformance):
    @pytest.fixture
    def subject(self, bucket: Bucket) -> Sink:
        return bucket.sink()

    @pytest.fixture
    def read_back(self, bucket: Bucket) -> Callable[[Sink, Table], list[tuple[Any, ...]]]:
        return lambda sink, table: read_back(bucket.source(), table)

    @pytest.fixture
    def unreachable(self, nowhere: S3Profile) -> Sink:
        return S3Sink(S3Sink.Config(bucket_name="nowhere"), nowhere, name="s3_stg")

    @pytest.fixture
    def secret(self) -> str:
        return CANARY


class TestSource(SourceConformance):
    @pytest.fixture
    def rows(self, bucket: Bucket) -> list[tuple[Any, ...]]:
        return staged(bucket.sink())

    @pytest.fixture(params=[S3Source, S3ChunkSource], ids=["whole", "pieces"])
    def subject(self, request: pytest.FixtureRequest, bucket: Bucket, rows: Any) -> Source:
        pieces = {"chunk": 5} if request.param is S3ChunkSource else {}
        return bucket.source(request.param, **pieces)

    @pytest.fixture
    def unreachable(self, nowhere: S3Profile) -> Source:
        return S3Source(S3Source.Config(bucket_name="nowhere"), nowhere, name="s3_src")

    @pytest.fixture
    def secret(self) -> str:
        return CANARY
