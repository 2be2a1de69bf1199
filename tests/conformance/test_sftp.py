"""SFTP on a real OpenSSH server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hdm.components.sink import Sink
from hdm.components.source import Source
from hdm.connectors.sftp import SFTPChunkSource, SFTPProfile, SFTPSink, SFTPSource
from hdm.files.stores.base import Store
from hdm.model import Table
from hdm.testing import SinkConformance, SourceConformance, StoreConformance
from tests.conformance.object_files import CANARY, read_back, staged
from tests.servers import sshd


class Directory:
    """A new directory of the server."""

    def __init__(self, server: sshd.SSHD) -> None:
        self.profile = SFTPProfile(**server.profile)
        self.path = server.fresh()

    def sink(self, **conf: Any) -> SFTPSink:
        return SFTPSink(SFTPSink.Config(directory=self.path, **conf), self.profile, name="sftp_stg")

    def source(self, cls: Any = SFTPSource, **conf: Any) -> Any:
        return cls(cls.Config(directory=self.path, **conf), self.profile, name="sftp_src")


@pytest.fixture
def directory(sshd_server: sshd.SSHD) -> Directory:
    return Directory(sshd_server)


@pytest.fixture
def nowhere() -> SFTPProfile:
    return SFTPProfile(host="127.0.0.1", port=1, user="nobody", password=CANARY)


class TestStore(StoreConformance):
    @pytest.fixture
    def subject(self, directory: Directory) -> Store:
        return directory.sink().store


class TestSink(SinkConformance):
    @pytest.fixture
    def subject(self, directory: Directory) -> Sink:
        return directory.sink()

    @pytest.fixture
    def read_back(self, directory: Directory) -> Callable[[Sink, Table], list[tuple[Any, ...]]]:
        return lambda sink, table: read_back(directory.source(), table)

    @pytest.fixture
    def unreachable(self, nowhere: SFTPProfile) -> Sink:
        return SFTPSink(SFTPSink.Config(directory="/nowhere"), nowhere, name="sftp_stg")

    @pytest.fixture
    def secret(self) -> str:
        return CANARY


class TestSource(SourceConformance):
    @pytest.fixture
    def rows(self, directory: Directory) -> list[tuple[Any, ...]]:
        return staged(directory.sink())

    @pytest.fixture(params=[SFTPSource, SFTPChunkSource], ids=["whole", "pieces"])
    def subject(self, request: pytest.FixtureRequest, directory: Directory, rows: Any) -> Source:
        pieces = {"chunk": 5} if request.param is SFTPChunkSource else {}
        return directory.source(request.param, **pieces)

    @pytest.fixture
    def unreachable(self, nowhere: SFTPProfile) -> Source:
        return SFTPSource(SFTPSource.Config(directory="/nowhere"), nowhere, name="sftp_src")

    @pytest.fixture
    def secret(self) -> str:
        return CANARY
