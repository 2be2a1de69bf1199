"""Google Cloud Storage on fake-gcs-server, behind a door that keeps the conditions which it ignores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hdm.components.sink import Sink
from hdm.components.source import Source
from hdm.connectors.gcs import GCSChunkSource, GCSProfile, GCSSink, GCSSource
from hdm.files.stores.base import Store
from hdm.model import Table
from hdm.testing import SinkConformance, SourceConformance, StoreConformance
from tests.conformance.object_files import CANARY, read_back, staged
from tests.servers import gcs
from tests.unit.connectors.test_gcs import service_account


class Bucket:
    """A new bucket; ``multipart_from``: from which size on uploads are resumable."""

    def __init__(self, server: gcs.GCS, multipart_from: int) -> None:
        self.profile = GCSProfile(**server.profile)
        self.name, self.multipart_from = server.fresh(), multipart_from

    def sink(self, **conf: Any) -> GCSSink:
        config = {
            "bucket_name": self.name, "prefix": "stage", "multipart_from": self.multipart_from, **conf,
        }  # fmt: skip
        return GCSSink(GCSSink.Config(**config), self.profile, name="gcs_stg")

    def source(self, cls: Any = GCSSource, **conf: Any) -> Any:
        config = {"bucket_name": self.name, "prefix": "stage", **conf}
        return cls(cls.Config(**config), self.profile, name="gcs_src")


@pytest.fixture
def bucket(gcs_server: gcs.GCS) -> Bucket:
    return Bucket(gcs_server, 0)


@pytest.fixture(scope="module")
def nowhere() -> GCSProfile:
    return GCSProfile(endpoint_url="http://127.0.0.1:1", credentials_json=service_account(CANARY))


class TestStore(StoreConformance):
    @pytest.fixture(params=[0, 1 << 30], ids=["resumable", "one request"])
    def subject(self, request: pytest.FixtureRequest, gcs_server: gcs.GCS) -> Store:
        return Bucket(gcs_server, request.param).sink().store


class TestSink(SinkConformance):
    @pytest.fixture
    def subject(self, bucket: Bucket) -> Sink:
        return bucket.sink()

    @pytest.fixture
    def read_back(self, bucket: Bucket) -> Callable[[Sink, Table], list[tuple[Any, ...]]]:
        return lambda sink, table: read_back(bucket.source(), table)

    @pytest.fixture
    def unreachable(self, nowhere: GCSProfile) -> Sink:
        return GCSSink(GCSSink.Config(bucket_name="nowhere"), nowhere, name="gcs_stg")

    @pytest.fixture
    def secret(self) -> str:
        return CANARY


class TestSource(SourceConformance):
    @pytest.fixture
    def rows(self, bucket: Bucket) -> list[tuple[Any, ...]]:
        return staged(bucket.sink())

    @pytest.fixture(params=[GCSSource, GCSChunkSource], ids=["whole", "pieces"])
    def subject(self, request: pytest.FixtureRequest, bucket: Bucket, rows: Any) -> Source:
        pieces = {"chunk": 5} if request.param is GCSChunkSource else {}
        return bucket.source(request.param, **pieces)

    @pytest.fixture
    def unreachable(self, nowhere: GCSProfile) -> Source:
        return GCSSource(GCSSource.Config(bucket_name="nowhere"), nowhere, name="gcs_src")

    @pytest.fixture
    def secret(self) -> str:
        return CANARY
