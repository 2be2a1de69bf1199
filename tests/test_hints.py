"""Every hint of hdm, listed: what it names is there. A hint that leads nowhere is worse than none.

``python -m tests.test_hints`` prints them all, with their places.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

import hdm
from hdm.cli import VERBS

HDM = Path(hdm.__file__).parent
TABLES = re.compile(r"_?HINTS$")
"""Names of dictionaries whose values are hints."""
METHODS = ("hint", "hint_for")
HOLE = "\x00"
"""Stands for what an f-string fills in."""
PROSE = {"again", "never", "that", "looks", "reads", "takes", "knows"}
"""Words that follow hdm's name where it is no command."""


class Hint(NamedTuple):
    place: str
    text: str


def texts(node: ast.expr) -> Iterator[str]:
    """The texts that an expression may stand for."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(p.value) if isinstance(p, ast.Constant) else HOLE for p in node.values)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        for left in texts(node.left):
            for right in texts(node.right):
                yield left + right
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)
    elif isinstance(node, ast.BoolOp):
        for one in node.values:
            yield from texts(one)
    elif isinstance(node, ast.Dict):
        for value in node.values:
            yield from texts(value)


def hints() -> list[Hint]:
    """Each ``hint=`` of a call, each value of a table of hints, each return of a hint's method."""
    found: list[Hint] = []
    for path in sorted(HDM.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if "hint" not in source.lower():
            continue
        for node in ast.walk(ast.parse(source)):
            nodes: list[ast.expr | None] = []
            if isinstance(node, ast.Call):
                nodes = [word.value for word in node.keywords if word.arg == "hint"]
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(isinstance(one, ast.Name) and TABLES.search(one.id) for one in targets):
                    nodes = [node.value]
            elif isinstance(node, ast.FunctionDef) and node.name in METHODS:
                returned = [one for one in ast.walk(node) if isinstance(one, ast.Return)]
                nodes = [one.value.func.value if _is_lookup(one.value) else one.value for one in returned]
            for one in nodes:
                if one is not None:
                    place = f"{path.relative_to(HDM.parent)}:{one.lineno}"
                    found += [Hint(place, text) for text in texts(one) if text.strip(HOLE + " ")]
    return found


def _is_lookup(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get"


ALL = hints()


def command(verb: str) -> click.Command:
    module = importlib.import_module(f"hdm.cli.{VERBS[verb][0]}")
    found = getattr(module, "command_" + verb.replace("-", "_"))
    assert isinstance(found, click.Command)
    return found


def options(one: click.Command) -> set[str]:
    own = {word for parameter in one.params for word in parameter.opts}
    below = one.commands.values() if isinstance(one, click.Group) else ()
    return own.union(*(options(inner) for inner in below))


def test_there_are_hints_of_every_kind() -> None:
    assert len(ALL) > 250
    rooms = {hint.place.split("/")[1] for hint in ALL}
    assert {"cli", "config", "connectors", "dialects", "files", "planning", "sql", "state"} <= rooms


def test_each_command_that_a_hint_names_is_there_with_its_options() -> None:
    wrong = [hint for hint in ALL if "hdm " in hint.text and not _leads_somewhere(hint.text)]
    assert wrong == []


def _leads_somewhere(text: str) -> bool:
    for verb, rest in re.findall(r"\bhdm ([a-z]+)((?: [^,;:()]*)?)", text):
        if verb not in VERBS:
            if verb not in PROSE:
                return False
            continue
        inner = command(verb)
        known = options(inner)
        if not {*re.findall(r"(?<![\w-])--[a-z][a-z-]*", rest)} <= known:
            return False
        below = re.match(r" ([a-z]+)", rest)
        if isinstance(inner, click.Group) and below and below[1] not in inner.commands:
            return False
    return True


def test_a_hint_is_one_line_of_words_to_act_on() -> None:
    shown = [(hint.place, hint.text.replace(HOLE, "x")) for hint in ALL]
    assert [one for one in shown if "\n" in one[1] or len(one[1]) > 260] == []
    assert [one for one in shown if one[1].endswith((".", " ", "!")) and not one[1].endswith("=...")] == []


@pytest.mark.parametrize("text", ["hdm retrieve it", "run: hdm retry --all", "hdm catalog undo"])
def test_a_hint_that_leads_nowhere_is_found(text: str) -> None:
    assert not _leads_somewhere(text)


if __name__ == "__main__":
    for one in ALL:
        print(f"{one.place}: {one.text.replace(HOLE, '{}')}")
