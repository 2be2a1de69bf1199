"""Selects tables by names and patterns from all those that a manifest would move."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase

from hdm.errors import UsageError
from hdm.planning.preflight import Pipeline
from hdm.runtime.link import DataLink


def is_named(name: str, pattern: str) -> bool:
    """Return True if a table's name matches a pattern with ``*`` and ``?``.

    It does if the whole name matches, or any end of the name that follows a dot or slash.
    """
    ends = [name, *(name[at + 1 :] for at, mark in enumerate(name) if mark in "./")]
    return any(fnmatchcase(end, pattern) for end in ends)


def select(pipelines: Sequence[Pipeline], patterns: Collection[str]) -> list[Pipeline]:
    """Return the pipelines that match a pattern, and all up- and downstream of them.

    A pipeline is one link over one table; it matches by the name of its table, source or sink. Raises
    ``UsageError`` for a pattern that matches nothing.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        found = {one.pipeline_key for one in pipelines if _fits(one, pattern)}
        if not found:
            raise UsageError(f"nothing is called {pattern!r}", hint=_known(pipelines))
        chosen |= found
    before, after = set(chosen), set(chosen)
    for one in reversed(pipelines):
        if one.pipeline_key in before:
            before |= set(one.upstream_keys)
    for one in pipelines:
        if after & set(one.upstream_keys):
            after.add(one.pipeline_key)
    return [one for one in pipelines if one.pipeline_key in before | after]


def to_refresh(
    pipelines: Sequence[Pipeline], patterns: Collection[str], links: Mapping[str, DataLink]
) -> frozenset[str]:
    """Return the keys of the pipelines that read the sources of tables to be read as a whole.

    Chosen are the pipelines that match a pattern by the name of their table, source or sink, and all up- and
    downstream of them; of these, the ones without an upstream link are returned. Without patterns there are
    none. Raises ``UsageError`` for a pattern that matches nothing, if a chain ends in mode append (its rows
    would be loaded twice), and for files that are known by their content (none is loaded twice) unless their
    link has mode replace.
    """
    chosen = select(pipelines, patterns) if patterns else []
    fed = {key for one in chosen for key in one.upstream_keys}
    for one in chosen:
        name, link = one.source.dataset.name, links[one.link.key]
        if one.pipeline_key not in fed and one.link.mode.rules.only_adds:
            raise UsageError(
                f"{name}: mode append would load every row that is there a second time",
                hint="write mode: merge (with a key) or mode: replace on the link",
            )
        if not one.upstream_keys and link.source.chunks_are_content and one.link.mode.rules.plans_by_content:
            raise UsageError(
                f"{name}: its files are known by their content, and none is loaded a second time",
                hint="write mode: replace on the link, or stage them anew",
            )
    return frozenset(one.pipeline_key for one in chosen if not one.upstream_keys)


def _fits(one: Pipeline, pattern: str) -> bool:
    ends = (one.link.source.name, one.link.sink.name)
    return is_named(one.source.dataset.name, pattern) or any(fnmatchcase(end, pattern) for end in ends)


def _known(pipelines: Sequence[Pipeline]) -> str:
    names = sorted({one.source.dataset.name for one in pipelines})
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"tables: {', '.join(names[:8])}{more}" if names else "the manifest finds no table"
