"""Where components are found and made: providah's registry (https://pypi.org/project/providah).

An entry is a type's name in lower case, with its kind as library. Beside the class, which makes instances,
stands a loader: whoever asks for a class calls it, and what hdm brings is imported only then. Dialects,
formats, stores, crawlers and DDL writers are also asked for by a word that is not their class's name:
``postgres``, ``csv``, ``s3``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from providah.factories.package_factory import PackageFactory

_CLASS, _MADE = "class", "made"

_lock = threading.RLock()
_entries: set[tuple[str, str]] = set()
"""Kind and key of all that providah was given: it keeps entries for good."""
_known: dict[str, dict[str, str]] = {}
"""Kind -> key -> the name as it is shown. providah cannot be asked what it has, and logs an error for what
it has not."""
_words: dict[str, dict[str, str]] = {}
"""Kind -> other word -> the key that it stands for."""
_changes = 0


class _Loader:
    """An entry's class, imported on first use. Another class may take its place: providah keeps entries."""

    def __init__(self, load: Callable[[], type]) -> None:
        self.load = load

    def __call__(self) -> _Loader:
        """What providah calls to make an instance: the entry itself."""
        return self


def add(kind: str, key: str, name: str, load: Callable[[], type], words: Iterable[str] = ()) -> None:
    """Register ``name``, and other words for it; ``load`` gives its class. One that is there already is
    replaced."""
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
    """How often something was registered: what was found before the last time may be out of date."""
    return _changes


def key_of(kind: str, word: str) -> str | None:
    """The key that a key or another word stands for; None if nothing answers to it."""
    known = _known.get(kind, {})
    if word in known:
        return word
    key = _words.get(kind, {}).get(word)
    return key if key in known else None


def knows(kind: str, word: str) -> bool:
    """Whether something answers to the key or word."""
    return key_of(kind, word) is not None


def name_of(kind: str, word: str) -> str:
    """The name behind a word that ``knows`` says is there, as it is shown."""
    key = key_of(kind, word)
    assert key is not None
    return _known[kind][key]


def names(kind: str) -> list[str]:
    """The names of a kind, sorted."""
    with _lock:
        return sorted(_known.get(kind, {}).values())


def words(kind: str) -> list[str]:
    """The other words of a kind, sorted."""
    with _lock:
        known = _known.get(kind, {})
        return sorted(word for word, key in _words.get(kind, {}).items() if key in known)


def class_of(kind: str, word: str) -> type[Any]:
    """The class behind a word that ``knows`` says is there; imports it if need be."""
    return _loader(kind, key_of(kind, word) or word).load()


def make(kind: str, cls: type, configuration: Mapping[str, Any]) -> Any:
    """An instance of a class, made by providah."""
    label = f"{_MADE}:{cls.__module__}.{cls.__qualname__}:{id(cls):x}"
    with _lock:
        PackageFactory.register(cls.__name__, cls, library=kind, label=label)
    return PackageFactory.create(cls.__name__, library=kind, label=label, configuration=dict(configuration))


def _loader(kind: str, key: str) -> _Loader:
    found: _Loader = PackageFactory.create(key, library=kind, label=_CLASS)
    return found
