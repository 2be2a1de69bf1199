"""Reads Redshift's catalogue: the leader node's ``pg_catalog``, with its columns for keys of placing.

https://docs.aws.amazon.com/redshift/latest/dg/c_intro_catalog_views.html
"""

from __future__ import annotations

from hdm.catalog.crawlers.rows import Queries, RowsCrawler

_JOIN = "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
_KEYS = f"""{_JOIN} JOIN pg_constraint k ON k.conrelid = c.oid
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (k.conkey)"""
_PLACE = "CASE a.attnum " + " ".join(f"WHEN k.conkey[{n}] THEN {n}" for n in range(1, 17)) + " ELSE 99 END"
_PAIRS = " ".join(f"WHEN k.conkey[{n}] THEN k.confkey[{n}]" for n in range(1, 17))
_REFERRED = f"CASE a.attnum {_PAIRS} END"
_DEFAULT = "pg_get_expr(d.adbin, d.adrelid)"
_STEPS = f"SPLIT_PART({_DEFAULT}, '''', 2)"
"""Of ``default_identity(100, 0, '1,1')``: start and step."""
_OWN = "'pg_catalog', 'information_schema', 'pg_internal', 'pg_automv', 'pg_auto_copy', 'catalog_history'"


class RedshiftCrawler(RowsCrawler):
    """Reads the tables, keys, views, and the distribution and sort keys of a Redshift database."""

    system = "redshift"
    queries = Queries(
        schemas=f"""SELECT nspname FROM pg_namespace WHERE nspname NOT IN ({_OWN})
AND nspname NOT LIKE 'pg_temp%' AND nspname NOT LIKE 'pg_toast%' AND nspname <> 'rs' ORDER BY 1""",
        tables=f"""SELECT n.nspname, c.relname,
CASE WHEN c.reltuples > 0 THEN CAST(c.reltuples AS BIGINT) END, NULL,
obj_description(c.oid, 'pg_class') {_JOIN} WHERE n.nspname IN ({{schemas}}) AND c.relkind = 'r'
ORDER BY 1, 2""",
        columns=f"""SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
CASE WHEN a.attnotnull THEN 0 ELSE 1 END, NULL, NULL, NULL,
CASE WHEN {_DEFAULT} LIKE '%identity%' THEN NULL ELSE {_DEFAULT} END,
CASE WHEN {_DEFAULT} LIKE '%identity%'
THEN CAST(SPLIT_PART({_STEPS}, ',', 1) AS BIGINT) END,
CASE WHEN {_DEFAULT} LIKE '%identity%'
THEN CAST(SPLIT_PART({_STEPS}, ',', 2) AS BIGINT) END,
NULL, 0, col_description(c.oid, a.attnum)
{_JOIN} JOIN pg_attribute a ON a.attrelid = c.oid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE n.nspname IN ({{schemas}}) AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY n.nspname, c.relname, a.attnum""",
        keys=f"""SELECT n.nspname, c.relname, k.conname,
CASE k.contype WHEN 'p' THEN 'P' ELSE 'U' END, a.attname
{_KEYS} WHERE n.nspname IN ({{schemas}}) AND k.contype IN ('p', 'u')
ORDER BY n.nspname, c.relname, k.conname, {_PLACE}""",
        foreign=f"""SELECT n.nspname, c.relname, k.conname, a.attname, fn.nspname, fc.relname, fa.attname,
NULL, NULL
{_KEYS} JOIN pg_class fc ON fc.oid = k.confrelid JOIN pg_namespace fn ON fn.oid = fc.relnamespace
JOIN pg_attribute fa ON fa.attrelid = fc.oid AND fa.attnum = {_REFERRED}
WHERE n.nspname IN ({{schemas}}) AND k.contype = 'f' ORDER BY n.nspname, c.relname, k.conname, {_PLACE}""",
        views=f"""SELECT n.nspname, c.relname, pg_get_viewdef(c.oid, true), obj_description(c.oid, 'pg_class')
{_JOIN} WHERE n.nspname IN ({{schemas}}) AND c.relkind = 'v' ORDER BY 1, 2""",
        placing=f"""SELECT nspname, relname, kind, attname FROM (
SELECT n.nspname, c.relname, 'HASH' AS kind, a.attname, 0 AS place {_JOIN}
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND a.attisdistkey
WHERE n.nspname IN ({{schemas}}) AND c.relkind = 'r'
UNION ALL SELECT n.nspname, c.relname, 'SORT', a.attname, ABS(a.attsortkeyord) {_JOIN}
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND a.attsortkeyord <> 0
WHERE n.nspname IN ({{schemas}}) AND c.relkind = 'r') AS placed ORDER BY nspname, relname, kind, place""",
    )
