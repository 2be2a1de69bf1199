"""CatalogConformance: what is crawled is all there is, and can be made again, exactly."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import unified_diff
from typing import Any, ClassVar

import pytest

from hdm.catalog.apply import apply
from hdm.catalog.base import Catalog
from hdm.catalog.ddl_files import ordered
from hdm.catalog.diff import compare, unfinished
from hdm.catalog.mapper import map_schema
from hdm.catalog.model import Relation, Schema, schema_from_json, schema_to_json
from hdm.catalog.patterns import Selection, exactly
from hdm.catalog.writers import Statement
from hdm.dialects import dialect
from hdm.errors import HdmError
from hdm.testing import leaks


def check_all_objects_are_found(crawled: Schema, expected: Mapping[str, int]) -> None:
    """As many of each kind as the script makes: nothing is overlooked."""
    assert {kind: number for kind, number in count(crawled).items() if number} == expected


def check_two_crawls_are_equal(catalog: Catalog, crawled: Schema, selection: Selection) -> None:
    """Nothing depends on the moment."""
    assert catalog.crawl(selection).sha == crawled.sha


def check_json_keeps_everything(crawled: Schema) -> None:
    """What the state database keeps is what was found."""
    assert schema_from_json(schema_to_json(crawled)) == crawled


def check_only_the_selection_is_found(catalog: Catalog, crawled: Schema) -> None:
    """One table, asked for by name, comes alone and as it came with the others."""
    for relation in crawled.relations:
        found = catalog.crawl(exactly([relation.path]))
        assert found.relations == (relation,)
        assert found.views == ()


def check_created_again_it_is_the_same(other: Catalog, crawled: Schema, selection: Selection) -> None:
    """Crawl, create elsewhere, crawl: a fixed point, reached without a refusal."""
    mapped = map_schema(crawled, crawled.system, flavour=crawled.flavour)
    assert mapped.report.counts["approximated"] == 0
    with other.session() as session:
        results = apply(ordered(mapped.schema), session, mapped.report)
    assert [one.error for one in results if one.error] == []
    again = other.crawl(selection)
    gone = list(unified_diff(_text(crawled).splitlines(), _text(again).splitlines(), "crawled", "made", n=2))
    assert not gone, "\n".join(gone[:60])


def check_nothing_is_left_to_do_afterwards(other: Catalog, crawled: Schema, selection: Selection) -> None:
    """Neither columns nor keys, indexes, comments or views differ."""
    mapped = map_schema(crawled, crawled.system, flavour=crawled.flavour)
    with other.session() as session:
        apply(ordered(mapped.schema), session)
    again = other.crawl(selection)
    assert compare(mapped.schema, again) == []
    left = [one for one in ordered(unfinished(mapped.schema, again)) if _matters(one)]
    assert left == []


def check_drift_is_seen(catalog: Catalog, crawled: Schema) -> None:
    """A table drifts when it changes, and only then."""
    for relation in crawled.relations:
        assert catalog.drift(relation.table) == []
    path = (*crawled.relations[0].path[:-1], "hdm_drifting")
    name = dialect(crawled.system).qualify(path)
    with catalog.session() as session:
        session.execute(f"CREATE TABLE {name} (id integer)")
    before = catalog.relation(path).table
    with catalog.session() as session:
        session.execute(f"ALTER TABLE {name} ADD COLUMN more integer")
    assert [one.column for one in catalog.drift(before)] == ["more"]


def check_refusals_are_errors(catalog: Catalog) -> None:
    """What the system refuses leaves the session as an ``HdmError``."""
    with catalog.session() as session, pytest.raises(HdmError):
        session.execute("CREATE TABLE")


CHECKS: tuple[Callable[..., None], ...] = tuple(
    function for name, function in list(globals().items()) if name.startswith("check_")
)


def count(schema: Schema) -> dict[str, int]:
    """How many objects of each kind there are; columns with a default, generated, commented."""
    relations, columns = schema.relations, [c for one in schema.relations for c in one.table.columns]
    remarked: Sequence[Any] = [*relations, *schema.views, *columns]
    return {
        "tables": len(relations),
        "columns": len(columns),
        "defaults": sum(1 for one in columns if one.default is not None),
        "generated": sum(1 for one in columns if one.generated is not None),
        "primary keys": sum(1 for one in relations if one.primary_key),
        "uniques": sum(len(one.uniques) for one in relations),
        "foreign keys": sum(len(one.foreign_keys) for one in relations),
        "checks": sum(len(one.checks) for one in relations),
        "indexes": sum(len(one.indexes) for one in relations),
        "identities": sum(len(one.identities) for one in relations),
        "comments": sum(1 for one in remarked if one.comment),
        "views": len(schema.views),
        "sequences": len(schema.sequences),
        "enums": len(schema.enums),
    }


@dataclass(frozen=True)
class Given:
    """What the checks take, by the names of their parameters. ``catalog`` has been crawled."""

    catalog: Catalog
    other: Catalog
    crawled: Schema
    expected: Mapping[str, int]
    selection: Selection = field(default_factory=Selection)

    def call(self, check: Callable[..., None]) -> None:
        """Call a check with what it asks for."""
        check(*(getattr(self, name) for name in inspect.signature(check).parameters))


class CatalogConformance:
    """Inherit, and give ``catalog``, ``other`` (both empty places of one system), ``script`` (its
    own DDL that makes one of everything it has) and ``expected`` (how many objects that makes, by
    the kinds of ``count``)."""

    selection = Selection()
    """What of the place belongs to the test."""
    gaps: ClassVar[Mapping[str, str]] = {}
    """Checks, without ``check_``, that the catalogue cannot pass: name -> reason."""

    @pytest.fixture
    def crawled(self, catalog: Catalog, script: Sequence[str]) -> Schema:
        """What a crawl finds after the script."""
        with catalog.session() as session:
            for sql in script:
                session.execute(sql)
        return catalog.crawl(self.selection)

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
    def test_promise(self, request: pytest.FixtureRequest, check: Callable[..., None]) -> None:
        """One promise; see the function of that name in ``hdm.testing.catalogs``."""

        def given(name: str) -> Any:
            return self.selection if name == "selection" else request.getfixturevalue(name)

        names = inspect.signature(check).parameters
        leaks.judge(check.__name__[6:], self.gaps, lambda: check(*map(given, names)))


def _text(schema: Schema) -> str:
    plain = replace(schema, database="", unread=())
    return schema_to_json(
        replace(plain, relations=tuple(_placeless(one) for one in plain.relations)), sizes=False
    )


def _placeless(relation: Relation) -> Relation:
    dataset = replace(relation.table.dataset, namespace="", name="")
    return replace(relation, table=replace(relation.table, dataset=dataset))


def _matters(one: Statement) -> bool:
    return one.phase in ("keys", "foreign_keys", "indexes", "views", "comments")
