"""``StateManager`` itself: what it keeps, its aggregates, and a subclass that changes one of them."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from hdm.errors import UsageError
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


@pytest.mark.parametrize(
    ("old", "now"),
    [("open_run", "state.runs.open"), ("claim", "state.chunks.claim"), ("verify", "state.trail.verify")],
)
def test_an_override_that_nothing_would_call_is_refused(old: str, now: str) -> None:
    with pytest.raises(UsageError, match=f"overrides {old}, which nothing calls: it is {now} now") as said:
        type("Mine", (StateManager,), {old: lambda self: None})
    aggregate = now.split(".")[1].capitalize()
    assert said.value.hint is not None and f"{aggregate} = My{aggregate}" in said.value.hint


def test_a_subclass_may_have_methods_of_its_own_and_change_those_of_the_manager() -> None:
    own = {"close": lambda self: None, "_claim": lambda self: None, "tell": lambda self: None}
    assert issubclass(type("Mine", (StateManager,), own), StateManager)
