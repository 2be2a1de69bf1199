"""What Snowflake can declare in DDL, how to use its ODBC driver, and other facts besides its SQL."""

from __future__ import annotations

from hdm.dialects.catalog_queries import CatalogueSql
from hdm.dialects.facts import Facts
from hdm.dialects.odbc_facts import OdbcFacts
from hdm.dialects.traits import Traits

_CATALOG = CatalogueSql(
    names="""SELECT table_schema, table_name FROM information_schema.tables
        WHERE table_schema = ? AND UPPER(table_name) = UPPER(?)""",
    columns="""SELECT column_name, data_type, CASE is_nullable WHEN 'YES' THEN 1 ELSE 0 END,
        character_maximum_length, COALESCE(numeric_precision, datetime_precision), numeric_scale,
        column_default, CASE is_identity WHEN 'YES' THEN 1 ELSE 0 END, NULL, comment
        FROM information_schema.columns WHERE table_schema = ? AND table_name = ?
        ORDER BY ordinal_position""",
    key="SELECT NULL WHERE ? <> ? AND 1 = 0",
    size="""SELECT row_count, bytes FROM information_schema.tables
        WHERE table_schema = ? AND table_name = ?""",
    relation="""SELECT CAST(created AS VARCHAR) FROM information_schema.tables
        WHERE table_schema = ? AND table_name = ? AND table_type = 'BASE TABLE'""",
    schema="PUBLIC",
)


class SnowflakeFacts(Facts):
    """What hdm knows about Snowflake besides its SQL."""

    catalog_queries = _CATALOG
    relation_kind = (
        "SELECT 'a view' FROM information_schema.views WHERE table_schema = {schema} AND table_name = {table}"
    )
    # https://docs.snowflake.com/en/sql-reference/constraints-overview
    traits = Traits(
        fk="declared", keys_enforced=False, check=False, index=False, generated=frozenset({"virtual"}),
        deferrable=True, distribution="clustering",
    )  # fmt: skip
    default_schema = "PUBLIC"
    # No transaction or session of Snowflake is read-only, and what a procedure does may commit by itself:
    # https://docs.snowflake.com/en/developer-guide/stored-procedure/stored-procedures-selecting-from
    acting = ("system$* (", ". nextval", "as procedure")
    table_functions = frozenset(
        {"flatten", "generator", "split_to_table", "strtok_split_to_table", "result_scan", "to_query"}
    )
    widen_clause = "ALTER COLUMN {name} SET DATA TYPE {type}"
    odbc = OdbcFacts(driver="SnowflakeDSIIDriver", octets="OCTET_LENGTH({})", exact_temporals=True)
