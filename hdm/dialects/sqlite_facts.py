"""What SQLite can declare in DDL, how to use its ODBC driver, and other facts besides its SQL."""

from __future__ import annotations

from hdm.dialects.catalog_queries import CatalogueSql
from hdm.dialects.facts import Facts
from hdm.dialects.odbc_facts import OdbcFacts
from hdm.dialects.traits import BOTH, Traits

_CATALOG = CatalogueSql(
    names="""SELECT 'main', name FROM sqlite_master
        WHERE ? = 'main' AND type IN ('table', 'view') AND name = ? COLLATE NOCASE""",
    columns="""SELECT name, type, CASE WHEN "notnull" OR (pk AND upper(type) = 'INTEGER') THEN 0 ELSE 1 END,
        NULL, NULL, NULL, dflt_value, 0, CASE WHEN hidden IN (2, 3) THEN 'generated' END, NULL
        FROM pragma_table_xinfo(iif(? = 'main', ?, '')) WHERE hidden <> 1 ORDER BY cid""",
    key="SELECT name FROM pragma_table_xinfo(iif(? = 'main', ?, '')) WHERE pk > 0 ORDER BY pk",
    size="SELECT NULL, NULL WHERE ? <> ?",
    relation="""SELECT rowid, rootpage, sql FROM sqlite_master
        WHERE ? = 'main' AND name = ? AND type = 'table'""",
    schema="main",
)


class SQLiteFacts(Facts):
    """What hdm knows about SQLite 3.24 or later besides its SQL."""

    catalog_queries = _CATALOG
    relation_kind = """SELECT 'a view' FROM sqlite_master
        WHERE type = 'view' AND {schema} = 'main' AND name = {table} COLLATE NOCASE"""
    unknown_names_are_texts = (
        True  # https://sqlite.org/quirks.html#double_quoted_string_literals_are_accepted
    )
    server_identity = "SELECT file FROM pragma_database_list WHERE name = 'main'"
    # https://sqlite.org/lang_createtable.html
    traits = Traits(
        schemas=False, deferrable=True, index_partial=True, index_expression=True, identity="autoincrement",
        generated=BOTH, sequences=False, comments="none", indexes_by_schema=True, keys_are_indexes=True,
    )  # fmt: skip
    decimal_word = "DECIMAL"
    # https://sqlite.org/datatype3.html: a value has its own storage class; reals have no exact digits
    decimal_digits = (
        "MAX(LENGTH(CAST(ABS(CAST({c} AS INTEGER)) AS TEXT)))",
        "MAX(CASE WHEN INSTR(CAST({c} AS TEXT), '.') > 0"
        " THEN LENGTH(RTRIM(SUBSTR(CAST({c} AS TEXT), INSTR(CAST({c} AS TEXT), '.') + 1), '0')) ELSE 0 END)",
        "COUNT({c})",
        "COUNT(CASE WHEN TYPEOF({c}) NOT IN ('integer', 'real') AND CAST({c} AS TEXT) GLOB '*[^0-9.-]*'"
        " OR TYPEOF({c}) = 'real' AND CAST({c} AS TEXT) LIKE '%e%' THEN 1 END)",
    )
    read_only_session = ("PRAGMA query_only = ON",)  # https://sqlite.org/pragma.html#pragma_query_only
    storage_classes = {"text": "TEXT", "blob": "BLOB", "integer": "BIGINT", "real": "DOUBLE"}  # noqa: RUF012
    odbc = OdbcFacts(
        driver="SQLite3",
        always={"LongNames": "0", "Timeout": "100000", "FKSupport": "0"},
        bare_names="none",
        is_file=True,
        octets="LENGTH(CAST({} AS BLOB))",
        words=(  # the driver gives no codes, only SQLite's messages
            ("UNIQUE constraint failed", "SQLITE_CONSTRAINT_UNIQUE"),
            ("constraint failed", "SQLITE_CONSTRAINT"),
            ("database is locked", "SQLITE_BUSY"),
            ("no such table", "SQLITE_SCHEMA"),
            ("no such column", "SQLITE_SCHEMA"),
            ("readonly database", "SQLITE_READONLY"),
            ("disk is full", "SQLITE_FULL"),
        ),
        inexact_decimals=True,
        converts_text=True,
        bulk_breaks_on_binary=True,
    )
