"""Makes a database's source, sink and catalogue classes from its profile and its ``Database`` class."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from hdm.components.registry import register
from hdm.sql.catalog import SqlCatalog
from hdm.sql.database import Database
from hdm.sql.sink import SqlSink
from hdm.sql.source import SqlSource


def components(
    profile: type[BaseModel], database: type[Database], *, within: str | None = None
) -> tuple[type[SqlSource], type[SqlSink], type[SqlCatalog]]:
    """Make, register and return ``XSource``, ``XSink`` and ``XCatalog`` for a class ``XDatabase``.

    ``profile`` is the class of the system's profile entries. Assign the three classes to these names in the
    module of ``XDatabase``, or in the module ``within``: pickle and ``plugins:`` look for them there.
    """
    name = database.__name__.removesuffix("Database")

    def made(base: Any, kind: str, says: str) -> Any:
        body = {
            "Profile": profile,
            "Database": database,
            "__doc__": says,
            "__module__": within or database.__module__,
        }
        return register(type(f"{name}{kind}", (base,), body))

    return (
        made(SqlSource, "Source", f"Reads a table or query of {name}, chunk after chunk."),
        made(SqlSink, "Sink", f"Writes a table of {name}."),
        made(SqlCatalog, "Catalog", f"Finds and makes tables of {name}."),
    )
