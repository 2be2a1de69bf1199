"""What Amazon Redshift can declare in DDL, and the queries that read its catalogue."""

from __future__ import annotations

from hdm.dialects.catalog_queries import CatalogueSql
from hdm.dialects.facts import Facts
from hdm.dialects.traits import NONE, Traits

_FROM = """FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"""
_WHERE = "WHERE n.nspname = ? AND c.relname = ?"
_CATALOG = CatalogueSql(
    names=f"""SELECT n.nspname, c.relname {_FROM}
        WHERE n.nspname = ? AND LOWER(c.relname) = LOWER(?) AND c.relkind IN ('r', 'v')""",
    # an identity column's default is "identity"(...) or default_identity(...)
    columns=f"""SELECT a.attname, format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attnotnull THEN 0 ELSE 1 END, NULL, NULL, NULL,
        CASE WHEN pg_get_expr(d.adbin, d.adrelid) LIKE '%identity%' THEN NULL
        ELSE pg_get_expr(d.adbin, d.adrelid) END,
        CASE WHEN pg_get_expr(d.adbin, d.adrelid) LIKE '%identity%' THEN 1 ELSE 0 END, NULL, NULL
        {_FROM} JOIN pg_attribute a ON a.attrelid = c.oid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        {_WHERE} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum""".replace("%", "%%"),
    key=f"""SELECT a.attname {_FROM} JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p'
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (k.conkey) {_WHERE}
        ORDER BY CASE a.attnum WHEN k.conkey[1] THEN 1 WHEN k.conkey[2] THEN 2 WHEN k.conkey[3] THEN 3
        WHEN k.conkey[4] THEN 4 WHEN k.conkey[5] THEN 5 WHEN k.conkey[6] THEN 6 WHEN k.conkey[7] THEN 7
        WHEN k.conkey[8] THEN 8 ELSE 8 + a.attnum END""",
    size=f"""SELECT CASE WHEN c.reltuples > 0 THEN CAST(c.reltuples AS BIGINT) END, NULL
        {_FROM} {_WHERE}""",
    relation=f"""SELECT CAST(c.oid AS BIGINT), CAST(c.relfilenode AS BIGINT)
        {_FROM} {_WHERE} AND c.relkind = 'r'""",
    schema="public",
    tables="""SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = ? AND c.relkind = 'r'""",
)


class RedshiftFacts(Facts):
    """What hdm knows about Redshift besides its SQL."""

    catalog_queries = _CATALOG
    # https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_TABLE_NEW.html
    traits = Traits(
        fk="declared", keys_enforced=False, check=False, index=False, generated=NONE, sequences=False,
        actions=NONE, update_actions=False, distribution="kept", identity_integer=True,
        indexes_by_schema=True, keys_are_indexes=True,
    )  # fmt: skip
    default_schema = "public"
    widen_clause = "ALTER COLUMN {name} TYPE {type}"
