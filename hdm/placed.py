"""Values read from a YAML file that remember where they stood, and errors that say it.

``PlacedDict`` and ``PlacedList`` are plain dicts and lists to everybody else; they survive
pickling, and lose only their places in JSON.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from hdm.errors import ManifestError
from hdm.secrets import redact

M = TypeVar("M", bound=BaseModel)


class Place(NamedTuple):
    """Line and column, both from 1. ``raw`` is a plain scalar's text where YAML read it as
    something else than text; None for text, quoted values and collections."""

    line: int = 0
    column: int = 0
    raw: str | None = None


class PlacedDict(dict[str, Any]):
    """A mapping with the places of itself, its keys and its values."""

    def __init__(self, *args: Any, file: str = "", place: Place | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.file = file
        self.place = place or Place()
        self.keys_at: dict[str, Place] = {}
        self.values_at: dict[str, Place] = {}

    def put(self, key: str, value: Any, key_at: Place, value_at: Place) -> None:
        """Set a value together with its places."""
        self[key] = value
        self.keys_at[key], self.values_at[key] = key_at, value_at

    def take(self, other: PlacedDict, key: str, to: str | None = None) -> None:
        """Copy one entry with its places from another mapping."""
        self.put(to or key, other[key], other.key_at(key), other.value_at(key))

    def like(self) -> PlacedDict:
        """An empty mapping at the same place."""
        return PlacedDict(file=self.file, place=self.place)

    def copy(self) -> PlacedDict:
        """A shallow copy, places included."""
        return self.without()

    def without(self, *keys: str) -> PlacedDict:
        """A shallow copy that lacks some keys."""
        out = self.like()
        for key in self:
            if key not in keys:
                out.take(self, key)
        return out

    def key_at(self, key: str) -> Place:
        """Where the key stands; the mapping's own place if it is not known."""
        return self.keys_at.get(key, self.place)

    def value_at(self, key: str) -> Place:
        """Where the value stands; the mapping's own place if it is not known."""
        return self.values_at.get(key, self.place)


class PlacedList(list[Any]):
    """A sequence with the places of itself and its items."""

    def __init__(self, items: Iterable[Any] = (), *, file: str = "", place: Place | None = None) -> None:
        super().__init__(items)
        self.file = file
        self.place = place or Place()
        self.items_at: list[Place] = []

    def add(self, value: Any, at: Place) -> None:
        """Append a value together with its place."""
        self.append(value)
        self.items_at.append(at)

    def item_at(self, index: int) -> Place:
        """Where the item stands; the list's own place if it is not known."""
        return self.items_at[index] if 0 <= index < len(self.items_at) else self.place


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file."""

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
        """Note a mistake; the same one at the same place is noted once."""
        problem = Problem(redact(message), place, redact(hint) if hint else None)
        if problem not in self.found:
            self.found.append(problem)

    def raise_any(self) -> None:
        """Raise one error that holds everything noted, in file order; nothing if there is none."""
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
    """A name without case, underscores and hyphens: ``netezza_source`` is ``NetezzaSource``."""
    return word.replace("_", "").replace("-", "").casefold()


def suggest(word: str, known: Iterable[str]) -> str | None:
    """``did you mean 'x'?``, or the list of what there is, or None if there is nothing."""
    folded: dict[str, str] = {}
    for name in known:
        folded.setdefault(fold(name), name)
    if not folded:
        return None
    near = difflib.get_close_matches(fold(word), folded, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{folded[near[0]]}'?"
    return "write one of: " + ", ".join(sorted(folded.values()))


def misread(key: str, place: Place, *, private: bool = False) -> tuple[str, str] | None:
    """The message and hint for a value that YAML did not read as text; None if it did."""
    if place.raw is None:
        return None
    if private:
        return f"'{key}' wants text, but YAML does not read this value as text", f"quote the value of '{key}'"
    shown = place.raw or "nothing"
    return (
        f"'{key}' wants text, but YAML reads {shown} as {kind_of(place.raw)}",
        f'quote it: {key}: "{place.raw}"',
    )


def kind_of(raw: str) -> str:
    """What YAML 1.1 makes of a plain scalar that is not text, in words."""
    if raw.casefold() in ("", "~", "null"):
        return "nothing (null)"
    if raw.casefold() in ("yes", "on", "true"):
        return "the boolean true"
    if raw.casefold() in ("no", "off", "false"):
        return "the boolean false"
    return "a number"


def validate(
    model: type[M], data: Mapping[str, Any], problems: Problems, *, what: str, private: bool = False
) -> M | None:
    """The model made from ``data``; None after noting every mistake with its place.

    ``private`` data (profiles) never shows a value in a message.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
    for path, group in _by_path(data, errors).items():
        _explain(model, data, path, group, problems, what, private)
    return None


def _by_path(data: Any, errors: Sequence[Any]) -> dict[tuple[str | int, ...], list[Any]]:
    groups: dict[tuple[str | int, ...], list[Any]] = {}
    for error in errors:
        groups.setdefault(_real_path(data, error["loc"]), []).append(error)
    # A union reports each branch: keep what is said of the deepest place only.
    return {
        path: group
        for path, group in groups.items()
        if not any(len(other) > len(path) and other[: len(path)] == path for other in groups)
    }


def _real_path(data: Any, loc: Sequence[str | int]) -> tuple[str | int, ...]:
    """``loc`` without the names that pydantic gives to a union's branches."""
    path: list[str | int] = []
    for index, part in enumerate(loc):
        if isinstance(data, Mapping) and part in data:
            data = data[str(part)]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        elif index < len(loc) - 1 or not isinstance(data, Mapping):
            continue
        path.append(part)
    return tuple(path)


def _explain(
    model: type[BaseModel],
    data: Mapping[str, Any],
    path: tuple[str | int, ...],
    group: list[Any],
    problems: Problems,
    what: str,
    private: bool,
) -> None:
    key = str(path[-1]) if path else what
    dotted = ".".join(str(part) for part in path)
    kinds = {error["type"] for error in group}
    place, key_place, value = _find(data, path)
    if "extra_forbidden" in kinds:
        known = fields_at(model, path[:-1])
        problems.add(f"{what}: unknown key '{dotted}'", key_place, suggest(key, known))
        return
    if "missing" in kinds:
        problems.add(f"{what}: key '{dotted}' is missing", place, f"add '{key}: ...'")
        return
    wants_text = any(kind.startswith("string_") or kind == "is_instance_of" for kind in kinds)
    found = misread(key, place, private=private) if wants_text else None
    if found:
        problems.add(f"{what}: {found[0]}", place, found[1])
        return
    expected = [option for error in group for option in _options(error)]
    if expected:
        shown = "" if private or not isinstance(value, str) else f" '{value}'"
        hint = suggest(value, expected) if shown else "write one of: " + ", ".join(expected)
        problems.add(f"{what}: '{dotted}' cannot be{shown or ' that'}", place, hint)
        return
    said = " or ".join(dict.fromkeys(_said(error) for error in group))
    problems.add(f"{what}: '{dotted}' {said}" if dotted else f"{what}: {said}", place, _how(key, kinds))


def _options(error: Any) -> list[str]:
    if error["type"] not in ("literal_error", "enum"):
        return []
    text = str(error.get("ctx", {}).get("expected", ""))
    return [part.strip("' ") for part in text.replace(" or ", ", ").split(",") if part.strip("' ")]


def _said(error: Any) -> str:
    text = str(error["msg"])
    if error["type"] in ("value_error", "assertion_error"):
        return "is wrong: " + text.split(", ", 1)[-1]
    return text.replace("Input should be", "must be").replace("a valid dictionary", "a mapping")


def _how(key: str, kinds: set[str]) -> str:
    if any(kind.startswith(("int", "float", "greater", "less")) for kind in kinds):
        return f"write a number, e.g. '{key}: 4'"
    if any(kind.startswith("bool") for kind in kinds):
        return f"write '{key}: true' or '{key}: false'"
    if any(kind.startswith(("dict", "model")) for kind in kinds):
        return f"write a mapping: '{key}:' and indented keys below it"
    if any(kind.startswith(("list", "tuple")) for kind in kinds):
        return f"write a list: '{key}: [...]'"
    return f"correct the value of '{key}'"


def _find(data: Any, path: tuple[str | int, ...]) -> tuple[Place, Place, Any]:
    """The places of the value and of its key (the container's, if it is absent), and the value."""
    place = key_place = getattr(data, "place", Place())
    for part in path:
        if isinstance(data, PlacedDict) and part in data:
            place, key_place = data.value_at(str(part)), data.key_at(str(part))
            data = data[str(part)]
        elif isinstance(data, PlacedList) and isinstance(part, int) and part < len(data):
            place = key_place = data.item_at(part)
            data = data[part]
        elif isinstance(data, Mapping) and part in data:
            data = data[str(part)]
        else:
            return place, place, None
    return place, key_place, data


def fields_at(model: Any, path: tuple[str | int, ...]) -> list[str]:
    """The keys that a model (or the models nested in it at ``path``) takes."""
    models = _models_in(model)
    for part in path:
        if isinstance(part, int):
            continue
        inner = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        models = [found for annotation in inner for found in _models_in(annotation)]
    return sorted({field.alias or name for m in models for name, field in m.model_fields.items()})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    inner = getattr(annotation, "__args__", ())
    return [found for argument in inner for found in _models_in(argument)]
