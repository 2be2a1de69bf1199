"""Makes names of constraints and indexes unique where the target requires it.

A name that another object has already gets the table's name in front. No rows are read through such names, so
a new name is no loss.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from hdm.catalog.model import Relation
from hdm.catalog.names import fit
from hdm.dialects.base import Dialect
from hdm.dialects.traits import Traits


def settle_names(relations: Iterable[Relation], dialect: Dialect) -> list[Relation]:
    """Return the tables, in order, with unique names for constraints and indexes where needed."""
    known = list(relations)
    taken: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for one in known:
        taken[("objects", *one.path[:-1])].add(dialect.folded(one.path[-1]))
    return [_Settler(one, dialect, taken).settle() for one in known]


class _Settler:
    def __init__(self, relation: Relation, dialect: Dialect, taken: dict[tuple[str, ...], set[str]]) -> None:
        self.relation, self.dialect, self.taken = relation, dialect, taken
        traits = dialect.traits or Traits()
        objects = ("objects", *relation.path[:-1])
        self.indexes = objects if traits.indexes_by_schema else ("index", *relation.path)
        self.constraints = objects if traits.constraints_by_schema else ("constraint", *relation.path)
        self.keys = self.indexes if traits.keys_are_indexes else self.constraints

    def settle(self) -> Relation:
        """Return the table with unique names of all its constraints and indexes."""
        one = self.relation
        primary = one.primary_key and replace(
            one.primary_key, name=self._free(one.primary_key.name, self.keys)
        )
        return replace(
            one,
            primary_key=primary,
            uniques=tuple(replace(k, name=self._free(k.name, self.keys)) for k in one.uniques),
            indexes=tuple(replace(i, name=self._free(i.name or "ix", self.indexes)) for i in one.indexes),
            foreign_keys=tuple(
                replace(k, name=self._free(k.name, self.constraints)) for k in one.foreign_keys
            ),
            checks=tuple(replace(k, name=self._free(k.name, self.constraints)) for k in one.checks),
        )

    def _free(self, name: str, scope: tuple[str, ...]) -> str:
        if not name:
            return ""
        longer = fit(f"{self.relation.path[-1]}_{name}", self.dialect)
        marked = fit(f"{longer}_{hashlib.sha256(name.encode()).hexdigest()[:8]}", self.dialect)
        for candidate in (name, longer, marked):
            folded = self.dialect.folded(candidate)
            if folded not in self.taken[scope]:
                self.taken[scope].add(folded)
                return candidate
        return ""
