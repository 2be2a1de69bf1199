"""The conformance suite of catalogues: what is crawled can be made again, exactly.

Subclass it, give ``catalog``, ``other`` (an empty place of the same system) and ``make`` (a script
of that system's own DDL), and pytest runs the rest::

    class TestMine(CatalogConformance):
        @pytest.fixture
        def catalog(self): ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import unified_diff

import pytest

from hdm.catalog import Catalog
from hdm.catalogs.apply import apply
from hdm.catalogs.diff import compare, unfinished
from hdm.catalogs.files import ordered
from hdm.catalogs.mapper import map_schema
from hdm.catalogs.model import Relation, Schema, schema_from_json, schema_to_json
from hdm.catalogs.patterns import Selection
from hdm.catalogs.writers import Statement


class CatalogConformance:
    """One class per system."""

    selection = Selection()
    """What of the place belongs to the test."""

    @pytest.fixture
    def catalog(self) -> Catalog:
        """The system under test, an empty place."""
        raise pytest.UsageError("give the fixture 'catalog'")

    @pytest.fixture
    def other(self) -> Catalog:
        """Another empty place of the same system."""
        raise pytest.UsageError("give the fixture 'other'")

    @pytest.fixture
    def script(self) -> Sequence[str]:
        """DDL of the system itself that makes one of everything it has."""
        raise pytest.UsageError("give the fixture 'script'")

    @pytest.fixture
    def crawled(self, catalog: Catalog, script: Sequence[str]) -> Schema:
        """What a crawl finds after the script."""
        with catalog.session() as session:
            for sql in script:
                session.execute(sql)
        return catalog.crawl(self.selection)

    def test_two_crawls_are_equal(self, catalog: Catalog, crawled: Schema) -> None:
        """Nothing depends on the moment, and nothing is left out of JSON."""
        again = catalog.crawl(self.selection)
        assert again.sha == crawled.sha
        assert schema_from_json(schema_to_json(crawled)) == crawled
        assert crawled.relations

    def test_crawl_create_crawl_is_a_fixed_point(self, other: Catalog, crawled: Schema) -> None:
        """Made again elsewhere by its own DDL, the schema is the same."""
        mapped = map_schema(crawled, crawled.system, flavour=crawled.flavour)
        assert mapped.report.counts["approximated"] == 0
        with other.session() as session:
            results = apply(ordered(mapped.schema), session, mapped.report)
        assert [one.error for one in results if one.error] == []
        again = other.crawl(self.selection)
        gone = list(
            unified_diff(_text(crawled).splitlines(), _text(again).splitlines(), "crawled", "made", n=2)
        )
        assert not gone, "\n".join(gone[:60])

    def test_nothing_is_left_to_do_afterwards(self, other: Catalog, crawled: Schema) -> None:
        """Neither columns nor keys, indexes, comments or views differ."""
        mapped = map_schema(crawled, crawled.system, flavour=crawled.flavour)
        with other.session() as session:
            apply(ordered(mapped.schema), session)
        again = other.crawl(self.selection)
        assert compare(mapped.schema, again) == []
        left = [one for one in ordered(unfinished(mapped.schema, again)) if _matters(one)]
        assert left == []

    def test_a_table_drifts_only_when_it_changes(self, catalog: Catalog, crawled: Schema) -> None:
        """The catalogue agrees with itself."""
        for relation in crawled.relations:
            assert catalog.drift(relation.table) == []


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
