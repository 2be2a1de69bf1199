"""Words that are gone from hdm, and what to write instead: archaisms in its texts, old names in its code."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import hdm

HDM = Path(hdm.__file__).parent
ARCHAISMS = {
    "whither": "to which, or where",
    "whence": "from which",
    "hither": "here, or to this place",
    "thither": "there, or to that place",
    "lest": "so that ... does not",
    "nought": "zero, or nothing",
    "aloud": "with an error",
    "be it": "whether it is, or even if it is",
    "in earnest": "what really happens",
    "slip of the pen": "a spelling mistake",
    "slips of the pen": "accidental changes",
}
OLD_NAMES = {
    "Elsewhere": "OtherSites",
    "GoOn": "ClaimRequest",
    "Held": "ActiveLease (of a worker) or LedgerEntry (of a target)",
    "Kept": "ConnectionCache",
    "Marks": "RowOffsets",
    "PlacedDict": "LocatedDict",
    "Prospect": "Pipeline",
    "SURE": "LEASE_SAFE_FRACTION",
    "Taken": "Recovered",
    "_let_go": "_release_snapshot",
    "add_followers": "add_downstream_chunks",
    "announce": "preregister",
    "first_artifact": "file_names",
    "first_file": "file_names",
    "follow_up": "apply_commit_effects",
    "go_on": "claim_next",
    "goes_on": "may_continue",
    "is_in_vain": "can_never_finish",
    "is_left": "closed_unread",
    "lacking": "missing_grants",
    "last_words": "closing_notes",
    "linger": "keep_running",
    "never_begun": "drop_unstarted",
    "remarks": "plan_warnings",
    "rests": "is_waiting_for_other_site",
    "shows_what_it_hides": "catalog_lists_unreadable_tables",
    "survey": "preflight",
    "uncut": "why_not_split",
    "unfollowed": "pending_receipts",
}
"""Names of classes, functions, parameters and attributes; a local variable may have any name."""

_ARCHAIC = re.compile(rf"\b(?:{'|'.join(ARCHAISMS)})\b".replace(" ", r"[\s#]+"), re.IGNORECASE)
_OLD = re.compile(rf"\b(?:{'|'.join(OLD_NAMES)})\b")


def archaisms(source: str) -> Iterator[str]:
    """Each archaism in a docstring or a comment of a module, with its line and what to write instead."""
    if not _ARCHAIC.search(source):  # most modules need not be parsed
        return
    for line, text in sorted((*_comments(source), *_docstrings(ast.parse(source)))):
        for found in _ARCHAIC.finditer(text):
            word = " ".join(re.split(r"[\s#]+", found[0].lower()))
            at = line + text.count("\n", 0, found.start())
            yield f"{at}: {word!r} is archaic: write {ARCHAISMS[word]}"


def old_names(source: str) -> Iterator[str]:
    """Each old name that a module defines or uses, with its line and the name that replaced it."""
    if not _OLD.search(source):
        return
    for line, name in sorted(set(_names(ast.parse(source)))):
        if name in OLD_NAMES:
            yield f"{line}: the name {name} was given up: write {OLD_NAMES[name]}"


def _comments(source: str) -> Iterator[tuple[int, str]]:
    """Comments with their lines; those of neighbouring lines as one text."""
    block: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if block and token.start[0] != block[-1].start[0] + 1:
            yield block[0].start[0], "\n".join(one.string for one in block)
            block = []
        block.append(token)
    if block:
        yield block[0].start[0], "\n".join(one.string for one in block)


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Strings that stand alone as statements: docstrings, and the texts under fields and constants."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text


def _names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.Attribute):
            yield node.lineno, node.attr
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.value.lineno, node.arg
        elif isinstance(node, ast.alias):
            yield node.lineno, node.name.rpartition(".")[2]
        if isinstance(node, ast.Module | ast.ClassDef):
            yield from _fields(node)


def _fields(node: ast.Module | ast.ClassDef) -> Iterator[tuple[int, str]]:
    for one in node.body:
        targets = one.targets if isinstance(one, ast.Assign) else []
        targets = [one.target] if isinstance(one, ast.AnnAssign) else targets
        yield from ((part.lineno, part.id) for part in targets if isinstance(part, ast.Name))


def everywhere(look: Callable[[str], Iterator[str]]) -> list[str]:
    """What ``look`` finds in all modules of hdm, each with its file."""
    modules = sorted(HDM.rglob("*.py"))
    assert len(modules) > 200
    return [
        f"{path.relative_to(HDM.parent)}:{found}"
        for path in modules
        for found in look(path.read_text(encoding="utf-8"))
    ]


def test_no_docstring_and_no_comment_is_archaic() -> None:
    found = everywhere(archaisms)
    assert not found, "\n".join(["plain words, please (CONTRIBUTING.md):", *found])


def test_no_old_name_comes_back() -> None:
    found = everywhere(old_names)
    assert not found, "\n".join(["names that the field's literature knows, please:", *found])


@pytest.mark.parametrize(
    "source",
    [
        '"""Says whither a row goes."""',
        '"""First.\n\nA lock, lest a row is lost."""',
        'class A:\n    rows = 1\n    """Refused\n    aloud."""',
        'def f():\n    """Close it, be\n    it lost."""',
        "x = 1  # be it so",
        "# it may be a slip\n# of the pen\nx = 1",
        "x = 1  # Lest it is lost",
    ],
)
def test_an_archaism_is_seen(source: str) -> None:
    (found,) = archaisms(source)
    assert " is archaic: write " in found


def test_an_archaism_is_told_with_its_line() -> None:
    source = 'x = 1\n\n\ndef f() -> None:\n    """Do it.\n\n    Not now,\n    lest it is lost."""\n'
    assert list(archaisms(source)) == ["8: 'lest' is archaic: write so that ... does not"]


@pytest.mark.parametrize("source", ["'''A latest maybe item.'''", 'say("whence")', "lest = 1", 'x = "aloud"'])
def test_other_words_and_other_strings_are_no_archaisms(source: str) -> None:
    assert list(archaisms(source)) == []


@pytest.mark.parametrize(
    "source",
    [
        "class Prospect: ...",
        "def lacking(): ...",
        "def f(linger=1): ...",
        "f(go_on=1)",
        "sink.first_file()",
        "from a import Marks",
        "import a.survey",
        "SURE = 0.9",
        "class A:\n    uncut: int = 1",
        "class A:\n    def f(self):\n        self.rests = 1",
    ],
)
def test_an_old_name_is_seen(source: str) -> None:
    (found,) = old_names(source)
    assert " was given up: write " in found


@pytest.mark.parametrize(
    "source", ["def f():\n    lacking = 1\n    return lacking", 'x = "Prospect"', "# Held"]
)
def test_local_variables_and_texts_may_have_any_name(source: str) -> None:
    assert list(old_names(source)) == []
