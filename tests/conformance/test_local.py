"""Files in a directory: the store, the sink in each format, and both sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hdm.connectors.local import FSChunkSource, FSSink, FSSource
from hdm.model import Table
from hdm.sink import Sink
from hdm.stores import LocalStore, Store
from hdm.testing import SinkConformance, SourceConformance, StoreConformance, as_rows
from hdm.testing.sinks import chunk_of, deliver
from hdm.testing.rows import awkward_batch, awkward_table
from hdm.model import Mode


class TestStore(StoreConformance):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Store:
        return LocalStore(tmp_path / "root")
