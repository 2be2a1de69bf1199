"""Writers: each turns a schema that is mapped to its system into DDL."""

from __future__ import annotations

from hdm.catalog.model import Schema
from hdm.catalog.writers.base import AFTER_LOAD, BEFORE_LOAD, PHASES, Statement, Writer
from hdm.dialects import find, load, names_with
from hdm.errors import UsageError


def writer_for(schema: Schema) -> Writer:
    """Return the writer of the schema's system; raise ``UsageError`` if there is none."""
    known = find(schema.system)
    if known is None or known.writer is None:
        targets = ", ".join(names_with("writer"))
        raise UsageError(f"no DDL writer for {schema.system!r}", hint=f"targets: {targets}")
    made: Writer = load(known.writer)(schema)
    return made


__all__ = ["AFTER_LOAD", "BEFORE_LOAD", "PHASES", "Statement", "Writer", "writer_for"]
