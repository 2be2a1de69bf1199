"""Whole schemas: crawled from a system, mapped to another, written as DDL, and reported on."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hdm.catalog.base import Catalog as Catalog
    from hdm.catalog.model import Relation as Relation
    from hdm.catalog.model import Schema as Schema
    from hdm.catalog.patterns import Selection as Selection

_HOME = {
    "Catalog": "hdm.catalog.base",
    "Relation": "hdm.catalog.model",
    "Schema": "hdm.catalog.model",
    "Selection": "hdm.catalog.patterns",
}

__all__ = ["Catalog", "Relation", "Schema", "Selection"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hdm.catalog' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
