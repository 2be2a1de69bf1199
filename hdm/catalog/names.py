"""Chooses the names of objects on the target.

Names are kept or brought into one case; names that are too long are cut and marked with a hash; names that
would collide, or that the target cannot have, are refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hdm.dialects.base import Dialect
from hdm.errors import UsageError

_HASH_DIGITS = 8


class Case(StrEnum):
    """Which case the letters of a name get on the target."""

    KEEP = "keep"
    UPPER = "upper"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class NamePolicy:
    """Rules for the names on a target.

    ``renames`` maps names to others before any other rule.
    """

    dialect: Dialect
    case: Case = Case.KEEP
    renames: Mapping[str, str] = field(default_factory=dict)

    def name(self, name: str) -> str:
        """Return the target's name for a source's name.

        Raises ``UsageError`` if the target cannot have it.
        """
        renamed = self.renames.get(name, name)
        cased = renamed.upper() if self.case is Case.UPPER else renamed
        cased = cased.lower() if self.case is Case.LOWER else cased
        why = refusal(cased, self.dialect)
        if why:
            raise UsageError(
                f"{self.dialect.name} cannot have the name {name!r}: {why}",
                hint="give it another name: rules: [{rename: {" + repr(name) + ": other_name}}]",
            )
        return fit(cased, self.dialect)

    def names(self, names: Iterable[str], where: str, *, tables: bool = False) -> dict[str, str]:
        """Return the target's name for each source's name; these must differ from each other.

        ``where`` names their scope in the error, ``tables`` says that they are names of tables. Raises one
        ``UsageError`` about all names that are refused and all pairs that would become one.
        """
        made: dict[str, str] = {}
        taken: dict[str, str] = {}
        trouble = []
        for name in names:
            try:
                made[name] = self.name(name)
            except UsageError as error:
                trouble.append(error.message)
                continue
            seen = self.folded(made[name], tables=tables)
            if seen in taken:
                trouble.append(f"{taken[seen]!r} and {name!r} would both be {made[name]!r}")
            taken.setdefault(seen, name)
        if trouble:
            raise UsageError(
                f"names in {where}, on {self.dialect.name}: " + "; ".join(trouble),
                hint="rename one: rules: [{rename: {old_name: new_name}}]",
            )
        return made

    def folded(self, name: str, *, tables: bool = False) -> str:
        """Return a name in the case in which the target compares names.

        ``tables`` says that it is the name of a table, which some systems compare in another way.
        """
        return self.dialect.folded_table(name) if tables else self.dialect.folded(name)


def refusal(name: str, dialect: Dialect) -> str | None:
    """Return why a system cannot have a name, whatever the name's length; None if it can."""
    if not name:
        return "it is empty"
    if "\0" in name:
        return "it holds a NUL character"
    return dialect.refusal(name)


def fit(name: str, dialect: Dialect) -> str:
    """Return a name within the system's length limit.

    A longer name is cut, and ends with eight hex digits of the whole name's sha256.
    """
    if size(name, dialect) <= dialect.max_identifier:
        return name
    mark = "_" + hashlib.sha256(name.encode()).hexdigest()[:_HASH_DIGITS]
    room = dialect.max_identifier - len(mark)
    if dialect.identifier_unit == "bytes":
        return name.encode()[:room].decode(errors="ignore") + mark
    return name[:room] + mark


def size(name: str, dialect: Dialect) -> int:
    """Return a name's length as the system counts it, in bytes or characters."""
    return len(name.encode()) if dialect.identifier_unit == "bytes" else len(name)
