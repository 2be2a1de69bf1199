"""Column lineage: what a transform makes of which column, and what is not known."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pyarrow as pa
import pytest

from hdm.model import Column, ComponentSpec, Dataset, Kind, LinkSpec, Origin, Table
from hdm.runtime.column_lineage import as_they_are, declared, of_statement, unknown
from hdm.runtime.link import DataLink
from hdm.runtime.transform import Transform
from tests.unit.linkkit import Listed, Shelf

TABLE = Table(
    Dataset("src", "people"),
    ("people",),
    (
        Column("id", Kind.INT64, pa.int64(), False, "bigint"),
        Column("SSN", Kind.TEXT, pa.string(), native="text"),
        Column("name", Kind.TEXT, pa.string(), native="text"),
        Column("code", Kind.TEXT, pa.string(), native="text"),
    ),
    ("id",),
)


def lines(sql: str) -> list[tuple[object, ...]]:
    """Column, its sources, how, what is masked, what decides."""
    made = Transform(sql, TABLE).table
    return [(o.column, o.sources, o.how, o.masked, o.conditions) for o in of_statement(sql, TABLE, made)]


def plain(*names: str) -> list[tuple[object, ...]]:
    return [(name, (name,), "identity", (), ()) for name in names]


CASES: dict[str, tuple[str, list[tuple[object, ...]]]] = {
    "all": ("SELECT * FROM batch", plain("id", "SSN", "name", "code")),
    "from first": ("FROM batch", plain("id", "SSN", "name", "code")),
    "a constant of a column's name": (
        "SELECT id, 'x' AS ssn, NULL::VARCHAR AS name FROM batch",
        [*plain("id"), ("ssn", (), "constant", (), ()), ("name", (), "constant", (), ())],
    ),
    "a column under another's name": (
        "SELECT id, ssn AS code, code AS ssn FROM batch",
        [*plain("id"), ("code", ("SSN",), "identity", (), ()), ("ssn", ("code",), "identity", (), ())],
    ),
    "a hash": (
        "SELECT * EXCLUDE (ssn), sha256(ssn) AS ssn FROM batch",
        [*plain("id", "name", "code"), ("ssn", ("SSN",), "transformation", ("SSN",), ())],
    ),
    "md5 and a name beside it": (
        "SELECT md5(ssn) || name AS x FROM batch",
        [("x", ("SSN", "name"), "transformation", ("SSN",), ())],
    ),
    "hashed and plain": (
        "SELECT md5(ssn) || ssn AS x FROM batch",
        [("x", ("SSN",), "transformation", (), ())],
    ),
    "a cast": ("SELECT CAST(id AS VARCHAR) AS id FROM batch", [("id", ("id",), "transformation", (), ())]),
    "an expression in place": (
        "SELECT * REPLACE (upper(name) AS name) FROM batch",
        [*plain("id", "SSN"), ("name", ("name",), "transformation", (), ()), *plain("code")],
    ),
    "an unnamed expression": (
        "SELECT id % 7, upper(code) FROM batch",
        [
            ("(id % 7)", ("id",), "transformation", (), ()),
            ("upper(code)", ("code",), "transformation", (), ()),
        ],
    ),
    "a condition": (
        "SELECT CASE WHEN ssn LIKE '1%' THEN code ELSE 'z' END AS region FROM batch WHERE name <> ''",
        [("region", ("code",), "transformation", (), ("SSN",)), ("*", (), "filter", (), ("name",))],
    ),
    "an inner query": (
        "WITH a AS (SELECT id, md5(ssn) AS m FROM batch) SELECT m AS code, id AS name FROM a",
        [("code", ("SSN",), "transformation", ("SSN",), ()), ("name", ("id",), "identity", (), ())],
    ),
    "an alias used again": (
        "SELECT upper(ssn) AS code, code AS x FROM batch",
        [("code", ("SSN",), "transformation", (), ()), ("x", ("code",), "identity", (), ())],
    ),
    "of no column": ("SELECT id, pi() AS at FROM batch", [*plain("id"), ("at", (), "generated", (), ())]),
    "renamed by a star": (
        "SELECT * RENAME (ssn AS tax_no) FROM batch",
        [*plain("id"), ("tax_no", ("SSN",), "identity", (), ()), *plain("name", "code")],
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.slow
def test_a_transform_is_followed(name: str) -> None:
    sql, wanted = CASES[name]
    assert lines(sql) == wanted


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COLUMNS('(.*)') FROM batch",
        "SELECT id, (SELECT max(c.code) FROM batch c WHERE c.id = b.id) AS code FROM batch b",
        "SELECT b AS code FROM batch AS b",
        "PIVOT batch ON code IN ('a') USING max(name) GROUP BY id",
    ],
)
def test_what_is_not_followed_is_unknown(sql: str) -> None:
    made = Table(TABLE.dataset, TABLE.path, TABLE.columns[:2])
    found = of_statement(sql, TABLE, made)
    assert {(one.how, one.sources) for one in found} == {("unknown", ())}
    assert all((one.expression or "").startswith("not derived: ") for one in found)


def test_without_sqlglot_nothing_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlglot", None)
    found = of_statement("SELECT * FROM batch", TABLE, TABLE)
    assert {one.how for one in found} == {"unknown"}
    assert "hdm[catalog]" in (found[0].expression or "")


def test_a_link_declares_what_it_does() -> None:
    below = of_statement("SELECT id, lower(ssn) AS ssn, name FROM batch", TABLE, TABLE_3)
    said = [Origin("name", ("ssn",), "transformation", "initials", ("ssn",))]
    assert declared(below, said) == (
        below[0], below[1], Origin("name", ("SSN",), "transformation", "initials", ("SSN",)),
    )  # fmt: skip
    assert declared(unknown(TABLE_3, "?"), said)[2].how == "unknown"


TABLE_3 = Transform("SELECT id, lower(ssn) AS ssn, name FROM batch", TABLE).table


def lineage(link: type[DataLink]) -> tuple[Origin, ...]:
    side = ComponentSpec("s", "T", {})
    return link(LinkSpec("k", side, side), Listed([]), Shelf()).column_lineage(TABLE)


def test_a_link_that_says_nothing_is_unknown() -> None:
    class Own(DataLink):
        def transform(self, batch: pa.RecordBatch) -> pa.RecordBatch:
            return batch

    class Declared(Own):
        def origins(self, given: Table) -> Sequence[Origin] | None:
            return [Origin("SSN", ("SSN",), "transformation", masked=("SSN",))]

    assert {one.how for one in lineage(Own)} == {"unknown"}
    told = lineage(Declared)
    assert [(one.how, one.masked) for one in told] == [
        ("identity", ()), ("transformation", ("SSN",)), ("identity", ()), ("identity", ()),
    ]  # fmt: skip
    assert lineage(DataLink) == as_they_are(TABLE)
