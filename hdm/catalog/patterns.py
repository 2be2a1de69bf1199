"""Selects tables and views by patterns such as ``sales.*``, ``*.orders`` and ``"Odd.Name".*``.

A pattern is compared with the last parts of a name. ``*`` and ``?`` stand for any text and any character. A
part in double quotes is taken exactly as it stands; any other is compared without regard to case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from hdm.errors import UsageError

_PART = re.compile(r'"((?:[^"]|"")*)"|([^".]+)')


@dataclass(frozen=True, slots=True)
class Selection:
    """Selects the objects that match a pattern of ``include`` and no pattern of ``exclude``."""

    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()

    def has(self, path: Sequence[str]) -> bool:
        """Return True if the object with that name is selected."""
        return matches(path, self.include) and not matches(path, self.exclude)

    def schemas(self, known: Iterable[str]) -> list[str]:
        """Return those of the schemas ``known`` in which an object may be selected."""
        return [name for name in known if any(_may_hold(name, pattern) for pattern in self.include)]


def select(include: Iterable[str] = (), exclude: Iterable[str] = ()) -> Selection:
    """Return a selection made of patterns; raise ``UsageError`` about a wrong pattern.

    Without ``include``, all objects that do not match ``exclude`` are selected.
    """
    chosen = Selection(tuple(include) or ("*",), tuple(exclude))
    for pattern in (*chosen.include, *chosen.exclude):
        _parts(pattern)
    return chosen


def exactly(paths: Iterable[Sequence[str]]) -> Selection:
    """Return a selection of exactly the objects with these names; without names, of no object."""
    quoted = [".".join('"' + part.replace('"', '""') + '"' for part in path) for path in paths]
    return Selection(tuple(quoted) or ('""',))


def matches(path: Sequence[str], patterns: Iterable[str]) -> bool:
    """Return True if any pattern matches the last parts of a name.

    A pattern of more parts than the name matches only if its surplus first parts are ``*``.
    """
    return any(_matches(tuple(path), pattern) for pattern in patterns)


def _matches(path: tuple[str, ...], pattern: str) -> bool:
    parts = _parts(pattern)
    while len(parts) > len(path) and parts[0].pattern == _ANY:
        parts = parts[1:]
    if len(parts) > len(path):
        return False
    return all(part.fullmatch(name) for part, name in zip(parts, path[len(path) - len(parts) :], strict=True))


def _may_hold(schema: str, pattern: str) -> bool:
    parts = _parts(pattern)
    return len(parts) < 2 or parts[-2].fullmatch(schema) is not None


_ANY = "(?s:.*)"


@cache
def _parts(pattern: str) -> tuple[re.Pattern[str], ...]:
    found, place = [], 0
    while True:
        part = _PART.match(pattern, place)
        if part is None:
            raise UsageError(
                f"not a pattern: {pattern!r}", hint='write for example "sales.*", "*.orders" or \'"a.b".*\''
            )
        found.append(_exact(part[1]) if part[1] is not None else _glob(part[2]))
        place = part.end()
        if place == len(pattern):
            return tuple(found)
        if pattern[place] != ".":
            raise UsageError(f"not a pattern: {pattern!r}", hint="put a dot between the parts of a name")
        place += 1


def _exact(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text.replace('""', '"')))


def _glob(text: str) -> re.Pattern[str]:
    if text == "*":
        return re.compile(_ANY)
    pieces = [{"*": "(?s:.*)", "?": "(?s:.)"}.get(mark, re.escape(mark)) for mark in text]
    return re.compile("".join(pieces), re.IGNORECASE)
