"""Queries that read PostgreSQL's catalogue, as statements for psycopg (values bound with ``%s``)."""

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
SELECT pg_export_snapshot(), pg_current_snapshot()::text
"""
RELATION = """
WITH RECURSIVE seen(oid) AS (
  SELECT to_regclass(name)::oid FROM unnest(%s::text[]) w(name)
  UNION
  SELECT n.oid FROM seen s CROSS JOIN LATERAL (
    SELECT d.refobjid FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class AND c.relkind = 'v'
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
      AND d.refclassid = 'pg_class'::regclass
    WHERE w.ev_class = s.oid
    UNION ALL SELECT t.relid::oid FROM pg_partition_tree(s.oid) t
    UNION ALL SELECT i.inhrelid FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = s.oid AND NOT c.relispartition
  ) n(oid)
)
SELECT
  md5(string_agg(concat_ws(':', s.oid, pg_relation_filenode(s.oid), w.xmin, w.xmax), ',' ORDER BY s.oid)),
  coalesce(bool_and(c.relkind IN ('r', 'p', 'm')), false)
FROM seen s LEFT JOIN pg_class c ON c.oid = s.oid
LEFT JOIN pg_rewrite w ON w.ev_class = s.oid AND c.relkind = 'v'
"""
"""Query for a digest of the storage that holds a table's rows, which changes if the table is replaced.

The digest covers the table, its partitions, and a view's tables, each with its file, and each view's
definition. to_regclass, pg_relation_filenode and pg_partition_tree see what is committed now, whatever the
transaction's snapshot; a view that was replaced since shows in the xmax of its old rule.
"""
SEEN = "SELECT pg_current_snapshot()::text"
_OF_TABLE = "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %(of)s"
RIGHTS = {
    "database": "SELECT has_database_privilege(current_database(), %(right)s)",
    "schema": "SELECT has_schema_privilege(oid, %(right)s) FROM pg_namespace WHERE nspname = %(of)s",
    "table": "SELECT CASE WHEN %(right)s = 'SELECT' THEN has_any_column_privilege(c.oid, %(right)s) "
    f"ELSE has_table_privilege(c.oid, %(right)s) END {_OF_TABLE} AND c.relname = %(table)s",
}
"""What a privilege is on -> query for whether the user has the one named ``right``."""
GRANTEES = """
SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END
FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE c.oid = to_regclass(%s) AND a.grantee <> c.relowner
"""
HAS_POLICIES = "SELECT 1 FROM pg_class WHERE oid = to_regclass(%s) AND relrowsecurity"
BARE = """
SELECT c.relkind = 'r' AND c.relpersistence = 'p' AND NOT c.relrowsecurity AND NOT c.relforcerowsecurity
  AND NOT c.relhasrules AND NOT c.relhastriggers AND NOT c.relhassubclass AND NOT c.relispartition
  AND c.reloftype = 0 AND c.reltablespace = 0 AND c.reloptions IS NULL AND c.relreplident = 'd'
  AND c.relacl IS NULL AND c.relowner = f.relowner AND c.relam = f.relam
  AND NOT EXISTS (SELECT FROM pg_class t WHERE t.oid = c.reltoastrelid AND t.reloptions IS NOT NULL)
  AND NOT EXISTS (SELECT FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent))
  AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND
    (a.attacl IS NOT NULL OR a.attoptions IS NOT NULL OR coalesce(a.attstattarget, -1) <> -1
     OR a.attidentity <> ''))
  AND NOT EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
    WHERE i.indrelid = c.oid AND (NOT i.indisprimary OR i.indisclustered OR i.indisreplident
    OR NOT i.indisvalid OR x.reltablespace <> 0 OR x.reloptions IS NOT NULL))
  AND NOT EXISTS (SELECT FROM pg_description d
    WHERE d.classoid = 'pg_class'::regclass AND d.objoid = c.oid AND d.objsubid = 0)
  AND NOT EXISTS (SELECT FROM pg_seclabel l WHERE l.classoid = 'pg_class'::regclass AND l.objoid = c.oid)
  AND NOT EXISTS (SELECT FROM pg_publication_tables p WHERE (p.schemaname, p.tablename) = (%s, %s))
  AND NOT EXISTS (SELECT FROM pg_depend d LEFT JOIN pg_constraint k
      ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
    AND d.classid <> 'pg_attrdef'::regclass
    AND NOT coalesce(k.contype IN ('p', 'c', 'n') AND k.conrelid = c.oid, false)
    AND NOT (d.classid = 'pg_type'::regclass AND d.objid = c.reltype)
    AND NOT (d.classid = 'pg_class'::regclass AND d.objid IN (c.reltoastrelid, coalesce(pk.indexrelid, 0))))
  AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_type y ON y.oid = c.reltype
    WHERE d.refclassid = 'pg_type'::regclass AND d.refobjid IN (y.oid, y.typarray)
    AND NOT (d.classid = 'pg_type'::regclass AND d.objid = y.typarray))
  AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('e', 'x'))
FROM pg_class c JOIN pg_class f ON c.oid = to_regclass(%s) AND f.oid = to_regclass(%s)
LEFT JOIN pg_index pk ON pk.indrelid = c.oid AND pk.indisprimary
"""
"""Query whether a table has nothing but columns, defaults, checks and a primary key."""
KEY_NAME = """
SELECT x.relname::text FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
WHERE i.indrelid = to_regclass(%s) AND i.indisprimary
"""
UNREPLACEABLE = """
SELECT CASE c.relkind WHEN 'v' THEN 'it is a view' WHEN 'm' THEN 'it is a materialized view'
    WHEN 'f' THEN 'it is a foreign table' END,
  CASE WHEN row_security_active(c.oid) THEN 'row-level security hides rows from the user'
    END,
  CASE WHEN c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid)
    THEN 'other tables inherit from it, whose rows would go too' END,
  CASE WHEN c.relkind IN ('r', 'p') THEN 'it has rules: ' || (
    SELECT string_agg(r.rulename, ', ' ORDER BY r.rulename) FROM pg_rewrite r
    WHERE r.ev_class = c.oid AND r.ev_type <> '1' AND r.ev_enabled <> 'D') END,
  CASE WHEN c.relkind IN ('r', 'p') AND NOT (has_table_privilege(c.oid, 'SELECT')
    AND has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'DELETE'))
    THEN 'the user lacks SELECT, INSERT or DELETE on it' END
FROM pg_class c WHERE c.oid = to_regclass(%s)
"""
WIRE_TYPES = """
SELECT a.attname, CASE
  WHEN t.typtype = 'e' THEN 'enum'
  WHEN t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype = 'b' THEN t.typname END
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
"""


def short_ids(ids: str) -> str:
    """Return the lower 32 bits of 64-bit transaction ids, since a row carries only these.

    Both are texts with commas between the ids.
    """
    return ",".join(str(int(one) % 2**32) for one in ids.split(",") if one)


TRIGGERS = (
    "SELECT 1 FROM pg_trigger WHERE NOT tgisinternal AND (tgrelid = %s::regclass OR tgrelid IN "
    "(SELECT inhrelid FROM pg_inherits WHERE inhparent = %s::regclass)) LIMIT 1"
)
WRITTEN_HERE = "SELECT COUNT(*) FROM {} WHERE xmin::text = (txid_current() & 4294967295)::text"
