"""Order, differences, policies, JSON, translation, assessment: the parts that ask no system."""

from __future__ import annotations

import json
import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from hdm.catalog.apply import apply
from hdm.catalog.assess import assess
from hdm.catalog.assess_html import to_html
from hdm.catalog.diff import Change, compare
from hdm.catalog.evolve import judge
from hdm.catalog.expressions import Untranslatable, translate_expression
from hdm.catalog.mapper import map_schema
from hdm.catalog.model import ForeignKey, Key, Relation, Schema, schema_from_json, schema_to_json
from hdm.catalog.order import closing_keys, table_waves, waves
from hdm.catalog.report import Report, Status, report_to_json, report_to_markdown
from hdm.catalog.rules import MapOptions, make_rules
from hdm.catalog.writers import Statement
from hdm.errors import PermanentError, UsageError
from hdm.model import Column
from tests.unit.catalog.zoo import ORDERS, ZOO, column, table


def test_waves_put_parents_first_and_cut_cycles() -> None:
    assert waves({"c": ["b"], "b": ["a"], "a": [], "x": ["x"]}) == [["a", "x"], ["b"], ["c"]]
    found = waves({"a": ["b"], "b": ["a"], "c": ["a"]})
    assert sorted(n for wave in found for n in wave) == ["a", "b", "c"]
    one = Relation(
        table(("s", "a"), [column("b", "int")]), foreign_keys=(ForeignKey("k", ("b",), ("s", "b"), ("a",)),)
    )
    two = Relation(
        table(("s", "b"), [column("a", "int")]), foreign_keys=(ForeignKey("l", ("a",), ("s", "a"), ("b",)),)
    )
    ordered = [relation for wave in table_waves([one, two]) for relation in wave]
    assert len(closing_keys(ordered)) == 1


def test_a_schema_survives_json() -> None:
    assert schema_from_json(schema_to_json(ZOO)) == ZOO
    bigger = replace(ORDERS, table=replace(ORDERS.table, rows=99, bytes=1))
    grown = replace(ZOO, relations=(ZOO.relations[0], bigger))
    assert grown.sha == ZOO.sha
    assert replace(ZOO, views=()).sha != ZOO.sha


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ("integer", "bigint", Change.WIDER),
        ("bigint", "integer", Change.NARROWER),
        ("character varying(5)", "character varying(9)", Change.WIDER),
        ("character varying(5)", "text", Change.WIDER),
        ("text", "character varying(5)", Change.NARROWER),
        ("numeric(10,2)", "numeric(12,2)", Change.WIDER),
        ("numeric(10,2)", "numeric(12,4)", Change.WIDER),
        ("numeric(10,2)", "numeric(10,4)", Change.OTHER_TYPE),
        ("date", "integer", Change.OTHER_TYPE),
        ("timestamp(3) without time zone", "timestamp(6) without time zone", Change.WIDER),
    ],
)
def test_changes_are_named(before: str, after: str, change: Change) -> None:
    old, new = one_table(column("c", before)), one_table(column("c", after))
    assert [one.change for one in compare(new, old)] == [change]
    assert compare(new, new) == []


def one_table(*columns: Column) -> Schema:
    return Schema("postgres", relations=(Relation(table(("s", "t"), list(columns))),))


@pytest.mark.parametrize("target", ["postgres", "mysql", "duckdb", "snowflake", "sqlserver", "sqlite"])
def test_growth_becomes_ddl_or_waits(target: str) -> None:
    before = one_table(column("a", "integer"))
    after = one_table(column("a", "bigint"), column("b", "text", nullable=False))
    mapped, held = map_schema(after, target), map_schema(before, target).schema
    verdict = judge(after, mapped, held, "evolve", {("s", "t"): before.relations[0]})
    text = "\n".join(one.sql for one in verdict.alters)
    assert "ADD" in text
    assert "NOT NULL" not in text, "rows that are there have no value"
    assert len(verdict.alters) == (1 if target == "sqlite" else 2), "SQLite's integers are wide already"
    assert not verdict.held


def test_rules_override_types_and_are_reported() -> None:
    rules = make_rules([{"table": "sales.*", "type": "numeric", "to": "NUMBER(20,4)"}])
    mapped = map_schema(ZOO, "snowflake", MapOptions(rules=rules))
    orders = mapped.schema.relation(("sales", "orders"))
    assert orders is not None
    assert orders.table.column("amount").native == "NUMBER(20,4)"
    assert "by rule" in next(g.reason for g in mapped.report.gaps if g.name == "sales.orders.amount")


def test_a_wrong_rule_is_named() -> None:
    with pytest.raises(UsageError, match="rule 2: colum"):
        make_rules([{"to": "int"}, {"colum": "x"}])


@pytest.mark.parametrize(
    ("text", "source", "target", "made"),
    [
        ("a = ANY (ARRAY['x'::text, 'y'::text])", "postgres", "mysql", "`a` IN ('x', 'y')"),
        ("a <> ALL (ARRAY[1, 2])", "postgres", "sqlite", 'NOT "a" IN (1, 2)'),
        ("`a` <> cast('' as char charset utf8mb4)", "mysql", "duckdb", "\"a\" <> ''"),
        ("(b >= '-5'::integer::numeric)", "postgres", "sqlserver", "([b] >= -5)"),
        ("ok = true", "postgres", "sqlserver", "[ok] = 1"),
        ("name <> 'ü'", "postgres", "sqlserver", "[name] <> N'ü'"),
    ],
)
def test_expressions_are_translated(text: str, source: str, target: str, made: str) -> None:
    assert translate_expression(text, source, target) == made


@pytest.mark.parametrize(
    "text", ["my_own(a) > 1", "a ~ '^x'", "DROP TABLE x", "a = $1", "a >", "1; SELECT 2"]
)
def test_what_is_not_certain_is_refused(text: str) -> None:
    with pytest.raises(Untranslatable):
        translate_expression(text, "postgres", "mysql")


def test_the_report_counts_and_renders() -> None:
    report = Report("a", "b")
    report.converted("table", "s.t")
    report.approximated("column", "s.t.c", "shorter | odd", "look")
    report.manual("view", "s.v", "why", "how")
    assert report.counts == {"converted": 1, "approximated": 1, "manual": 1}
    report.demote("table", "s.t", "refused", "mend it")
    assert report.counts["manual"] == 2
    assert report.gaps[0].status is Status.MANUAL
    assert json.loads(report_to_json(report))["counts"]["manual"] == 2
    assert "shorter \\| odd" in report_to_markdown(report)


def test_an_assessment_names_sizes_risks_gaps_waves_and_time() -> None:
    mapped = map_schema(ZOO, "mysql")
    made = assess(ZOO, mapped, rate=10.0, measured="given")
    body = made.to_dict()
    assert body["totals"] == {"tables": 2, "rows": 20, "bytes": 16384}
    assert body["waves"] == [["sales.customers"], ["sales.orders"]]
    assert body["forecast"]["seconds"] == 2.0
    assert body["gaps_by_effort"][0]["minutes"] >= body["gaps_by_effort"][-1]["minutes"]
    assert {one["column"] for one in body["types_at_risk"]} >= {"sales.customers.seen"}
    page = to_html(made)
    assert "<svg" in page
    assert "http" not in page.replace("http-equiv", ""), "the page needs nothing from elsewhere"
    assert "sales.orders" in page


def test_a_size_that_the_catalogue_does_not_know_is_not_made_up() -> None:
    """Neither as 0 B nor with rows taken for bytes; numbers stand below their headings."""
    relations = tuple(replace(one, table=replace(one.table, rows=5000, bytes=None)) for one in ZOO.relations)
    made = assess(replace(ZOO, relations=relations), map_schema(ZOO, "mysql"))
    page = to_html(made)
    assert made.to_dict()["totals"]["bytes"] is None
    assert "5,000 rows" in page and "unknown" in page and not re.search(r"\d [kMG]?B<", page)
    assert '<th class="n">rows</th>' in page and "<th>table</th>" in page


def test_a_key_column_is_never_null_whether_that_is_declared_or_not() -> None:
    loose, strict = (table(("s", "t"), [column("id", "integer", nullable=n)], ("id",)) for n in (True, False))
    one, other = (Schema("postgres", relations=(Relation(t, Key("pk", ("id",))),)) for t in (loose, strict))
    assert compare(one, other) == compare(other, one) == []


def test_a_view_is_refused_in_the_targets_own_words() -> None:
    class Refuses:
        def execute(self, sql: str) -> None:
            try:
                raise ValueError("Binder Error: no function strftime\nLINE 1: ...")
            except ValueError:
                raise PermanentError("duckdb BinderException") from None

        def transaction(self) -> AbstractContextManager[None]:
            return nullcontext()

    def refused(kind: str) -> str:
        statement = Statement("views", kind, "s.v", "CREATE ...")
        return apply([statement], Refuses())[0].error

    assert refused("view") == "duckdb BinderException: Binder Error: no function strftime"
    assert refused("unique") == "duckdb BinderException"  # its text may quote a row


HOSTILE = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</td></table></svg>", "a&b&amp;", "]]>",
    "o'clock", "\x1b[31m", "\u202e\uffff", "x" * 200, "😀",
)  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_the_page_is_well_formed_whatever_the_names_are(name: str) -> None:
    """Parsed as XML, so that every tag is closed and nothing of a name becomes one."""
    relation = one_table(column(name, "money")).relations[0]
    named = replace(relation, table=replace(relation.table, path=("s", name), rows=3, bytes=4))
    source = Schema("postgres", relations=(named,), unread=(("trigger", name),))
    page = to_html(assess(source, map_schema(source, "duckdb")))
    plain = to_html(assess(ZOO, map_schema(ZOO, "duckdb")))
    tags = {one.tag for one in ElementTree.fromstring(plain.removeprefix("<!doctype html>")).iter()}
    root = ElementTree.fromstring(page.removeprefix("<!doctype html>"))
    assert {one.tag for one in root.iter()} <= tags
    shown = "".join(root.itertext())
    known = re.sub("[\\x1b\\uffff]", "\ufffd", name)
    assert f"s.{known}" in shown or f's."{known}"' in shown
    assert "<script" not in page


def test_duckdb_says_which_foreign_keys_it_cannot_check() -> None:
    key = ForeignKey("loop", ("up",), ("s", "t"), ("id",))
    relation = Relation(
        table(("s", "t"), [column("id", "integer"), column("up", "integer")]), foreign_keys=(key,)
    )
    mapped = map_schema(Schema("postgres", relations=(relation,)), "duckdb")
    assert mapped.schema.relations[0].foreign_keys == ()
    assert [(g.status, g.name) for g in mapped.report.gaps] == [(Status.MANUAL, "s.t.loop")]


@pytest.mark.parametrize(("target", "native"), [("mysql", "varchar(384)"), ("sqlserver", "nvarchar(225)")])
def test_key_columns_get_a_bound_that_an_index_can_have(target: str, native: str) -> None:
    relation = Relation(
        table(
            ("s", "t"), [column("a", "text", nullable=False), column("b", "text", nullable=False)], ("a", "b")
        ),
        Key("pk", ("a", "b")),
    )
    mapped = map_schema(Schema("postgres", relations=(relation,)), target)
    assert [c.native for c in mapped.schema.relations[0].table.columns] == [native, native]
    assert all("part of a key" in gap.reason for gap in mapped.report.gaps)
