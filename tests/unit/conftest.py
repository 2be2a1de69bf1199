"""What one test makes secret must not mask the text of another; a state database for each that asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from hdm.config import secrets
from tests.unit.linkkit import Run

if TYPE_CHECKING:
    from hdm.state import StateManager


@pytest.fixture(autouse=True)
def own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_forms", set())
    monkeypatch.setattr(secrets, "_pattern", None)


@pytest.fixture(scope="session")
def one_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateManager]:
    """Opened once, since to migrate it and to compile its statements takes longer than most tests."""
    from hdm.state import StateManager

    path = tmp_path_factory.mktemp("state") / "state.db"
    with StateManager.open(f"sqlite:///{path}", lease_ttl=20) as store:
        yield store


@pytest.fixture
def state(one_state: StateManager) -> Iterator[StateManager]:
    """A state database with nothing in it."""
    from hdm.state.db.tables import metadata

    yield one_state
    tables = list(reversed(metadata.sorted_tables))
    one_state._base.db.run(lambda conn: [conn.execute(table.delete()) for table in tables])
    one_state._base.idle = False


@pytest.fixture
def run(state: StateManager) -> Run:
    return Run(state)
