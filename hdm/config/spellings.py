"""Converts every accepted spelling of a manifest to one shape, and keeps lines and columns for errors.

The accepted shapes are hdm's own, those of the example manifests and those of the original project;
docs/reference/manifest.md shows each.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from hdm.config.batch_spellings import shape_batch
from hdm.config.located import LocatedDict, Place, PlacedList, Problems, fold, misread, suggest
from hdm.config.secrets import must_be_private

_VARIABLE = re.compile(r"\$(?:\$|([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\}|\{)")
_MARKERS = ("batch_template", "template")
_COMPONENT_KEYS = ("name", "type", "conf")
_GENERATORS = ("generates_on", "generators")


def fill_variables(value: Any, at: Place, environ: Mapping[str, str], problems: Problems) -> Any:
    """Return a copy of ``value`` with ``$VAR`` and ``${VAR}`` replaced by environment variables.

    ``$$`` becomes a dollar sign. A replaced value is always text. Variables that are not set, or whose names
    say that they hold secrets, are added to ``problems``.
    """
    if isinstance(value, LocatedDict):
        out = value.like()
        for key in value:
            place = value.value_at(key)
            out.put(key, fill_variables(value[key], place, environ, problems), value.key_at(key), place)
        return out
    if isinstance(value, PlacedList):
        items = PlacedList(file=value.file, place=value.place)
        for index, item in enumerate(value):
            place = value.item_at(index)
            items.add(fill_variables(item, place, environ, problems), place)
        return items
    if not isinstance(value, str) or "$" not in value:
        return value

    def fill(hit: re.Match[str]) -> str:
        name = hit[1] or hit[2]
        if hit[0] == "$$":
            return "$"
        if name is None:
            problems.add("'${' begins no variable", at, "write ${NAME}, or $$ for a dollar sign")
        elif must_be_private(name):
            problems.add(
                f"'${name}' would put a secret into the manifest, and so into tables, queries and logs",
                at,
                f"leave it out here and refer to it in the profile, for example: password: env:{name}",
            )
        elif name not in environ:
            near = difflib.get_close_matches(name, environ, n=1, cutoff=0.8)
            hint = f"did you mean '${near[0]}'? If not, " if near else ""
            problems.add(
                f"the environment variable '{name}' is not set",
                at,
                f"{hint}export {name}=... and run again; write $$ for a dollar sign",
            )
        return environ.get(name or "", "")

    return _VARIABLE.sub(fill, value)


def shape(top: LocatedDict, problems: Problems) -> LocatedDict:
    """Return the manifest with all spellings converted to one shape; mistakes are added to ``problems``."""
    out = top.like()
    for key in top:
        value, at = top[key], top.value_at(key)
        target, shaped = key, value
        if key in ("declared_data_links", "data_links"):
            target = "declared_data_links"
            shaped = _group(value, at, key, "stages", problems)
            shaped = _each(shaped, _link, problems)
        elif key in ("template_data_links", "templated_data_links"):
            target = "template_data_links"
            shaped = _group(value, at, key, "templates", problems)
            shaped = _each(shaped, _template, problems)
        elif key in ("orchestrator", "state_manager"):
            shaped = _service(value, at, key, problems)
        elif key == "plugins" and isinstance(value, str):
            shaped = PlacedList(file=top.file, place=at)
            shaped.add(value, at)
        elif key in _GENERATORS:
            _refuse_generators(value, top.key_at(key), problems)
            continue
        if shaped is None and value is None and key != "version":
            continue
        if target in out:
            problems.add(f"'{key}' repeats '{target}'", top.key_at(key), "put all of them under one key")
            continue
        out.put(target, shaped, top.key_at(key), at)
    return out


def _group(value: Any, at: Place, key: str, inner: str, problems: Problems) -> PlacedList:
    """Return the list in ``{stages: [...]}``, or the list itself if it is written without ``stages``."""
    if isinstance(value, LocatedDict):
        if any(name in value for name in _GENERATORS):
            name = next(name for name in _GENERATORS if name in value)
            _refuse_generators(value[name], value.key_at(name), problems)
        elif key == "data_links":
            _check_builder(value, problems)
        for name in value:
            allowed = (inner, *_GENERATORS, *(("type", "mode") if key == "data_links" else ()))
            if name not in allowed:
                problems.add(f"{key}: unknown key '{name}'", value.key_at(name), suggest(name, [inner]))
        if inner not in value:
            if not any(name in value for name in _GENERATORS):
                problems.add(f"{key}: key '{inner}' is missing", at, f"write '{inner}:' and a list below it")
            return PlacedList(place=at)
        value, at = value[inner], value.value_at(inner)
    if value is None:
        return PlacedList(place=at)
    if not isinstance(value, PlacedList):
        problems.add(f"'{key}' must hold a list", at, f"write '{inner}:' and '- source: ...' below it")
        return PlacedList(place=at)
    return value


def _check_builder(value: LocatedDict, problems: Problems) -> None:
    hint = "write declared_data_links: {stages: [...]}, or template_data_links for a batch"
    for key, wanted in (("type", "builder"), ("mode", "manual")):
        found = value.get(key)
        if found is not None and (not isinstance(found, str) or fold(found) != wanted):
            problems.add(f"data_links: '{key}' can only be '{wanted}'", value.value_at(key), hint)


def _refuse_generators(value: Any, at: Place, problems: Problems) -> None:
    patterns: list[str] = []
    for entry in value if isinstance(value, list) else [value]:
        inner = entry.get("generators", entry) if isinstance(entry, Mapping) else entry
        for generator in inner if isinstance(inner, list) else [inner]:
            database = generator.get("database") if isinstance(generator, Mapping) else None
            if isinstance(database, Mapping) and isinstance(database.get("name"), str):
                schemas = database.get("schemas")
                found = schemas if isinstance(schemas, list) and schemas else ["*"]
                patterns += [f"{database['name']}.{schema}.*" for schema in found]
    shown = ", ".join(f'"{pattern}"' for pattern in patterns) or '"schema.*"'
    problems.add(
        "generators are not part of a manifest any more",
        at,
        f"write orchestrator: {{type: AutoBatchOrchestrator, conf: {{include: [{shown}]}}}} "
        "and the template without batch_definition",
    )


def _each(items: PlacedList, make: Any, problems: Problems) -> PlacedList:
    out = PlacedList(file=items.file, place=items.place)
    for index, item in enumerate(items):
        at = items.item_at(index)
        if isinstance(item, LocatedDict):
            out.add(make(item, problems), at)
        else:
            problems.add("a data link must be a mapping", at, "write '- source: {...}' and 'sink: {...}'")
    return out


def _template(entry: LocatedDict, problems: Problems) -> LocatedDict:
    for marker in _MARKERS:
        if marker in entry:
            inner = entry[marker]
            rest = entry.without(marker)
            if isinstance(inner, LocatedDict):
                for key in inner:
                    if key in rest:
                        problems.add(
                            f"'{key}' stands beside and below '{marker}'",
                            inner.key_at(key),
                            "keep one of them",
                        )
                    rest.take(inner, key)
            elif inner is not None:
                problems.add(
                    f"'{marker}' only marks a template", entry.value_at(marker), f"leave '{marker}:' empty"
                )
            entry = rest
    for key in _GENERATORS:
        if key in entry:
            _refuse_generators(entry[key], entry.key_at(key), problems)
            entry = entry.without(key)
    out = _link(entry, problems)
    if isinstance(out.get("batch_definition"), LocatedDict | PlacedList):
        at = out.value_at("batch_definition")
        batch = shape_batch(out["batch_definition"], at, problems)
        out.put("batch_definition", batch, out.key_at("batch_definition"), at)
    return out


def _link(entry: LocatedDict, problems: Problems) -> LocatedDict:
    out = entry.copy()
    for key in ("source", "sink"):
        if isinstance(entry.get(key), LocatedDict):
            out[key] = _component(entry[key], key, problems)
    if isinstance(entry.get("checks"), LocatedDict):
        at = entry.value_at("checks")
        one = PlacedList(file=entry.file, place=at)
        one.add(entry["checks"], at)
        out["checks"] = one
    if out.get("quarantine") is not None:
        shaped = _service(out["quarantine"], entry.value_at("quarantine"), "quarantine", problems)
        if shaped is not None:
            out["quarantine"] = shaped
    for key in ("checks", "watermark", "chunk", "limits", "quarantine"):
        if key in out and out[key] is None:
            del out[key]
    return out


def _component(entry: LocatedDict, what: str, problems: Problems) -> LocatedDict:
    """Return ``{name, type, conf}``; keys that stand beside ``type`` are moved into ``conf``."""
    out = entry.like()
    given = entry.get("conf")
    if given is not None and not isinstance(given, LocatedDict):
        problems.add(
            f"{what}: 'conf' must be a mapping", entry.value_at("conf"), "indent its keys below 'conf:'"
        )
        given = None
    conf = given.copy() if given is not None else entry.like()
    for key in entry:
        if key in ("name", "type"):
            out.take(entry, key)
        elif key != "conf":
            meant = _meant(key, entry)
            if meant:
                problems.add(f"{what}: unknown key '{key}'", entry.key_at(key), f"did you mean '{meant}'?")
                out.put(
                    meant, conf if meant == "conf" else entry[key], entry.key_at(key), entry.value_at(key)
                )
            elif key in conf:
                problems.add(
                    f"{what}: '{key}' stands beside 'conf' and in it", entry.key_at(key), "keep one of them"
                )
            else:
                conf.take(entry, key)
    out.put("conf", conf, entry.key_at("conf"), conf.place)
    return out


def _meant(key: str, entry: LocatedDict) -> str | None:
    """Return the component's own key that a misspelt key was meant to be; None if none is similar."""
    missing = [name for name in _COMPONENT_KEYS if name not in entry]
    if not isinstance(entry[key], LocatedDict) and "conf" in missing:
        missing.remove("conf")
    near = difflib.get_close_matches(fold(key), missing, n=1, cutoff=0.75)
    return near[0] if near else None


def _service(value: Any, at: Place, key: str, problems: Problems) -> LocatedDict | None:
    if value is None:
        return None
    if isinstance(value, str):
        out = LocatedDict(file=problems.file, place=at)
        out.put("type", value, at, at)
        value = out
    if not isinstance(value, LocatedDict):
        found = misread(key, at)
        problems.add(f"'{key}' must be a mapping", at, found[1] if found else "write {name, type, conf}")
        return None
    out = _component(value, key, problems)
    if out.get("name", "") is None:
        del out["name"]
    return out
