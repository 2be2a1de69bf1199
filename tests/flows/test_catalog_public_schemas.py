"""Public schemas that none of us wrote cross from system to system, with keys, views and comments."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from hdm.catalog.apply import apply
from hdm.catalog.ddl_files import ordered
from hdm.catalog.mapper import MappedSchema, map_schema
from hdm.catalog.model import Schema
from hdm.catalog.rules import MapOptions
from tests.flows import schemas
from tests.flows.catalog_targets import (  # noqa: F401 -- fixtures
    Opened,
    Target,
    found,
    keys,
    of_duckdb,
    of_mariadb,
    of_postgres,
    of_snowflake,
    opened_connections,
)  # fmt: skip
from tests.flows.crossings import COUNTS
from tests.servers import fakesnow
from tests.servers.process import Database

pytestmark = pytest.mark.slow


def cross(
    source: Schema,
    target: Target,
    system: str,
    without: Iterable[str] = (),
    flavour: str = "",
    **options: Any,
) -> MappedSchema:
    """Map, apply, say the counts; nothing that was called converted may be refused."""
    mapped = map_schema(source, system, MapOptions(**options), flavour)
    before = mapped.report.counts
    statements = [one for one in ordered(mapped.schema) if one.phase not in without]
    refused = [one for one in apply(statements, target, mapped.report) if one.error]
    fates = ", ".join(f"{number} {fate}" for fate, number in before.items())
    crossing = f"{source.flavour or source.system} -> {flavour or system}"
    COUNTS.append(f"{crossing}: {fates}; {len(refused)} refused by the target")
    unforeseen = [one for one in refused if not _known(one.statement.sql)]
    assert [(one.statement.kind, one.statement.name, one.error) for one in unforeseen] == []
    return mapped


def _known(sql: str) -> bool:
    """Aggregates with FILTER, which sqlglot writes for a system that lacks them: refused when
    compiled on the target, and so reported."""
    return "FILTER(WHERE" in sql


def test_musicbrainz_crosses_to_mariadb_to_duckdb_and_to_snowflake(
    fresh_postgres: Callable[..., Database],
    fresh_mariadb: Callable[..., Database],
    snowflake_server: fakesnow.Snowflake,
    opened: Opened,
) -> None:
    database = fresh_postgres()
    schemas.musicbrainz(database)
    source = found(of_postgres(database, opened), "postgres", ["musicbrainz.*"])
    assert len(source.relations) > 350
    place = fresh_mariadb()
    maria = of_mariadb(place, opened)
    mapped = cross(source, maria, "mysql", flavour="mariadb", into=place.database)
    there = found(maria, "mysql", [f"{place.database}.*"])
    assert len(there.relations) == len(mapped.schema.relations)
    assert keys(there) == keys(mapped.schema)
    assert len(there.views) >= 8
    duck = of_duckdb(opened)
    onward = cross(there, duck, "duckdb", into="main")
    again = found(duck, "duckdb", ["main.*"])
    assert len(again.relations) == len(onward.schema.relations)
    assert len(again.views) == len(onward.schema.views)
    snow = of_snowflake(snowflake_server, snowflake_server.fresh(), opened)
    few = {
        "artist",
        "artist_type",
        "area",
        "area_type",
        "gender",
        "artist_credit",
        "label",
        "label_type",
        "series",
    }
    part = replace(
        source,
        relations=tuple(one for one in source.relations if one.path[-1] in few),
        views=tuple(one for one in source.views if {path[-1] for path in one.uses} <= few),
    )
    last = cross(part, snow, "snowflake", into="PUBLIC")
    arrived = found(snow, "snowflake", ["PUBLIC.*"])
    assert {one.path[-1] for one in arrived.relations} == few
    assert keys(arrived) == keys(last.schema)
    assert len(keys(arrived)) >= 8
    assert {one.path[-1]: one.comment for one in arrived.relations} == {
        one.path[-1]: one.comment for one in last.schema.relations
    }
    assert {one.path for one in arrived.views} == {one.path for one in last.schema.views}


def test_kea_crosses_from_mariadb_to_duckdb_and_to_postgres(
    fresh_mariadb: Callable[..., Database], fresh_postgres: Callable[..., Database], opened: Opened
) -> None:
    place = fresh_mariadb()
    schemas.kea(place)
    source = found(of_mariadb(place, opened), "mysql", [f"{place.database}.*"])
    assert len(source.relations) > 50
    cross(source, of_duckdb(opened), "duckdb", into="main")
    target = of_postgres(fresh_postgres(), opened)
    mapped = cross(source, target, "postgres", into="kea")
    there = found(target, "postgres", ["kea.*"])
    assert keys(there) == keys(mapped.schema)
