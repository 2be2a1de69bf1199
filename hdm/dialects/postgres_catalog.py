"""What hdm asks PostgreSQL's catalogue, as statements for psycopg (values bound with ``%s``)."""

from __future__ import annotations

FIND = """
SELECT c.oid, n.nspname, c.relname, c.relkind,
  CASE WHEN c.relkind IN ('r', 'm') AND c.reltuples >= 0 AND c.relpages > 0
    THEN (c.reltuples / c.relpages * (pg_relation_size(c.oid) / current_setting('block_size')::int))::bigint
  END,
  CASE WHEN c.relkind IN ('r', 'm') THEN pg_table_size(c.oid) END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND lower(n.nspname) = lower(%s) AND lower(c.relname) = lower(%s)
ORDER BY n.nspname = %s DESC, c.relname = %s DESC LIMIT 1
"""
COLUMNS = """
WITH RECURSIVE base AS (
  SELECT a.attnum, a.atttypid AS oid, a.atttypmod AS mod FROM pg_attribute a
  WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT b.attnum, t.typbasetype, CASE WHEN t.typtypmod >= 0 THEN t.typtypmod ELSE b.mod END
  FROM base b JOIN pg_type t ON t.oid = b.oid WHERE t.typtype = 'd'
)
SELECT a.attname, format_type(b.oid, b.mod), NOT a.attnotnull, t.typtype,
  CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
  a.attidentity <> '', CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END,
  col_description(a.attrelid, a.attnum)
FROM pg_attribute a JOIN base b ON b.attnum = a.attnum
JOIN pg_type t ON t.oid = b.oid AND t.typtype <> 'd'
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %s ORDER BY a.attnum
"""
KEY = """
SELECT a.attname FROM pg_index i
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, n)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = %s AND i.indisprimary ORDER BY k.n
"""
PAGES = """
SELECT pg_relation_size(oid) / current_setting('block_size')::int FROM pg_class
WHERE oid = to_regclass(%s) AND relkind IN ('r', 'm')
"""
OLDEST_WRITER = """
SELECT min(xact_start)::text FROM pg_stat_activity WHERE backend_xid IS NOT NULL
AND datname = current_database() AND pid <> pg_backend_pid()
"""
SESSIONS = """
SELECT pid, application_name FROM pg_stat_activity WHERE usename = current_user
AND pid <> pg_backend_pid() AND starts_with(application_name, %s)
"""
TABLES_LIKE = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND starts_with(c.relname, %s) AND c.relkind = 'r'
"""
SNAPSHOT = """
SELECT pg_export_snapshot(), pg_current_snapshot()::text, pg_relation_filenode(to_regclass(%s))
"""
SEEN = "SELECT pg_current_snapshot()::text"
GRANTS = """
SELECT a.privilege_type, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END,
a.is_grantable FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE c.oid = to_regclass(%s) AND a.grantee <> c.relowner
"""
DEPENDENTS = """
SELECT 1 FROM pg_depend d LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass(%s) AND d.deptype = 'n'
AND (w.oid IS NOT NULL OR (k.contype = 'f' AND k.confrelid = d.refobjid AND k.conrelid <> d.refobjid))
LIMIT 1
"""
WIRE_TYPES = """
SELECT a.attname, CASE
  WHEN t.typtype = 'e' THEN 'enum'
  WHEN t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype = 'b' THEN t.typname END
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
"""


def short_ids(ids: str) -> str:
    """64-bit transaction ids as the 32 bits that rows carry, comma-separated."""
    return ",".join(str(int(one) % 2**32) for one in ids.split(",") if one)
