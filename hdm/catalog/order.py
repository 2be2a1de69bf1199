"""Sorts objects by dependency: referenced tables first, views after what they read; finds cycles."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

from hdm.catalog.model import ForeignKey, Path, Relation, View

N = TypeVar("N", bound=Hashable)


def waves(needs: Mapping[N, Iterable[N]]) -> list[list[N]]:
    """Return nodes in groups (waves): each node needs only nodes of earlier groups.

    ``needs`` says which nodes each node needs. Within a wave, nodes have the order of ``needs``. Where only
    cycles are left, the node with the fewest open needs goes first, so that it may need a later one.
    """
    known = set(needs)
    open_needs = {node: {n for n in of if n in known and n != node} for node, of in needs.items()}
    order: list[list[N]] = []
    while open_needs:
        ready = [node for node, of in open_needs.items() if not of]
        if not ready:
            ready = [min(open_needs, key=lambda node: len(open_needs[node]))]
        order.append(ready)
        gone = set(ready)
        for node in ready:
            del open_needs[node]
        open_needs = {node: of - gone for node, of in open_needs.items()}
    return order


def table_waves(relations: Iterable[Relation]) -> list[list[Relation]]:
    """Return tables in groups (waves): each refers by foreign keys only to tables of earlier groups.

    A table in a cycle may also refer to later ones; see ``closing_keys``.
    """
    by_path = {one.path: one for one in relations}
    needs = {path: _parents(one) for path, one in by_path.items()}
    return [[by_path[path] for path in wave] for wave in waves(needs)]


def table_order(relations: Iterable[Relation]) -> list[Relation]:
    """Return tables sorted so that referenced tables come before those that refer to them.

    In a cycle, that is not so for every table; see ``closing_keys``.
    """
    return [one for wave in table_waves(relations) for one in wave]


def closing_keys(ordered: Iterable[Relation]) -> set[tuple[Path, ForeignKey]]:
    """Return the foreign keys that refer to a table later in the order, and so close a cycle.

    Foreign keys of a table to itself are not among them.
    """
    seen: set[Path] = set()
    found = set()
    for relation in ordered:
        seen.add(relation.path)
        for key in relation.foreign_keys:
            if key.target not in seen:
                found.add((relation.path, key))
    return found


def view_order(views: Iterable[View]) -> list[View]:
    """Return views sorted so that a view comes after those that it reads."""
    by_path = {one.path: one for one in views}
    ordered = waves({path: one.uses for path, one in by_path.items()})
    return [by_path[path] for wave in ordered for path in wave]


def _parents(relation: Relation) -> list[Path]:
    parents = [key.target for key in relation.foreign_keys]
    return [*parents, relation.part_of] if relation.part_of else parents
