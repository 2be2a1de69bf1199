"""Every test that the page of hazards names is there: a row without one promises what nobody looks at."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "hazards.md"


def missing(page: str, tests: dict[str, str]) -> list[str]:
    """What the last cells of the page's tables name and ``tests`` (texts by path) do not have."""
    every = "\n".join(tests.values())
    wrong = []
    for row in page.splitlines():
        cells = row.strip().strip("|").split("|")
        for name in re.findall(r"`([^`]+)`", cells[-1]) if row.startswith("|") else ():
            file, _, test = name.rpartition("::")
            if name.endswith(".py"):
                file, test = name, ""
            held = [text for path, text in tests.items() if file and path.endswith("/" + file)]
            if file and not held:
                wrong.append(name)
            start, dots, end = test.removesuffix("[").partition("...")
            begins = re.escape(start) + (r"\w*" if dots else "")
            found = rf"(?:def|class) {begins}{re.escape(end)}" + ("" if dots and not end else r"\b")
            if test.startswith(("test_", "Test", "...")) and not re.search(found, "\n".join(held) or every):
                wrong.append(name)
    return wrong


def test_every_test_that_a_hazard_names_is_there() -> None:
    tests = {f"/{path.relative_to(ROOT)}": path.read_text() for path in (ROOT / "tests").rglob("*.py")}
    assert missing(PAGE.read_text(), tests) == []


def test_what_is_not_there_is_named() -> None:
    tests = {"/tests/unit/test_a.py": "def test_one() -> None:", "/tests/test_b.py": "class TestTwo:"}
    named = "`test_a.py::test_one`, `..._one`, `test_...`, `test_b.py::TestTwo`, `tests/unit/test_a.py`"
    assert missing(f"| kind | {named} |", tests) == []
    gone = ["test_on", "test_a.py::TestTwo", "unit/test_c.py", "..._two", "test_x..."]
    assert missing(f"| kind | {', '.join(f'`{one}`' for one in gone)} |", tests) == gone
