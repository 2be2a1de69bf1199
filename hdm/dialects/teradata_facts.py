"""Teradata's catalogue queries, and other facts besides its SQL.

Views of the dictionary: https://docs.teradata.com/r/Enterprise_IntelliFlex_VMware/Data-Dictionary. Type codes
are those of HELP COLUMN; a CHAR of UNICODE (CharType 2) has two bytes for each character of its length.
"""

from __future__ import annotations

from hdm.dialects.catalog_queries import CatalogueSql
from hdm.dialects.facts import Facts

_TOTAL, _FRACTION = (
    "TRIM(CAST(DecimalTotalDigits AS VARCHAR(6)))",
    "TRIM(CAST(DecimalFractionalDigits AS VARCHAR(6)))",
)
_BYTES = "TRIM(CAST(ColumnLength AS VARCHAR(12)))"
_CHARACTERS = (
    "TRIM(CAST(CASE WHEN CharType IN (2, 4) THEN ColumnLength / 2 ELSE ColumnLength END AS VARCHAR(12)))"
)
_PLAIN = (
    ("I1", "BYTEINT"), ("I2", "SMALLINT"), ("I", "INTEGER"), ("I8", "BIGINT"), ("F", "FLOAT"), ("DA", "DATE"),
    ("CO", "CLOB"), ("BO", "BLOB"), ("JN", "JSON"), ("XM", "XML"), ("PD", "PERIOD(DATE)"), ("UT", "UDT"),
    ("A1", "ARRAY"), ("AN", "ARRAY"), ("DT", "DATASET"), ("YR", "INTERVAL YEAR"),
    ("YM", "INTERVAL YEAR TO MONTH"), ("MO", "INTERVAL MONTH"), ("DY", "INTERVAL DAY"),
    ("DH", "INTERVAL DAY TO HOUR"), ("DM", "INTERVAL DAY TO MINUTE"), ("DS", "INTERVAL DAY TO SECOND"),
    ("HR", "INTERVAL HOUR"), ("HM", "INTERVAL HOUR TO MINUTE"), ("HS", "INTERVAL HOUR TO SECOND"),
    ("MI", "INTERVAL MINUTE"), ("MS", "INTERVAL MINUTE TO SECOND"), ("SC", "INTERVAL SECOND"),
)  # fmt: skip
_SIZED = (
    ("CF", f"'CHAR(' || {_CHARACTERS} || ')'"),
    ("CV", f"'VARCHAR(' || {_CHARACTERS} || ')'"),
    ("BF", f"'BYTE(' || {_BYTES} || ')'"),
    ("BV", f"'VARBYTE(' || {_BYTES} || ')'"),
    ("D", f"'DECIMAL(' || {_TOTAL} || ',' || {_FRACTION} || ')'"),
    ("AT", f"'TIME(' || {_FRACTION} || ')'"),
    ("TZ", f"'TIME(' || {_FRACTION} || ') WITH TIME ZONE'"),
    ("TS", f"'TIMESTAMP(' || {_FRACTION} || ')'"),
    ("SZ", f"'TIMESTAMP(' || {_FRACTION} || ') WITH TIME ZONE'"),
    ("PT", f"'PERIOD(TIME(' || {_FRACTION} || '))'"),
    ("PZ", f"'PERIOD(TIME(' || {_FRACTION} || ') WITH TIME ZONE)'"),
    ("PS", f"'PERIOD(TIMESTAMP(' || {_FRACTION} || '))'"),
    ("PM", f"'PERIOD(TIMESTAMP(' || {_FRACTION} || ') WITH TIME ZONE)'"),
)
UNTOLD = "?"
"""What stands for a type that the catalogue does not tell, such as that of a view's column."""
NATIVE = (
    "CASE TRIM(ColumnType) "
    + " ".join(f"WHEN '{code}' THEN '{words}'" for code, words in _PLAIN)
    + " "
    + " ".join(f"WHEN '{code}' THEN {words}" for code, words in _SIZED)
    + f" WHEN 'N' THEN CASE WHEN DecimalTotalDigits < 1 THEN 'NUMBER' ELSE 'NUMBER(' || {_TOTAL} || ',' || "
    f"CASE WHEN DecimalFractionalDigits < 0 THEN '0' ELSE {_FRACTION} END || ')' END "
    f"ELSE COALESCE(TRIM(ColumnType), '{UNTOLD}') END"
)
"""SQL for a column's type in words."""
_UNIQUE = """DatabaseName = ? AND TableName = ? AND UniqueFlag = 'Y'
        AND (IndexType = 'K' OR IndexType IN ('P', 'Q'))"""
COLUMNS_OF_TABLES, COLUMNS_OF_VIEWS = "DBC.ColumnsV", "DBC.ColumnsQV"
PRIMARY_INDEX = """SELECT TRIM(ColumnName) FROM DBC.IndicesV
    WHERE DatabaseName = ? AND TableName = ? AND IndexType IN ('P', 'Q') ORDER BY ColumnPosition"""
"""The columns by whose hash a table's rows are spread; none of a table without a primary index."""
_CATALOG = CatalogueSql(
    names="""SELECT TRIM(DatabaseName), TRIM(TableName) FROM DBC.TablesV
        WHERE UPPER(DatabaseName) = UPPER(?) AND UPPER(TableName) = UPPER(?)
        AND TableKind IN ('T', 'O', 'Q', 'V')""",
    columns=f"""SELECT TRIM(ColumnName), {NATIVE}, CASE WHEN Nullable = 'N' THEN 0 ELSE 1 END, NULL, NULL,
        NULL, DefaultValue, CASE WHEN IdColType IS NULL THEN 0 ELSE 1 END, NULL, CommentString
        FROM {COLUMNS_OF_TABLES} WHERE DatabaseName = ? AND TableName = ? ORDER BY ColumnId""",
    key=f"""SELECT TRIM(ColumnName) FROM DBC.IndicesV WHERE {_UNIQUE}
        QUALIFY DENSE_RANK() OVER (ORDER BY CASE WHEN IndexType = 'K' THEN 0 ELSE 1 END, IndexNumber) = 1
        ORDER BY ColumnPosition""",
    size="""SELECT MAX(s.RowCount), (SELECT SUM(z.CurrentPerm) FROM DBC.TableSizeV z
        WHERE z.DatabaseName = s.DatabaseName AND z.TableName = s.TableName)
        FROM DBC.TableStatsV s WHERE s.DatabaseName = ? AND s.TableName = ?
        GROUP BY s.DatabaseName, s.TableName""",
    relation="""SELECT CAST(t.CreateTimeStamp AS VARCHAR(40)), t.Version FROM DBC.TablesV t
        WHERE t.DatabaseName = ? AND t.TableName = ? AND t.TableKind IN ('T', 'O', 'Q')""",
    tables="""SELECT TRIM(TableName) FROM DBC.TablesV
        WHERE DatabaseName = ? AND TableKind IN ('T', 'O', 'Q', 'V')""",
)


class TeradataFacts(Facts):
    """What hdm knows about Teradata 16.20 or later besides its SQL."""

    catalog_queries = _CATALOG
    schemas_are_databases = True
    table_functions = frozenset()
    """None is known only to read."""
