"""Files in a directory: the store, the sink in each format, and both sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from hdm.stores import LocalStore, Store
from hdm.testing import StoreConformance


class TestStore(StoreConformance):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Store:
        return LocalStore(tmp_path / "root")
