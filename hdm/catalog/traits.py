"""Looks up, through its dialect, what a target system can declare in DDL."""

from __future__ import annotations

from hdm.dialects import dialect, find, names_with
from hdm.dialects.traits import Traits
from hdm.errors import UsageError

__all__ = ["Traits", "targets", "traits_of"]


def targets() -> tuple[str, ...]:
    """Return the names of all systems that can be a target of DDL."""
    return tuple(names_with("traits"))


def traits_of(system: str, flavour: str = "") -> Traits:
    """Return what a target can declare in DDL; raise ``UsageError`` if the system is no target.

    ``flavour`` names a fork of the system (``mariadb``).
    """
    known = dialect(flavour) if flavour else find(system)
    if known is None or known.traits is None:
        raise UsageError(f"no DDL writer for {system!r}", hint="targets: " + ", ".join(targets()))
    return known.traits
