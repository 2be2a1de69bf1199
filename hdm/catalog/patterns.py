"""Selects tables and views by patterns such as ``sales.*``, ``*.orders`` and ``"Odd.Name".*``.

A pattern is compared with the last parts of a name. ``*`` and ``?`` stand for any text and any character. A
part in double quotes is taken exactly as it stands; any other is compared without regard to case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

from hdm.errors import UsageError

_PART = re.compile(r'"((?:[^"]|"")*)"|([^".]+)')


@dataclass(frozen=True, slots=True)
class Selection:
    """Selects the objects that match a pattern of ``include`` and no pattern of ``exclude``."""

    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    _included: _Patterns = field(init=False, repr=False, compare=False)
    _excluded: _Patterns = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_included", _Patterns(self.include))
        object.__setattr__(self, "_excluded", _Patterns(self.exclude))

    def has(self, path: Sequence[str]) -> bool:
        """Return True if the object with that name is selected."""
        return self._included.match(path) and not self._excluded.match(path)

    def schemas(self, known: Iterable[str]) -> list[str]:
        """Return those of the schemas ``known`` in which an object may be selected."""
        return [name for name in known if any(_may_hold(name, pattern) for pattern in self.include)]


def select(include: Iterable[str] = (), exclude: Iterable[str] = ()) -> Selection:
    """Return a selection made of patterns; raise ``UsageError`` about a wrong pattern.

    Without ``include``, all objects that do not match ``exclude`` are selected.
    """
    return Selection(tuple(include) or ("*",), tuple(exclude))


def exactly(paths: Iterable[Sequence[str]]) -> Selection:
    """Return a selection of exactly the objects with these names; without names, of no object."""
    quoted = [".".join('"' + part.replace('"', '""') + '"' for part in path) for path in paths]
    return Selection(tuple(quoted) or ('""',))


def matches(path: Sequence[str], patterns: Iterable[str]) -> bool:
    """Return True if any pattern matches the last parts of a name.

    A pattern of more parts than the name matches only if its surplus first parts are ``*``.
    """
    return any(_matches(tuple(path), pattern) for pattern in patterns)


class _Patterns:
    """Patterns to compare many names with: those that stand for one name are looked up, not tried in turn.

    The others, which are tried, have a ``*`` or ``?``, a character outside of ASCII, or quoted beside
    unquoted parts. All unquoted ones are tried with a name that has a character outside of ASCII, since
    such a character may be another case of one within.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._exact: set[tuple[str, ...]] = set()
        self._folded: set[tuple[str, ...]] = set()
        self._tried: list[str] = []
        self._unquoted: list[str] = []
        for pattern in patterns:
            parts = _split(pattern)
            if all(quoted for quoted, _ in parts):
                self._exact.add(tuple(text for _, text in parts))
                continue
            self._unquoted.append(pattern)
            if pattern.isascii() and not any(quoted or "*" in text or "?" in text for quoted, text in parts):
                self._folded.add(tuple(text.lower() for _, text in parts))
            else:
                self._tried.append(pattern)

    def match(self, path: Sequence[str]) -> bool:
        """Return True if any pattern matches the last parts of a name; see ``matches``."""
        name = tuple(path)
        ends = [name[start:] for start in range(len(name))]
        if not self._exact.isdisjoint(ends):
            return True
        if not all(part.isascii() for part in name):
            return matches(name, self._unquoted)
        folded = [tuple(part.lower() for part in end) for end in ends] if self._folded else []
        return not self._folded.isdisjoint(folded) or matches(name, self._tried)


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
    return tuple(re.compile(re.escape(text)) if quoted else _glob(text) for quoted, text in _split(pattern))


@cache
def _split(pattern: str) -> tuple[tuple[bool, str], ...]:
    """Return the parts of a pattern, each with whether it is quoted; raise ``UsageError`` if it has none."""
    found, place = [], 0
    while True:
        part = _PART.match(pattern, place)
        if part is None:
            raise UsageError(
                f"not a pattern: {pattern!r}", hint='write for example "sales.*", "*.orders" or \'"a.b".*\''
            )
        found.append((True, part[1].replace('""', '"')) if part[1] is not None else (False, part[2]))
        place = part.end()
        if place == len(pattern):
            return tuple(found)
        if pattern[place] != ".":
            raise UsageError(f"not a pattern: {pattern!r}", hint="put a dot between the parts of a name")
        place += 1


def _glob(text: str) -> re.Pattern[str]:
    if text == "*":
        return re.compile(_ANY)
    pieces = [{"*": "(?s:.*)", "?": "(?s:.)"}.get(mark, re.escape(mark)) for mark in text]
    return re.compile("".join(pieces), re.IGNORECASE)
