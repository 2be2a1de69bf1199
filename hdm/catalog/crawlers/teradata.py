"""Reads Teradata's dictionary, the views ``DBC.*V``.

https://docs.teradata.com/r/Enterprise_IntelliFlex_VMware/Data-Dictionary
"""

from __future__ import annotations

from hdm.catalog.crawlers.rows import Queries, RowsCrawler
from hdm.dialects.teradata_facts import NATIVE

_HERE = "DatabaseName IN ({schemas})"
_OWN = ", ".join(
    f"'{name}'"
    for name in [
        "DBC",
        "All",
        "Crashdumps",
        "dbcmngr",
        "Default",
        "EXTUSER",
        "External_AP",
        "LockLogShredder",
        "PUBLIC",
        "SQLJ",
        "SysAdmin",
        "SYSBAR",
        "SYSJDBC",
        "SYSLIB",
        "SYSSPATIAL",
        "SystemFe",
        "SYSUDTLIB",
        "SYSUIF",
        "Sys_Calendar",
        "TDMaps",
        "TDPUSER",
        "TDQCD",
        "TDStats",
        "TD_ANALYTICS_DB",
        "TD_SERVER_DB",
        "TD_SYSFNLIB",
        "TD_SYSGPL",
        "TD_SYSXML",
        "tdwm",
    ]
)


class TeradataCrawler(RowsCrawler):
    """Reads the tables, keys, indexes and views of Teradata's databases."""

    system = "teradata"
    optional = frozenset({"foreign", "checks"})
    queries = Queries(
        schemas=f"""SELECT TRIM(DatabaseName) FROM DBC.DatabasesV WHERE DatabaseName NOT IN ({_OWN})
ORDER BY 1""",
        tables=f"""SELECT TRIM(t.DatabaseName), TRIM(t.TableName), MAX(s.RowCount), MAX(z.Octets),
  MAX(t.CommentString)
FROM DBC.TablesV t
LEFT JOIN DBC.TableStatsV s ON s.DatabaseName = t.DatabaseName AND s.TableName = t.TableName
LEFT JOIN (SELECT DatabaseName, TableName, SUM(CurrentPerm) AS Octets FROM DBC.TableSizeV
  GROUP BY DatabaseName, TableName) z ON z.DatabaseName = t.DatabaseName AND z.TableName = t.TableName
WHERE t.TableKind IN ('T', 'O', 'Q') AND t.{_HERE}
GROUP BY t.DatabaseName, t.TableName ORDER BY 1, 2""",
        columns=f"""SELECT TRIM(DatabaseName), TRIM(TableName), TRIM(ColumnName), {NATIVE},
  CASE WHEN Nullable = 'N' THEN 0 ELSE 1 END, NULL, NULL, NULL, DefaultValue,
  CASE WHEN IdColType IS NULL THEN NULL ELSE 1 END, CASE WHEN IdColType IS NULL THEN NULL ELSE 1 END,
  NULL, 0, CommentString
FROM DBC.ColumnsV WHERE {_HERE} AND ColumnType IS NOT NULL ORDER BY DatabaseName, TableName, ColumnId""",
        keys=f"""SELECT TRIM(DatabaseName), TRIM(TableName), COALESCE(TRIM(IndexName), 'index_' ||
  TRIM(CAST(IndexNumber AS VARCHAR(11)))), CASE WHEN IndexType = 'K' THEN 'P' ELSE 'U' END, TRIM(ColumnName)
FROM DBC.IndicesV WHERE UniqueFlag = 'Y' AND {_HERE}
ORDER BY DatabaseName, TableName, IndexNumber, ColumnPosition""",
        foreign="""SELECT TRIM(ChildDB), TRIM(ChildTable), COALESCE(TRIM(IndexName), 'fk_' ||
  TRIM(CAST(IndexID AS VARCHAR(11)))), TRIM(ChildKeyColumn), TRIM(ParentDB), TRIM(ParentTable),
  TRIM(ParentKeyColumn), NULL, NULL
FROM DBC.All_RI_ChildrenV WHERE ChildDB IN ({schemas}) ORDER BY ChildDB, ChildTable, IndexID""",
        views=f"""SELECT TRIM(DatabaseName), TRIM(TableName), RequestText, CommentString FROM DBC.TablesV
WHERE TableKind = 'V' AND {_HERE} ORDER BY DatabaseName, TableName""",
        placing=f"""SELECT TRIM(DatabaseName), TRIM(TableName), 'HASH', TRIM(ColumnName) FROM DBC.IndicesV
WHERE IndexType IN ('P', 'Q') AND {_HERE} ORDER BY DatabaseName, TableName, ColumnPosition""",
    )
