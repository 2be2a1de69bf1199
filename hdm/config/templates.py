"""Fills the placeholders ``<<...>>`` of a link template with the values of each scenario of a batch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hdm.config.located import LocatedDict, Place, PlacedList, Problems, suggest
from hdm.config.manifest_model import Component, Template

_HOLE = re.compile(r"<<\s*([A-Za-z_][\w.]*)\s*>>")
_SELF = "template"
_NEVER_DROPPED = frozenset({"table_name", "table", "query"})
_GONE = object()

Path = tuple[str, ...]


@dataclass(frozen=True)
class Filled:
    """The ``conf`` of a template's source and sink, after one scenario has filled their placeholders."""

    source: LocatedDict
    sink: LocatedDict
    scenario: Mapping[str, Any]


def fill(
    template: Template, scenarios: Sequence[Mapping[str, Any]], source_name: str, problems: Problems
) -> Iterator[Filled]:
    """Yield, for each scenario, the ``conf`` of the template's source and sink with the placeholders filled.

    ``<<template>>`` becomes the scenario's value at the same path of keys, ``<<a.b>>`` the one at ``a.b``. In
    the component called ``source_name``, a scenario also replaces the value at its path. A key is left out if
    only other scenarios fill its placeholder. A placeholder that no scenario fills is added to ``problems``.
    """
    names = {template.source.name: template.source, template.sink.name: template.sink}
    holes = {path for part in names.values() for path in _holes(part.conf, ())}
    given = {path for scenario in scenarios for path in _prefixes(scenario)}
    for path in sorted(holes):
        if path not in given:
            key = ".".join(path)
            problems.add(
                f"no scenario of the batch gives '{key}', which the template asks for",
                _place_of_hole(template, path),
                f"add '{key}' to the scenarios, write <<name>> to take another value, or remove it",
            )
    for scenario in scenarios:
        filler = _Filler(scenario, problems)
        filler.check_used(template, names[source_name], holes)
        yield Filled(
            filler.conf(template.source, override=template.source.name == source_name),
            filler.conf(template.sink, override=template.source.name != source_name),
            scenario,
        )


def find_holes(component: Component) -> list[tuple[str, Place]]:
    """Return the keys of a component's ``conf`` that hold placeholders ``<<...>>``.

    One pair for each placeholder: the key, with dots between its parts, and its line and column.
    """
    return [(".".join(path), _at(component.conf, path)) for path in _holes(component.conf, (), raw=True)]


class _Filler:
    def __init__(self, scenario: Mapping[str, Any], problems: Problems) -> None:
        self.scenario, self.problems = scenario, problems
        self.place = getattr(scenario, "place", Place())

    def conf(self, component: Component, *, override: bool) -> LocatedDict:
        out = self.walk(component.conf, ())
        assert isinstance(out, LocatedDict)
        if override:
            self.override(out, self.scenario)
        return out

    def walk(self, value: Any, path: Path) -> Any:
        if isinstance(value, LocatedDict):
            return self.mapping(value, path)
        if isinstance(value, list):
            items = PlacedList(file=getattr(value, "file", ""), place=getattr(value, "place", Place()))
            for index, item in enumerate(value):
                made = self.walk(item, path)
                if made is not _GONE:
                    items.add(made, value.item_at(index) if isinstance(value, PlacedList) else Place())
            return items
        if isinstance(value, str):
            return self.text(value, path)
        return value

    def mapping(self, value: LocatedDict, path: Path) -> Any:
        out = value.like()
        for key in value:
            inner = (*path, key)
            made = self.walk(value[key], inner)
            if made is not _GONE:
                whole = isinstance(value[key], str) and _HOLE.fullmatch(value[key])
                at = self.place_at(_wanted(whole[1], inner)) if whole else value.value_at(key)
                out.put(key, made, value.key_at(key), at)
            elif inner[-1] in _NEVER_DROPPED:
                self.problems.add(
                    f"this scenario lacks '{'.'.join(inner)}'", self.place, f"add '{inner[-1]}: ...'"
                )
        return _GONE if value and not out and path else out

    def text(self, value: str, path: Path) -> Any:
        whole = _HOLE.fullmatch(value)
        if whole:
            return self.look(_wanted(whole[1], path))
        parts = {hit[0]: self.look(_wanted(hit[1], path)) for hit in _HOLE.finditer(value)}
        if any(part is _GONE for part in parts.values()):
            return _GONE
        for hole, part in parts.items():
            if not isinstance(part, str | int) or isinstance(part, bool):
                self.problems.add(
                    f"{hole} stands inside a text, and its value is no text", self.place, "quote the value"
                )
                return value
            value = value.replace(hole, str(part))
        return value

    def look(self, path: Path) -> Any:
        value: Any = self.scenario
        for part in path:
            if not isinstance(value, Mapping) or part not in value:
                return _GONE
            value = value[part]
        return value

    def place_at(self, path: Path) -> Place:
        return _at(self.scenario, path)

    def override(self, out: LocatedDict, scenario: Mapping[str, Any]) -> None:
        for key, value in scenario.items():
            if key not in out:
                continue
            if isinstance(value, LocatedDict) and isinstance(out[key], LocatedDict):
                inner = out[key].copy()
                self.override_all(inner, value)
                out[key] = inner
            else:
                at = scenario.value_at(key) if isinstance(scenario, LocatedDict) else Place()
                out.put(key, value, out.key_at(key), at)

    def override_all(self, out: LocatedDict, scenario: LocatedDict) -> None:
        for key in scenario:
            out.take(scenario, key)

    def check_used(self, template: Template, named: Component, holes: set[Path]) -> None:
        """Report values of a scenario that are used nowhere, so that a misspelt key is not silently lost."""
        for path in _leaves(self.scenario):
            prefixes = [path[:n] for n in range(1, len(path) + 1)]
            if any(prefix in holes for prefix in prefixes) or any(
                hole[: len(path)] == path for hole in holes
            ):
                continue
            target = named.conf.get(path[0])
            if path[0] in named.conf and (
                len(path) == 1 or (isinstance(target, Mapping) and path[1] in target)
            ):
                continue
            known = {".".join(hole) for hole in holes} | set(named.conf)
            key = ".".join(path)
            self.problems.add(
                f"the template has no place for '{key}' of this scenario",
                _key_at(self.scenario, path),
                suggest(key, known),
            )


def _wanted(name: str, path: Path) -> Path:
    return path if name == _SELF else tuple(name.split("."))


def _holes(value: Any, path: Path, *, raw: bool = False) -> Iterator[Path]:
    """Yield the scenario paths that a conf's placeholders ask for; with ``raw``, the conf's own paths."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _holes(inner, (*path, key), raw=raw)
    elif isinstance(value, list):
        for inner in value:
            yield from _holes(inner, path, raw=raw)
    elif isinstance(value, str):
        for hit in _HOLE.finditer(value):
            yield path if raw else _wanted(hit[1], path)


def _prefixes(value: Mapping[str, Any], path: Path = ()) -> Iterator[Path]:
    for key, inner in value.items():
        yield (*path, key)
        if isinstance(inner, Mapping):
            yield from _prefixes(inner, (*path, key))


def _leaves(value: Mapping[str, Any], path: Path = ()) -> Iterator[Path]:
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from _leaves(inner, (*path, key))
        else:
            yield (*path, key)


def _place_of_hole(template: Template, path: Path) -> Place:
    for component in (template.source, template.sink):
        for found in _holes_with_paths(component.conf, ()):
            if found[0] == path:
                return _at(component.conf, found[1])
    return Place()


def _holes_with_paths(value: Any, path: Path) -> Iterator[tuple[Path, Path]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _holes_with_paths(inner, (*path, key))
    elif isinstance(value, list):
        for inner in value:
            yield from _holes_with_paths(inner, path)
    elif isinstance(value, str):
        for hit in _HOLE.finditer(value):
            yield _wanted(hit[1], path), path


def _at(value: Any, path: Path) -> Place:
    place = getattr(value, "place", Place())
    for part in path:
        if not isinstance(value, LocatedDict) or part not in value:
            break
        place, value = value.value_at(part), value[part]
    return place


def _key_at(value: Any, path: Path) -> Place:
    place = getattr(value, "place", Place())
    for part in path:
        if not isinstance(value, LocatedDict) or part not in value:
            break
        place, value = value.key_at(part), value[part]
    return place
