"""Registers components, finds their classes and makes instances, through providah's registry.

An entry of that registry (https://pypi.org/project/providah) is a type's name in lower case, with its kind as
the library. The entry contains a loader, which imports the class on first use. Dialects, formats, stores,
crawlers and DDL writers are also found by a short name: ``postgres``, ``csv``, ``s3``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from providah.factories.package_factory import PackageFactory

_CLASS, _MADE = "class", "made"

_lock = threading.RLock()
_entries: set[tuple[str, str]] = set()
"""Kind and key of all entries in providah, which cannot remove entries."""
_known: dict[str, dict[str, str]] = {}
"""Kind -> key -> name to show. providah cannot list its entries, and logs an error for a missing one."""
_words: dict[str, dict[str, str]] = {}
"""Kind -> other name -> key."""
_changes = 0


class _Loader:
    """Imports an entry's class on first use; ``load`` may be replaced, since providah keeps entries."""

    def __init__(self, load: Callable[[], type]) -> None:
        self.load = load

    def __call__(self) -> _Loader:
        """Return the loader itself, when providah calls it to make an instance."""
        return self


def add(kind: str, key: str, name: str, load: Callable[[], type], words: Iterable[str] = ()) -> None:
    """Register a component under ``name`` and the short names ``words``; ``load`` returns its class.

    ``key`` is the name in lower case. An earlier component with that key is replaced.
    """
    global _changes  # noqa: PLW0603 -- the one registry of the process
    with _lock:
        if (kind, key) in _entries:
            _loader(kind, key).load = load
        else:
            PackageFactory.register(key, _Loader(load), library=kind, label=_CLASS)
            _entries.add((kind, key))
        _known.setdefault(kind, {})[key] = name
        _words.setdefault(kind, {}).update(dict.fromkeys(words, key))
        _changes += 1


def changes() -> int:
    """Return how often components were registered.

    If the number grew, a list, name or class that was looked up before may be out of date.
    """
    return _changes


def key_of(kind: str, word: str) -> str | None:
    """Return the key of the component that has ``word`` as its key or short name; None if there is none."""
    known = _known.get(kind, {})
    if word in known:
        return word
    key = _words.get(kind, {}).get(word)
    return key if key in known else None


def knows(kind: str, word: str) -> bool:
    """Return True if a component of this kind has ``word`` as its key or short name."""
    return key_of(kind, word) is not None


def name_of(kind: str, word: str) -> str:
    """Return the name to show for a component; ``word`` is its key or a short name.

    There must be such a component.
    """
    key = key_of(kind, word)
    assert key is not None
    return _known[kind][key]


def names(kind: str) -> list[str]:
    """Return the names of all components of one kind, sorted."""
    with _lock:
        return sorted(_known.get(kind, {}).values())


def words(kind: str) -> list[str]:
    """Return the short names of all components of one kind, sorted."""
    with _lock:
        known = _known.get(kind, {})
        return sorted(word for word, key in _words.get(kind, {}).items() if key in known)


def class_of(kind: str, word: str) -> type[Any]:
    """Return a component's class; ``word`` is its key or a short name.

    The class is imported on first use. There must be such a component.
    """
    return _loader(kind, key_of(kind, word) or word).load()


def make(kind: str, cls: type, configuration: Mapping[str, Any]) -> Any:
    """Make an instance of the class ``cls`` by providah, and return it.

    ``configuration`` are the arguments of its constructor. An error of the constructor is raised as it is.
    """
    label = f"{_MADE}:{cls.__module__}.{cls.__qualname__}:{id(cls):x}"
    with _lock:
        PackageFactory.register(cls.__name__, cls, library=kind, label=label)
    return PackageFactory.create(cls.__name__, library=kind, label=label, configuration=dict(configuration))


@cache  # providah compares its names one by one, and never changes an entry
def _loader(kind: str, key: str) -> _Loader:
    found: _Loader = PackageFactory.create(key, library=kind, label=_CLASS)
    return found
