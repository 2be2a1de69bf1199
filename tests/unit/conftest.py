"""What one test makes secret must not mask the text of another."""

from __future__ import annotations

import pytest

from hdm import secrets


@pytest.fixture(autouse=True)
def own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_forms", set())
    monkeypatch.setattr(secrets, "_pattern", None)
