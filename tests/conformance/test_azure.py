"""Azure Blob Storage on azurite, which checks keys, signatures, MD5 sums and conditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hdm.components.sink import Sink
from hdm.components.source import Source
from hdm.connectors.azure import AzureBlobChunkSource, AzureBlobSink, AzureBlobSource, AzureProfile
from hdm.files.stores.base import Store
from hdm.model import Table
from hdm.testing import SinkConformance, SourceConformance, StoreConformance
from tests.conformance.object_files import CANARY, read_back, staged
from tests.servers import azurite


class Container:
    """A new container."""

    def __init__(self, server: azurite.Azurite) -> None:
        self.profile = AzureProfile(account_url=server.account_url, account_key=server.key)
        self.name = server.fresh()

    def sink(self, **conf: Any) -> AzureBlobSink:
        config = {"container": self.name, "prefix": "stage", "multipart_from": 0, **conf}
        return AzureBlobSink(AzureBlobSink.Config(**config), self.profile, name="azure_stg")

    def source(self, cls: Any = AzureBlobSource, **conf: Any) -> Any:
        config = {"container": self.name, "prefix": "stage", **conf}
        return cls(cls.Config(**config), self.profile, name="azure_src")


@pytest.fixture
def container(azurite_server: azurite.Azurite) -> Container:
    return Container(azurite_server)


@pytest.fixture
def nowhere() -> AzureProfile:
    return AzureProfile(account_url="http://127.0.0.1:1/nobody", sas=f"sv=2024-01-01&sig={CANARY}")


class TestStore(StoreConformance):
    @pytest.fixture
    def subject(self, container: Container) -> Store:
        return container.sink().store


class TestSink(SinkConformance):
    @pytest.fixture
    def subject(self, container: Container) -> Sink:
        return container.sink()

    @pytest.fixture
    def read_back(self, container: Container) -> Callable[[Sink, Table], list[tuple[Any, ...]]]:
        return lambda sink, table: read_back(container.source(), table)

    @pytest.fixture
    def unreachable(self, nowhere: AzureProfile) -> Sink:
        return AzureBlobSink(AzureBlobSink.Config(container="nowhere"), nowhere, name="azure_stg")

    @pytest.fixture
    def secret(self) -> str:
        return CANARY


class TestSource(SourceConformance):
    @pytest.fixture
    def rows(self, container: Container) -> list[tuple[Any, ...]]:
        return staged(container.sink())

    @pytest.fixture(params=[AzureBlobSource, AzureBlobChunkSource], ids=["whole", "pieces"])
    def subject(self, request: pytest.FixtureRequest, container: Container, rows: Any) -> Source:
        pieces = {"chunk": 5} if request.param is AzureBlobChunkSource else {}
        return container.source(request.param, **pieces)

    @pytest.fixture
    def unreachable(self, nowhere: AzureProfile) -> Source:
        return AzureBlobSource(AzureBlobSource.Config(container="nowhere"), nowhere, name="azure_src")

    @pytest.fixture
    def secret(self) -> str:
        return CANARY
