"""Crawl whole schemas, map them to another system, write them as DDL, and report on the result."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hdm.catalog.base import Catalog as Catalog
    from hdm.catalog.model import Schema as Schema

_HOME = {"Catalog": "hdm.catalog.base", "Schema": "hdm.catalog.model"}

__all__ = ["Catalog", "Schema"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hdm.catalog' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
