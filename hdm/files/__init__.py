"""Finds, reads and writes staged files, in every format and in every store."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hdm.files.formats import Format as Format
    from hdm.files.records import Records as Records
    from hdm.files.sink import FileSink as FileSink
    from hdm.files.source import FileSource as FileSource
    from hdm.files.stores.base import Store as Store

_HOME = {
    "FileSource": "hdm.files.source",
    "FileSink": "hdm.files.sink",
    "Records": "hdm.files.records",
    "Store": "hdm.files.stores.base",
    "Format": "hdm.files.formats",
}

__all__ = ["FileSink", "FileSource", "Format", "Records", "Store"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hdm.files' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
