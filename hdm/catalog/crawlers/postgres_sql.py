"""Queries that read PostgreSQL's catalogue; ``{schemas}`` is replaced by a list of literals."""

from __future__ import annotations

_MINE = """NOT EXISTS (SELECT 1 FROM pg_depend x WHERE x.classid = 'pg_class'::regclass
  AND x.objid = c.oid AND x.deptype = 'e')"""

SCHEMAS = """
SELECT nspname::text FROM pg_namespace
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY nspname COLLATE "C"
"""
TABLES = f"""
SELECT n.nspname::text, c.relname::text,
  CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint ELSE pg_stat_get_live_tuples(c.oid) END,
  pg_total_relation_size(c.oid),
  obj_description(c.oid, 'pg_class'),
  CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END, p.partstrat::text,
  np.nspname::text, cp.relname::text, CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END,
  ARRAY(WITH RECURSIVE above(oid) AS (
      SELECT h.inhparent FROM pg_inherits h WHERE h.inhrelid = c.oid AND NOT c.relispartition
      UNION SELECT h.inhparent FROM above a JOIN pg_inherits h ON h.inhrelid = a.oid)
    SELECT ARRAY[an.nspname::text, ac.relname::text] FROM above a JOIN pg_class ac ON ac.oid = a.oid
    JOIN pg_namespace an ON an.oid = ac.relnamespace ORDER BY an.nspname COLLATE "C", ac.relname COLLATE "C")
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid
LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND c.relispartition
LEFT JOIN pg_class cp ON cp.oid = i.inhparent LEFT JOIN pg_namespace np ON np.oid = cp.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname IN ({{schemas}}) AND {_MINE}
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"
"""
COLUMNS = """
WITH RECURSIVE base AS (
  SELECT a.attrelid, a.attnum, a.atttypid AS oid, a.atttypmod AS mod
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND n.nspname IN ({schemas})
  UNION ALL
  SELECT b.attrelid, b.attnum, t.typbasetype, CASE WHEN t.typtypmod >= 0 THEN t.typtypmod ELSE b.mod END
  FROM base b JOIN pg_type t ON t.oid = b.oid WHERE t.typtype = 'd'
)
SELECT n.nspname::text, c.relname::text, a.attname::text, format_type(b.oid, b.mod), NOT a.attnotnull,
  t.typtype::text, CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
  a.attidentity::text, CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END,
  col_description(a.attrelid, a.attnum)
FROM base b JOIN pg_attribute a ON a.attrelid = b.attrelid AND a.attnum = b.attnum
JOIN pg_type t ON t.oid = b.oid AND t.typtype <> 'd'
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
ORDER BY c.oid, a.attnum
"""
CONSTRAINTS = """
SELECT n.nspname::text, c.relname::text, k.conname::text, k.contype::text,
  ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(num, n)
    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY u.n),
  pg_get_constraintdef(k.oid), ARRAY[fn.nspname::text, f.relname::text],
  ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(num, n)
    JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY u.n),
  k.confdeltype::text, k.confupdtype::text, k.condeferred,
  pg_get_constraintdef(k.oid) !~ 'NULLS NOT DISTINCT'
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_class f ON f.oid = k.confrelid LEFT JOIN pg_namespace fn ON fn.oid = f.relnamespace
WHERE k.contype IN ('p', 'u', 'f', 'c')
  AND (k.contype = 'p' OR k.conparentid = 0 AND (k.conislocal OR k.coninhcount = 0))
  AND n.nspname IN ({schemas})
ORDER BY k.contype, k.conname COLLATE "C"
"""
INDEXES = """
SELECT n.nspname::text, c.relname::text, ic.relname::text, i.indisunique, am.amname::text,
  pg_get_expr(i.indpred, i.indrelid), i.indnkeyatts::int,
  ARRAY(SELECT pg_get_indexdef(i.indexrelid, g, true) FROM generate_series(1, i.indnatts) g),
  i.indoption::int[],
  ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY u(num, n)
    LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.num AND u.num > 0 ORDER BY u.n)
FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am am ON am.oid = ic.relam
WHERE c.relkind IN ('r', 'p') AND NOT ic.relispartition AND n.nspname IN ({schemas})
  AND NOT EXISTS (SELECT 1 FROM pg_constraint k
    WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
ORDER BY ic.relname COLLATE "C"
"""
SEQUENCES = """
SELECT n.nspname::text, c.relname::text, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle,
  format_type(s.seqtypid, NULL), tn.nspname::text, t.relname::text, a.attname::text,
  obj_description(c.oid, 'pg_class')
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
  AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
LEFT JOIN pg_class t ON t.oid = d.refobjid LEFT JOIN pg_namespace tn ON tn.oid = t.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE n.nspname IN ({schemas}) ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"
"""
VIEWS = f"""
SELECT n.nspname::text, c.relname::text, c.relkind::text, pg_get_viewdef(c.oid),
  ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
    AND NOT a.attisdropped ORDER BY a.attnum),
  obj_description(c.oid, 'pg_class')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm') AND n.nspname IN ({{schemas}}) AND {_MINE}
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"
"""
VIEW_USES = """
SELECT DISTINCT n.nspname::text, c.relname::text, un.nspname::text COLLATE "C", u.relname::text COLLATE "C"
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_rewrite r ON r.ev_class = c.oid
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
  AND d.refclassid = 'pg_class'::regclass
JOIN pg_class u ON u.oid = d.refobjid JOIN pg_namespace un ON un.oid = u.relnamespace
WHERE c.relkind IN ('v', 'm') AND n.nspname IN ({schemas}) ORDER BY 3, 4
"""
ENUMS = """
SELECT n.nspname::text, t.typname::text,
  ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder)
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype = 'e' AND n.nspname IN ({schemas}) ORDER BY n.nspname COLLATE "C", t.typname COLLATE "C"
"""
UNREAD = """
SELECT 'trigger', n.nspname::text, c.relname || '.' || t.tgname FROM pg_trigger t
JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND n.nspname IN ({schemas})
UNION ALL
SELECT 'routine', n.nspname::text, p.proname::text
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname IN ({schemas}) AND NOT EXISTS (SELECT 1 FROM pg_depend x
  WHERE x.classid = 'pg_proc'::regclass AND x.objid = p.oid AND x.deptype = 'e')
ORDER BY 1, 2, 3
"""
