"""Crawlers: each reads the catalogue of one system through a function that runs a query."""

from __future__ import annotations

from hdm.catalog.crawlers.base import Crawler, Named, Query
from hdm.dialects import find, load, names_with
from hdm.errors import UsageError


def crawler_for(system: str, query: Query, named: Named | None = None) -> Crawler:
    """Return the crawler of a dialect; raise ``UsageError`` if there is none.

    Snowflake's crawler needs ``named``.
    """
    known = find(system)
    if known is None or known.crawler is None:
        raise UsageError(f"no crawler for {system!r}", hint="crawlers: " + ", ".join(names_with("crawler")))
    made: Crawler = load(known.crawler)(query, named=named)
    return made


__all__ = ["Crawler", "Named", "Query", "crawler_for"]
