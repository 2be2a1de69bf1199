"""Reads Netezza's catalogue, the views ``_V_*``.

https://www.ibm.com/docs/en/netezza?topic=reference-system-views
"""

from __future__ import annotations

from hdm.catalog.crawlers.rows import Queries, RowsCrawler

_HERE = "DATABASE = CURRENT_CATALOG AND SCHEMA IN ({schemas})"


class NetezzaCrawler(RowsCrawler):
    """Reads the catalogue of the current Netezza database.

    Netezza has no indexes and no checks, and does not enforce keys.
    """

    system = "netezza"
    optional = frozenset({"unread"})
    queries = Queries(
        schemas="""SELECT SCHEMA FROM _V_SCHEMA
WHERE DATABASE = CURRENT_CATALOG AND SCHEMA NOT IN ('DEFINITION_SCHEMA', 'INFORMATION_SCHEMA')
  ORDER BY SCHEMA""",
        tables="""SELECT t.SCHEMA, t.TABLENAME, t.RELTUPLES, s.USED_BYTES, t.DESCRIPTION
FROM _V_TABLE t LEFT JOIN _V_TABLE_STORAGE_STAT s ON s.OBJID = t.OBJID
WHERE t.OBJTYPE = 'TABLE' AND t.DATABASE = CURRENT_CATALOG AND t.SCHEMA IN ({schemas})
ORDER BY t.SCHEMA, t.TABLENAME""",
        columns=f"""SELECT SCHEMA, NAME, ATTNAME, FORMAT_TYPE, CASE WHEN ATTNOTNULL THEN 0 ELSE 1 END,
  NULL, NULL, NULL,
  COLDEFAULT, NULL, NULL, NULL, 0, DESCRIPTION
FROM _V_RELATION_COLUMN WHERE {_HERE} ORDER BY SCHEMA, NAME, ATTNUM""",
        keys=f"""SELECT SCHEMA, RELATION, CONSTRAINTNAME, UPPER(CONTYPE), ATTNAME
FROM _V_RELATION_KEYDATA WHERE CONTYPE IN ('p', 'u') AND {_HERE}
ORDER BY SCHEMA, RELATION, CONSTRAINTNAME, CONSEQ""",
        foreign=f"""SELECT SCHEMA, RELATION, CONSTRAINTNAME, ATTNAME, PKSCHEMA, PKRELATION, PKATTNAME,
  DEL_TYPE, UPDT_TYPE
FROM _V_RELATION_KEYDATA WHERE CONTYPE = 'f' AND {_HERE}
ORDER BY SCHEMA, RELATION, CONSTRAINTNAME, CONSEQ""",
        views=f"""SELECT SCHEMA, VIEWNAME, DEFINITION, DESCRIPTION FROM _V_VIEW
WHERE OBJTYPE = 'VIEW' AND {_HERE} ORDER BY SCHEMA, VIEWNAME""",
        placing=f"""SELECT SCHEMA, TABLENAME, PLACED, ATTNAME FROM (
  SELECT SCHEMA, TABLENAME, 'HASH' AS PLACED, ATTNAME, DISTSEQNO AS SEQ FROM _V_TABLE_DIST_MAP WHERE {_HERE}
  UNION ALL
  SELECT SCHEMA, TABLENAME, 'SORT' AS PLACED, ATTNAME, ORGSEQNO AS SEQ FROM _V_TABLE_ORGANIZE_COLUMN
  WHERE {_HERE}) AS p
ORDER BY SCHEMA, TABLENAME, PLACED, SEQ""",
        unread=f"""SELECT 'routine', SCHEMA, PROCEDURE FROM _V_PROCEDURE WHERE {_HERE}
UNION ALL SELECT 'sequence', SCHEMA, SEQNAME FROM _V_SEQUENCE WHERE {_HERE} ORDER BY 1, 2, 3""",
    )

    def default(self, text: str | None) -> str | None:
        """Return a column's default as the catalogue shows it, casts included.

        None if there is none, or if it is NULL.
        """
        made = super().default(text)
        return None if made is None or made.upper() in ("NULL", "''::NULL") else made
