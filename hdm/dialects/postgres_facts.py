"""What PostgreSQL can declare in DDL, how to use its ODBC driver, and other facts besides its SQL."""

from __future__ import annotations

from hdm.dialects.catalog_queries import CatalogueSql
from hdm.dialects.facts import Facts
from hdm.dialects.jdbc_facts import JdbcFacts
from hdm.dialects.odbc_facts import OdbcFacts
from hdm.dialects.traits import Traits

_CATALOG = CatalogueSql(
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
    relation="""SELECT CAST(c.oid AS text), CAST(pg_relation_filenode(c.oid) AS text), CAST(t.relid AS text),
        CAST(pg_relation_filenode(t.relid) AS text)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN LATERAL pg_partition_tree(c.oid) t ON true
        WHERE n.nspname = ? AND c.relname = ? AND c.relkind IN ('r', 'p', 'm') ORDER BY 3""",
    schema="public",
)


class PostgresFacts(Facts):
    """What hdm knows about PostgreSQL 12 or later besides its SQL."""

    catalog_queries = _CATALOG
    relation_kind = """SELECT CASE c.relkind WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view' END
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = {schema} AND c.relname = {table}"""
    # https://www.postgresql.org/docs/current/functions-info.html ; a physical replica has the same identifier
    server_identity = """SELECT system_identifier, EXTRACT(EPOCH FROM pg_postmaster_start_time())::text,
        current_database() FROM pg_control_system()"""
    # https://www.postgresql.org/docs/current/sql-createtable.html
    traits = Traits(
        deferrable=True, index_partial=True, index_expression=True, index_include=True, materialized=True,
        indexes_by_schema=True, keys_are_indexes=True, identity_integer=True,
    )  # fmt: skip
    default_schema = "public"
    # https://www.postgresql.org/docs/current/sql-set-transaction.html; what a function may still do in a
    # read-only transaction: https://www.postgresql.org/docs/current/functions-admin.html
    read_only_session = ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",)
    acting = (
        "dblink* (", "lo_export (", "pg_cancel_backend (", "pg_terminate_backend (", "pg_reload_conf (",
        "pg_file_write (", "pg_rotate_logfile (", "pg_switch_wal (", "pg_promote (", "pg_logical_* (",
        "pg_*_replication_slot (",
    )  # fmt: skip
    widen_clause = "ALTER COLUMN {name} TYPE {type}"
    # https://www.postgresql.org/docs/current/functions-math.html: min_scale drops trailing zeros
    decimal_digits = (
        "MAX(CASE WHEN {c}::text ~ '^-?[0-9]' THEN LENGTH(TRUNC(ABS({c}))::text) END)",
        "MAX(CASE WHEN {c}::text ~ '^-?[0-9]' THEN MIN_SCALE({c}) END)",
        "COUNT({c})",
        "COUNT(CASE WHEN {c}::text !~ '^-?[0-9]' THEN 1 END)",
    )
    jdbc = JdbcFacts(
        driver="org.postgresql.Driver",
        label="ApplicationName",
        exact_temporals=True,
        verified={"sslmode": "verify-full"},
        unverified={"sslmode": "prefer"},
        casts=True,
    )
    odbc = OdbcFacts(
        driver="PostgreSQL Unicode",
        # booleans as booleans, and a cursor on the server instead of the whole result in memory
        always={"BoolsAsChar": "0", "UseDeclareFetch": "1", "Fetch": "5000", "LFConversion": "0"},
        verified={"SSLmode": "verify-full"},
        octets="OCTET_LENGTH({}::text)",
        octets_of_binary="OCTET_LENGTH({})",
        text_suffix="::varchar(64)",  # without it, the driver would allocate 8 kB for each value
        casts=True,
        fast_inserts=True,
        told_width=True,
    )
