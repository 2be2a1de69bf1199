"""What others may import of hdm, with signatures: ``make public`` writes it to tests/snapshots/public.txt.

python -m tests.public_face            write the snapshot
python -m tests.public_face --check    say what appeared, went or changed, and end with 1 if anything did
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

SNAPSHOT = Path(__file__).resolve().parent / "snapshots" / "public.txt"
MODULES = (
    "hdm",
    "hdm.api",
    "hdm.catalog",
    "hdm.errors",
    "hdm.files",
    "hdm.model",
    "hdm.sql",
    "hdm.testing",
    "hdm.testing.catalogs",
    "hdm.testing.checks",
    "hdm.testing.dialects",
    "hdm.testing.sinks",
    "hdm.testing.sources",
    "hdm.testing.stores",
)
COMMAND = "hdm.cli.main"
HOW = """\
The public face of hdm is not what tests/snapshots/public.txt says:
{differences}
Others build on these names. If it is meant: make public, and say in docs/changes/ what they have to do."""


def names_of(module: str) -> list[str]:
    """What ``__all__`` names; without one, every public name that the module itself defines, but the single
    checks of a suite, which come and go with what is promised."""
    found = importlib.import_module(module)
    if hasattr(found, "__all__"):
        return sorted(found.__all__)
    own = (name for name, value in vars(found).items() if getattr(value, "__module__", None) == module)
    return sorted(name for name in own if not name.startswith(("_", "check_")))


def surface(modules: Iterable[str] = MODULES) -> dict[str, str]:
    """Every public path -> how it is called, or what it is; members only where their class stands first."""
    found: dict[str, str] = {}
    seen: set[Any] = set()
    for module in modules:
        for name in names_of(module):
            value = getattr(importlib.import_module(module), name)
            path = f"{module}.{name}"
            found[path] = _shown(value)
            if inspect.isclass(value) and value not in seen:
                seen.add(value)
                found.update((f"{path}.{member}", text) for member, text in _members(value))
    found[COMMAND] = _shown(importlib.import_module("hdm.cli").main)
    return found


def _shown(value: Any) -> str:
    if inspect.isclass(value):
        bases = [one.__name__ for one in value.__bases__ if one is not object]
        by_fields = (
            hasattr(value, "model_fields") or dataclasses.is_dataclass(value) or issubclass(value, Enum)
        )
        made = "" if by_fields else _signature(value)
        return f"class({', '.join(bases)}){' made by ' + made if made else ''}"
    if callable(value):
        return _signature(value)
    return type(value).__name__


def _signature(value: Any) -> str:
    try:
        known = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    parameters = [_parameter(one) for one in known.parameters.values()]
    return str(known.replace(parameters=parameters, return_annotation=_plain(known.return_annotation)))


def _parameter(one: inspect.Parameter) -> inspect.Parameter:
    """The parameter with a default that reads the same on every machine."""
    default = one.default
    if default is not one.empty:
        known = isinstance(default, str | int | float | bool | tuple | None)
        default = _Said(repr(default) if known else "...")
    return one.replace(default=default, annotation=_plain(one.annotation))


def _plain(annotation: Any) -> Any:
    """A postponed annotation without the quotes that ``str`` of a signature puts around it."""
    return _Said(annotation) if isinstance(annotation, str) else annotation


@dataclasses.dataclass(frozen=True)
class _Said:
    text: str

    def __repr__(self) -> str:
        return self.text


def _members(cls: type[Any]) -> Iterator[tuple[str, str]]:
    """Fields, methods and properties that classes of hdm give it, by name."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not base.__module__.startswith("hdm"):
            continue
        fields = {**inspect.get_annotations(base), **_fields(base)}
        found.update({name: f"field: {text}" for name, text in fields.items() if _is_public(name)})
        for name, value in vars(base).items():
            if not _is_public(name) or name in fields:
                continue
            if isinstance(value, Enum):
                found[name] = f"member: {value.value!r}"
            elif isinstance(value, property):
                found[name] = "property" + _signature(value.fget).removeprefix("(self)")
            elif isinstance(value, staticmethod | classmethod):
                found[name] = f"{type(value).__name__}{_signature(value.__func__)}"
            elif inspect.isfunction(value):
                found[name] = _signature(value)
    yield from sorted(found.items())


def _fields(cls: type[Any]) -> Mapping[str, str]:
    """A model's or dataclass's own fields, with ``= ...`` where one may be left out."""
    own = inspect.get_annotations(cls)
    if hasattr(cls, "model_fields"):
        optional = {name for name, info in cls.model_fields.items() if not info.is_required()}
    elif dataclasses.is_dataclass(cls):
        missing = dataclasses.MISSING
        optional = {
            one.name
            for one in dataclasses.fields(cls)
            if one.default is not missing or one.default_factory is not missing
        }
    else:
        return {}
    return {name: f"{text} = ..." if name in optional else str(text) for name, text in own.items()}


def _is_public(name: str) -> bool:
    return not name.startswith(("_", "check_", "test_")) and name != "model_config"


def written(found: Mapping[str, str]) -> str:
    """The snapshot's text: one line for each path."""
    return "".join(f"{path} {text}\n".replace(" \n", "\n") for path, text in found.items())


def read(text: str) -> dict[str, str]:
    """What ``written`` wrote."""
    return {path: said for path, _, said in (line.partition(" ") for line in text.splitlines())}


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """One line for each path that appeared, went or is called in another way."""
    gone = [f"  gone:    {path} {before[path]}" for path in before if path not in now]
    new = [f"  new:     {path} {now[path]}" for path in now if path not in before]
    both = [path for path in now if path in before and now[path] != before[path]]
    changed = [f"  changed: {path} {before[path]}\n        to {path} {now[path]}" for path in both]
    return [*gone, *new, *changed]


def verdict() -> str:
    """What is to be done about the differences from the snapshot; empty if there are none."""
    found = differences(read(SNAPSHOT.read_text(encoding="utf-8")), surface())
    return HOW.format(differences="\n".join(found)) if found else ""


def main() -> int:
    """Write the snapshot, or with ``--check`` compare."""
    if "--check" not in sys.argv:
        SNAPSHOT.write_text(written(surface()), encoding="utf-8")
        return 0
    wrong = verdict()
    sys.stderr.write(wrong and f"{wrong}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
