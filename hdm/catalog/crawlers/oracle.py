"""Reads Oracle's catalogue, its static data dictionary views (Oracle Database Reference 19c).

See https://docs.oracle.com/en/database/oracle/oracle-database/19/refrn/. A schema is a user. LONG columns
(defaults, view texts, check conditions) are read as they are.
"""

from __future__ import annotations

import re

from hdm.catalog.crawlers.base import Row
from hdm.catalog.crawlers.rows import Queries, RowsCrawler

_NATIVE = """CASE
    WHEN c.DATA_TYPE IN ('VARCHAR2', 'CHAR') THEN c.DATA_TYPE || '(' ||
      CASE c.CHAR_USED WHEN 'C' THEN TO_CHAR(c.CHAR_LENGTH) || ' CHAR'
  ELSE TO_CHAR(c.DATA_LENGTH) || ' BYTE' END || ')'
    WHEN c.DATA_TYPE IN ('NVARCHAR2', 'NCHAR') THEN c.DATA_TYPE || '(' || TO_CHAR(c.CHAR_LENGTH) || ')'
    WHEN c.DATA_TYPE = 'RAW' THEN 'RAW(' || TO_CHAR(c.DATA_LENGTH) || ')'
    WHEN c.DATA_TYPE = 'NUMBER' AND c.DATA_PRECISION IS NOT NULL
      THEN 'NUMBER(' || TO_CHAR(c.DATA_PRECISION) || ',' || TO_CHAR(NVL(c.DATA_SCALE, 0)) || ')'
    WHEN c.DATA_TYPE = 'NUMBER' AND c.DATA_SCALE = 0 THEN 'NUMBER(38,0)'
    WHEN c.DATA_TYPE = 'FLOAT' THEN 'FLOAT(' || TO_CHAR(c.DATA_PRECISION) || ')'
    ELSE c.DATA_TYPE END"""
_CONSTRAINT = "FROM ALL_CONSTRAINTS k WHERE k.OWNER IN ({schemas}) AND k.TABLE_NAME NOT LIKE 'BIN$%'"

_KEYED = _CONSTRAINT.replace(
    " WHERE",
    " JOIN ALL_CONS_COLUMNS c\n  ON c.OWNER = k.OWNER AND c.CONSTRAINT_NAME = k.CONSTRAINT_NAME\nWHERE",
)


class OracleCrawler(RowsCrawler):
    """Reads the objects of all users that the connected user may see, except Oracle's own."""

    system = "oracle"
    optional = frozenset({"unread"})
    queries = Queries(
        schemas="""SELECT USERNAME FROM ALL_USERS WHERE ORACLE_MAINTAINED = 'N' ORDER BY USERNAME""",
        tables="""SELECT t.OWNER, t.TABLE_NAME, t.NUM_ROWS, t.BLOCKS * 8192, m.COMMENTS
FROM ALL_TABLES t LEFT JOIN ALL_TAB_COMMENTS m ON m.OWNER = t.OWNER AND m.TABLE_NAME = t.TABLE_NAME
WHERE t.OWNER IN ({schemas}) AND t.NESTED = 'NO' AND t.SECONDARY = 'N' AND t.TABLE_NAME NOT LIKE 'BIN$%'
  AND NOT EXISTS (SELECT 1 FROM ALL_MVIEWS v WHERE v.OWNER = t.OWNER AND v.MVIEW_NAME = t.TABLE_NAME)
ORDER BY t.OWNER, t.TABLE_NAME""",
        columns=f"""SELECT c.OWNER, c.TABLE_NAME, c.COLUMN_NAME, {_NATIVE}, c.NULLABLE,
  CASE WHEN c.DATA_TYPE LIKE '%CHAR%' THEN c.CHAR_LENGTH WHEN c.DATA_TYPE = 'RAW' THEN c.DATA_LENGTH END,
  c.DATA_PRECISION, c.DATA_SCALE,
  c.DATA_DEFAULT,
  CASE WHEN c.IDENTITY_COLUMN = 'YES' THEN 1 END, CASE WHEN c.IDENTITY_COLUMN = 'YES' THEN 1 END,
  NULL,
  CASE WHEN c.VIRTUAL_COLUMN = 'YES' THEN 1 ELSE 0 END, m.COMMENTS
FROM ALL_TAB_COLS c LEFT JOIN ALL_COL_COMMENTS m
  ON m.OWNER = c.OWNER AND m.TABLE_NAME = c.TABLE_NAME AND m.COLUMN_NAME = c.COLUMN_NAME
WHERE c.OWNER IN ({{schemas}}) AND c.USER_GENERATED = 'YES' AND c.TABLE_NAME NOT LIKE 'BIN$%'
ORDER BY c.OWNER, c.TABLE_NAME, c.COLUMN_ID""",
        keys=f"""SELECT k.OWNER, k.TABLE_NAME, CASE WHEN k.GENERATED = 'GENERATED NAME' THEN ''
  ELSE k.CONSTRAINT_NAME END,
  k.CONSTRAINT_TYPE, c.COLUMN_NAME
{_KEYED}
  AND k.CONSTRAINT_TYPE IN ('P', 'U')
ORDER BY k.OWNER, k.TABLE_NAME, k.CONSTRAINT_TYPE, k.CONSTRAINT_NAME, c.POSITION""",
        foreign="""SELECT k.OWNER, k.TABLE_NAME, k.CONSTRAINT_NAME, c.COLUMN_NAME, r.OWNER,
  r.TABLE_NAME, r.COLUMN_NAME,
  k.DELETE_RULE, 'NO ACTION'
FROM ALL_CONSTRAINTS k JOIN ALL_CONS_COLUMNS c ON c.OWNER = k.OWNER
  AND c.CONSTRAINT_NAME = k.CONSTRAINT_NAME
JOIN ALL_CONS_COLUMNS r ON r.OWNER = k.R_OWNER AND r.CONSTRAINT_NAME = k.R_CONSTRAINT_NAME
  AND r.POSITION = c.POSITION
WHERE k.CONSTRAINT_TYPE = 'R' AND k.OWNER IN ({schemas}) ORDER BY k.OWNER, k.TABLE_NAME,
  k.CONSTRAINT_NAME, c.POSITION""",
        checks=f"""SELECT k.OWNER, k.TABLE_NAME, CASE WHEN k.GENERATED = 'GENERATED NAME' THEN ''
  ELSE k.CONSTRAINT_NAME END,
  k.SEARCH_CONDITION
{_CONSTRAINT} AND k.CONSTRAINT_TYPE = 'C' AND k.STATUS = 'ENABLED'
ORDER BY k.OWNER, k.TABLE_NAME, k.CONSTRAINT_NAME""",
        indexes="""SELECT i.TABLE_OWNER, i.TABLE_NAME, i.INDEX_NAME,
  CASE i.UNIQUENESS WHEN 'UNIQUE' THEN 1 ELSE 0 END,
  c.COLUMN_NAME, c.DESCEND, e.COLUMN_EXPRESSION,
  CASE WHEN i.INDEX_TYPE LIKE '%BITMAP%' THEN 'bitmap' WHEN i.INDEX_TYPE LIKE '%DOMAIN%'
  THEN 'domain' ELSE '' END
FROM ALL_INDEXES i JOIN ALL_IND_COLUMNS c ON c.INDEX_OWNER = i.OWNER AND c.INDEX_NAME = i.INDEX_NAME
LEFT JOIN ALL_IND_EXPRESSIONS e ON e.INDEX_OWNER = i.OWNER AND e.INDEX_NAME = i.INDEX_NAME
  AND e.COLUMN_POSITION = c.COLUMN_POSITION
WHERE i.TABLE_OWNER IN ({schemas}) AND i.INDEX_TYPE <> 'LOB' AND i.TABLE_NAME NOT LIKE 'BIN$%'
  AND NOT EXISTS (SELECT 1 FROM ALL_CONSTRAINTS k WHERE k.OWNER = i.TABLE_OWNER
    AND k.TABLE_NAME = i.TABLE_NAME AND k.INDEX_NAME = i.INDEX_NAME AND k.CONSTRAINT_TYPE IN ('P', 'U'))
ORDER BY i.TABLE_OWNER, i.TABLE_NAME, i.INDEX_NAME, c.COLUMN_POSITION""",
        views="""SELECT v.OWNER, v.VIEW_NAME, v.TEXT, m.COMMENTS
FROM ALL_VIEWS v LEFT JOIN ALL_TAB_COMMENTS m ON m.OWNER = v.OWNER AND m.TABLE_NAME = v.VIEW_NAME
WHERE v.OWNER IN ({schemas}) ORDER BY v.OWNER, v.VIEW_NAME""",
        sequences="""SELECT SEQUENCE_OWNER, SEQUENCE_NAME, LAST_NUMBER, INCREMENT_BY, MIN_VALUE,
  MAX_VALUE, CYCLE_FLAG
FROM ALL_SEQUENCES WHERE SEQUENCE_OWNER IN ({schemas}) AND SEQUENCE_NAME NOT LIKE 'ISEQ$$%'
ORDER BY SEQUENCE_OWNER, SEQUENCE_NAME""",
        unread="""SELECT LOWER(OBJECT_TYPE), OWNER, OBJECT_NAME FROM ALL_OBJECTS
WHERE OWNER IN ({schemas}) AND OBJECT_TYPE IN ('TRIGGER', 'PROCEDURE', 'FUNCTION', 'PACKAGE', 'TYPE',
  'MATERIALIZED VIEW')
ORDER BY 1, 2, 3""",
    )

    def ask(self, name: str) -> list[Row]:
        """Return the rows of the query ``name``; in those of ``columns``, tell defaults from expressions.

        Oracle shows both in DATA_DEFAULT. That is a LONG, which SQL can only read (ORA-00932), so the query
        itself cannot tell them apart.
        """
        rows = super().ask(name)
        return [_told_apart(row) for row in rows] if name == "columns" else rows

    def wanted(self, check: str) -> bool:
        """Return True if a check constraint is kept.

        Oracle lists NOT NULL as a check, which is left out.
        """
        return not re.fullmatch(r'\s*"[^"]+" IS NOT NULL\s*', str(check or ""), re.IGNORECASE)


def _told_apart(row: Row) -> Row:
    """Return a column's row with DATA_DEFAULT (8) as its default, its expression (11), or neither."""
    default, number, virtual = row[8], row[9], row[12]
    is_default = number is None and not int(virtual or 0)
    return (*row[:8], default if is_default else None, *row[9:11], default if virtual else None, *row[12:])
