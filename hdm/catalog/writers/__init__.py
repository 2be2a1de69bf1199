"""Writers, each of which turns a schema mapped to its system into DDL."""

from __future__ import annotations

from hdm import locator
from hdm.catalog.model import Schema
from hdm.catalog.writers.base import AFTER_LOAD, BEFORE_LOAD, PHASES, Statement, Writer
from hdm.components import registry
from hdm.errors import UsageError


def writer_for(schema: Schema) -> Writer:
    """Return the DDL writer for the schema's system; raise ``UsageError`` if there is none."""
    if registry.canonical("ddl_writer", schema.system) is None:
        targets = ", ".join(locator.words("ddl_writer"))
        raise UsageError(f"no DDL writer for {schema.system!r}", hint=f"targets: {targets}")
    made: Writer = registry.build("ddl_writer", schema.system, {"schema": schema})
    return made


__all__ = ["AFTER_LOAD", "BEFORE_LOAD", "PHASES", "Statement", "Writer", "writer_for"]
