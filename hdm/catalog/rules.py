"""Overrides of the mapping, as the manifest or the command line gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hdm.catalog.model import Path
from hdm.catalog.names import Case
from hdm.catalog.patterns import matches
from hdm.errors import UsageError
from hdm.model import Column


class Rule(BaseModel):
    """For the columns that fit (``table``, ``column`` and ``type`` are patterns): store them as
    ``to``; or rename tables and columns (``rename``: old name to new)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    table: str = "*"
    column: str = "*"
    type: str = "*"
    to: str | None = None
    rename: dict[str, str] = Field(default_factory=dict)

    def fits(self, path: Path, column: Column) -> bool:
        """Whether the rule speaks of this column."""
        named = fnmatchcase(column.name.lower(), self.column.lower())
        typed = fnmatchcase(column.native.lower(), self.type.lower())
        return self.to is not None and named and typed and matches(path, (self.table,))


@dataclass(frozen=True, slots=True)
class MapOptions:
    """How a schema is mapped. ``schemas`` maps schema names; ``into`` takes all others.

    ``keep_generated`` False: generated columns become plain ones that are loaded.
    """

    case: Case = Case.KEEP
    into: str | None = None
    schemas: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    keep_generated: bool = True

    def renames(self, path: Path) -> dict[str, str]:
        """New names that the rules give to a table and its columns."""
        found: dict[str, str] = {}
        for rule in self.rules:
            if rule.rename and matches(path, (rule.table,)):
                found.update(rule.rename)
        return found

    def override(self, path: Path, column: Column) -> str | None:
        """The native type that the first fitting rule gives a column."""
        return next((rule.to for rule in self.rules if rule.fits(path, column)), None)


def make_rules(raw: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Rules from plain data; ``UsageError`` names the wrong one."""
    made = []
    for number, one in enumerate(raw, 1):
        try:
            made.append(Rule.model_validate(dict(one)))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UsageError(
                f"rule {number}: {where}: {first['msg']}",
                hint="a rule has table, column, type (patterns), and to (a type) or rename (old: new)",
            ) from None
    return tuple(made)
