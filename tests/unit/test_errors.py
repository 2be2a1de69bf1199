"""Each error says what is done next, and none of them says a value."""

from __future__ import annotations

import inspect

import pytest

from hdm import errors
from hdm.errors import HdmError, ManifestError, Recovery, Throttled, unexpected

ALL = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, HdmError)]
RETRY = {
    "TransientError", "ConnectionLost", "UnknownPlace", "Throttled", "Deadlock", "MissingParent",
    "StateUnavailable",
}  # fmt: skip
BURY = {
    "PermanentError", "SchemaDrift", "CheckFailed", "RejectedRows", "UnrepresentableValue", "BrokenContract",
    "CorruptFile", "SnapshotLost", "SourceChanged", "TiesUnknown", "Unexpected",
}  # fmt: skip
YIELD = {"LeaseLost", "Drained"}


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_what_follows_an_error_is_in_its_class(kind):
    name = kind.__name__
    wanted = (
        Recovery.RETRY
        if name in RETRY
        else Recovery.BURY
        if name in BURY
        else Recovery.YIELD
        if name in YIELD
        else Recovery.ABORT
    )
    assert kind.recovery is wanted


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_the_exit_code_is_the_promised_one(kind):
    wanted = 1
    if issubclass(kind, errors.UsageError):
        wanted = 2
    if issubclass(kind, errors.StateError):
        wanted = 3
    if kind is errors.Drained:
        wanted = 143
    assert kind.exit_code == wanted


def test_a_hint_stands_under_the_message():
    assert str(HdmError("what", hint="do this")) == "what\n  hint: do this"
    assert str(HdmError("what")) == "what"


@pytest.mark.parametrize(
    ("place", "begins"),
    [
        ({"file": "m.yml", "line": 3, "column": 7}, "m.yml:3:7: x"),
        ({"file": "m.yml"}, "m.yml: x"),
        ({}, "x"),
    ],
)
def test_a_mistake_in_a_file_says_where(place, begins):
    assert ManifestError("x", **place).message == begins


def test_the_unforeseen_is_named_by_class_and_place_never_by_its_text():
    try:
        raise KeyError("the value of a row")
    except KeyError as error:
        found = unexpected(error)
    assert "KeyError at unit/test_errors.py:" in found.message
    assert "the value of a row" not in str(found)
    assert unexpected(KeyError("x")).message == "unexpected KeyError"


def test_a_wait_that_was_asked_for_is_kept():
    assert Throttled("slow", retry_after=3.5).retry_after == 3.5
