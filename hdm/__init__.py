"""hdm moves data between data warehouses: resumable, proven, on record.

The names exported here are those that a user's own code needs; each is imported on first use, so that
``import hdm`` loads no other module and needs no driver.
"""

from __future__ import annotations

import sys

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path and not __file__.startswith(sys.path[0] + "/hdm/"):
    # python -m puts the current folder first; drop it, so that no module there shadows a library's
    sys.path.pop(0)

import importlib
from typing import TYPE_CHECKING, Any

from hdm._version import __version__ as __version__

if TYPE_CHECKING:
    from hdm.api import Project as Project
    from hdm.api import open as open  # noqa: A004 -- hdm.open
    from hdm.catalog.base import Catalog as Catalog
    from hdm.components.authoring import declare as declare
    from hdm.components.authoring import payload as payload
    from hdm.components.check import Check as Check
    from hdm.components.check import CheckConfig as CheckConfig
    from hdm.components.check import RowCheck as RowCheck
    from hdm.components.ranges import Ranges as Ranges
    from hdm.components.ranges import cut as cut
    from hdm.components.registry import register as register
    from hdm.components.settings import Settings as Settings
    from hdm.components.sink import Sink as Sink
    from hdm.components.source import Source as Source
    from hdm.errors import HdmError as HdmError
    from hdm.model import Attempt as Attempt
    from hdm.model import Chunk as Chunk
    from hdm.model import Column as Column
    from hdm.model import Condition as Condition
    from hdm.model import Dataset as Dataset
    from hdm.model import FileNames as FileNames
    from hdm.model import Kind as Kind
    from hdm.model import Mode as Mode
    from hdm.model import Payload as Payload
    from hdm.model import Receipt as Receipt
    from hdm.model import Table as Table
    from hdm.model import Window as Window
    from hdm.orchestrators.base import Orchestrator as Orchestrator
    from hdm.runtime.link import DataLink as DataLink

_HOME = {
    "open": "hdm.api",
    "Project": "hdm.api",
    "Catalog": "hdm.catalog.base",
    "Check": "hdm.components.check",
    "CheckConfig": "hdm.components.check",
    "RowCheck": "hdm.components.check",
    "Ranges": "hdm.components.ranges",
    "cut": "hdm.components.ranges",
    "declare": "hdm.components.authoring",
    "payload": "hdm.components.authoring",
    "HdmError": "hdm.errors",
    "DataLink": "hdm.runtime.link",
    "Attempt": "hdm.model",
    "Chunk": "hdm.model",
    "Column": "hdm.model",
    "Condition": "hdm.model",
    "Dataset": "hdm.model",
    "FileNames": "hdm.model",
    "Kind": "hdm.model",
    "Mode": "hdm.model",
    "Payload": "hdm.model",
    "Receipt": "hdm.model",
    "Table": "hdm.model",
    "Window": "hdm.model",
    "Orchestrator": "hdm.orchestrators.base",
    "register": "hdm.components.registry",
    "Settings": "hdm.components.settings",
    "Source": "hdm.components.source",
    "Sink": "hdm.components.sink",
}

__all__ = ["__version__", *_HOME]  # noqa: PLE0604 -- the keys are strings


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hdm' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
