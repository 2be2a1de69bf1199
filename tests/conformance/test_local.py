"""Files in a directory: the store, the sink in each format, and both sources."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hdm.components.sink import Sink
from hdm.components.source import Source
from hdm.connectors.local import FSChunkSource, FSSink, FSSource
from hdm.files.stores.base import LocalStore, Store
from hdm.model import Table
from hdm.testing import SinkConformance, SourceConformance, StoreConformance
from tests.conformance.object_files import read_back, staged

pytestmark = pytest.mark.slow
FORMATS = ("parquet", "csv", "jsonl")


@pytest.fixture(params=FORMATS)
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> FSSink:
    return FSSink(FSSink.Config(directory=str(tmp_path / "s"), file_format=request.param), name="staged")


@pytest.fixture
def blocked(tmp_path: Path) -> str:
    """A directory that cannot be."""
    (tmp_path / "file").touch()
    return str(tmp_path / "file" / "below")


class TestStore(StoreConformance):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Store:
        return LocalStore(tmp_path / "root")


class TestSink(SinkConformance):
    @pytest.fixture
    def subject(self, sink: FSSink) -> Sink:
        return sink

    @pytest.fixture
    def read_back(self, tmp_path: Path) -> Callable[[Sink, Table], list[tuple[Any, ...]]]:
        source = FSSource(FSSource.Config(directory=str(tmp_path / "s")), name="read")
        return lambda _, table: read_back(source, table)

    @pytest.fixture
    def unreachable(self, blocked: str) -> Sink:
        return FSSink(FSSink.Config(directory=blocked), name="staged")


class TestSource(SourceConformance):
    @pytest.fixture
    def rows(self, sink: FSSink) -> list[tuple[Any, ...]]:
        return staged(sink)

    @pytest.fixture(params=[FSSource, FSChunkSource], ids=["whole", "pieces"])
    def subject(self, request: pytest.FixtureRequest, tmp_path: Path, rows: Any) -> Source:
        pieces = {"chunk": 5} if request.param is FSChunkSource else {}
        made: Source = request.param(request.param.Config(directory=str(tmp_path / "s"), **pieces), name="r")
        return made

    @pytest.fixture
    def unreachable(self, blocked: str) -> Source:
        return FSSource(FSSource.Config(directory=blocked), name="staged")
