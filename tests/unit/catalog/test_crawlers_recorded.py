"""Systems that cannot run here: their catalogue queries are fit for their dialect, and rows as their
documents show them become the right objects."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlglot

from hdm.catalog.crawlers import crawler_for
from hdm.catalog.crawlers.odbc import ODBCCrawler
from hdm.catalog.crawlers.rows import Queries, RowsCrawler
from hdm.catalog.expressions import sqlglot_name
from hdm.catalog.mapper import map_schema
from hdm.catalog.model import Distribution, Identity, schema_from_json, schema_to_json
from hdm.catalog.patterns import select
from hdm.dialects import dialect
from hdm.errors import PermanentError
from hdm.model import Dataset, Table

SYSTEMS = ("oracle", "sqlserver", "snowflake", "netezza")
NAMES = tuple(Queries.__slots__)
SCHEMA = {"oracle": "SALES", "sqlserver": "sales", "snowflake": "SALES", "netezza": "SALES"}
NATIVE = {
    "oracle": ("NUMBER(10,0)", "VARCHAR2(20 CHAR)", "NUMBER"),
    "sqlserver": ("int", "nvarchar(20)", "money"),
    "snowflake": ("NUMBER(10,0)", "VARCHAR(20)", "NUMBER(38,4)"),
    "netezza": ("INTEGER", "CHARACTER VARYING(20)", "NUMERIC(38,4)"),
}


def _key(name: str, column: str, place: int) -> dict[str, Any]:
    return {
        "created_on": "t", "database_name": "DB", "schema_name": "SALES", "table_name": "A",
        "column_name": column, "key_sequence": place, "constraint_name": name, "rely": "false",
    }  # fmt: skip


def _column(name: str, data_type: str, **more: Any) -> dict[str, Any]:
    shown = {"table_name": "A", "schema_name": "SALES", "column_name": name, "data_type": data_type}
    return {**shown, "kind": "COLUMN", "expression": "", **more}


_FK = {
    "created_on": "t", "pk_database_name": "DB", "pk_schema_name": "SALES", "pk_table_name": "A",
    "pk_column_name": "ID", "fk_database_name": "DB", "fk_schema_name": "SALES", "fk_table_name": "B",
    "fk_column_name": "A_ID", "key_sequence": 1, "update_rule": "NO ACTION", "delete_rule": "CASCADE",
    "fk_name": "B_FK", "pk_name": "A_PK", "deferrability": "NOT DEFERRABLE",
}  # fmt: skip
SHOWN: dict[str, Any] = {
    "PRIMARY": [_key("A_PK", "ID", 1)],
    "UNIQUE": [_key("A_UK", "PAID", 2), _key("A_UK", "NAME", 1)],
    "IMPORTED": [{"new column": "", **dict(reversed(_FK.items()))}],
    "COLUMNS": [
        _column("ID", '{"type":"FIXED","precision":10,"scale":0,"nullable":false}'),
        _column("PAID", '{"type":"FIXED","precision":38,"scale":4,"nullable":true}'),
    ],
}
"""Snowflake's SHOW ... KEYS and SHOW COLUMNS by the names of their documented columns, out of order."""


def crawler(system: str, query: Any) -> RowsCrawler:
    made = crawler_for(system, query, query)
    assert isinstance(made, RowsCrawler)
    return made


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("name", NAMES)
def test_catalogue_queries_parse_in_their_dialect(system: str, name: str) -> None:
    sql = (
        getattr(crawler(system, None).queries, name)
        .replace("{schemas}", "'A', 'B'")
        .replace("{schema}", '"A"')
    )
    if sql:
        (tree,) = sqlglot.parse(sql, read=sqlglot_name(system))
        assert tree is not None
        assert "{" not in sql


def recorded(system: str) -> Any:
    """A catalogue of two tables, a view and a sequence, answering by which view is asked."""
    s, (number, text, money) = SCHEMA[system], NATIVE[system]
    start, default = (None if system == "netezza" else 1), ("('x')" if system == "sqlserver" else "'x'")
    columns = [
        (s, "A", "ID", number, "0", None, None, None, None, start, 1, None, 0, "counts"),
        (s, "A", "NAME", text, "1", 20, None, None, default, *[None] * 3, 0, None),
        (s, "A", "PAID", money, "1", *[None] * 8, ""),
        (s, "B", "A_ID", number, "0", *[None] * 8, None),
        (s, "V", "ID", number, "1", *[None] * 8, None),
    ]  # fmt: skip
    columns = [(*row[:12], row[12] or 0, row[13]) for row in columns]
    answers: dict[str, list[tuple[Any, ...]]] = {
        "schemas": [(s,), ("OTHER",)],
        "tables": [(s, "A", "12", 8192, "it's A"), (s, "B", None, None, None)],
        "columns": columns,
        "keys": [(s, "A", "A_PK", "P", "ID"), (s, "A", "A_UK", "U", "NAME"), (s, "A", "A_UK", "U", "PAID")],
        "foreign": [(s, "B", "B_FK", "A_ID", s, "A", "ID", "CASCADE", "NO_ACTION")],
        "checks": [(s, "A", "A_CK", '("PAID">=0)'), (s, "A", "A_NN", '"NAME" IS NOT NULL')],
        "indexes": [(s, "A", "A_IX", 0, "NAME", "DESC", None, "")],
        "views": [(s, "V", f"SELECT a.ID FROM {s}.A a" if system != "sqlserver"
                   else "CREATE VIEW [sales].[V] (ID) AS\nSELECT a.ID FROM sales.A a;", "sees A")],
        "sequences": [(s, "Q", 5, 10, 1, 1000, "Y")],
        "placing": [(s, "A", "HASH", "ID"), (s, "A", "SORT", "PAID")],
        "unread": [("trigger", s, "T")],
    }  # fmt: skip
    if system == "snowflake":
        answers.update(SHOWN)
    queries = crawler(system, None).queries

    def answer(sql: str) -> list[tuple[Any, ...]]:
        for word in SHOWN:
            if sql.startswith(f"SHOW {word}"):
                return answers[word] if sql.endswith('"SALES"') else []
        for name in NAMES:
            form = getattr(queries, name)
            if form and re.fullmatch(re.escape(form).replace(r"\{schemas\}", ".*"), sql, re.DOTALL):
                return answers[name]
        raise AssertionError(sql)

    return answer


@pytest.mark.parametrize("system", SYSTEMS)
def test_rows_become_objects(system: str) -> None:
    s = SCHEMA[system]
    found = crawler(system, recorded(system)).crawl(select([f"{s}.*"]))
    a, b = found.relations
    assert (a.path, a.table.rows, a.table.bytes, a.comment) == ((s, "A"), 12, 8192, "it's A")
    assert a.primary_key is not None
    assert (a.primary_key.name, a.table.key) == ("A_PK", ("ID",))
    assert [(k.name, k.columns) for k in a.uniques] == [("A_UK", ("NAME", "PAID"))]
    assert [c.nullable for c in a.table.columns] == [False, True, True]
    assert a.table.column("NAME").default == "'x'"
    assert a.table.column("ID").comment == "counts"
    if system != "netezza":
        assert a.identities == (Identity("ID", 1, 1, style="identity"),)
    (key,) = b.foreign_keys
    assert (key.target, key.target_columns, key.on_delete, key.on_update) == (
        (s, "A"),
        ("ID",),
        "CASCADE",
        "NO ACTION",
    )
    (view,) = found.views
    assert view.sql.startswith("SELECT")
    assert view.uses == ((s, "A"),)
    assert view.comment == "sees A"
    assert found.unread == (("trigger", f"{s}.T"),)
    if system in ("oracle", "sqlserver"):
        assert [c.expression for c in a.checks][:1] == ['"PAID">=0']
        assert a.indexes[0].parts[0].descending
    if system == "oracle":
        assert len(a.checks) == 1, "NOT NULL is no check of its own"
    if system == "netezza":
        assert a.distribution == Distribution("HASH", ("ID",), ("PAID",))
    assert schema_from_json(schema_to_json(found)) == found
    for target in ("postgres", "snowflake", "redshift", "synapse"):
        mapped = map_schema(found, target)
        assert len(mapped.schema.relations) == 2


def test_what_a_user_may_not_see_is_said() -> None:
    answer = recorded("snowflake")

    def grudging(sql: str) -> Any:
        if sql.startswith("SHOW"):
            raise PermanentError("snowflake ProgrammingError 003001")
        return answer(sql)

    found = crawler("snowflake", grudging).crawl(select(["SALES.*"]))
    assert found.relations[0].primary_key is None
    assert {"all keys", "all uniques", "all foreign", "all column details"} <= {
        kind for kind, _ in found.unread
    }


def test_collations_and_transient_tables_of_snowflake_are_said() -> None:
    """A table that is made from the catalogue has neither: keys would compare otherwise, and history cost."""
    answer = recorded("snowflake")
    folding = _column("NAME", '{"type":"TEXT","length":20,"collation":"de-ci"}')

    def told(sql: str) -> Any:
        rows = answer(sql)
        if "IS_TRANSIENT = 'YES'" in sql:
            return [*rows, ("TRANSIENT of table", "SALES", "A"), ("TRANSIENT of table", "OTHER", "A")]
        return rows and [*rows, folding] if sql.startswith("SHOW COLUMNS") else rows

    found = crawler("snowflake", told).crawl(select(["SALES.*"]))
    assert ("TRANSIENT of table", "SALES.A") in found.unread
    assert ("collation de-ci of column NAME of table", "SALES.A") in found.unread
    assert not [name for _, name in found.unread if name.startswith("OTHER")]


def test_snowflake_tells_digits_and_expressions_of_columns_by_show() -> None:
    answer = recorded("snowflake")
    stamp = ("SALES", "A", "AT", "TIMESTAMP_NTZ", "1", *[None] * 8, None)
    computed = ("SALES", "A", "TWICE", "NUMBER(38,0)", "1", *[None] * 8, None)
    more = [
        _column("AT", '{"type":"TIMESTAMP_NTZ","precision":0,"scale":3}'),
        _column("TWICE", '{"type":"FIXED"}', kind="VIRTUAL_COLUMN", expression="ID * 2"),
    ]

    def wider(sql: str) -> Any:
        rows = answer(sql)
        if sql.startswith("SHOW COLUMNS"):
            return rows and [*rows, *more]
        return [*rows, stamp, computed] if "INFORMATION_SCHEMA.COLUMNS" in sql else rows

    a = crawler("snowflake", wider).crawl(select(["SALES.*"])).relations[0]
    assert a.table.column("AT").native == "TIMESTAMP_NTZ(3)"
    assert (a.table.column("TWICE").generated, a.virtual) == ("ID * 2", ("TWICE",))
    assert a.table.column("ID").generated is None


def test_what_show_cuts_short_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hdm.catalog.crawlers.snowflake.SHOWN_AT_MOST", 2)
    found = crawler("snowflake", recorded("snowflake")).crawl(select(["SALES.*"]))
    assert "all uniques of SALES after the first 2" in {kind for kind, _ in found.unread}


def test_netezza_places_rows_where_redshift_and_synapse_can() -> None:
    found = crawler("netezza", recorded("netezza")).crawl(select(["SALES.*"]))
    from hdm.catalog.ddl_files import script, statements_of

    assert 'DISTKEY("ID") SORTKEY("PAID")' in script(statements_of(map_schema(found, "redshift")))
    assert "DISTRIBUTION = HASH([ID])" in script(statements_of(map_schema(found, "synapse")))
    assert 'CLUSTER BY ("PAID")' in script(statements_of(map_schema(found, "snowflake")))


class Cursor:
    """A pyodbc cursor that answers the catalogue functions as the ODBC documents order the columns."""

    rows: list[tuple[Any, ...]]

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self.rows

    def close(self) -> None:
        self.rows = []

    def _gives(self, rows: list[tuple[Any, ...]]) -> Cursor:
        self.rows = rows
        return self

    def tables(self) -> Cursor:
        kinds = (("A", "TABLE"), ("B", "TABLE"), ("V", "VIEW"), ("pg_class", "SYSTEM TABLE"))
        return self._gives([("DB", "S", name, kind, "") for name, kind in kinds])

    def primaryKeys(self, table: str, **_: Any) -> Cursor:
        return self._gives([("DB", "S", "A", "ID", 1, "A_PK")] if table == "A" else [])

    def foreignKeys(self, foreignTable: str, **_: Any) -> Cursor:
        row = ("DB", "S", "A", "ID", "DB", "S", "B", "A_ID", 1, 3, 0, "B_FK", "A_PK", 7)
        return self._gives([row] if foreignTable == "B" else [])

    def statistics(self, table: str, **_: Any) -> Cursor:
        rows = [
            ("DB", "S", "A", None, None, None, 0, None, None, None, 5, 1, None),
            ("DB", "S", "A", 0, None, "A_PK", 3, 1, "ID", "A", 5, 1, None),
            ("DB", "S", "A", 1, None, "A_IX", 3, 2, "ID", "A", 5, 1, None),
            ("DB", "S", "A", 1, None, "A_IX", 3, 1, "NAME", "D", 5, 1, None),
        ]
        return self._gives(rows if table == "A" else [])


def test_odbc_is_asked_by_its_catalogue_functions() -> None:
    known = dialect("postgres")

    def find(path: Any) -> Table:
        columns = tuple(known.column_from_catalog(n, "integer") for n in ("ID", "NAME", "A_ID"))
        return Table(Dataset("odbc://x", ".".join(path)), tuple(path), columns)

    found = ODBCCrawler("postgres", Cursor, find).crawl(select(["S.*"]))
    a, b = found.relations
    assert a.primary_key is not None
    assert (a.primary_key.name, a.primary_key.columns) == ("A_PK", ("ID",))
    assert [(i.name, [p.column for p in i.parts], i.unique) for i in a.indexes] == [
        ("A_IX", ["NAME", "ID"], False)
    ]
    assert a.indexes[0].parts[0].descending
    (key,) = b.foreign_keys
    assert (key.target, key.on_delete, key.on_update) == (("S", "A"), "CASCADE", "NO ACTION")
    assert found.unread == (("view", "S.V"),)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_view_that_hides_its_text_is_said_and_not_made_empty(system: str) -> None:
    """Snowflake's secure views, SQL Server's encrypted ones, and views of others on Netezza and Oracle."""
    s, answer = SCHEMA[system], recorded(system)
    asked = crawler(system, None).queries.views

    def hiding(sql: str) -> Any:
        found = answer(sql)
        if re.fullmatch(re.escape(asked).replace(r"\{schemas\}", ".*"), sql, re.DOTALL):
            return [*found, (s, "SECRET", None, None)]
        return found

    found = crawler(system, hiding).crawl(select([f"{s}.*"]))
    assert len(found.views) == 1
    assert ("view whose text this user is not shown", f"{s}.SECRET") in found.unread
