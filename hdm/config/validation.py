"""Turns pydantic's validation errors into messages that name the key, its place and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from hdm.config.deprecated import renewed
from hdm.config.located import LocatedDict, Place, PlacedList, Problems, misread, suggest
from hdm.config.secrets import is_private

M = TypeVar("M", bound=BaseModel)
Path = tuple[str | int, ...]


def validate(
    model: type[M], data: Mapping[str, Any], problems: Problems, *, what: str, private: bool = False
) -> M | None:
    """Return an instance of ``model`` made from ``data``; None if ``data`` has a mistake.

    Every mistake is added to ``problems``, with ``what`` the data is. No message shows a value of ``private``
    data (profiles).
    """
    data = renewed(model, data, problems, what)
    wrong = _wrong_booleans(model, data)
    for keys in wrong:
        at, key = _find(data, keys)[0], str(keys[-1])
        said = f"{what}: '{_dotted(keys)}' wants a number, not true or false"
        problems.add(said, at, _how(key, {"int"}))
    try:
        made = model.model_validate(data)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
    else:
        return None if wrong else made
    for path, group in _by_path(data, errors).items():
        _explain(model, data, path, group, problems, what, private)
    return None


def _wrong_booleans(model: Any, data: Any, path: Path = ()) -> list[Path]:
    """Return the paths at which a boolean stands for a number; pydantic would take it for 0 or 1."""
    if isinstance(data, list):
        return [one for n, item in enumerate(data) for one in _wrong_booleans(model, item, (*path, n))]
    if not isinstance(data, Mapping):
        return []
    found: list[Path] = []
    for inner in _models_in(model):
        for name, info in inner.model_fields.items():
            key = info.alias or name
            value = data.get(key)
            if isinstance(value, bool):
                leaves = _leaf_types(info.annotation)
                if leaves & {int, float} and not leaves & {bool, Any, object}:
                    found.append((*path, key))
            else:
                found += _wrong_booleans(info.annotation, value, (*path, key))
    return found


def _dotted(path: Path) -> str:
    return ".".join(str(part) for part in path)


def _leaf_types(annotation: Any) -> set[Any]:
    inner = getattr(annotation, "__args__", ())
    return {leaf for argument in inner for leaf in _leaf_types(argument)} if inner else {annotation}


def _by_path(data: Any, errors: Sequence[Any]) -> dict[Path, list[Any]]:
    groups: dict[Path, list[Any]] = {}
    for error in errors:
        groups.setdefault(_real_path(data, error["loc"], error["type"] == "missing"), []).append(error)
    # pydantic reports every branch of a union: keep only the errors at the deepest path.
    return {
        path: group
        for path, group in groups.items()
        if not any(len(other) > len(path) and other[: len(path)] == path for other in groups)
    }


def _real_path(data: Any, loc: Sequence[str | int], missing: bool) -> Path:
    """Return ``loc`` without the names that pydantic gives to a union's branches."""
    path: list[str | int] = []
    for index, part in enumerate(loc):
        if isinstance(data, Mapping) and part in data:
            data = data[str(part)]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        elif index < len(loc) - 1 or not missing:
            continue
        path.append(part)
    return tuple(path)


def _explain(
    model: type[BaseModel],
    data: Mapping[str, Any],
    path: Path,
    group: list[Any],
    problems: Problems,
    what: str,
    private: bool,
) -> None:
    key = str(path[-1]) if path else what
    dotted = _dotted(path)
    kinds = {error["type"] for error in group}
    place, key_place, value = _find(data, path)
    if "extra_forbidden" in kinds:
        known = fields_at(model, path[:-1])
        said, hint = f"unknown key '{dotted}'", suggest(key, known)
        if private and key.partition(":")[0] in known:
            said, hint = "this key is unknown", "write a blank after the colon"
        elif private and not _typo(key, hint):
            said = "this key is unknown"
        problems.add(f"{what}: {said}", key_place, hint)
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
    if dotted:
        problems.add(f"{what}: '{dotted}' {said}", place, _how(key, kinds))
    else:
        problems.add(f"{what} {said}", place, "correct the keys of this mapping")


def _typo(key: str, hint: str | None) -> bool:
    """Whether a key is a misspelling, not (part of) a secret that a comma or '=' made a key."""
    near = bool(hint) and str(hint).startswith("did you mean")
    return near and re.fullmatch(r"[A-Za-z_-]+", key) is not None and not is_private(key)


def _options(error: Any) -> list[str]:
    if error["type"] not in ("literal_error", "enum"):
        return []
    text = str(error.get("ctx", {}).get("expected", ""))
    return [part.strip("' ") for part in text.replace(" or ", ", ").split(",") if part.strip("' ")]


def _said(error: Any) -> str:
    text = str(error["msg"])
    if error["type"] in ("value_error", "assertion_error"):
        return "is wrong: " + text.split(", ", 1)[-1]
    text = re.sub(r"a valid dictionary( or instance of \w+)?", "a mapping", text)
    return text.replace("Input should be", "must be")


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


def _find(data: Any, path: Path) -> tuple[Place, Place, Any]:
    """Return the places of the value and of its key (the container's, if it is absent), and the value."""
    place = key_place = getattr(data, "place", Place())
    for part in path:
        if isinstance(data, LocatedDict) and part in data:
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


def fields_at(model: Any, path: Path) -> list[str]:
    """Return the configuration keys that ``model`` accepts at ``path``, sorted.

    ``path`` leads through nested models. Empty if it leads to no model.
    """
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
