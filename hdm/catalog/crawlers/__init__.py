"""What each system's catalogue says, read through one function that runs a query."""

from __future__ import annotations

import importlib

from hdm.catalog.crawlers.base import Crawler, Named, Query
from hdm.errors import UsageError

_HOMES = {
    "sqlite": "SQLiteCrawler",
    "postgres": "PostgresCrawler",
    "mysql": "MySQLCrawler",
    "duckdb": "DuckDBCrawler",
    "netezza": "NetezzaCrawler",
    "oracle": "OracleCrawler",
    "sqlserver": "SQLServerCrawler",
    "snowflake": "SnowflakeCrawler",
}


def crawler_for(system: str, query: Query, named: Named | None = None) -> Crawler:
    """The crawler of a dialect's name; ``UsageError`` if there is none. Snowflake's needs ``named``."""
    home = _HOMES.get(system)
    if home is None:
        raise UsageError(f"no crawler for {system!r}", hint="crawlers: " + ", ".join(sorted(_HOMES)))
    module = importlib.import_module(f"hdm.catalog.crawlers.{system}")
    made: Crawler = getattr(module, home)(query, named=named)
    return made


__all__ = ["Crawler", "Named", "Query", "crawler_for"]
