"""Applies ``threads`` and ``limits`` of links across all tables and workers of a process."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hdm.model import LinkSpec
from hdm.runtime.rate_limit import Pace

if TYPE_CHECKING:
    from hdm.runtime.link import DataLink

Group = tuple[str, ...]


def groups_of(spec: LinkSpec) -> dict[Group, int]:
    """Return the groups of links whose chunks in work are counted together, each with its limit.

    Links that read one source share its ``limits.connections``. Links from one source to one sink, such as
    those of one template, share their ``threads``. Empty if the link has no limit.
    """
    found: dict[Group, int] = {}
    if spec.limits.get("connections"):
        found["connections", *_source(spec)] = int(spec.limits["connections"])
    if spec.threads:
        found["threads", *_source(spec), spec.sink.name] = spec.threads
    return found


def _source(spec: LinkSpec) -> Group:
    conf = spec.source.conf
    return spec.source.name, str(conf.get("env") or conf.get("connection") or "")


def share_pace(links: Mapping[str, DataLink]) -> None:
    """Give all links that read one source a common rate limit.

    It is the lowest of the limits that these links set, for rows and for bytes.
    """
    together: dict[Group, list[DataLink]] = {}
    for link in links.values():
        together.setdefault(_source(link.spec), []).append(link)
    for several in together.values():
        rates: dict[str, Any] = {}
        for key in ("rows_per_second", "bytes_per_second"):
            said = [link.spec.limits[key] for link in several if link.spec.limits.get(key)]
            rates |= {key: min(said)} if said else {}
        pace = Pace(rates)
        for link in several:
            link.pace = pace


def wanted_workers(specs: Iterable[LinkSpec]) -> int:
    """Return the highest ``threads`` that any link sets; 0 if none sets it."""
    return max((spec.threads or 0 for spec in specs), default=0)


class Shares:
    """Counts how many chunks of each group of links are in work, and names links that must wait.

    Limits that ``workers`` threads can never reach are not counted.
    """

    def __init__(self, specs: Mapping[str, LinkSpec], workers: int) -> None:
        self._groups = {key: frozenset(groups_of(spec)) for key, spec in specs.items()}
        self._bounds: dict[Group, int] = {}
        for spec in specs.values():
            for group, bound in groups_of(spec).items():
                if bound < workers:
                    self._bounds[group] = min(bound, self._bounds.get(group, bound))
        self._members: dict[Group, set[str]] = {}
        for key, groups in self._groups.items():
            for group in groups:
                self._members.setdefault(group, set()).add(key)
        self._at_work: Counter[Group] = Counter()
        self._lock = threading.Lock()

    def started(self, link_key: str) -> None:
        """Count one more chunk of the link as in work."""
        self._change(link_key, 1)

    def settled(self, link_key: str) -> None:
        """Count one chunk of the link as no longer in work."""
        self._change(link_key, -1)

    def full(self) -> Collection[str]:
        """Return the keys of the links of which no further chunk may be started now; mostly none."""
        if not self._bounds:
            return ()
        with self._lock:
            full = {group for group, bound in self._bounds.items() if self._at_work[group] >= bound}
        return set().union(*(self._members[group] for group in full)) if full else ()

    def _change(self, link_key: str, by: int) -> None:
        groups = self._groups.get(link_key)
        if groups:
            with self._lock:
                for group in groups:
                    self._at_work[group] += by
