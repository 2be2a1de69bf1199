"""Names survive, or are refused by name; never altered silently."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hdm.catalog.crawlers import crawler_for
from hdm.catalog.ddl_files import ordered
from hdm.catalog.mapper import map_schema
from hdm.catalog.model import Key, Relation, Schema
from hdm.catalog.names import Case, NamePolicy, fit, size
from hdm.catalog.patterns import exactly, select
from hdm.catalog.rules import MapOptions, make_rules
from hdm.catalog.traits import targets
from hdm.dialects import dialect
from hdm.errors import UsageError
from tests.unit.catalog.zoo import column, table

HOSTILE = [
    "select",
    'qu"o""te',
    "a b",
    "a.b",
    "ünï",
    "x" * 200,
    "it's",
    "back`tick",
    "br]acket",
    "%s {0}",
    "-- x",
]
EMOJI = "emoji 🙂"


def schema_of(*names: str, columns: tuple[str, ...] = ("id",)) -> Schema:
    relations = [
        Relation(
            table(("s", name), [column(one, "integer", nullable=False) for one in columns], columns[:1]),
            Key("", columns[:1]),
        )
        for name in names
    ]
    return Schema("postgres", relations=tuple(relations))


@pytest.mark.parametrize("target", targets())
@pytest.mark.parametrize("name", [*HOSTILE, EMOJI])
def test_a_hostile_name_survives_or_is_refused_by_name(target: str, name: str) -> None:
    source = schema_of(name, columns=("id", name))
    try:
        mapped = map_schema(source, target)
    except UsageError as error:
        assert repr(name) in error.message
        assert error.hint
        assert target in ("bigquery", "mysql")
        return
    (kept,) = mapped.schema.relations
    assert kept.path[-1] == fit(name, dialect(target))
    assert kept.table.columns[1].name == fit(name, dialect(target))
    if kept.path[-1] != name:
        assert [g for g in mapped.report.gaps if g.kind == "name" and name in g.name]
    assert all(
        dialect(target).quote(kept.path[-1]) in one.sql
        for one in ordered(mapped.schema)
        if one.kind == "table"
    )


@pytest.mark.parametrize("target", ["duckdb", "mysql", "sqlite", "sqlserver", "redshift", "bigquery"])
def test_columns_that_differ_in_case_alone_are_refused_where_they_are_one(target: str) -> None:
    with pytest.raises(UsageError, match="'Id' and 'ID' would both be"):
        map_schema(schema_of("t", columns=("Id", "ID")), target)


@pytest.mark.parametrize("target", ["postgres", "snowflake"])
def test_columns_that_differ_in_case_alone_survive_where_they_are_two(target: str) -> None:
    (kept,) = map_schema(schema_of("t", columns=("Id", "ID")), target).schema.relations
    assert [c.name for c in kept.table.columns] == ["Id", "ID"]


@pytest.mark.parametrize("case", [Case.UPPER, Case.LOWER])
def test_a_policy_that_makes_two_names_one_is_refused(case: Case) -> None:
    with pytest.raises(UsageError, match="would both be"):
        map_schema(schema_of("Orders", "orders"), "snowflake", MapOptions(case=case))


def test_a_rule_resolves_the_collision() -> None:
    rules = make_rules([{"table": "t", "rename": {"ID": "other_id"}}])
    (kept,) = map_schema(
        schema_of("t", columns=("Id", "ID")), "duckdb", MapOptions(rules=rules)
    ).schema.relations
    assert [c.name for c in kept.table.columns] == ["Id", "other_id"]


def test_tables_of_two_schemas_do_not_fall_into_one() -> None:
    one = schema_of("t").relations[0]
    two = replace(one, table=replace(one.table, path=("other", "t")))
    both = Schema("postgres", relations=(one, two))
    with pytest.raises(UsageError, match="several schemas have t"):
        map_schema(both, "duckdb", MapOptions(into="main"))
    assert len(map_schema(both, "duckdb").schema.relations) == 2


@given(st.text(min_size=1, max_size=300).filter(lambda s: "\0" not in s))
@pytest.mark.slow
def test_cut_names_fit_and_stay_apart(name: str) -> None:
    for system in targets():
        known = dialect(system)
        made, other = fit(name, known), fit(name + "z" * 400, known)
        assert size(made, known) <= known.max_identifier
        assert size(other, known) <= known.max_identifier
        assert made != other
        assert fit(name, known) == made


@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=40))
@pytest.mark.slow
def test_any_name_goes_through_sqlite_and_back(name: str) -> None:
    if name.lower().startswith("sqlite_"):
        return
    source = schema_of(name, columns=("k", "v" + name))
    mapped = map_schema(source, "sqlite")
    connection = sqlite3.connect(":memory:")
    try:
        for one in ordered(mapped.schema):
            connection.execute(one.sql)
        found = crawler_for("sqlite", lambda sql: connection.execute(sql).fetchall()).crawl(
            exactly([("main", name)])
        )
    finally:
        connection.close()
    assert [one.path for one in found.relations] == [(name,)]
    assert [c.name for c in found.relations[0].table.columns] == ["k", "v" + name]


def test_policy_cases() -> None:
    policy = NamePolicy(dialect("snowflake"), Case.UPPER, {"old": "New"})
    assert [policy.name(n) for n in ("a", "old")] == ["A", "NEW"]


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("sales.*", ("sales", "t"), True),
        ("sales.*", ("SALES", "T"), True),
        ("*.orders", ("x", "orders"), True),
        ("orders", ("x", "orders"), True),
        ("sales.*", ("resales", "t"), False),
        ("sales.o?ders", ("sales", "orders"), True),
        ("*.*.t", ("s", "t"), True),
        ("db.s.t", ("s", "t"), False),
        ('"Sales".*', ("sales", "t"), False),
        ('"a.b".*', ("a.b", "t"), True),
        ('s."qu""ote"', ("s", 'qu"ote'), True),
        ("s.[x]", ("s", "[x]"), True),
    ],
)
def test_patterns(pattern: str, path: tuple[str, ...], fits: bool) -> None:
    assert select([pattern]).has(path) is fits


@pytest.mark.parametrize("wrong", ["", "a..b", "a.", '"open', '"a"b'])
def test_a_wrong_pattern_is_named(wrong: str) -> None:
    with pytest.raises(UsageError, match="not a pattern"):
        select([wrong])


def test_exclude_wins() -> None:
    chosen = select(["s.*"], ["*.tmp_*"])
    assert chosen.has(("s", "a"))
    assert not chosen.has(("s", "TMP_a"))
    assert chosen.schemas(["s", "t"]) == ["s"]
