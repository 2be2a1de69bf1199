"""Rules by which users override the mapping, in the manifest or on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from pydantic import ConfigDict, Field, ValidationError, field_validator

from hdm.catalog.model import Path
from hdm.catalog.names import Case
from hdm.catalog.patterns import matches
from hdm.config.described import Described
from hdm.dialects.native_type import is_type
from hdm.errors import UsageError
from hdm.model import Column


class Rule(Described):
    """A user's rule that gives matching columns the type ``to``, or renames tables and columns.

    ``table``, ``column`` and ``type`` are patterns; ``rename`` maps old names to new ones.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    table: str = "*"
    """Pattern of the tables that the rule is for, e.g. ``sales.*``; left out, all tables."""
    column: str = "*"
    """Pattern of the columns that the rule is for, without regard to case; left out, all columns."""
    type: str = "*"
    """Pattern of the source's native types that the rule is for, e.g. ``number*``; left out, all types."""
    to: str | None = None
    """Native type of the target in which these columns are stored, e.g. ``NUMERIC(20, 4)``; left out, the
    mapping's own."""
    rename: dict[str, str] = Field(default_factory=dict)
    """New names of the fitting tables and of their columns, ``old: new``; left out, names stay."""

    @field_validator("to")
    @classmethod
    def _a_type(cls, to: str | None) -> str | None:
        if to is not None and not is_type(to):
            raise ValueError(f"{to!r} is not the name of one type")
        return to

    def fits(self, path: Path, column: Column) -> bool:
        """Return True if the rule gives this column its type."""
        named = fnmatchcase(column.name.lower(), self.column.lower())
        typed = fnmatchcase(column.native.lower(), self.type.lower())
        return self.to is not None and named and typed and matches(path, (self.table,))


@dataclass(frozen=True, slots=True)
class MapOptions:
    """Options that say how a schema is mapped.

    ``schemas`` maps schema names; ``into`` takes all others. If ``keep_generated`` is False, generated
    columns become plain ones that are loaded.
    """

    case: Case = Case.KEEP
    into: str | None = None
    schemas: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    keep_generated: bool = True

    def renames(self, path: Path) -> dict[str, str]:
        """Return, for a table and its columns, the new names by old ones, as the rules say.

        Empty if no rule renames any.
        """
        found: dict[str, str] = {}
        for rule in self.rules:
            if rule.rename and matches(path, (rule.table,)):
                found.update(rule.rename)
        return found

    def override(self, path: Path, column: Column) -> str | None:
        """Return the type that the first fitting rule gives a column; None if no rule fits."""
        return next((rule.to for rule in self.rules if rule.fits(path, column)), None)


def make_rules(raw: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Return rules made of plain data; raise ``UsageError`` about the first wrong one."""
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
