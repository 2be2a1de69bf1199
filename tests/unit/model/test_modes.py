"""What each mode means is said once, in hdm.model.modes; everyone else asks by name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from hdm.model import Mode, ModeRules

ROOT = Path(__file__).resolve().parents[3]
MEMBERS = {mode.name for mode in Mode} | {mode.value for mode in Mode}


def said_of(mode: Mode) -> set[str]:
    return {rule.name for rule in fields(ModeRules) if getattr(mode.rules, rule.name)}


def test_what_each_mode_means():
    carries_on = {"keeps_watermark", "plans_by_content"}
    assert {mode: said_of(mode) for mode in Mode} == {
        Mode.APPEND: {*carries_on, "only_adds"},
        Mode.MERGE: {*carries_on, "merges_by_key"},
        Mode.REPLACE: {"reads_everything", "swaps_at_end"},
        Mode.SYNC: {"reads_everything", "compares"},
    }


def test_chunks_made_of_published_ones_are_of_one_epoch_unless_epochs_stand_apart():
    assert {mode: mode.rules.followers_epoch(3) for mode in Mode} == {
        Mode.APPEND: 1,
        Mode.MERGE: 1,
        Mode.REPLACE: 3,
        Mode.SYNC: 3,
    }


def compared(code: str) -> Iterator[int]:
    """Yield the line of each comparison with a mode."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(_is_a_mode(side) for side in sides):
                yield node.lineno
        elif isinstance(node, ast.MatchValue) and _is_a_mode(node.value):
            yield node.value.lineno


def _is_a_mode(side: ast.expr) -> bool:
    return any(
        isinstance(one, ast.Attribute) and one.attr in MEMBERS and ast.unparse(one.value).endswith("Mode")
        for one in ast.walk(side)
    )


def test_no_code_compares_modes():
    """But for the suites, which ask what a sink can do."""
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / "hdm").rglob("*.py"))
        if "testing" not in path.parts
        for line in compared(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "a.mode is Mode.REPLACE",
        "a.mode is not model.Mode.APPEND",
        "Mode.MERGE in (a, b)",
        "row.mode == Mode.REPLACE.value",
        "a in (Mode.APPEND, Mode.MERGE)",
        "match a:\n case Mode.APPEND: pass",
    ],
)
def test_a_comparison_of_modes_is_seen(code):
    assert list(compared(code))
