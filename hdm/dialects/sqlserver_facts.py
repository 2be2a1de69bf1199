"""What SQL Server can declare in DDL, how to use its ODBC driver, and other facts besides its SQL."""

from __future__ import annotations

from typing import ClassVar

from hdm.dialects.catalog_queries import CatalogueSql
from hdm.dialects.facts import Facts
from hdm.dialects.jdbc_facts import JdbcFacts
from hdm.dialects.odbc_facts import OdbcFacts
from hdm.dialects.traits import BOTH, Traits

_CATALOG = CatalogueSql(
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
        CASE WHEN c.is_computed = 1 THEN 'computed' WHEN c.generated_always_type = 2 THEN 'row end'
        WHEN c.generated_always_type <> 0 THEN 'always' END,
        CAST(e.value AS nvarchar(4000))
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
    relation="""SELECT o.object_id, CONVERT(varchar(40), o.create_date, 121), p.partition_number,
        CAST(p.hobt_id AS varchar(20)) FROM sys.objects o JOIN sys.schemas s ON s.schema_id = o.schema_id
        LEFT JOIN sys.partitions p ON p.object_id = o.object_id AND p.index_id IN (0, 1)
        WHERE s.name = ? AND o.name = ? AND o.type = 'U' ORDER BY p.partition_number""",
    schema="dbo",
)


class SQLServerFacts(Facts):
    """What hdm knows about SQL Server 2016 or later, and Azure SQL, besides their SQL."""

    catalog_queries: ClassVar[CatalogueSql | None] = _CATALOG
    relation_kind: ClassVar[str | None] = (
        "SELECT 'a view' FROM information_schema.views WHERE table_schema = {schema} AND table_name = {table}"
    )
    server_identity: ClassVar[str | None] = (
        "SELECT @@SERVERNAME, create_date, DB_NAME() FROM sys.databases WHERE name = 'tempdb'"
    )
    """tempdb is made anew whenever the server starts."""
    # https://learn.microsoft.com/en-us/sql/t-sql/statements/create-table-transact-sql
    traits: ClassVar[Traits | None] = Traits(
        actions=frozenset({"CASCADE", "SET NULL", "SET DEFAULT"}), index_partial=True, index_include=True,
        identity="sequence", generated=BOTH, comments="property", nulls_distinct=False,
        constraints_by_schema=True,
    )  # fmt: skip
    limits: ClassVar[str | None] = "hdm.catalog.map_sqlserver:fit_sqlserver"
    default_schema = "dbo"
    # SQL Server has no read-only transaction. These send a statement elsewhere, or use a number up:
    # https://learn.microsoft.com/en-us/sql/t-sql/functions/openquery-transact-sql
    acting = ("openquery (", "openrowset (", "opendatasource (", "next value for")
    add_column_verb = "ADD"
    widen_clause = "ALTER COLUMN {name} {type} {null}"
    jdbc = JdbcFacts(
        driver="com.microsoft.sqlserver.jdbc.SQLServerDriver",
        label="applicationName",
        always={"encrypt": "true"},
        code="E{}",
        unverified={"trustServerCertificate": "true"},
    )
    odbc = OdbcFacts(
        driver="ODBC Driver 18 for SQL Server",
        host_with_port="{host},{port}",
        always={"Encrypt": "yes", "TrustServerCertificate": "no"},
        unverified={"TrustServerCertificate": "yes"},
        octets="3 * DATALENGTH({})",  # a byte of a code page may be three of UTF-8
        octets_of_binary="DATALENGTH({})",
        wide_text=True,
        own_codes=True,
        exact_temporals=True,
        fast_inserts=True,
        types_every_mark=True,  # sp_describe_undeclared_parameters refuses temporary tables with Msg 11525
        writes="hdm.sql.odbc_mssql:SQLServerWrites",
    )
