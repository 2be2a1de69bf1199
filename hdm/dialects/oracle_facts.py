"""Oracle's catalogue queries, how to use its ODBC driver, and other facts besides its SQL."""

from __future__ import annotations

from hdm.dialects.catalog_queries import CatalogueSql
from hdm.dialects.facts import Facts
from hdm.dialects.jdbc_facts import JdbcFacts
from hdm.dialects.odbc_facts import OdbcFacts

_CATALOG = CatalogueSql(
    names="""SELECT DISTINCT owner, object_name FROM all_objects
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
        WHERE c.owner = ? AND c.table_name = ? AND c.user_generated = 'YES' ORDER BY c.column_id""",
    key="""SELECT k.column_name FROM all_constraints n JOIN all_cons_columns k
        ON k.owner = n.owner AND k.constraint_name = n.constraint_name
        WHERE n.owner = ? AND n.table_name = ? AND n.constraint_type = 'P' ORDER BY k.position""",
    size="""SELECT num_rows, num_rows * avg_row_len FROM all_tables WHERE owner = ? AND table_name = ?""",
    relation="""SELECT object_type, subobject_name, object_id, data_object_id FROM all_objects
        WHERE owner = ? AND object_name = ? AND object_type LIKE 'TABLE%' ORDER BY 1, 2""",
)


class OracleFacts(Facts):
    """What hdm knows about Oracle Database 12.2 or later besides its SQL."""

    catalog_queries = _CATALOG
    decimal_word = "NUMBER"
    # https://docs.oracle.com/en/database/oracle/oracle-database/19/sqlrf/SET-TRANSACTION.html
    read_only_transaction = "SET TRANSACTION READ ONLY"
    acting = (". nextval",)
    # https://docs.oracle.com/en/database/oracle/oracle-database/19/sqlrf/TO_CHAR-number.html: TM9 is exact
    decimal_digits = (
        "MAX(LENGTH(TO_CHAR(TRUNC(ABS({c})), 'TM9', 'NLS_NUMERIC_CHARACTERS=''. ''')))",
        "MAX(LENGTH(REGEXP_SUBSTR(TO_CHAR({c}, 'TM9', 'NLS_NUMERIC_CHARACTERS=''. '''),"
        " '\\.(.*)', 1, 1, '', 1)))",
        "COUNT({c})",
        "COUNT(CASE WHEN TO_CHAR({c}, 'TM9') LIKE '%E%' THEN 1 END)",
    )
    jdbc = JdbcFacts(driver="oracle.jdbc.OracleDriver", label="v$session.program", code="ORA-{:05d}")
    odbc = OdbcFacts(
        keywords=("", "", "DBQ", "UID", "PWD"),
        database_with_host="//{host}:{port}/{database}",
        default_port=1521,
        bare_names="user",
        own_codes=True,
        exact_temporals=True,
        octets="4 * LENGTH({})",
    )

    def refusal(self, name: str) -> str | None:
        """Return why Oracle cannot have a name; None if it can.

        A double quote cannot be written inside a name.
        """
        return "it holds a double quote" if '"' in name else None
