"""Snowflake: https://docs.snowflake.com/en/sql-reference/info-schema and SHOW ... KEYS.

Paths are (schema, name) of the connection's database.
"""

from __future__ import annotations

import re

from hdm.catalogs.crawlers.base import Row
from hdm.catalogs.crawlers.rows import Queries, RowsCrawler
from hdm.errors import ConnectionLost, Deadlock, HdmError, Throttled

_NATIVE = """CASE
    WHEN c.DATA_TYPE = 'NUMBER'
      THEN 'NUMBER(' || c.NUMERIC_PRECISION::VARCHAR || ',' || c.NUMERIC_SCALE::VARCHAR || ')'
    WHEN c.DATA_TYPE = 'TEXT' THEN 'VARCHAR(' || c.CHARACTER_MAXIMUM_LENGTH::VARCHAR || ')'
    ELSE c.DATA_TYPE END"""


class SnowflakeCrawler(RowsCrawler):
    """Keys come from SHOW, which INFORMATION_SCHEMA lacks the columns of."""

    system = "snowflake"
    optional = frozenset({"keys", "uniques", "foreign", "sequences", "unread"})
    queries = Queries(
        schemas="""SELECT SCHEMA_NAME FROM INFORMATION_SCHEMA.SCHEMATA
WHERE SCHEMA_NAME <> 'INFORMATION_SCHEMA' AND CATALOG_NAME = CURRENT_DATABASE() ORDER BY SCHEMA_NAME""",
        tables="""SELECT t.TABLE_SCHEMA, t.TABLE_NAME, t.ROW_COUNT, t.BYTES, t.COMMENT
FROM INFORMATION_SCHEMA.TABLES t WHERE t.TABLE_TYPE = 'BASE TABLE' AND t.TABLE_SCHEMA IN ({schemas})
ORDER BY t.TABLE_SCHEMA, t.TABLE_NAME""",
        columns=f"""SELECT c.TABLE_SCHEMA, c.TABLE_NAME, c.COLUMN_NAME, {_NATIVE}, c.IS_NULLABLE,
  c.CHARACTER_MAXIMUM_LENGTH, c.NUMERIC_PRECISION, c.NUMERIC_SCALE, c.COLUMN_DEFAULT,
  CASE WHEN c.IS_IDENTITY = 'YES' THEN COALESCE(c.IDENTITY_START, '1') END,
  CASE WHEN c.IS_IDENTITY = 'YES' THEN COALESCE(c.IDENTITY_INCREMENT, '1') END, NULL, 0, c.COMMENT
FROM INFORMATION_SCHEMA.COLUMNS c WHERE c.TABLE_SCHEMA IN ({{schemas}})
ORDER BY c.TABLE_SCHEMA, c.TABLE_NAME, c.ORDINAL_POSITION""",
        keys="SHOW PRIMARY KEYS IN SCHEMA {schema}",
        foreign="SHOW IMPORTED KEYS IN SCHEMA {schema}",
        views="""SELECT v.TABLE_SCHEMA, v.TABLE_NAME, v.VIEW_DEFINITION, v.COMMENT
FROM INFORMATION_SCHEMA.VIEWS v WHERE v.TABLE_SCHEMA IN ({schemas}) ORDER BY v.TABLE_SCHEMA,
  v.TABLE_NAME""",
        sequences="""SELECT SEQUENCE_SCHEMA, SEQUENCE_NAME, START_VALUE, "INCREMENT", NULL, NULL, 0
FROM INFORMATION_SCHEMA.SEQUENCES WHERE SEQUENCE_SCHEMA IN ({schemas}) ORDER BY SEQUENCE_SCHEMA,
  SEQUENCE_NAME""",
        unread="""SELECT 'routine', PROCEDURE_SCHEMA, PROCEDURE_NAME FROM INFORMATION_SCHEMA.PROCEDURES
WHERE PROCEDURE_SCHEMA IN ({schemas}) ORDER BY 1, 2, 3""",
    )

    def ask(self, name: str) -> list[Row]:
        """SHOW's rows brought into order: their columns stand at fixed places."""
        if name == "keys":
            found = [("P", row) for row in self._show(name, self.queries.keys)]
            found += [("U", row) for row in self._show("uniques", "SHOW UNIQUE KEYS IN SCHEMA {schema}")]
            found.sort(key=lambda one: (one[1][2], one[1][3], one[0], one[1][6], int(one[1][5])))
            return [(*_plain(row), kind, row[4]) for kind, row in found]
        if name == "foreign":
            rows = self._show(name, self.queries.foreign)
            ordered = sorted(rows, key=lambda row: (row[6], row[7], row[12], int(row[9])))
            return [(r[6], r[7], r[12], r[8], r[2], r[3], r[4], r[11], r[10]) for r in ordered]
        return super().ask(name)

    def _show(self, name: str, sql: str) -> list[Row]:
        """Over all schemas; what is refused is named as not read."""
        rows: list[Row] = []
        try:
            for schema in self._schemas:
                rows += self.query(sql.replace("{schema}", self.dialect.quote(schema)))
        except HdmError as error:
            if isinstance(error, ConnectionLost | Throttled | Deadlock):
                raise
            self._missing.append(name)
        return rows

    def view(self, sql: str) -> str:
        """What follows AS, should the definition begin with CREATE."""
        found = re.match(r"\s*CREATE\b.*?\bAS\b\s*((?:SELECT|WITH|\().*)\Z", sql, re.IGNORECASE | re.DOTALL)
        return super().view(found[1] if found else sql)


def _plain(row: Row) -> tuple[str, str, str]:
    """Schema, table, constraint of SHOW PRIMARY KEYS; generated names are none."""
    name = str(row[6])
    return str(row[2]), str(row[3]), "" if name.startswith("SYS_CONSTRAINT_") else name
