"""Tests for catalogues: each must find every object and be able to create it again exactly."""

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
    """Check that a crawl finds as many objects of each kind as expected.

    ``expected`` has the numbers by the kinds of ``count``.
    """
    assert {kind: number for kind, number in count(crawled).items() if number} == expected


def check_two_crawls_are_equal(catalog: Catalog, crawled: Schema, selection: Selection) -> None:
    """Check that a second crawl of the same system gives an equal schema."""
    assert catalog.crawl(selection).sha == crawled.sha


def check_json_keeps_everything(crawled: Schema) -> None:
    """Check that a schema is unchanged after it was written to JSON and read again."""
    assert schema_from_json(schema_to_json(crawled)) == crawled


def check_only_the_selection_is_found(catalog: Catalog, crawled: Schema) -> None:
    """Check that a crawl of one table finds only this table, described as in the crawl of all."""
    for relation in crawled.relations:
        found = catalog.crawl(exactly([relation.path]))
        assert found.relations == (relation,)
        assert found.views == ()


def check_created_again_it_is_the_same(other: Catalog, crawled: Schema, selection: Selection) -> None:
    """Check that a schema equals the original after it was created in ``other`` and crawled there.

    No object may be refused.
    """
    mapped = map_schema(crawled, crawled.system, flavour=crawled.flavour)
    assert mapped.report.counts["approximated"] == 0
    with other.session() as session:
        results = apply(ordered(mapped.schema), session, mapped.report)
    assert [one.error for one in results if one.error] == []
    again = other.crawl(selection)
    gone = list(unified_diff(_text(crawled).splitlines(), _text(again).splitlines(), "crawled", "made", n=2))
    assert not gone, "\n".join(gone[:60])


def check_nothing_is_left_to_do_afterwards(other: Catalog, crawled: Schema, selection: Selection) -> None:
    """Check that nothing is missing in ``other`` after a schema was created there.

    Columns, keys, indexes, comments and views are compared.
    """
    mapped = map_schema(crawled, crawled.system, flavour=crawled.flavour)
    with other.session() as session:
        apply(ordered(mapped.schema), session)
    again = other.crawl(selection)
    assert compare(mapped.schema, again) == []
    left = [one for one in ordered(unfinished(mapped.schema, again)) if _matters(one)]
    assert left == []


def check_drift_is_seen(catalog: Catalog, crawled: Schema) -> None:
    """Check that ``drift`` reports a changed table, and reports no unchanged one."""
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
    """Check that a statement which the system refuses raises an ``HdmError``."""
    with catalog.session() as session, pytest.raises(HdmError):
        session.execute("CREATE TABLE")


CHECKS: tuple[Callable[..., None], ...] = tuple(
    function for name, function in list(globals().items()) if name.startswith("check_")
)


def count(schema: Schema) -> dict[str, int]:
    """Return the number of objects of each kind, and of columns with a default, expression or comment."""
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
    """The values for the parameters of check functions, by parameter name.

    ``crawled`` is the schema that a crawl of ``catalog`` found.
    """

    catalog: Catalog
    other: Catalog
    crawled: Schema
    expected: Mapping[str, int]
    selection: Selection = field(default_factory=Selection)

    def call(self, check: Callable[..., None]) -> None:
        """Call a check function with the values of this object's attributes that its parameters name."""
        check(*(getattr(self, name) for name in inspect.signature(check).parameters))


class CatalogConformance:
    """Tests a catalogue: inherit it and define its fixtures.

    They are ``catalog`` and ``other``, catalogues of two empty databases or schemas of one system;
    ``script``, DDL of the system that creates an object of each kind; and ``expected``, how many
    objects the script creates, by the kinds of ``count``.
    """

    selection = Selection()
    """The tables that belong to the test."""
    gaps: ClassVar[Mapping[str, str]] = {}
    """Checks that the catalogue cannot pass: name without ``check_`` -> reason."""

    @pytest.fixture
    def crawled(self, catalog: Catalog, script: Sequence[str]) -> Schema:
        """Run the DDL script and return the schema that a crawl finds then."""
        with catalog.session() as session:
            for sql in script:
                session.execute(sql)
        return catalog.crawl(self.selection)

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
    def test_promise(self, request: pytest.FixtureRequest, check: Callable[..., None]) -> None:
        """Run one check function; see the function of that name in ``hdm.testing.catalogs``."""

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
