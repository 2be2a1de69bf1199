"""Look up through its dialect what DDL a target can declare."""

from __future__ import annotations

from hdm.dialects import dialect, find, names_with
from hdm.dialects.traits import Traits
from hdm.errors import UsageError

__all__ = ["Traits", "targets", "traits_of"]


def targets() -> tuple[str, ...]:
    """Return the names of all systems that can be a target of DDL."""
    return tuple(names_with("traits"))


def traits_of(system: str, flavour: str = "") -> Traits:
    """Return what DDL the target can declare, in that flavour; raise ``UsageError`` if it is no target."""
    known = dialect(flavour) if flavour else find(system)
    if known is None or known.traits is None:
        raise UsageError(f"no DDL writer for {system!r}", hint="targets: " + ", ".join(targets()))
    return known.traits
