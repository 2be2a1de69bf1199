"""Netezza's catalogue queries, how to use its ODBC driver, and other facts besides its SQL."""

from __future__ import annotations

from hdm.dialects.catalog_queries import CatalogueSql
from hdm.dialects.facts import Facts
from hdm.dialects.jdbc_facts import JdbcFacts
from hdm.dialects.odbc_facts import OdbcFacts

_CATALOG = CatalogueSql(
    names="""SELECT DISTINCT SCHEMA, NAME FROM _V_RELATION_COLUMN
        WHERE UPPER(SCHEMA) = UPPER(?) AND UPPER(NAME) = UPPER(?) AND DATABASE = CURRENT_CATALOG""",
    columns="""SELECT ATTNAME, FORMAT_TYPE, CASE WHEN ATTNOTNULL THEN 0 ELSE 1 END, NULL, NULL, NULL,
        COLDEFAULT, 0, NULL, DESCRIPTION FROM _V_RELATION_COLUMN
        WHERE SCHEMA = ? AND NAME = ? AND DATABASE = CURRENT_CATALOG ORDER BY ATTNUM""",
    key="""SELECT ATTNAME FROM _V_RELATION_KEYDATA
        WHERE SCHEMA = ? AND RELATION = ? AND CONTYPE = 'p' ORDER BY CONSEQ""",
    size="""SELECT CAST(RELTUPLES AS BIGINT), NULL FROM _V_TABLE
        WHERE SCHEMA = ? AND TABLENAME = ? AND DATABASE = CURRENT_CATALOG""",
    relation="""SELECT OBJID FROM _V_TABLE
        WHERE SCHEMA = ? AND TABLENAME = ? AND DATABASE = CURRENT_CATALOG""",
    schema="ADMIN",
    tables="SELECT TABLENAME FROM _V_TABLE WHERE SCHEMA = ?",
)


class NetezzaFacts(Facts):
    """What hdm knows about Netezza 7.2 or later besides its SQL."""

    catalog_queries = _CATALOG
    # https://www.ibm.com/docs/en/netezza?topic=reference-set-session: temporary tables are taken all the same
    read_only_session = ("SET SESSION READ ONLY",)
    acting = ("next value for",)
    jdbc = JdbcFacts(driver="org.netezza.Driver", label="applicationName", own_codes=True)
    odbc = OdbcFacts(
        driver="NetezzaSQL",
        keywords=("Servername", "Port", "Database", "Username", "Password"),
        own_codes=True,
        exact_temporals=True,
        fast_inserts=True,
    )
