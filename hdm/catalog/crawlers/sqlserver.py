"""Reads SQL Server's catalogue views.

See https://learn.microsoft.com/en-us/sql/relational-databases/system-catalog-views.
"""

from __future__ import annotations

import re

from hdm.catalog.crawlers.rows import Queries, RowsCrawler
from hdm.catalog.sql_text import unwrapped

_T = "JOIN sys.tables t ON t.object_id = {0}.{1} JOIN sys.schemas s ON s.schema_id = t.schema_id"
_IN = "s.name IN ({schemas}) AND t.is_ms_shipped = 0"
_NATIVE = """y.name + CASE
    WHEN y.name IN ('char', 'varchar', 'binary', 'varbinary')
      THEN '(' + CASE c.max_length WHEN -1 THEN 'max' ELSE CAST(c.max_length AS varchar(10)) END + ')'
    WHEN y.name IN ('nchar', 'nvarchar')
      THEN '(' + CASE c.max_length WHEN -1 THEN 'max' ELSE CAST(c.max_length / 2 AS varchar(10)) END + ')'
    WHEN y.name IN ('decimal', 'numeric')
      THEN '(' + CAST(c.precision AS varchar(10)) + ',' + CAST(c.scale AS varchar(10)) + ')'
    WHEN y.name IN ('datetime2', 'datetimeoffset', 'time') THEN '(' + CAST(c.scale AS varchar(10)) + ')'
    WHEN y.name = 'float' THEN '(' + CAST(c.precision AS varchar(10)) + ')' ELSE '' END"""


class SQLServerCrawler(RowsCrawler):
    """Reads the catalogue of the current SQL Server database."""

    system = "sqlserver"
    queries = Queries(
        schemas="""SELECT s.name FROM sys.schemas s WHERE s.schema_id < 16384
  AND s.name NOT IN ('sys', 'INFORMATION_SCHEMA', 'guest') ORDER BY s.name""",
        tables=f"""SELECT s.name, t.name,
  (SELECT SUM(p.rows) FROM sys.partitions p WHERE p.object_id = t.object_id AND p.index_id IN (0, 1)),
  (SELECT SUM(a.total_pages) * 8192 FROM sys.partitions p
    JOIN sys.allocation_units a ON a.container_id = p.partition_id WHERE p.object_id = t.object_id),
  CAST(e.value AS nvarchar(4000))
FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id
LEFT JOIN sys.extended_properties e ON e.class = 1 AND e.major_id = t.object_id AND e.minor_id = 0
  AND e.name = 'MS_Description'
WHERE {_IN} ORDER BY s.name, t.name""",
        columns=f"""SELECT s.name, o.name, c.name, {_NATIVE}, c.is_nullable, NULL, NULL, NULL,
  OBJECT_DEFINITION(c.default_object_id), CAST(i.seed_value AS bigint), CAST(i.increment_value AS bigint),
  k.definition, CASE WHEN k.is_persisted = 0 THEN 1 ELSE 0 END, CAST(e.value AS nvarchar(4000))
FROM sys.columns c JOIN sys.objects o ON o.object_id = c.object_id AND o.type IN ('U', 'V')
JOIN sys.schemas s ON s.schema_id = o.schema_id
JOIN sys.types y ON y.user_type_id = CASE WHEN c.system_type_id = 240 THEN c.user_type_id
  ELSE c.system_type_id END
LEFT JOIN sys.identity_columns i ON i.object_id = c.object_id AND i.column_id = c.column_id
LEFT JOIN sys.computed_columns k ON k.object_id = c.object_id AND k.column_id = c.column_id
LEFT JOIN sys.extended_properties e ON e.class = 1 AND e.major_id = c.object_id
  AND e.minor_id = c.column_id AND e.name = 'MS_Description'
WHERE s.name IN ({{schemas}}) AND o.is_ms_shipped = 0 ORDER BY s.name, o.name, c.column_id""",
        keys=f"""SELECT s.name, t.name, k.name, CASE k.type WHEN 'PK' THEN 'P' ELSE 'U' END, c.name
FROM sys.key_constraints k {_T.format("k", "parent_object_id")}
JOIN sys.index_columns x ON x.object_id = t.object_id AND x.index_id = k.unique_index_id
JOIN sys.columns c ON c.object_id = t.object_id AND c.column_id = x.column_id
WHERE {_IN} ORDER BY s.name, t.name, k.name, x.key_ordinal""",
        foreign=f"""SELECT s.name, t.name, f.name, c.name, rs.name, r.name, rc.name,
  f.delete_referential_action_desc, f.update_referential_action_desc
FROM sys.foreign_keys f {_T.format("f", "parent_object_id")}
JOIN sys.foreign_key_columns x ON x.constraint_object_id = f.object_id
JOIN sys.columns c ON c.object_id = t.object_id AND c.column_id = x.parent_column_id
JOIN sys.tables r ON r.object_id = f.referenced_object_id JOIN sys.schemas rs ON rs.schema_id = r.schema_id
JOIN sys.columns rc ON rc.object_id = r.object_id AND rc.column_id = x.referenced_column_id
WHERE {_IN} ORDER BY s.name, t.name, f.name, x.constraint_column_id""",
        checks=f"""SELECT s.name, t.name, k.name, k.definition
FROM sys.check_constraints k {_T.format("k", "parent_object_id")} WHERE {_IN} ORDER BY s.name, t.name,
  k.name""",
        indexes=f"""SELECT s.name, t.name, i.name, i.is_unique, c.name, x.is_descending_key, NULL,
  i.type_desc
FROM sys.indexes i {_T.format("i", "object_id")}
JOIN sys.index_columns x ON x.object_id = i.object_id AND x.index_id = i.index_id
  AND x.is_included_column = 0
JOIN sys.columns c ON c.object_id = i.object_id AND c.column_id = x.column_id
WHERE {_IN} AND i.type > 0 AND i.is_primary_key = 0 AND i.is_unique_constraint = 0
  AND i.is_hypothetical = 0 AND i.has_filter = 0
ORDER BY s.name, t.name, i.name, x.key_ordinal""",
        views="""SELECT s.name, v.name, m.definition, CAST(e.value AS nvarchar(4000))
FROM sys.views v JOIN sys.schemas s ON s.schema_id = v.schema_id
  JOIN sys.sql_modules m ON m.object_id = v.object_id
LEFT JOIN sys.extended_properties e ON e.class = 1 AND e.major_id = v.object_id AND e.minor_id = 0
  AND e.name = 'MS_Description'
WHERE s.name IN ({schemas}) AND v.is_ms_shipped = 0 ORDER BY s.name, v.name""",
        sequences="""SELECT s.name, q.name, CAST(q.start_value AS bigint), CAST(q.increment AS bigint),
  CAST(q.minimum_value AS bigint), CAST(q.maximum_value AS bigint), q.is_cycling
FROM sys.sequences q JOIN sys.schemas s ON s.schema_id = q.schema_id
WHERE s.name IN ({schemas}) ORDER BY s.name, q.name""",
        unread="""SELECT CASE o.type WHEN 'TR' THEN 'trigger' ELSE 'routine' END, s.name, o.name
FROM sys.objects o JOIN sys.schemas s ON s.schema_id = o.schema_id
WHERE o.type IN ('P', 'FN', 'IF', 'TF', 'TR') AND o.is_ms_shipped = 0 AND s.name IN ({schemas})
UNION ALL SELECT 'filtered index', s.name, t.name + '.' + i.name
FROM sys.indexes i JOIN sys.tables t ON t.object_id = i.object_id
  JOIN sys.schemas s ON s.schema_id = t.schema_id
WHERE i.has_filter = 1 AND s.name IN ({schemas}) ORDER BY 1, 2, 3""",
    )

    def default(self, text: str | None) -> str | None:
        """Return a default without the brackets that the catalogue adds; None if there is none."""
        made = super().default(text)
        while made is not None and unwrapped(made) != made:
            made = unwrapped(made)
        return made

    def view(self, sql: str) -> str:
        """Return the query of a view: what follows the first AS of CREATE VIEW."""
        found = re.search(r"\bVIEW\b.*?\bAS\b\s*((?:SELECT|WITH)\b.*)\Z", sql, re.IGNORECASE | re.DOTALL)
        return super().view(found[1] if found else sql)
