"""DDL per target: held to snapshots, deterministic, and understood by a parser of the dialect.

``HDM_WRITE_SNAPSHOTS=1`` writes the snapshots anew.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlglot

from hdm.catalog.ddl_files import ordered, script, statements_of, write_files
from hdm.catalog.expressions import sqlglot_name
from hdm.catalog.mapper import MappedSchema, map_schema
from hdm.catalog.model import Distribution, Relation
from hdm.catalog.rules import MapOptions, make_rules
from hdm.catalog.traits import targets
from hdm.catalog.writers import PHASES, writer_for
from hdm.dialects import dialect
from hdm.errors import UsageError
from hdm.model import Column, Dataset, Kind, Table
from tests.unit.catalog.zoo import ZOO

RENAMED = MapOptions(rules=make_rules([{"table": "sales.orders", "rename": {"a b.c": "a_b_c"}}]))
SNAPSHOTS = Path(__file__).resolve().parents[2] / "snapshots" / "ddl"


def mapped(target: str) -> MappedSchema:
    """BigQuery refuses blanks and dots in names, so there the column gets another by a rule."""
    return map_schema(ZOO, target, RENAMED if target == "bigquery" else None)


@pytest.mark.parametrize("target", targets())
def test_ddl_is_as_reviewed(target: str) -> None:
    text = script(statements_of(mapped(target)))
    place = SNAPSHOTS / f"{target}.sql"
    if os.environ.get("HDM_WRITE_SNAPSHOTS"):
        place.write_text(text, encoding="utf-8")
    assert text == place.read_text(encoding="utf-8")


@pytest.mark.parametrize("target", targets())
def test_gaps_are_as_reviewed(target: str) -> None:
    report = mapped(target).report
    text = "".join(f"{g.status.value}: {g.kind} {g.name}: {g.reason} -> {g.hint}\n" for g in report.gaps)
    place = SNAPSHOTS / f"{target}.gaps.txt"
    if os.environ.get("HDM_WRITE_SNAPSHOTS"):
        place.write_text(text, encoding="utf-8")
    assert text == place.read_text(encoding="utf-8")
    assert all(gap.reason and gap.hint for gap in report.gaps)


@pytest.mark.parametrize("target", targets())
def test_every_statement_parses_in_its_dialect(target: str) -> None:
    known = sqlglot_name(target)
    for statement in statements_of(mapped(target)):
        if statement.sql.startswith(("IF SCHEMA_ID", "EXEC ")):
            continue  # procedural T-SQL, which sqlglot passes through unread
        sql = statement.sql.partition(" WITH (DISTRIBUTION")[0]  # a clause that SQL Server lacks
        (tree,) = sqlglot.parse(sql, read=known)
        assert tree is not None


@pytest.mark.parametrize("target", targets())
def test_the_same_schema_gives_the_same_files(target: str, tmp_path: Path) -> None:
    first = write_files(mapped(target), tmp_path / "a", ZOO.views)
    second = write_files(mapped(target), tmp_path / "b", ZOO.views)
    assert [p.name for p in first] == [p.name for p in second]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_files_are_numbered_in_the_order_they_are_applied(tmp_path: Path) -> None:
    files = write_files(map_schema(ZOO, "postgres"), tmp_path, ZOO.views)
    ddl = [p.name for p in files if p.suffix == ".sql"]
    assert ddl == sorted(ddl)
    assert ddl[0] == "01_schemas.sql"
    assert {"names.json", "report.json", "report.md"} <= {p.name for p in files}


def test_a_manual_view_stands_commented_in_a_file_of_its_own(tmp_path: Path) -> None:
    write_files(map_schema(ZOO, "mysql"), tmp_path, ZOO.views)
    text = (tmp_path / "99_manual_views.sql").read_text()
    assert "-- SELECT my_own(c.name)" in text
    assert "per_customer" not in text


def test_what_others_need_comes_first() -> None:
    statements = statements_of(map_schema(ZOO, "snowflake"))
    names = [one.name for one in statements if one.kind == "view"]
    assert names == ["sales.per_customer", "sales.top"]
    phases = [PHASES.index(one.phase) for one in statements]
    assert phases == sorted(phases)


def test_the_parent_is_created_before_its_child_whatever_the_order() -> None:
    turned = replace(ZOO, relations=ZOO.relations[::-1])
    tables = [one.name for one in statements_of(map_schema(turned, "duckdb")) if one.phase == "tables"]
    assert tables.index("sales.customers") < tables.index("sales.orders")


def test_duckdb_builds_a_table_anew_with_its_foreign_keys_after_the_load() -> None:
    again = [one.sql for one in ordered(map_schema(ZOO, "duckdb").schema) if one.phase == "foreign_keys"]
    verbs = [sql.split(" ", 2)[0] for sql in again]
    assert verbs == ["ALTER", "CREATE", "INSERT", "DROP"]
    assert "shown" not in again[2]


def test_an_unknown_target_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="no DDL writer for 'oracle'"):
        writer_for(replace(ZOO, system="oracle"))


def placed(target: str, held: tuple[Column, ...], **more: Any) -> str:
    table = Table(Dataset("x", "s.t"), ("s", "t"), held)
    made = replace(ZOO, system=target)
    return writer_for(made).suffix(Relation(table, distribution=Distribution(**more)))


def test_synapse_makes_no_columnstore_of_long_columns_and_hashes_no_identity() -> None:
    number = Column("id", Kind.INT64, pa.int64(), False, identity=True)
    other = Column("n", Kind.INT64, pa.int64())
    long = Column("body", Kind.TEXT, pa.string())
    how: dict[str, Any] = {"style": "HASH", "columns": ("id", "n")}
    assert placed("synapse", (number, other), **how) == (
        " WITH (DISTRIBUTION = HASH([n]), CLUSTERED COLUMNSTORE INDEX)"
    )
    assert (
        placed("synapse", (number, long), style="HASH", columns=("id",))
        == " WITH (DISTRIBUTION = ROUND_ROBIN, HEAP)"
    )


def test_bigquery_clusters_by_types_that_it_can_cluster_by() -> None:
    kinds = {
        "f": Column("f", Kind.FLOAT64, pa.float64()), "b": Column("b", Kind.BINARY, pa.binary()),
        "t": Column("t", Kind.TIME, pa.time64("us")), "s": Column("s", Kind.TEXT, pa.string(), length=9),
        "d": Column("d", Kind.DATE, pa.date32()),
    }  # fmt: skip
    assert placed("bigquery", tuple(kinds.values()), sort=tuple(kinds)) == " CLUSTER BY `s`, `d`"
    small = Column("n", Kind.DECIMAL, pa.decimal128(5, 5), precision=2, scale=5)
    assert dialect("bigquery").stored(small).native == "NUMERIC(5,5)"
