"""SQL that reads foreign keys from the catalogue, for each database that enforces foreign keys.

A query about one table gives, for every foreign key that refers to it, the key's name, the referring schema,
table and column, and the column referred to, in the order of the key's columns. A query about all tables
(``..._ALL``) gives schema and table of the referring and of the referred-to side.
"""

from __future__ import annotations

POSTGRES = """
SELECT k.conname::text, n.nspname::text, c.relname::text, a.attname::text, b.attname::text
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY u(x, y, i)
JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.x
JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = u.y
WHERE k.contype = 'f' AND k.confrelid = to_regclass({qualified}) AND k.conrelid <> k.confrelid
ORDER BY k.oid, u.i
"""
MYSQL = """
SELECT CONSTRAINT_NAME, TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, REFERENCED_COLUMN_NAME
FROM information_schema.KEY_COLUMN_USAGE
WHERE REFERENCED_TABLE_SCHEMA = {schema} AND REFERENCED_TABLE_NAME = {table}
AND NOT (TABLE_SCHEMA = REFERENCED_TABLE_SCHEMA AND TABLE_NAME = REFERENCED_TABLE_NAME)
ORDER BY TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION
"""
SQLSERVER = """
SELECT k.name, SCHEMA_NAME(t.schema_id), t.name, COL_NAME(u.parent_object_id, u.parent_column_id),
COL_NAME(u.referenced_object_id, u.referenced_column_id)
FROM sys.foreign_keys k JOIN sys.tables t ON t.object_id = k.parent_object_id
JOIN sys.foreign_key_columns u ON u.constraint_object_id = k.object_id
WHERE k.referenced_object_id = OBJECT_ID({qualified}) AND k.parent_object_id <> k.referenced_object_id
ORDER BY k.object_id, u.constraint_column_id
"""
ORACLE = """
SELECT k.constraint_name, k.owner, k.table_name, a.column_name, b.column_name
FROM all_constraints k JOIN all_constraints p
ON p.owner = k.r_owner AND p.constraint_name = k.r_constraint_name
JOIN all_cons_columns a ON a.owner = k.owner AND a.constraint_name = k.constraint_name
JOIN all_cons_columns b ON b.owner = p.owner AND b.constraint_name = p.constraint_name
AND b.position = a.position
WHERE k.constraint_type = 'R' AND p.owner = COALESCE({schema}, USER) AND p.table_name = {table}
AND NOT (k.owner = p.owner AND k.table_name = p.table_name)
ORDER BY k.owner, k.constraint_name, a.position
"""
SQLITE = """
SELECT 'key ' || f.id, '', m.name, f."from", COALESCE(f."to", p.name)
FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f
LEFT JOIN pragma_table_info({table}) p ON p.pk = f.seq + 1
WHERE m.type = 'table' AND lower(f."table") = lower({table}) AND lower(m.name) <> lower({table})
ORDER BY m.name, f.id, f.seq
"""
POSTGRES_ALL = """
SELECT DISTINCT n.nspname::text, c.relname::text, m.nspname::text, p.relname::text
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace m ON m.oid = p.relnamespace
WHERE k.contype = 'f' AND k.conrelid <> k.confrelid
"""
MYSQL_ALL = """
SELECT CONSTRAINT_SCHEMA, TABLE_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME
FROM information_schema.REFERENTIAL_CONSTRAINTS
"""
SQLSERVER_ALL = """
SELECT OBJECT_SCHEMA_NAME(parent_object_id), OBJECT_NAME(parent_object_id),
OBJECT_SCHEMA_NAME(referenced_object_id), OBJECT_NAME(referenced_object_id) FROM sys.foreign_keys
"""
ORACLE_ALL = """
SELECT k.owner, k.table_name, p.owner, p.table_name FROM all_constraints k
JOIN all_constraints p ON p.owner = k.r_owner AND p.constraint_name = k.r_constraint_name
WHERE k.constraint_type = 'R'
"""
DUCKDB_ALL = """
SELECT schema_name, table_name, schema_name, referenced_table FROM duckdb_constraints()
WHERE constraint_type = 'FOREIGN KEY' AND database_name = current_database()
"""
