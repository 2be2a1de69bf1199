"""Maps one table's definition from one system to another, and creates it there: ``hdm cp meta``."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

from hdm.api.boundary import guarded
from hdm.api.copying import connections
from hdm.api.ends import End, Given, component, read_end
from hdm.catalog.apply import Applied
from hdm.catalog.ddl_files import statements_of
from hdm.catalog.mapper import MappedSchema, map_schema
from hdm.catalog.model import Path, Schema, dotted
from hdm.catalog.patterns import exactly, select
from hdm.catalog.report import Report
from hdm.catalog.rules import MapOptions, Rule
from hdm.components import registry
from hdm.config.located import LocatedDict
from hdm.config.profile import Profiles
from hdm.errors import UsageError
from hdm.model import ComponentSpec
from hdm.sql.catalog import SqlCatalog
from hdm.sql.table_name import name_parts


@dataclass(frozen=True, slots=True)
class TableMeta:
    """One table's DDL for another system, with the report of what could not be mapped.

    ``applied`` has one entry for each statement that was carried out: none if none was asked for.
    """

    sql: tuple[str, ...]
    report: Report
    applied: tuple[Applied, ...] = ()

    @property
    def refused(self) -> tuple[Applied, ...]:
        """The objects that the target refused, each with its first statement and the error."""
        return tuple(one for one in self.applied if one.error)


@guarded
def table_meta(
    source: Given,
    target: Given,
    *,
    execute: bool = False,
    env: str | None = None,
    profiles: str | os.PathLike[str] | None = None,
) -> TableMeta:
    """Map the definition of a source's table to the target's system; with ``execute``, create it there.

    Raises ``UsageError`` if the source does not have just one such table, or if the target has one of that
    name already.
    """
    known = connections(env, profiles)
    here, there = read_end(source, known), read_end(target, known)
    origin, reached = _catalog(here, known), _catalog(there, known)
    crawled = _one(origin.crawl(select([here.object])), here)
    path, into = _wanted(there, reached, crawled.relations[0].path)
    rename = {crawled.relations[0].path[-1]: path} if path else {}
    rules = (Rule(table=_exact(crawled.relations[0].path), rename=rename),) if rename else ()
    mapped = map_schema(
        origin.measured(crawled), reached.database.dialect.name, MapOptions(into=into, rules=rules),
        reached.flavour(),
    )  # fmt: skip
    sql = tuple(one.sql for one in statements_of(mapped))
    if not execute:
        return TableMeta(sql, mapped.report)
    _must_be_new(reached, mapped)
    return TableMeta(sql, mapped.report, tuple(reached.create(mapped)))


def _catalog(end: End, known: Profiles) -> SqlCatalog:
    cls = component("catalog", end)
    if cls is None or not issubclass(cls, SqlCatalog):
        raise UsageError(
            f"hdm maps no tables of {end.system}", hint="hdm components lists the catalogues it can read"
        )
    beside = known.beside({end.connection: end.entry}) if end.entry and end.connection else known
    conf = LocatedDict({"env": end.connection} if end.connection else {})
    made: Any = registry.create("catalog", ComponentSpec(end.label, cls.__name__, conf), beside)
    assert isinstance(made, SqlCatalog)
    return made


def _one(found: Schema, end: End) -> Schema:
    names = [dotted(one.path) for one in found.relations]
    if not end.object or len(names) != 1:
        what = ", ".join(names[:5]) if end.object and names else "none"
        raise UsageError(
            f"{end.label}: {end.object or 'the end'} names {what}", hint="name one table: hdm ls lists them"
        )
    return replace(found, views=(), sequences=(), unread=())


def _wanted(end: End, catalog: SqlCatalog, path: Path) -> tuple[str, str | None]:
    """Return the table's new name, empty if it stays, and the target's schema."""
    parts = name_parts(end.object) if end.object else ()
    home = catalog.database.default_path((parts[-1] if parts else path[-1],))
    schema = parts[-2] if len(parts) > 1 else home[-2] if len(home) > 1 else None
    new = parts[-1] if parts and parts[-1] != path[-1] else ""
    return new, schema


def _exact(path: Path) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in path)


def _must_be_new(target: SqlCatalog, mapped: MappedSchema) -> None:
    wanted = [one.path for one in mapped.schema.relations]
    held = target.held(exactly(wanted))
    if held.relations:
        raise UsageError(
            f"{', '.join(dotted(one.path) for one in held.relations)} is there already",
            hint="drop it first, or compare: hdm catalog diff",
        )
