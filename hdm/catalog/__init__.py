"""Reads whole schemas, maps them to another system, writes them as DDL, and reports on the result."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hdm.catalog.base import Catalog as Catalog
    from hdm.catalog.crawlers.base import Crawler as Crawler
    from hdm.catalog.crawlers.rows import Queries as Queries
    from hdm.catalog.crawlers.rows import RowsCrawler as RowsCrawler
    from hdm.catalog.model import Relation as Relation
    from hdm.catalog.model import Schema as Schema
    from hdm.catalog.patterns import Selection as Selection
    from hdm.catalog.writers.base import Writer as Writer

_HOME = {
    "Catalog": "hdm.catalog.base",
    "Crawler": "hdm.catalog.crawlers.base",
    "Queries": "hdm.catalog.crawlers.rows",
    "Relation": "hdm.catalog.model",
    "RowsCrawler": "hdm.catalog.crawlers.rows",
    "Schema": "hdm.catalog.model",
    "Selection": "hdm.catalog.patterns",
    "Writer": "hdm.catalog.writers.base",
}

__all__ = ["Catalog", "Crawler", "Queries", "Relation", "RowsCrawler", "Schema", "Selection", "Writer"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hdm.catalog' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
