"""Where components are found and made: providah's registry (https://pypi.org/project/providah).

An entry is a type's name in lower case, with its kind as library. Beside the class, which makes instances,
stands a loader: whoever asks for a class calls it, and what hdm brings is imported only then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from providah.factories.package_factory import PackageFactory

_CLASS, _MADE = "class", "made"

_lock = threading.RLock()
_entries: set[tuple[str, str]] = set()
"""Kind and key of all that providah was given: it keeps entries for good."""
_known: dict[str, dict[str, str]] = {}
"""Kind -> key -> the name as it is shown. providah cannot be asked what it has, and logs an error for what
it has not."""


class _Loader:
    """An entry's class, imported on first use. Another class may take its place: providah keeps entries."""

    def __init__(self, load: Callable[[], type]) -> None:
        self.load = load

    def __call__(self) -> _Loader:
        """What providah calls to make an instance: the entry itself."""
        return self


def add(kind: str, key: str, name: str, load: Callable[[], type]) -> None:
    """Register ``name``; ``load`` gives its class. One that is there already is replaced."""
    with _lock:
        if (kind, key) in _entries:
            _loader(kind, key).load = load
        else:
            PackageFactory.register(key, _Loader(load), library=kind, label=_CLASS)
            _entries.add((kind, key))
        _known.setdefault(kind, {})[key] = name


def knows(kind: str, key: str) -> bool:
    """Whether something answers to the key."""
    return key in _known.get(kind, {})


def name_of(kind: str, key: str) -> str:
    """The name behind a key that ``knows`` says is there, as it is shown."""
    return _known[kind][key]


def names(kind: str) -> list[str]:
    """The names of a kind, sorted."""
    with _lock:
        return sorted(_known.get(kind, {}).values())


def class_of(kind: str, key: str) -> type[Any]:
    """The class behind a key that ``knows`` says is there; imports it if need be."""
    return _loader(kind, key).load()


def make(kind: str, cls: type, configuration: Mapping[str, Any]) -> Any:
    """An instance of a class, made by providah."""
    label = f"{_MADE}:{cls.__module__}.{cls.__qualname__}:{id(cls):x}"
    with _lock:
        PackageFactory.register(cls.__name__, cls, library=kind, label=label)
    return PackageFactory.create(cls.__name__, library=kind, label=label, configuration=dict(configuration))


def _loader(kind: str, key: str) -> _Loader:
    found: _Loader = PackageFactory.create(key, library=kind, label=_CLASS)
    return found
