"""Reads Snowflake's catalogue: INFORMATION_SCHEMA and SHOW ... KEYS.

https://docs.snowflake.com/en/sql-reference/info-schema. Paths are (schema, name) in the connection's
database.
"""

from __future__ import annotations

import json
import re
from typing import Any

from hdm.catalog.crawlers.base import Row
from hdm.catalog.crawlers.rows import Queries, RowsCrawler
from hdm.errors import ConnectionLost, Deadlock, HdmError, Throttled

SHOWN_AT_MOST = 10_000
"""Most rows that SHOW returns: https://docs.snowflake.com/en/sql-reference/sql/show-columns."""
_FOREIGN = ("fk_schema_name", "fk_table_name", "fk_name", "fk_column_name",
            "pk_schema_name", "pk_table_name", "pk_column_name", "delete_rule", "update_rule")  # fmt: skip
_NATIVE = """CASE
    WHEN c.DATA_TYPE = 'NUMBER'
      THEN 'NUMBER(' || c.NUMERIC_PRECISION::VARCHAR || ',' || c.NUMERIC_SCALE::VARCHAR || ')'
    WHEN c.DATA_TYPE = 'TEXT' THEN 'VARCHAR(' || c.CHARACTER_MAXIMUM_LENGTH::VARCHAR || ')'
    ELSE c.DATA_TYPE END"""


class SnowflakeCrawler(RowsCrawler):
    """Reads the catalogue of one Snowflake database.

    Keys come from SHOW, since INFORMATION_SCHEMA does not list their columns.
    """

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
WHERE PROCEDURE_SCHEMA IN ({schemas})
UNION ALL SELECT 'TRANSIENT of table', TABLE_SCHEMA, TABLE_NAME FROM INFORMATION_SCHEMA.TABLES
WHERE IS_TRANSIENT = 'YES' AND TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA IN ({schemas}) ORDER BY 1, 2, 3""",
    )

    def ask(self, name: str) -> list[Row]:
        """Return the rows of the query ``name``; keys come from SHOW, read by its column names."""
        if name == "keys":
            found = [_key(row, "P") for row in self._show(name, self.queries.keys)]
            found += [_key(row, "U") for row in self._show("uniques", "SHOW UNIQUE KEYS IN SCHEMA {schema}")]
            return [(*row[:2], _given(row[3]), row[2], row[5]) for row in sorted(found)]
        if name == "foreign":
            rows = sorted(self._show(name, self.queries.foreign), key=_place)
            return [
                (*(row[column] for column in _FOREIGN), row["delete_rule"], row["update_rule"])
                for row in rows
            ]
        if name == "columns":
            return self._refined(super().ask(name))
        return super().ask(name)

    def _refined(self, rows: list[Row]) -> list[Row]:
        """Return column rows with the details that INFORMATION_SCHEMA lacks.

        These are the fraction digits of temporals and the expressions of generated columns. Collations, which
        no column of another table would be given, are listed as not read.
        """
        shown = {
            (row["schema_name"], row["table_name"], row["column_name"]): row
            for row in self._show("column details", "SHOW COLUMNS IN SCHEMA {schema}")
        }
        for (schema, table, column), row in shown.items():
            if collation := json.loads(row.get("data_type") or "{}").get("collation"):
                self._hidden.append(
                    (f"collation {collation} of column {column} of table", f"{schema}.{table}")
                )
        return [_detailed(row, shown.get(row[:3], {})) for row in rows]

    def _show(self, name: str, sql: str) -> list[dict[str, Any]]:
        """Return the rows of SHOW in all schemas; what is refused or cut short is listed as not read."""
        assert self.named is not None, "SHOW is read by the names of its columns"
        rows: list[dict[str, Any]] = []
        try:
            for schema in self._schemas:
                found = self.named(sql.replace("{schema}", self.dialect.quote(schema)))
                if len(found) >= SHOWN_AT_MOST:
                    self._missing.append(f"{name} of {schema} after the first {SHOWN_AT_MOST}")
                rows += found
        except HdmError as error:
            if isinstance(error, ConnectionLost | Throttled | Deadlock):
                raise
            self._missing.append(name)
        return rows

    def view(self, sql: str) -> str:
        """Return the query of a view: what follows AS, if the definition begins with CREATE."""
        found = re.match(r"\s*CREATE\b.*?\bAS\b\s*((?:SELECT|WITH|\().*)\Z", sql, re.IGNORECASE | re.DOTALL)
        return super().view(found[1] if found else sql)


def _key(row: dict[str, Any], kind: str) -> tuple[str, str, str, str, int, str]:
    """Return the sort key of a row of SHOW ... KEYS: table, kind, constraint, position, column."""
    return (
        str(row["schema_name"]),
        str(row["table_name"]),
        kind,
        str(row["constraint_name"]),
        int(row["key_sequence"]),
        str(row["column_name"]),
    )


def _given(name: str) -> str:
    """Return a constraint's name; empty for a generated name."""
    return "" if name.startswith("SYS_CONSTRAINT_") else name


def _place(row: dict[str, Any]) -> tuple[str, str, str, int]:
    return row["fk_schema_name"], row["fk_table_name"], row["fk_name"], int(row["key_sequence"])


def _detailed(row: Row, shown: dict[str, Any]) -> Row:
    kind = json.loads(shown.get("data_type") or "{}")
    native, digits = row[3], kind.get("scale")
    if digits is not None and str(native).startswith("TIME"):
        native = f"{native}({digits})"
    computed = shown.get("expression") if shown.get("kind") == "VIRTUAL_COLUMN" else None
    return (*row[:3], native, *row[4:11], computed, 1 if computed else row[12], *row[13:])
