"""Orders tables for loading so that a table comes after those that its foreign keys refer to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hdm.catalog.order import waves
from hdm.errors import HdmError, Recovery

if TYPE_CHECKING:
    from hdm.planning.preflight import Pipeline
    from hdm.runtime.link import DataLink

Pair = tuple[str, str]


def load_order(
    links: Mapping[str, DataLink], pipelines: Sequence[Pipeline]
) -> tuple[list[Pipeline], dict[str, frozenset[str]]]:
    """Return the pipelines in loading order, and for each key those that must be closed before.

    Each target is asked once for its foreign keys. Tables in a circle of foreign keys do not wait for each
    other: a chunk that fails on a missing parent row is tried again, as in a table that refers to itself.
    Foreign keys of an unreachable target are ignored.
    """
    keys: dict[Pair, set[str]] = {}
    own: dict[str, Pair] = {}
    for one in pipelines:
        if not links[one.link.key].sink.publishes_files:
            own[one.pipeline_key] = _place(one)
            keys.setdefault(_place(one), set()).add(one.pipeline_key)
    parents: dict[str, set[str]] = {key: set() for key in own}
    for child, parent in _foreign_keys(links, pipelines):
        for key in keys.get(child, ()):
            parents[key] |= keys.get(parent, set()) - {key}
    circles = _circles(parents)
    parents = {key: ups - circles if key in circles else ups for key, ups in parents.items()}
    rank = {key: n for n, wave in enumerate(waves(parents)) for key in wave}
    after = {key: frozenset(ups) for key, ups in parents.items() if ups}
    for one in reversed(pipelines):  # a staging pipeline is ranked with the table that loads from it
        for up in one.upstream_keys:
            rank[up] = min(rank.get(up, len(pipelines)), rank.get(one.pipeline_key, 0))
    return sorted(pipelines, key=lambda one: rank.get(one.pipeline_key, 0)), after


def _circles(parents: Mapping[str, set[str]]) -> set[str]:
    """Return the keys of the tables on a circle of foreign keys, or on a path between two circles."""
    core = dict(parents)
    while True:
        needed = set().union(*core.values())
        gone = {key for key, ups in core.items() if not ups or key not in needed}
        if not gone:
            return set(core)
        core = {key: ups - gone for key, ups in core.items() if key not in gone}


def _place(one: Pipeline) -> Pair:
    return one.target.dataset.namespace, ".".join(one.target.path[-2:]).lower()


def _foreign_keys(links: Mapping[str, DataLink], pipelines: Sequence[Pipeline]) -> set[tuple[Pair, Pair]]:
    found: set[tuple[Pair, Pair]] = set()
    asked: set[tuple[str, str]] = set()
    for one in pipelines:
        sink, namespace = links[one.link.key].sink, one.target.dataset.namespace
        if sink.publishes_files or (namespace, str(one.link.sink.conf.get("env"))) in asked:
            continue
        asked.add((namespace, str(one.link.sink.conf.get("env"))))
        try:
            pairs = sink.foreign_keys()
        except HdmError as error:
            if error.recovery is not Recovery.RETRY:
                raise
            continue
        for child, parent in pairs:
            found.add(((namespace, ".".join(child).lower()), (namespace, ".".join(parent).lower())))
    return found
