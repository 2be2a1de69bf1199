"""Dicts and lists of a YAML file that know the line and column of their parts, and errors that show them.

``LocatedDict`` and ``PlacedList`` behave as plain dicts and lists everywhere else; pickling keeps the places,
JSON does not.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hdm.config.secrets import redact
from hdm.config.visible import one_line
from hdm.errors import ManifestError


class Place(NamedTuple):
    """Line and column of a value in its file, both counted from 1.

    ``raw`` is the text of an unquoted scalar that YAML read as something other than text; None for text,
    quoted values and collections.
    """

    line: int = 0
    column: int = 0
    raw: str | None = None


class LocatedDict(dict[str, Any]):
    """A dict that knows the line and column of itself, its keys and its values in a YAML file."""

    def __init__(self, *args: Any, file: str = "", place: Place | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.file = file
        self.place = place or Place()
        self.keys_at: dict[str, Place] = {}
        self.values_at: dict[str, Place] = {}

    def put(self, key: str, value: Any, key_at: Place, value_at: Place) -> None:
        """Set a value under ``key``, and record the places of the key and of the value."""
        self[key] = value
        self.keys_at[key], self.values_at[key] = key_at, value_at

    def take(self, other: LocatedDict, key: str, to: str | None = None) -> None:
        """Copy the entry ``key`` of another mapping, with its places, into this mapping.

        It gets the name ``to``, or keeps its own.
        """
        self.put(to or key, other[key], other.key_at(key), other.value_at(key))

    def like(self) -> LocatedDict:
        """Return an empty mapping that has the same place in the file as this one."""
        return LocatedDict(file=self.file, place=self.place)

    def copy(self) -> LocatedDict:
        """Return a shallow copy, places included."""
        return self.without()

    def without(self, *keys: str) -> LocatedDict:
        """Return a shallow copy without the given keys, places included."""
        out = self.like()
        for key in self:
            if key not in keys:
                out.take(self, key)
        return out

    def key_at(self, key: str) -> Place:
        """Return the line and column of a key; those of the mapping if the key's are not known."""
        return self.keys_at.get(key, self.place)

    def value_at(self, key: str) -> Place:
        """Return the line and column of a key's value; those of the mapping if the value's are not known."""
        return self.values_at.get(key, self.place)


class PlacedList(list[Any]):
    """A list that knows the line and column of itself and of its items in a YAML file."""

    def __init__(self, items: Iterable[Any] = (), *, file: str = "", place: Place | None = None) -> None:
        super().__init__(items)
        self.file = file
        self.place = place or Place()
        self.items_at: list[Place] = []

    def add(self, value: Any, at: Place) -> None:
        """Append a value and record its place."""
        self.append(value)
        self.items_at.append(at)

    def item_at(self, index: int) -> Place:
        """Return the line and column of an item; those of the list if the item's are not known."""
        return self.items_at[index] if 0 <= index < len(self.items_at) else self.place


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file that a person wrote, with its place and a hint."""

    message: str
    place: Place
    hint: str | None = None


@dataclass(slots=True)
class Problems:
    """Collects every mistake of one file, so that all are reported at once."""

    file: str
    error: type[ManifestError] = ManifestError
    found: list[Problem] = field(default_factory=list)

    def add(self, message: str, place: Place, hint: str | None = None) -> None:
        """Record a mistake with its place and hint.

        The same mistake at the same place is recorded once.
        """
        problem = Problem(one_line(redact(message)), place, one_line(redact(hint)) if hint else None)
        if problem not in self.found:
            self.found.append(problem)

    def raise_any(self) -> None:
        """Raise one error that lists every recorded mistake in file order; do nothing if there is none."""
        if not self.found:
            return
        first, *rest = sorted(self.found, key=lambda problem: (problem.place.line, problem.place.column))
        if not rest:
            raise self._error(first.message, first.place, first.hint)
        lines = [first.message]
        if first.hint:
            lines.append(f"  hint: {first.hint}")
        for problem in rest:
            at = f"{self.file}:{problem.place.line}:{problem.place.column}: " if problem.place.line else ""
            lines.append(at + problem.message)
            if problem.hint:
                lines.append(f"  hint: {problem.hint}")
        hint = f"mend these {len(self.found)} places and run the same command again"
        raise self._error("\n".join(lines), first.place, hint)

    def _error(self, message: str, place: Place, hint: str | None) -> ManifestError:
        return self.error(message, file=self.file, line=place.line, column=place.column, hint=hint)


def fold(word: str) -> str:
    """Return a name without case, underscores and hyphens, to compare spellings."""
    return word.replace("_", "").replace("-", "").casefold()


def suggest(word: str, known: Iterable[str]) -> str | None:
    """Return a hint for a wrong word: ``did you mean 'x'?``, or the list of known words.

    None if ``known`` is empty.
    """
    folded: dict[str, str] = {}
    for name in known:
        folded.setdefault(fold(name), name)
    if not folded:
        return None
    near = difflib.get_close_matches(fold(word), folded, n=1, cutoff=0.65)
    if near:
        return f"did you mean '{folded[near[0]]}'?"
    return "write one of: " + ", ".join(sorted(folded.values()))


def misread(key: str, place: Place, *, private: bool = False) -> tuple[str, str] | None:
    """Return message and hint for a text's value that YAML read as, say, a number; None if it is text.

    ``private``: the message must not show the value.
    """
    if place.raw is None:
        return None
    if place.raw == "":
        return f"'{key}' is empty", f"write a value after '{key}:', or remove the key"
    if private:
        return f"'{key}' wants text, but YAML does not read this value as text", f"quote the value of '{key}'"
    return (
        f"'{key}' wants text, but YAML reads {place.raw} as {kind_of(place.raw)}",
        f'quote it: {key}: "{place.raw}"',
    )


def kind_of(raw: str) -> str:
    """Return in words what YAML 1.1 takes an unquoted value for, such as a number or a boolean."""
    if raw.casefold() in ("", "~", "null"):
        return "nothing (null)"
    if raw.casefold() in ("yes", "on", "true"):
        return "the boolean true"
    if raw.casefold() in ("no", "off", "false"):
        return "the boolean false"
    return "a number"


class ManifestErrors(Exception):
    """Carries several mistakes in a manifest to the caller, who raises them together by ``raise_all``.

    It is no ``HdmError`` itself.
    """

    def __init__(self, errors: list[ManifestError]) -> None:
        super().__init__(f"{len(errors)} mistakes")
        self.errors = errors


def raise_all(errors: Iterable[ManifestError]) -> None:
    """Raise one error that contains all the given ones once, sorted by place; do nothing if there is none."""
    by_text = {(one.file, one.line, one.column, one.message): one for one in errors}
    if not by_text:
        return
    first, *rest = [by_text[key] for key in sorted(by_text)]
    if not rest:
        raise first
    lines: list[str] = []
    for one in (first, *rest):
        lines += [one.message, *([f"  hint: {one.hint}"] if one.hint else [])]
    hint = f"mend these {len(by_text)} places and run the same command again"
    joined = type(first)("\n".join(lines), hint=hint)
    joined.file, joined.line, joined.column = first.file, first.line, first.column
    raise joined
