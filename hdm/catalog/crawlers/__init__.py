"""Crawlers, each of which reads the catalogue of one system by running queries."""

from __future__ import annotations

from hdm import locator
from hdm.catalog.crawlers.base import Crawler, Named, Query
from hdm.components import registry
from hdm.errors import UsageError


def crawler_for(system: str, query: Query, named: Named | None = None) -> Crawler:
    """Return the crawler for a dialect; raise ``UsageError`` if there is none.

    ``query`` runs a query; ``named`` runs one and gives rows by column name, which Snowflake's crawler needs.
    """
    if not has_crawler(system):
        raise UsageError(
            f"no crawler for {system!r}", hint="crawlers: " + ", ".join(locator.words("crawler"))
        )
    made: Crawler = registry.build("crawler", system, {"query": query, "named": named})
    return made


def has_crawler(system: str) -> bool:
    """Return True if a crawler is registered for the dialect of that name."""
    return registry.canonical("crawler", system) is not None


__all__ = ["Crawler", "Named", "Query", "crawler_for", "has_crawler"]
