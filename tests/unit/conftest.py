"""What one test makes secret must not mask the text of another; a state database for each that asks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hdm import secrets
from tests.unit.linkkit import Run

if TYPE_CHECKING:
    from hdm.state import StateManager


@pytest.fixture(autouse=True)
def own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_forms", set())
    monkeypatch.setattr(secrets, "_pattern", None)


@pytest.fixture(scope="session")
def empty_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state database with its tables and nothing in them, to be copied: made once, since the
    migrations take longer than most tests."""
    from hdm.state import StateManager

    path = tmp_path_factory.mktemp("empty") / "state.db"
    StateManager.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def state(empty_state: Path, tmp_path: Path) -> Iterator[StateManager]:
    from hdm.state import StateManager

    path = tmp_path / "own-state.db"
    shutil.copy(empty_state, path)
    with StateManager.open(f"sqlite:///{path}", lease_ttl=20) as store:
        yield store


@pytest.fixture
def run(state: StateManager) -> Run:
    return Run(state)
