"""``StateManager`` itself: what it keeps, its aggregates, and a subclass that changes one of them."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from hdm.state import StateManager

ROOT = Path(__file__).resolve().parents[3]
CLASSES = sorted(name for name, one in vars(StateManager).items() if inspect.isclass(one))


def test_the_manager_itself_opens_closes_and_imports() -> None:
    own = {name for name, one in vars(StateManager).items() if callable(one) and name[0] != "_"}
    assert own - set(CLASSES) == {"close", "import_legacy"}
    assert inspect.ismethod(StateManager.open)


def test_the_reference_names_every_aggregate() -> None:
    page = (ROOT / "docs/reference/state.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `state\.(\w+)` \| `(\w+)` \|", page, re.MULTILINE)
    assert sorted(name for _, name in listed) == CLASSES
    assert all(attribute.capitalize() == name for attribute, name in listed)


@pytest.mark.slow
def test_a_subclass_may_change_any_aggregate() -> None:
    own = {name: type("Own", (getattr(StateManager, name),), {}) for name in CLASSES}
    derived = type("Derived", (StateManager,), own)
    with derived.open("sqlite://") as state:  # type: ignore[attr-defined]
        assert {name: type(getattr(state, name.lower())) for name in CLASSES} == own
