"""What a database's own catalogue answers, as SQL with ``?`` marks for schema and table.

``names`` gives (schema, table) for a name in any case, ``columns`` gives (name, native type,
nullable, length, precision, scale, default, identity, generated, comment) in order, ``key`` the
primary key's columns in its order, ``size`` (rows, bytes) as the system estimates them.
"""

from __future__ import annotations

from dataclasses import dataclass

from hdm.errors import UsageError


@dataclass(frozen=True, slots=True)
class CatalogueSql:
    """One system's four questions; ``schema`` is where unqualified names lie."""

    names: str
    columns: str
    key: str
    size: str
    schema: str | None = None


_POSTGRES = CatalogueSql(
    names="""SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = ? AND lower(c.relname) = lower(?) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')""",
    columns="""SELECT a.attname, format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attnotnull THEN 0 ELSE 1 END, NULL, NULL, NULL, pg_get_expr(d.adbin, d.adrelid),
        CASE WHEN a.attidentity <> '' THEN 1 ELSE 0 END, NULLIF(a.attgenerated::text, ''),
        col_description(a.attrelid, a.attnum)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE n.nspname = ? AND c.relname = ? AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum""",
    key="""SELECT a.attname FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
        WHERE n.nspname = ? AND c.relname = ? AND i.indisprimary
        ORDER BY array_position(i.indkey::int2[], a.attnum)""",
    size="""SELECT CASE WHEN c.reltuples < 0 THEN NULL ELSE c.reltuples::bigint END, pg_relation_size(c.oid)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = ? AND c.relname = ?""",
    schema="public",
)
_MYSQL = CatalogueSql(
    names="""SELECT table_schema, table_name FROM information_schema.tables
        WHERE table_schema = ? AND lower(table_name) = lower(?)""",
    columns="""SELECT column_name, column_type, CASE is_nullable WHEN 'YES' THEN 1 ELSE 0 END,
        CAST(character_maximum_length AS CHAR), CAST(numeric_precision AS CHAR),
        CAST(numeric_scale AS CHAR), column_default,
        CASE WHEN extra LIKE '%auto_increment%' THEN 1 ELSE 0 END,
        CASE WHEN extra LIKE '%GENERATED%' THEN 'generated' END, NULLIF(column_comment, '')
        FROM information_schema.columns WHERE table_schema = ? AND table_name = ?
        ORDER BY ordinal_position""",
    key="""SELECT column_name FROM information_schema.key_column_usage
        WHERE table_schema = ? AND table_name = ? AND constraint_name = 'PRIMARY'
        ORDER BY ordinal_position""",
    size="""SELECT CAST(table_rows AS CHAR), CAST(data_length AS CHAR) FROM information_schema.tables
        WHERE table_schema = ? AND table_name = ?""",
)
_SQLITE = CatalogueSql(
    names="""SELECT 'main', name FROM sqlite_master
        WHERE ? = 'main' AND type IN ('table', 'view') AND name = ? COLLATE NOCASE""",
    columns="""SELECT name, type, CASE WHEN "notnull" OR (pk AND upper(type) = 'INTEGER') THEN 0 ELSE 1 END,
        NULL, NULL, NULL, dflt_value, 0, CASE WHEN hidden IN (2, 3) THEN 'generated' END, NULL
        FROM pragma_table_xinfo(iif(? = 'main', ?, '')) WHERE hidden <> 1 ORDER BY cid""",
    key="SELECT name FROM pragma_table_xinfo(iif(? = 'main', ?, '')) WHERE pk > 0 ORDER BY pk",
    size="SELECT NULL, NULL WHERE ? <> ?",
    schema="main",
)
_SQLSERVER = CatalogueSql(
    names="""SELECT s.name, o.name FROM sys.objects o JOIN sys.schemas s ON s.schema_id = o.schema_id
        WHERE s.name = ? AND LOWER(o.name) = LOWER(?) AND o.type IN ('U', 'V')""",
    columns="""SELECT c.name, t.name + CASE
        WHEN t.name IN ('char', 'varchar', 'binary', 'varbinary') THEN '(' +
        CASE c.max_length WHEN -1 THEN 'max' ELSE CAST(c.max_length AS varchar(10)) END + ')'
        WHEN t.name IN ('nchar', 'nvarchar') THEN '(' +
        CASE c.max_length WHEN -1 THEN 'max' ELSE CAST(c.max_length / 2 AS varchar(10)) END + ')'
        WHEN t.name IN ('decimal', 'numeric') THEN
        '(' + CAST(c.precision AS varchar(10)) + ',' + CAST(c.scale AS varchar(10)) + ')'
        WHEN t.name IN ('datetime2', 'datetimeoffset', 'time') THEN '(' + CAST(c.scale AS varchar(10)) + ')'
        WHEN t.name = 'float' THEN '(' + CAST(c.precision AS varchar(10)) + ')' ELSE '' END,
        c.is_nullable, NULL, NULL, NULL, OBJECT_DEFINITION(c.default_object_id), c.is_identity,
        CASE WHEN c.is_computed = 1 THEN 'computed' END, CAST(e.value AS nvarchar(4000))
        FROM sys.columns c JOIN sys.objects o ON o.object_id = c.object_id
        JOIN sys.schemas s ON s.schema_id = o.schema_id
        JOIN sys.types t ON t.user_type_id =
        CASE WHEN c.system_type_id = 240 THEN c.user_type_id ELSE c.system_type_id END
        LEFT JOIN sys.extended_properties e ON e.class = 1 AND e.major_id = c.object_id
        AND e.minor_id = c.column_id AND e.name = 'MS_Description'
        WHERE s.name = ? AND o.name = ? ORDER BY c.column_id""",
    key="""SELECT c.name FROM sys.indexes i
        JOIN sys.index_columns k ON k.object_id = i.object_id AND k.index_id = i.index_id
        JOIN sys.columns c ON c.object_id = k.object_id AND c.column_id = k.column_id
        JOIN sys.objects o ON o.object_id = i.object_id JOIN sys.schemas s ON s.schema_id = o.schema_id
        WHERE s.name = ? AND o.name = ? AND i.is_primary_key = 1 ORDER BY k.key_ordinal""",
    size="""SELECT SUM(p.rows), NULL FROM sys.partitions p JOIN sys.objects o ON o.object_id = p.object_id
        JOIN sys.schemas s ON s.schema_id = o.schema_id
        WHERE s.name = ? AND o.name = ? AND p.index_id IN (0, 1)""",
    schema="dbo",
)
_NETEZZA = CatalogueSql(
    names="""SELECT DISTINCT SCHEMA, NAME FROM _V_RELATION_COLUMN
        WHERE UPPER(SCHEMA) = UPPER(?) AND UPPER(NAME) = UPPER(?) AND DATABASE = CURRENT_CATALOG""",
    columns="""SELECT ATTNAME, FORMAT_TYPE, CASE WHEN ATTNOTNULL THEN 0 ELSE 1 END, NULL, NULL, NULL,
        COLDEFAULT, 0, NULL, DESCRIPTION FROM _V_RELATION_COLUMN
        WHERE SCHEMA = ? AND NAME = ? AND DATABASE = CURRENT_CATALOG ORDER BY ATTNUM""",
    key="""SELECT ATTNAME FROM _V_RELATION_KEYDATA
        WHERE SCHEMA = ? AND RELATION = ? AND CONTYPE = 'p' ORDER BY CONSEQ""",
    size="""SELECT CAST(RELTUPLES AS BIGINT), NULL FROM _V_TABLE
        WHERE SCHEMA = ? AND TABLENAME = ? AND DATABASE = CURRENT_CATALOG""",
    schema="ADMIN",
)
_ORACLE = CatalogueSql(
    names="""SELECT owner, object_name FROM all_objects
        WHERE owner = ? AND UPPER(object_name) = UPPER(?)
        AND object_type IN ('TABLE', 'VIEW', 'MATERIALIZED VIEW')""",
    columns="""SELECT c.column_name, c.data_type || CASE
        WHEN c.data_type IN ('VARCHAR2', 'CHAR', 'NVARCHAR2', 'NCHAR') THEN '(' || c.char_length ||
        CASE WHEN c.data_type LIKE 'N%' THEN ')' ELSE ' CHAR)' END
        WHEN c.data_type = 'RAW' THEN '(' || c.data_length || ')'
        WHEN c.data_type = 'NUMBER' AND c.data_precision IS NOT NULL
        THEN '(' || c.data_precision || ',' || c.data_scale || ')'
        WHEN c.data_type = 'NUMBER' AND c.data_scale IS NOT NULL THEN '(*,' || c.data_scale || ')'
        WHEN c.data_type = 'FLOAT' THEN '(' || c.data_precision || ')' END,
        CASE c.nullable WHEN 'Y' THEN 1 ELSE 0 END, NULL, NULL, NULL,
        CASE WHEN c.default_length > 0 THEN 'default' END,
        CASE c.identity_column WHEN 'YES' THEN 1 ELSE 0 END,
        CASE c.virtual_column WHEN 'YES' THEN 'virtual' END, m.comments
        FROM all_tab_cols c LEFT JOIN all_col_comments m
        ON m.owner = c.owner AND m.table_name = c.table_name AND m.column_name = c.column_name
        WHERE c.owner = ? AND c.table_name = ? AND c.hidden_column = 'NO' ORDER BY c.column_id""",
    key="""SELECT k.column_name FROM all_constraints n JOIN all_cons_columns k
        ON k.owner = n.owner AND k.constraint_name = n.constraint_name
        WHERE n.owner = ? AND n.table_name = ? AND n.constraint_type = 'P' ORDER BY k.position""",
    size="""SELECT num_rows, num_rows * avg_row_len FROM all_tables WHERE owner = ? AND table_name = ?""",
)
_SNOWFLAKE = CatalogueSql(
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
    schema="PUBLIC",
)
_ALL = {
    "postgres": _POSTGRES,
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "sqlite": _SQLITE,
    "sqlserver": _SQLSERVER,
    "netezza": _NETEZZA,
    "oracle": _ORACLE,
    "snowflake": _SNOWFLAKE,
}


def catalogue_sql(dialect: str) -> CatalogueSql:
    """The questions for the dialect of that name; ``UsageError`` if its catalogue is not known."""
    found = _ALL.get(dialect)
    if found is None:
        raise UsageError(
            f"the catalogue of {dialect} is not known", hint="use one of: " + ", ".join(sorted(_ALL))
        )
    return found
