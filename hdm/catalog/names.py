"""What objects are called on the target: kept, or in one case; too long ones cut and marked with
a hash; anything that would collide, or that the target cannot have, is refused by name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hdm.dialects.base import Dialect
from hdm.errors import UsageError

_BIGQUERY = re.compile(r"[^\W]+\Z", re.ASCII)
_HASH_DIGITS = 8


class Case(StrEnum):
    """What becomes of the letters' case."""

    KEEP = "keep"
    UPPER = "upper"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class NamePolicy:
    """How names are made for a target. ``renames`` maps names to others before all else."""

    dialect: Dialect
    case: Case = Case.KEEP
    renames: Mapping[str, str] = field(default_factory=dict)

    def name(self, name: str) -> str:
        """The name on the target; ``UsageError`` if it cannot have it."""
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
        """Old name -> new name for names of one scope (``where``, for the error).

        Raises ``UsageError`` that names every pair that would become one.
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
        """The name as the target compares it."""
        return self.dialect.folded_table(name) if tables else self.dialect.folded(name)


def refusal(name: str, dialect: Dialect) -> str | None:
    """Why a system cannot have a name, whatever its length; None if it can."""
    if not name:
        return "it is empty"
    if "\0" in name:
        return "it holds a NUL character"
    if dialect.name == "mysql":
        # https://mariadb.com/kb/en/identifier-names/
        if name.endswith(" "):
            return "names cannot end with a blank"
        if any(ord(mark) > 0xFFFF for mark in name):
            return "it holds a character beyond U+FFFF"
    if dialect.name == "oracle" and '"' in name:
        return "it holds a double quote"
    if dialect.name == "bigquery" and not _BIGQUERY.match(name):
        # https://cloud.google.com/bigquery/docs/schemas#column_names
        return "names are made of letters, digits and underscores"
    return None


def fit(name: str, dialect: Dialect) -> str:
    """The name within the length limit: cut, with eight hex digits of the whole name's sha256."""
    if size(name, dialect) <= dialect.max_identifier:
        return name
    mark = "_" + hashlib.sha256(name.encode()).hexdigest()[:_HASH_DIGITS]
    room = dialect.max_identifier - len(mark)
    if dialect.identifier_unit == "bytes":
        return name.encode()[:room].decode(errors="ignore") + mark
    return name[:room] + mark


def size(name: str, dialect: Dialect) -> int:
    """The name's length as the system counts it."""
    return len(name.encode()) if dialect.identifier_unit == "bytes" else len(name)
