"""Keeps what SQLAlchemy compiled for the next engine of the same kind.

Each test opens state databases of its own, and each engine would compile the same hundred statements
anew: a fifth of what the flows cost. A compiled statement depends on the dialect's class and settings and on
the server's version, which take the place of the dialect object in the key.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.util import LRUCache

_SIZE = 4000
_PLAIN = (bool, int, str, tuple, type(None))
_OF_ONE_DATABASE = ("default_schema_name", "default_isolation_level")
_kept: Any = LRUCache(_SIZE)


class Shared:
    """What an engine asks for compiled statements; the keys begin with its dialect."""

    def get(self, key: tuple[Any, ...]) -> Any:
        return _kept.get(_alike(key))

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        _kept[_alike(key)] = compiled


_SHARED = Shared()


def share() -> None:
    """From now on, all engines of this process share what is compiled for them."""

    def given(engine: Engine) -> Shared | None:
        return None if engine.__dict__["_own_cache"] is None else _SHARED

    def kept(engine: Engine, own: object) -> None:
        engine.__dict__["_own_cache"] = own

    Engine._compiled_cache = property(given, kept)  # type: ignore[assignment]


def _alike(key: tuple[Any, ...]) -> tuple[Any, ...]:
    dialect, *rest = key
    known = dialect.__dict__.get("_settings_of_tests")
    if known is None:
        settings = {name: value for name, value in vars(dialect).items() if isinstance(value, _PLAIN)}
        known = (
            type(dialect),
            *sorted((n, repr(v)) for n, v in settings.items() if n not in _OF_ONE_DATABASE),
        )
        if "server_version_info" in settings:  # it has been connected: they do not change any more
            dialect.__dict__["_settings_of_tests"] = known
    return (known, *rest)
