"""What MySQL can declare in DDL, how to use its ODBC driver, and other facts besides its SQL."""

from __future__ import annotations

from typing import ClassVar

from hdm.dialects.catalog_queries import CatalogueSql
from hdm.dialects.facts import Facts
from hdm.dialects.jdbc_facts import JdbcFacts
from hdm.dialects.odbc_facts import OdbcFacts
from hdm.dialects.traits import BOTH, Traits

_CATALOG = CatalogueSql(
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
    relation="""SELECT partition_name, CAST(create_time AS CHAR) FROM information_schema.partitions
        WHERE table_schema = ? AND table_name = ? AND create_time IS NOT NULL
        ORDER BY partition_ordinal_position, subpartition_ordinal_position""",
)


class MySQLFacts(Facts):
    """What hdm knows about both MySQL and MariaDB besides their SQL."""

    flavour_query = "SELECT VERSION()"
    catalog_queries = _CATALOG
    relation_kind = (
        "SELECT 'a view' FROM information_schema.views WHERE table_schema = {schema} AND table_name = {table}"
    )
    # https://mariadb.com/kb/en/information-schema-global_status-and-session_status-tables/
    # MySQL keeps the uptime elsewhere: its servers are not told apart
    server_identity = """SELECT @@hostname, @@port, @@datadir, @@server_id, UNIX_TIMESTAMP() - VARIABLE_VALUE
        FROM information_schema.global_status WHERE VARIABLE_NAME = 'UPTIME'"""
    # https://mariadb.com/kb/en/create-table/ ; SET DEFAULT is refused by InnoDB
    traits: ClassVar[Traits | None] = Traits(
        schemas=True, actions=frozenset({"RESTRICT", "CASCADE", "SET NULL"}), identity="clause",
        generated=BOTH, sequences=False, comments="inline", constraints_by_schema=True, keys_are_indexes=True,
        primary_key_named=False, check_of_identity=False, identity_leads_key=True, identity_once=True,
    )  # fmt: skip
    limits = "hdm.catalog.map_mysql:fit_mysql"
    default_schema = "hdm"
    # https://mariadb.com/kb/en/set-transaction/#access-mode
    read_only_session = ("SET SESSION TRANSACTION READ ONLY",)
    widen_clause = "MODIFY COLUMN {declaration}"
    schemas_are_databases = True
    jdbc = JdbcFacts(
        driver="com.mysql.cj.jdbc.Driver",
        always={"tinyInt1isBit": "false", "zeroDateTimeBehavior": "EXCEPTION", "yearIsDateType": "false"},
        verified={"sslMode": "VERIFY_IDENTITY"},
        fetch_size=-(2**31),  # streams rows one by one: "ResultSet" in Connector/J's notes on JDBC
    )
    odbc = OdbcFacts(
        driver="MariaDB Unicode",
        always={"FORWARDONLY": "1", "NO_CACHE": "1", "CHARSET": "utf8mb4"},
        verified={"FORCETLS": "1", "SSLVERIFY": "1"},
        bare_names="database",
        octets="LENGTH({})",
        inexact_decimals=True,
        one_write=True,
    )

    def refusal(self, name: str) -> str | None:
        """Return why the server cannot have a name; None if it can.

        See https://mariadb.com/kb/en/identifier-names/.
        """
        if name.endswith(" "):
            return "names cannot end with a blank"
        if any(ord(mark) > 0xFFFF for mark in name):
            return "it holds a character beyond U+FFFF"
        return None

    def flavour_of(self, version: str) -> str:
        """Return ``mariadb`` or ``mysql``; MariaDB's version text contains its name."""
        return "mariadb" if "mariadb" in version.lower() else "mysql"
